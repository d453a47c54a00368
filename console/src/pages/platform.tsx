/** How CMP is: its parts, who runs out of what, what goes wrong. */
import { Anchor, Card, Group, List, SimpleGrid, Stack, Table, Text, Title } from "@mantine/core";
import { IconAlertTriangle, IconCircleCheck } from "@tabler/icons-react";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import type { Schemas } from "../api/client";
import * as queries from "../api/queries";
import { Ago, Heading, Loaded, State, Trouble } from "../parts/parts";
import { sentence } from "../parts/words";
import { useMay } from "../shell";
import { Of } from "./operations";
import { near, part, percent } from "./users/limits";

const FEW = 10;

export function Platform() {
  const everyones = useMay("everyones");
  const users = useMay("users:read");
  const health = useQuery(queries.health);
  return (
    <>
      <Heading title="Platform health" />
      <Stack>
        <Loaded query={health}>{(found) => <Parts {...found} />}</Loaded>
        {users && <Near />}
        {everyones && (
          <>
            <Some title="Failed operations" status="failed" none="None has failed." />
            <Some title="Running operations" status="running" none="None." />
            <Some title="Waiting operations" status="pending" none="None." />
          </>
        )}
      </Stack>
    </>
  );
}

function Parts({ status, version, parts }: Schemas["app__schemas__platform__Health"]) {
  return (
    <Card withBorder>
      <Group justify="space-between" mb="sm">
        <Title order={2} size="h5">
          {status === "ok" ? "All parts are well" : "Something is not well"}
        </Title>
        <Text size="sm">Version {version}</Text>
      </Group>
      <SimpleGrid cols={{ base: 1, sm: 3 }}>
        {Object.entries(parts).map(([name, { ok, detail }]) => (
          <Group key={name} gap="xs" align="flex-start" wrap="nowrap" data-part={name}>
            {ok ? <IconCircleCheck size={20} aria-hidden /> : <IconAlertTriangle size={20} aria-hidden />}
            <div>
              <Text size="sm" fw={600}>
                {sentence(name)}: {ok ? "well" : "not well"}
              </Text>
              <Text size="sm" style={{ overflowWrap: "anywhere" }}>
                {detail}
              </Text>
            </div>
          </Group>
        ))}
      </SimpleGrid>
    </Card>
  );
}

function Near() {
  const query = useInfiniteQuery(queries.users({ limit: 500, sort: "username" }));
  const rows = query.data?.pages.flatMap(({ items }) => items).filter((user) => near(user).length > 0);
  return (
    <Part
      title="Near a limit"
      all={<Link to="/users">All users</Link>}
      error={query.error}
      again={() => query.refetch()}
    >
      {rows?.length === 0 && <Text size="sm">Nobody: everybody has a fifth or more left.</Text>}
      {rows && rows.length > 0 && (
        <List listStyleType="none" spacing="xs" size="sm">
          {rows.slice(0, FEW).map((user) => (
            <List.Item key={user.id}>
              <Anchor
                inherit
                underline="always"
                renderRoot={(props) => <Link to="/users/$user" params={{ user: user.username }} {...props} />}
              >
                {user.username}
              </Anchor>
              {": "}
              {near(user)
                .map(({ of, label }) => `${label} ${percent(part(user, of))}`)
                .join(", ")}
            </List.Item>
          ))}
        </List>
      )}
      {((rows && rows.length > FEW) || query.hasNextPage) && (
        <Link to="/users" search={{ near: "true" }}>
          All who are near a limit
        </Link>
      )}
    </Part>
  );
}

function Some({ title, status, none }: { title: string; status: Schemas["OperationStatus"]; none: string }) {
  const query = useInfiniteQuery(queries.operations({ limit: FEW, status, everyones: true }));
  const rows = query.data?.pages[0]?.items;
  return (
    <Part
      title={title}
      all={
        <Link to="/operations" search={{ status, everyones: "true" }} aria-label={`All: ${title.toLowerCase()}`}>
          All
        </Link>
      }
      error={query.error}
      again={() => query.refetch()}
    >
      {rows?.length === 0 && <Text size="sm">{none}</Text>}
      {rows && rows.length > 0 && (
        <Table.ScrollContainer minWidth={520}>
          <Table verticalSpacing={6}>
            <Table.Tbody>
              {rows.map((row) => (
                <Table.Tr key={row.id}>
                  <Table.Td w={130}>
                    <State of={row.status} />
                  </Table.Td>
                  <Table.Td>
                    <Of operation={row} />
                    {row.message && (
                      <Text size="sm" style={{ overflowWrap: "anywhere" }}>
                        {row.message}
                      </Text>
                    )}
                  </Table.Td>
                  <Table.Td>{row.actor}</Table.Td>
                  <Table.Td ta="right" style={{ whiteSpace: "nowrap" }}>
                    <Ago when={row.created_at} />
                  </Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
      )}
    </Part>
  );
}

function Part(given: { title: string; all: ReactNode; error: unknown; again: () => void; children: ReactNode }) {
  return (
    <Card withBorder>
      <Group justify="space-between" mb="sm">
        <Title order={2} size="h5">
          {given.title}
        </Title>
        {given.all}
      </Group>
      <Trouble error={given.error} again={given.again} />
      {given.children}
    </Card>
  );
}
