/** Who I am, and how I come in. */
import { Badge, Button, Card, Group, List, Modal, PasswordInput, SimpleGrid, Stack, Text, Title } from "@mantine/core";
import { useState } from "react";
import { api, data, type Schemas } from "../api/client";
import { useActing } from "../parts/acting";
import { Ago, Docs, Heading, Trouble } from "../parts/parts";
import { sentence } from "../parts/words";
import { useMay, useMe } from "../shell";
import { ReplaceToken, Tokens } from "./users/tokens";

const PERMISSIONS: Record<Schemas["Permission"], string> = {
  "clusters:read": "See clusters, instances, operations, events, usage",
  "clusters:write": "Create, change, scale and delete clusters; delete instances",
  "clusters:share": "Share clusters, give them away, accept them",
  "instances:operate": "Start, stop, suspend, restart, replace and move instances",
  "instances:logs": "Read what instances say",
  "instances:reach": "Commands, ports, consoles and screens of instances",
  "self:read": "See yourself: quota, tokens, audit trail",
  "tokens:write": "Make, revoke and replace your tokens, end sign-ins, set your password",
  "catalogue:read": "See flavours, images and the policy",
  "catalogue:write": "Change flavours, images and the policy",
  everyones: "What you may with your own, with everybody's too",
  "users:read": "See users and their quotas",
  "users:write": "Make, change and delete users, and how they come in",
  "audit:verify": "Check that the audit trail is whole",
  "platform:write": "Replace signing keys, seal secrets anew",
};

export function Account() {
  const me = useMe();
  const mayWrite = useMay("tokens:write");
  return (
    <>
      <Heading title="Account and tokens" />
      <Stack>
        <SimpleGrid cols={{ base: 1, md: 2 }}>
          <Card withBorder>
            <Group gap="xs" mb="sm">
              <Title order={2} size="h5">
                {me.username}
              </Title>
              <Badge variant="default" tt="none">
                {sentence(me.role)}
              </Badge>
              {me.kind === "service" && (
                <Badge variant="default" tt="none">
                  Service
                </Badge>
              )}
            </Group>
            <Text size="sm" mb={4}>
              Here since <Ago when={me.created_at} />. You may:
            </Text>
            <List size="sm">
              {me.permissions.map((permission) => (
                <List.Item key={permission}>{PERMISSIONS[permission] ?? permission}</List.Item>
              ))}
            </List>
          </Card>
          {me.kind === "person" && <Password mayWrite={mayWrite} />}
        </SimpleGrid>
        <Tokens user={null} mayWrite={mayWrite}>
          <ReplaceToken user={me.username} own />
        </Tokens>
      </Stack>
    </>
  );
}

function Password({ mayWrite }: { mayWrite: boolean }) {
  const me = useMe();
  const [opened, setOpened] = useState(false);
  const verb = me.has_password ? "Change the password" : "Set a password";
  return (
    <Card withBorder>
      <Title order={2} size="h5" mb="sm">
        Password
      </Title>
      <Stack align="flex-start" gap="sm">
        <Text size="sm">
          {me.has_password
            ? "You have a password, and sign in with it and your name."
            : "You have no password. With one you sign in without a token."}
        </Text>
        {mayWrite && (
          <Button variant="default" onClick={() => setOpened(true)}>
            {verb}
          </Button>
        )}
        <Text size="sm">Programs come in with tokens, below.</Text>
        <Text size="sm">
          <Docs path="/docs">How the API is used</Docs>
        </Text>
      </Stack>
      <Modal opened={opened} onClose={() => setOpened(false)} title={verb}>
        <Change close={() => setOpened(false)} />
      </Modal>
    </Card>
  );
}

function Change({ close }: { close: () => void }) {
  const me = useMe();
  const [before, setBefore] = useState("");
  const [password, setPassword] = useState("");
  const change = useActing(
    () =>
      data(
        api.PUT("/api/v1/users/me/password", {
          body: { password, current_password: me.has_password ? before : null },
        }),
      ),
    {
      quiet: true,
      done: () => {
        close();
        return "The password is set. Other sign-ins have ended.";
      },
    },
  );
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        change.mutate();
      }}
    >
      <Stack>
        <input type="text" name="username" autoComplete="username" value={me.username} readOnly hidden />
        {me.has_password && (
          <PasswordInput
            label="The one you have"
            autoComplete="current-password"
            value={before}
            onChange={(event) => setBefore(event.currentTarget.value)}
            required
            data-autofocus
          />
        )}
        <PasswordInput
          label="The new one"
          description="Several words that nobody guesses are good. All sign-ins but this one end; tokens stay."
          autoComplete="new-password"
          value={password}
          onChange={(event) => setPassword(event.currentTarget.value)}
          required
          data-autofocus={!me.has_password || undefined}
        />
        <Trouble error={change.error} />
        <Group justify="flex-end">
          <Button variant="default" onClick={close}>
            Cancel
          </Button>
          <Button type="submit" loading={change.isPending}>
            Set it
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
