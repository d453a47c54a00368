/** How CMP is: its parts, who runs out of what, what goes wrong. */
import { Anchor, Group, List, SimpleGrid, Stack, Text } from "@mantine/core";
import { IconAlertTriangle, IconCircleCheck } from "@tabler/icons-react";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { Schemas } from "../api/client";
import * as queries from "../api/queries";
import { Heading, Loaded, Section, Trouble } from "../parts/parts";
import { sentence } from "../parts/words";
import { useMay } from "../shell";
import { Few } from "./operations";
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
    <Section
      title={status === "ok" ? "All parts are well" : "Something is not well"}
      beside={<Text size="sm">Version {version}</Text>}
    >
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
    </Section>
  );
}

function Near() {
  const query = useInfiniteQuery(queries.users({ limit: 500, sort: "username" }));
  const rows = query.data?.pages.flatMap(({ items }) => items).filter((user) => near(user).length > 0);
  return (
    <Section title="Near a limit" beside={<Link to="/users">All users</Link>}>
      <Trouble error={query.error} again={() => query.refetch()} />
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
    </Section>
  );
}

function Some({ title, status, none }: { title: string; status: Schemas["OperationStatus"]; none: string }) {
  const query = useInfiniteQuery(queries.operations({ limit: FEW, status, everyones: true }));
  const rows = query.data?.pages[0]?.items;
  return (
    <Section
      title={title}
      beside={
        <Link to="/operations" search={{ status, everyones: "true" }} aria-label={`All: ${title.toLowerCase()}`}>
          All
        </Link>
      }
    >
      <Trouble error={query.error} again={() => query.refetch()} />
      {rows?.length === 0 && <Text size="sm">{none}</Text>}
      {rows && rows.length > 0 && <Few rows={rows} actors />}
    </Section>
  );
}
