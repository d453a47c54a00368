/** Everybody: who they are, what they use, who is near a limit. */
import { Anchor, Badge, Button, Group, Modal, Select, Stack, Switch, Table, Text, TextInput } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { api, data, type Schemas } from "../../api/client";
import * as queries from "../../api/queries";
import { useActing } from "../../parts/acting";
import { useFilters } from "../../parts/filters";
import { Empty, Heading, Trouble } from "../../parts/parts";
import { sentence } from "../../parts/words";
import { useMay } from "../../shell";
import { Listed, Typed } from "../lists";
import { DIMENSIONS, LimitFields, limitsOf, NONE, near, Used } from "./limits";
import { Once, type Secrets } from "./tokens";

type User = Schemas["UserRead"];
export const ROLES: Schemas["Role"][] = ["admin", "operator", "user", "viewer"];
export const STRATEGIES: { value: Schemas["QuotaStrategy"]; label: string }[] = [
  { value: "allocated", label: "From creation until deletion" },
  { value: "running", label: "While an instance runs" },
];

export function Users() {
  const [filters, setFilters] = useFilters();
  const mayWrite = useMay("users:write");
  const [creating, setCreating] = useState(false);
  const [shown, setShown] = useState<Secrets | null>(null);
  const tight = filters.near === "true";
  const query = useInfiniteQuery(
    queries.users({
      limit: tight ? 500 : 50,
      sort: "username",
      name: filters.name,
      role: ROLES.find((role) => role === filters.role),
    }),
  );
  return (
    <>
      <Heading title="Users and quotas">
        {mayWrite && <Button onClick={() => setCreating(true)}>Create a user</Button>}
      </Heading>
      <Group mb="sm" gap="sm">
        <Typed
          aria-label="Find by name"
          placeholder="Find by name"
          type="search"
          value={filters.name ?? ""}
          commit={(name) => setFilters({ name })}
        />
        <Select
          aria-label="Role"
          placeholder="Any role"
          data={ROLES.map((value) => ({ value, label: sentence(value) }))}
          value={filters.role ?? null}
          onChange={(role) => setFilters({ role: role ?? "" })}
          clearable
          w={150}
        />
        <Switch
          label="Near a limit"
          checked={tight}
          onChange={(event) => setFilters({ near: event.currentTarget.checked ? "true" : "" })}
        />
      </Group>
      <Listed query={query} empty={<Empty title="Nobody fits">Look for another name or role.</Empty>}>
        {(rows) => <Rows rows={tight ? rows.filter((row) => near(row).length > 0) : rows} />}
      </Listed>
      <Modal opened={creating} onClose={() => setCreating(false)} title="Create a user" size="lg">
        <Create
          close={() => setCreating(false)}
          created={(secrets) => {
            setCreating(false);
            setShown(secrets);
          }}
        />
      </Modal>
      <Once secrets={shown} close={() => setShown(null)} />
    </>
  );
}

function Rows({ rows }: { rows: User[] }) {
  if (rows.length === 0) return <Empty title="Nobody is near a limit">Everybody has a fifth or more left.</Empty>;
  return (
    <Table.ScrollContainer minWidth={980}>
      <Table verticalSpacing="xs">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Name</Table.Th>
            <Table.Th>Role</Table.Th>
            {DIMENSIONS.map(({ of, label }) => (
              <Table.Th key={of}>{label}</Table.Th>
            ))}
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
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
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

/** What is not as with most. */
export function Marks({ user }: { user: User }) {
  return (
    <>
      {user.kind === "service" && (
        <Badge variant="default" tt="none">
          Service
        </Badge>
      )}
      {user.disabled && (
        <Badge variant="default" tt="none">
          Disabled
        </Badge>
      )}
    </>
  );
}

function Create({ close, created }: { close: () => void; created: (secrets: Secrets) => void }) {
  const [username, setUsername] = useState("");
  const [kind, setKind] = useState<Schemas["UserKind"]>("person");
  const [role, setRole] = useState<Schemas["Role"]>("user");
  const [strategy, setStrategy] = useState<Schemas["QuotaStrategy"]>("allocated");
  const [limits, setLimits] = useState(NONE);
  const create = useActing(
    () =>
      data(
        api.POST("/api/v1/users/", { body: { username, kind, role, quota_strategy: strategy, ...limitsOf(limits) } }),
      ),
    {
      quiet: true,
      done: (user) => {
        created({ title: `The first token of ${user.username}`, Token: user.token ?? "" });
        return undefined;
      },
    },
  );
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        create.mutate();
      }}
    >
      <Stack>
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
        <Trouble error={create.error} />
        <Group justify="flex-end">
          <Button variant="default" onClick={close}>
            Cancel
          </Button>
          <Button type="submit" loading={create.isPending}>
            Create
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
