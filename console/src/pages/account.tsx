/** Who I am, and how I come in. */
import { Group, List, SimpleGrid, Stack, Text } from "@mantine/core";
import type { Schemas } from "../api/client";
import { Ago, Heading, Mark, Section } from "../parts/parts";
import { sentence } from "../parts/words";
import { useMay, useMe } from "../shell";
import { Password } from "./users/password";
import { ReplaceToken } from "./users/secrets";
import { SshKeys } from "./users/ssh-keys";
import { Tokens } from "./users/tokens";

const PERMISSIONS: Record<Schemas["Permission"], string> = {
  "clusters:read": "See clusters, instances, operations, events, usage",
  "clusters:write": "Create, change, scale and delete clusters; delete instances",
  "clusters:share": "Share clusters, give them away, accept them",
  "instances:operate": "Start, stop, suspend, restart, replace and move instances",
  "instances:logs": "Read what instances say",
  "instances:reach": "Commands, ports, consoles and screens of instances",
  "self:read": "See yourself: quota, tokens, SSH keys, audit trail",
  "tokens:write": "Make, revoke and replace your tokens, end sign-ins, set your password, save SSH keys",
  "notifications:write": "Say where you are told of failures and of your quota",
  "catalogue:read": "See flavours, images and the policy",
  "catalogue:write": "Change flavours, images and the policy",
  everyones: "What you may with your own, with everybody's too",
  "users:read": "See users and their quotas",
  "users:write": "Make, change and delete users, and how they come in",
  "metrics:read": "Read the metrics of every process",
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
          <Section
            title={me.username}
            beside={
              <Group gap="xs">
                <Mark>{sentence(me.role)}</Mark>
                {me.kind === "service" && <Mark>Service</Mark>}
              </Group>
            }
          >
            <Text size="sm" mb={4}>
              Here since <Ago when={me.created_at} />. You may:
            </Text>
            <List size="sm">
              {me.permissions.map((permission) => (
                <List.Item key={permission}>{PERMISSIONS[permission] ?? permission}</List.Item>
              ))}
            </List>
          </Section>
          {me.kind === "person" && <Password user={me} mayWrite={mayWrite} />}
        </SimpleGrid>
        <Tokens user={null} mayWrite={mayWrite}>
          <ReplaceToken user={me.username} own />
        </Tokens>
        <SshKeys mayWrite={mayWrite} />
      </Stack>
    </>
  );
}
