/** How CMP is: its parts, who runs out of what, what goes wrong. */
import { Anchor, Group, List, SimpleGrid, Stack, Table, Text } from "@mantine/core";
import { IconAlertTriangle, IconCircleCheck } from "@tabler/icons-react";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { Schemas } from "../api/client";
import * as queries from "../api/queries";
import { Ago, Heading, Loaded, Section, Trouble } from "../parts/parts";
import { Long, Rows } from "../parts/tables";
import { sentence } from "../parts/words";
import { useMay } from "../shell";
import { Few } from "./operations";
import { near, part, percent } from "./users/limits";

const FEW = 10;

export function Platform() {
  const everyones = useMay("everyones");
  const users = useMay("users:read");
  const health = useQuery(queries.health);
  const report = useQuery({ ...queries.platform, enabled: users });
  return (
    <>
      <Heading title="Platform health" />
      <Stack>
        <Loaded query={health}>{(found) => <Parts {...found} />}</Loaded>
        {users && <Loaded query={report}>{(found) => <Report {...found} />}</Loaded>}
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
            <Sign well={ok} />
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

function Report({ workers, leases, leases_held, invariants, repairs }: Schemas["PlatformRead"]) {
  return (
    <>
      <Section title="What must always be so">
        <List listStyleType="none" spacing="xs" size="sm">
          {invariants.map(({ name, holds, found }) => (
            <List.Item key={name} icon={<Sign well={holds} />} data-holds={holds}>
              {name}: {holds ? "so it is" : `not so for ${found.join(", ")}`}
            </List.Item>
          ))}
        </List>
        <Text size="sm" mt="sm">
          Looked at now. Workers repair counters every few minutes. Whether the audit trail fits together is asked on{" "}
          <Link to="/audit">its page</Link>.
        </Text>
      </Section>
      <Section title="What workers repaired or found">
        {repairs.length === 0 && <Text size="sm">Nothing, as far as is still known.</Text>}
        {repairs.map(({ kind, message, created_at }) => (
          <Text size="sm" key={`${created_at}${message}`} style={{ overflowWrap: "anywhere" }}>
            <Ago when={created_at} />: {message ?? kind}
          </Text>
        ))}
      </Section>
      <Section title="Workers">
        {workers.length === 0 ? (
          <Text size="sm">None was heard of within a minute: wishes are taken, and nothing is made of them.</Text>
        ) : (
          <Rows columns={["Host", "Process", "Kubernetes", "At work since", "Heard of"]} minWidth={620}>
            {workers.map((worker) => (
              <Table.Tr key={worker.id}>
                <Long>{worker.host}</Long>
                <Table.Td>{worker.pid}</Table.Td>
                <Long>{worker.kubernetes_error ?? worker.kubernetes ?? "not reached yet"}</Long>
                <Table.Td>
                  <Ago when={worker.started_at} />
                </Table.Td>
                <Table.Td>
                  <Ago when={worker.seen_at} />
                </Table.Td>
              </Table.Tr>
            ))}
          </Rows>
        )}
      </Section>
      <Section title="Clusters that a worker is at now" beside={<Text size="sm">{leases_held.toLocaleString()}</Text>}>
        {leases.length === 0 ? (
          <Text size="sm">None: there is nothing to do.</Text>
        ) : (
          <Rows columns={["Cluster", "Owner", "Taken over if silent"]} minWidth={420}>
            {leases.map((lease) => (
              <Table.Tr key={lease.cluster_id}>
                <Table.Td>
                  <Link to="/clusters/$cluster" params={{ cluster: lease.cluster_id }}>
                    {lease.cluster_name}
                  </Link>
                </Table.Td>
                <Table.Td>{lease.owner}</Table.Td>
                <Table.Td>
                  <Ago when={lease.until} />
                </Table.Td>
              </Table.Tr>
            ))}
          </Rows>
        )}
      </Section>
    </>
  );
}

function Sign({ well }: { well: boolean }) {
  return well ? <IconCircleCheck size={20} aria-hidden /> : <IconAlertTriangle size={20} aria-hidden />;
}

function Near() {
  const query = useInfiniteQuery(queries.users({ limit: FEW, sort: "username", near_limit: true }));
  const rows = query.data?.pages[0]?.items;
  return (
    <Section title="Near a limit" beside={<Link to="/users">All users</Link>}>
      <Trouble error={query.error} again={() => query.refetch()} />
      {rows?.length === 0 && <Text size="sm">Nobody: everybody has more than a fifth left.</Text>}
      {rows && rows.length > 0 && (
        <List listStyleType="none" spacing="xs" size="sm">
          {rows.map((user) => (
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
      {query.hasNextPage && (
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
