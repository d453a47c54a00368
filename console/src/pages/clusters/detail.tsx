/** One cluster: its instances as they are, what happened to it, who shares it, and what one may do with it. */
import { Alert, Anchor, Button, Group, Menu, Tabs, Text } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { useState } from "react";
import { api, data, ProblemError, type Schemas } from "../../api/client";
import * as queries from "../../api/queries";
import { useActing } from "../../parts/acting";
import { Confirm, useSending } from "../../parts/dialog";
import { useFilters } from "../../parts/filters";
import { Lines } from "../../parts/lines";
import { Ago, Empty, Heading, Loaded, State } from "../../parts/parts";
import { Facts } from "../../parts/tables";
import { cores, count, kind, memory, sentence } from "../../parts/words";
import { InstanceRows } from "../instances/rows";
import { Change, Scale } from "./dialogs";
import { Gone, History } from "./history";
import { Share } from "./sharing";

type ClusterRead = Schemas["ClusterRead"];

export function Cluster() {
  const { cluster: id } = useParams({ strict: false });
  const query = useQuery(queries.cluster(id ?? ""));
  if (id !== undefined && query.error instanceof ProblemError && query.error.problem.status === 404)
    return <Gone id={id} error={query.error} />;
  return (
    <Loaded query={query} title="Cluster">
      {(cluster) => <Shown cluster={cluster} />}
    </Loaded>
  );
}

function Shown({ cluster }: { cluster: ClusterRead }) {
  const [filters, setFilters] = useFilters();
  return (
    <>
      <Heading title={cluster.name} beside={<State of={cluster.phase} />}>
        <Actions cluster={cluster} />
      </Heading>
      {cluster.message && (
        <Alert
          color={cluster.phase === "failed" ? "red" : "orange"}
          mb="md"
          title={cluster.reason ? sentence(cluster.reason) : undefined}
        >
          {cluster.message}
        </Alert>
      )}
      <Text mb="md" size="sm">
        {cluster.ready_instances} of{" "}
        {count(cluster.instance_count, cluster.instance_type === "vm" ? "virtual machine" : "container")} as wished ·{" "}
        {cluster.flavour ?? `${cores(cluster.cpu_per_instance)}, ${memory(cluster.memory_per_instance)} each`} ·{" "}
        {cluster.image_name ?? cluster.image} · {cluster.access === "owner" ? "yours" : `of ${cluster.owner}`} · created{" "}
        <Ago when={cluster.created_at} />
      </Text>
      <Usage cluster={cluster} />
      <Progress operation={cluster.operation} />
      <Tabs
        value={filters.tab ?? "instances"}
        onChange={(tab) => setFilters({ tab: tab === "instances" ? "" : (tab ?? "") })}
        keepMounted={false}
      >
        <Tabs.List mb="sm">
          <Tabs.Tab value="instances">Instances</Tabs.Tab>
          <Tabs.Tab value="history">History</Tabs.Tab>
          <Tabs.Tab value="settings">Settings</Tabs.Tab>
          <Tabs.Tab value="sharing">Sharing</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="instances">
          {cluster.instances.length > 0 ? (
            <InstanceRows rows={cluster.instances} />
          ) : (
            <Empty title="No instances">{cluster.phase === "deleting" ? "They are gone." : "None are left."}</Empty>
          )}
        </Tabs.Panel>
        <Tabs.Panel value="history">
          <History id={cluster.id} />
        </Tabs.Panel>
        <Tabs.Panel value="settings">
          <Settings cluster={cluster} />
        </Tabs.Panel>
        <Tabs.Panel value="sharing">
          <Share cluster={cluster} />
        </Tabs.Panel>
      </Tabs>
    </>
  );
}

/** Of more instances than these it is not asked, and then not said. */
const MEASURED = 20;

/** What they use together, where that is measured. */
function Usage({ cluster }: { cluster: ClusterRead }) {
  const running = cluster.instances.filter(({ status }) => status === "running");
  const ids = running.map(({ id }) => id);
  const query = useQuery({
    ...queries.usage(cluster.id, ids, useQueryClient()),
    enabled: ids.length > 0 && ids.length <= MEASURED,
  });
  const now = query.data?.at(-1);
  if (!query.data || !now || query.error || ids.length === 0 || ids.length > MEASURED) return null;
  return (
    <Group mb="md" gap="sm">
      <Text size="sm">{now.of === ids.length ? "Uses" : `${now.of} of ${count(ids.length, "instance")} use`}</Text>
      <Lines
        seen={query.data}
        cpu={running.reduce((sum, { cpu }) => sum + cpu, 0)}
        memory={running.reduce((sum, { memory: mebibytes }) => sum + mebibytes, 0)}
      />
    </Group>
  );
}

function Progress({ operation }: { operation: ClusterRead["operation"] }) {
  if (operation === null || operation.finished_at !== null) return null;
  return (
    <Alert
      mb="md"
      variant="light"
      role="status"
      title={`${sentence(kind(operation.kind))}: ${operation.done} of ${operation.total}`}
    >
      {operation.message ?? `Asked for by ${operation.actor}.`}
    </Alert>
  );
}

function Actions({ cluster }: { cluster: ClusterRead }) {
  const navigate = useNavigate();
  const may = (action: Schemas["ClusterAction"]) => cluster.allowed_actions.includes(action);
  const [open, setOpen] = useState<"delete" | "scale" | "change" | null>(null);
  const path = { params: { path: { cluster: cluster.id } } };
  const operate = useActing(
    (operation: Schemas["InstanceOperation"]) =>
      data(api.POST("/api/v1/clusters/{cluster}/operate", { ...path, body: { operation } })),
    {
      done: ({ succeeded, failed, items }) => {
        const why = items.find(({ problem }) => problem)?.problem?.detail;
        return failed ? `${count(succeeded, "instance")} accepted it, ${failed} did not: ${why}` : undefined;
      },
    },
  );
  const close = () => setOpen(null);
  const remove = useSending(
    async () => {
      await data(api.DELETE("/api/v1/clusters/{cluster}", path));
      void navigate({ to: "/clusters" });
    },
    close,
    () => `${cluster.name} is being deleted.`,
  );
  const possible = new Set(cluster.instances.flatMap(({ allowed_operations }) => allowed_operations));
  const shown = ["start", "stop", "restart"] as const;
  const others = [...possible].filter(
    (operation) => !shown.some((one) => one === operation) && operation !== "migrate",
  );
  return (
    <>
      {may("operate") &&
        shown
          .filter((operation) => possible.has(operation))
          .map((operation) => (
            <Button
              key={operation}
              size="sm"
              variant="default"
              onClick={() => operate.mutate(operation)}
              loading={operate.isPending && operate.variables === operation}
            >
              {sentence(operation)}
            </Button>
          ))}
      {cluster.allowed_actions.length > 0 && (
        <Menu position="bottom-end" withinPortal>
          <Menu.Target>
            <Button size="sm" variant="default">
              More
            </Button>
          </Menu.Target>
          <Menu.Dropdown>
            {may("operate") &&
              others.map((operation) => (
                <Menu.Item key={operation} onClick={() => operate.mutate(operation)}>
                  {sentence(operation)} all
                </Menu.Item>
              ))}
            {may("scale") && <Menu.Item onClick={() => setOpen("scale")}>More or fewer instances…</Menu.Item>}
            {may("change") && <Menu.Item onClick={() => setOpen("change")}>Change image or size…</Menu.Item>}
            {may("delete") && (
              <>
                <Menu.Divider role="separator" />
                <Menu.Item onClick={() => setOpen("delete")}>Delete…</Menu.Item>
              </>
            )}
          </Menu.Dropdown>
        </Menu>
      )}
      <Confirm
        opened={open === "delete"}
        onClose={close}
        title={`Delete ${cluster.name}?`}
        verb="Delete"
        name={cluster.name}
        sending={remove}
      >
        {count(cluster.instance_count, "instance")} and everything in them will be gone. This cannot be undone.
      </Confirm>
      <Scale cluster={cluster} opened={open === "scale"} close={close} />
      <Change cluster={cluster} opened={open === "change"} close={close} />
    </>
  );
}

/** Without what is not set. */
function said(value: unknown): string {
  if (Array.isArray(value)) return value.map(said).join(", ");
  if (typeof value !== "object" || value === null) return String(value);
  return Object.entries(value)
    .filter(([, inner]) => inner !== null && inner !== "")
    .map(([key, inner]) => `${key}: ${typeof inner === "object" ? `(${said(inner)})` : inner}`)
    .join(", ");
}

function Settings({ cluster }: { cluster: ClusterRead }) {
  const own = Object.entries(cluster.container ?? cluster.vm ?? {}).filter(
    ([, value]) =>
      value !== null &&
      !(Array.isArray(value) && value.length === 0) &&
      !(typeof value === "object" && Object.keys(value).length === 0),
  );
  const rows: [string, string][] = [
    ["Name", cluster.name],
    ["Namespace", cluster.namespace],
    ["Owner", cluster.owner],
    ["Image", cluster.image],
    ["Size of each", `${cores(cluster.cpu_per_instance)}, ${memory(cluster.memory_per_instance)}`],
    [
      "Labels",
      Object.entries(cluster.labels)
        .map(([key, value]) => `${key}=${value}`)
        .join(", ") || "none",
    ],
    ...own.map(([key, value]): [string, string] => [sentence(key), said(value)]),
  ];
  return (
    <>
      <Facts rows={rows} />
      <Text size="sm" mt="sm">
        Everything, as data: <Anchor href={`/api/v1/clusters/${cluster.id}`}>/api/v1/clusters/{cluster.id}</Anchor>
        {" · "}
        <Link to="/operations">operations</Link>
      </Text>
    </>
  );
}
