/** Everybody: who they are, what they use, who is near a limit. */
import { Anchor, Button, Group, Modal, Select, Table, Text, TextInput } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { api, data, type Schemas } from "../../api/client";
import * as queries from "../../api/queries";
import { Form, useSending } from "../../parts/dialog";
import { useFilters } from "../../parts/filters";
import { Empty, Heading, Mark } from "../../parts/parts";
import { Rows } from "../../parts/tables";
import { sentence } from "../../parts/words";
import { useMay } from "../../shell";
import { Choice, Find, Listed, Only } from "../lists";
import { DIMENSIONS, LimitFields, limitsOf, NONE, Used } from "./limits";
import { Once, type Secrets } from "./secrets";

type User = Schemas["UserRead"];
export const ROLES: Schemas["Role"][] = ["admin", "operator", "user", "viewer"];
export const STRATEGIES: { value: Schemas["QuotaStrategy"]; label: string }[] = [
  { value: "allocated", label: "From creation until deletion" },
  { value: "running", label: "While an instance runs" },
];

export function Users() {
  const [filters] = useFilters();
  const mayWrite = useMay("users:write");
  const [creating, { open, close }] = useDisclosure();
  const [shown, setShown] = useState<Secrets | null>(null);
  const tight = filters.near === "true";
  const query = useInfiniteQuery(
    queries.users({
      limit: 50,
      sort: "username",
      name: filters.name,
      role: ROLES.find((role) => role === filters.role),
      near_limit: tight || undefined,
    }),
  );
  return (
    <>
      <Heading title="Users and quotas">{mayWrite && <Button onClick={open}>Create a user</Button>}</Heading>
      <Group mb="sm" gap="sm">
        <Find />
        <Choice of="role" label="Role" any="Any role" data={ROLES} w={150} />
        <Only of="near" label="Near a limit" />
      </Group>
      <Listed
        query={query}
        empty={
          tight ? (
            <Empty title="Nobody is near a limit">Everybody has more than a fifth left.</Empty>
          ) : (
            <Empty title="Nobody fits">Look for another name or role.</Empty>
          )
        }
      >
        {(rows) => <Everybody rows={rows} />}
      </Listed>
      <Modal opened={creating} onClose={close} title="Create a user" size="lg">
        <Create close={close} created={setShown} />
      </Modal>
      <Once secrets={shown} close={() => setShown(null)} />
    </>
  );
}

function Everybody({ rows }: { rows: User[] }) {
  return (
    <Rows columns={["Name", "Role", ...DIMENSIONS.map(({ label }) => label)]} minWidth={980}>
      {rows.map((row) => (
        <Table.Tr key={row.id} data-user={row.username}>
          <Table.Td>
            <Group gap={6}>
              <Anchor
                inherit
                style={{ overflowWrap: "anywhere" }}
                renderRoot={(props) => <Link to="/users/$user" params={{ user: row.username }} {...props} />}
              >
                {row.username}
              </Anchor>
              <Marks user={row} />
            </Group>
          </Table.Td>
          <Table.Td>{sentence(row.role)}</Table.Td>
          {DIMENSIONS.map((dimension) => (
            <Table.Td key={dimension.of}>
              <Used user={row} of={dimension} />
            </Table.Td>
          ))}
        </Table.Tr>
      ))}
    </Rows>
  );
}

export function Marks({ user }: { user: User }) {
  return (
    <>
      {user.kind === "service" && <Mark>Service</Mark>}
      {user.disabled && <Mark>Disabled</Mark>}
    </>
  );
}

function Create({ close, created }: { close: () => void; created: (secrets: Secrets) => void }) {
  const [username, setUsername] = useState("");
  const [kind, setKind] = useState<Schemas["UserKind"]>("person");
  const [role, setRole] = useState<Schemas["Role"]>("user");
  const [strategy, setStrategy] = useState<Schemas["QuotaStrategy"]>("allocated");
  const [limits, setLimits] = useState(NONE);
  const create = useSending(async () => {
    const body = { username, kind, role, quota_strategy: strategy, ...limitsOf(limits) };
    const user = await data(api.POST("/api/v1/users/", { body }));
    created({ title: `The first token of ${user.username}`, Token: user.token ?? "" });
  }, close);
  return (
    <Form sending={create} close={close} verb="Create">
      <TextInput
        label="Name"
        description="Small letters and digits, and - . _ @ between them."
        value={username}
        onChange={(event) => setUsername(event.currentTarget.value)}
        required
        autoComplete="off"
        data-autofocus
      />
      <Group grow align="flex-start">
        <Select
          label="Kind"
          data={[
            { value: "person", label: "Person" },
            { value: "service", label: "Service, which never signs in" },
          ]}
          value={kind}
          onChange={(value) => setKind(value === "service" ? "service" : "person")}
          allowDeselect={false}
        />
        <Select
          label="Role"
          data={ROLES.map((value) => ({ value, label: sentence(value) }))}
          value={role}
          onChange={(value) => setRole(ROLES.find((one) => one === value) ?? "user")}
          allowDeselect={false}
        />
      </Group>
      <Text size="sm">Limits. What is left empty is as CMP sets it for everybody.</Text>
      <LimitFields typed={limits} change={setLimits} placeholder="As for everybody" />
      <Select
        label="CPU and memory count"
        data={STRATEGIES}
        value={strategy}
        onChange={(value) => setStrategy(value === "running" ? "running" : "allocated")}
        allowDeselect={false}
      />
    </Form>
  );
}
