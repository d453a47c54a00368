/** One instance: its state and why, what it says, what it uses, and the ways into it. */
import { Alert, Anchor, Button, Group, Tabs, Text } from "@mantine/core";
import { useInfiniteQuery, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { ProblemError, type Schemas } from "../../api/client";
import * as queries from "../../api/queries";
import { useFilters } from "../../parts/filters";
import { Lines } from "../../parts/lines";
import { Ago, Heading, Loaded, State, Trouble } from "../../parts/parts";
import { Facts } from "../../parts/tables";
import { cores, memory, sentence } from "../../parts/words";
import { useMay } from "../../shell";
import { Few } from "../operations";
import { InstanceActions } from "./actions";
import { Logs } from "./logs";

type InstanceRead = Schemas["InstanceRead"];

export function Instance() {
  const { instance: id } = useParams({ strict: false });
  const query = useQuery(queries.instance(id ?? ""));
  return (
    <Loaded query={query} title="Instance">
      {(instance) => <Shown instance={instance} />}
    </Loaded>
  );
}

function Shown({ instance }: { instance: InstanceRead }) {
  const [filters, setFilters] = useFilters();
  const { capabilities } = instance;
  return (
    <>
      <Heading title={instance.instance_name} beside={<State of={instance.status} />}>
        <Ways instance={instance} />
        <InstanceActions instance={instance} />
      </Heading>
      {instance.message && (
        <Alert
          color={instance.status === "failed" ? "red" : "orange"}
          mb="md"
          title={instance.reason ? sentence(instance.reason) : undefined}
        >
          {instance.message}
        </Alert>
      )}
      {instance.restart_required && (
        <Alert color="orange" mb="md" title="Restart needed">
          It was changed, and is so from its next start.
        </Alert>
      )}
      <Tabs
        value={filters.tab ?? "about"}
        onChange={(tab) => setFilters({ tab: tab === "about" ? "" : (tab ?? "") })}
        keepMounted={false}
      >
        <Tabs.List mb="sm">
          <Tabs.Tab value="about">About</Tabs.Tab>
          <Tabs.Tab value="logs" disabled={!capabilities.logs}>
            Logs
          </Tabs.Tab>
          <Tabs.Tab value="history">Operations</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="about">
          <About instance={instance} />
        </Tabs.Panel>
        <Tabs.Panel value="logs">
          <Logs id={instance.id} />
        </Tabs.Panel>
        <Tabs.Panel value="history">
          <Operations id={instance.id} />
        </Tabs.Panel>
      </Tabs>
    </>
  );
}

/** Only those that are open now. */
function Ways({ instance: { id, capabilities } }: { instance: InstanceRead }) {
  return (
    <Group gap="xs">
      {(capabilities.exec || capabilities.console) && (
        <Button
          variant="default"
          renderRoot={(props) => <Link to="/instances/$instance/terminal" params={{ instance: id }} {...props} />}
        >
          {capabilities.exec ? "Terminal" : "Serial console"}
        </Button>
      )}
      {capabilities.vnc && (
        <Button
          variant="default"
          renderRoot={(props) => <Link to="/instances/$instance/screen" params={{ instance: id }} {...props} />}
        >
          Screen
        </Button>
      )}
    </Group>
  );
}

function About({ instance }: { instance: InstanceRead }) {
  const rows: [string, ReactNode][] = [
    [
      "Cluster",
      <Anchor
        key="cluster"
        renderRoot={(props) => <Link to="/clusters/$cluster" params={{ cluster: instance.cluster_id }} {...props} />}
      >
        Open it
      </Anchor>,
    ],
    ["Size", `${cores(instance.cpu)}, ${memory(instance.memory)}`],
    ["Uses", <Usage key="usage" instance={instance} />],
    ["Address", instance.ip ?? "none"],
    ["Node", instance.node ?? "none"],
    ["Restarts", instance.restarts],
    ["In Kubernetes", instance.k8s_resource],
    [
      "Can be suspended",
      instance.capabilities.suspend === null ? "not where it runs" : `yes, by ${instance.capabilities.suspend}`,
    ],
    ["Created", <Ago key="created" when={instance.created_at} />],
    ...Object.entries(instance.guest ?? {}).map(([key, value]): [string, ReactNode] => [
      `Guest: ${sentence(key)}`,
      String(value),
    ]),
  ];
  return <Facts rows={rows} />;
}

function Usage({ instance }: { instance: InstanceRead }) {
  const running = instance.status === "running";
  const query = useQuery({ ...queries.usage(instance.id, [instance.id], useQueryClient()), enabled: running });
  if (!running) return "nothing: it does not run";
  if (query.error) return query.error instanceof ProblemError ? query.error.problem.detail : String(query.error);
  return query.data ? <Lines seen={query.data} cpu={instance.cpu} memory={instance.memory} /> : "…";
}

function Operations({ id }: { id: string }) {
  const query = useInfiniteQuery(
    queries.operations({ instance_id: id, limit: 30, everyones: useMay("everyones") || undefined }),
  );
  const all = query.data?.pages.flatMap(({ items }) => items) ?? [];
  return (
    <>
      <Trouble error={query.error} again={() => query.refetch()} />
      {query.isSuccess && all.length === 0 && <Text size="sm">Nobody has done anything with it by itself.</Text>}
      <Few rows={all} actors />
    </>
  );
}
