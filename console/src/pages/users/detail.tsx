/** One user: what they use and may, how they come in, and what becomes of them. */
import { Button, Modal, Select, SimpleGrid, Stack, Text } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import { useState } from "react";
import { api, data, type Schemas } from "../../api/client";
import * as queries from "../../api/queries";
import { Form, useSending } from "../../parts/dialog";
import { Ago, Bar, Heading, Loaded, Section } from "../../parts/parts";
import { sentence } from "../../parts/words";
import { useMay, useMe } from "../../shell";
import { Identities } from "./identities";
import { Delete, Disable } from "./leaving";
import { DIMENSIONS, LimitFields, limitsOf, near, typedOf } from "./limits";
import { Marks, ROLES, STRATEGIES } from "./list";
import { Password } from "./password";
import { ReplaceToken } from "./secrets";
import { Tokens } from "./tokens";

type Read = Schemas["UserRead"];

export function User() {
  const { user: name = "" } = useParams({ strict: false });
  const query = useQuery({ ...queries.user(name), refetchInterval: 15_000 });
  return (
    <Loaded query={query} title={name}>
      {(user) => <Known user={user} />}
    </Loaded>
  );
}

function Known({ user }: { user: Read }) {
  const me = useMe();
  const mayWrite = useMay("users:write");
  const tight = near(user);
  const strategy = STRATEGIES.find(({ value }) => value === user.quota_strategy);
  return (
    <>
      <Heading title={user.username} beside={<Marks user={user} />}>
        {mayWrite && (
          <>
            <ChangeLimits user={user} />
            <Disable user={user} />
            <Delete user={user} />
          </>
        )}
      </Heading>
      <Stack>
        <Section title="Quota">
          {tight.length > 0 && (
            <Text size="sm" fw={600} mb="sm">
              Near the limit: {tight.map(({ label }) => label).join(", ")}
            </Text>
          )}
          <SimpleGrid cols={{ base: 1, sm: 2, lg: 3 }}>
            {DIMENSIONS.map(({ of, label, say }) => (
              <Bar key={of} label={label} used={user[`used_${of}`]} total={user[`quota_${of}`]} say={say} />
            ))}
          </SimpleGrid>
          <Text size="sm" mt="md">
            {sentence(user.role)}, here since <Ago when={user.created_at} />. CPU and memory count{" "}
            {strategy?.label.toLowerCase()}.
          </Text>
        </Section>
        {user.kind === "person" && (
          <SimpleGrid cols={{ base: 1, md: 2 }}>
            <Password user={user} mayWrite={mayWrite} />
            <Identities user={user} mayWrite={mayWrite} />
          </SimpleGrid>
        )}
        <Tokens user={user.username} mayWrite={mayWrite}>
          <ReplaceToken user={user.username} own={user.id === me.id} />
        </Tokens>
      </Stack>
    </>
  );
}

function ChangeLimits({ user }: { user: Read }) {
  const [opened, { open, close }] = useDisclosure();
  return (
    <>
      <Button variant="default" onClick={open}>
        Change
      </Button>
      <Modal opened={opened} onClose={close} title={`Change ${user.username}`} size="lg">
        <Change user={user} close={close} />
      </Modal>
    </>
  );
}

function Change({ user, close }: { user: Read; close: () => void }) {
  // As it was when this was opened: what somebody else changes meanwhile stays theirs.
  const [before] = useState(user);
  const [limits, setLimits] = useState(typedOf(user));
  const [role, setRole] = useState(user.role);
  const [strategy, setStrategy] = useState(user.quota_strategy);
  const body: Schemas["UserChange"] = {
    ...limitsOf(limits, typedOf(before)),
    ...(role !== before.role && { role }),
    ...(strategy !== before.quota_strategy && { quota_strategy: strategy }),
    instances: "keep",
  };
  const change = useSending(
    () => data(api.PATCH("/api/v1/users/{user}", { params: { path: { user: user.username } }, body })),
    close,
    () => `${user.username} is changed.`,
  );
  return (
    <Form sending={change} close={close} verb="Save">
      <Select
        label="Role"
        data={ROLES.map((value) => ({ value, label: sentence(value) }))}
        value={role}
        onChange={(value) => setRole(ROLES.find((one) => one === value) ?? user.role)}
        allowDeselect={false}
      />
      <LimitFields typed={limits} change={setLimits} />
      <Text size="sm">A limit below what is used blocks what is new. Nothing that runs is stopped.</Text>
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
