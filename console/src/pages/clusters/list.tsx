/** All the clusters one sees: found, chosen, acted on together. */
import { Anchor, Button, Checkbox, Group, SegmentedControl, Table, Text } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { api, data, type Schemas } from "../../api/client";
import * as queries from "../../api/queries";
import { useActing } from "../../parts/acting";
import { Confirm, useSending } from "../../parts/dialog";
import { useFilters } from "../../parts/filters";
import { Ago, Empty, Heading, State } from "../../parts/parts";
import { Long, Rows } from "../../parts/tables";
import { cores, count, memory } from "../../parts/words";
import { useMay } from "../../shell";
import { Choice, Find, KINDS, Listed, Typed } from "../lists";

type Summary = Schemas["ClusterSummary"];
const PHASES: Schemas["ClusterPhase"][] = ["pending", "provisioning", "running", "degraded", "failed", "deleting"];

export function Clusters() {
  const [filters, setFilters] = useFilters();
  const everyones = useMay("everyones");
  const mayCreate = useMay("clusters:write");
  const whose = filters.whose ?? "mine";
  const query = useInfiniteQuery(
    queries.clusters({
      limit: 50,
      name: filters.name,
      phase: filters.phase as Schemas["ClusterPhase"] | undefined,
      instance_type: filters.type as Schemas["InstanceType"] | undefined,
      label: filters.label ? [filters.label] : undefined,
      sort: (filters.sort ?? "-created_at") as "-created_at",
      owner: whose === "all" ? "*" : undefined,
      shared: whose === "shared" ? true : undefined,
    }),
  );
  const rows = query.data?.pages.flatMap(({ items }) => items) ?? [];
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const there = rows.filter(({ id }) => chosen.has(id));
  const filtered = Boolean(filters.name || filters.phase || filters.type || filters.label);

  return (
    <>
      <Heading title="Clusters">
        {mayCreate && <Button renderRoot={(props) => <Link to="/clusters/new" {...props} />}>Create a cluster</Button>}
      </Heading>
      <Group mb="sm" gap="xs" align="flex-end">
        <Find />
        <Choice of="phase" label="State" any="Any state" data={PHASES} w={150} />
        <Choice of="type" label="Kind" any="Any kind" data={KINDS} w={160} />
        <Typed
          aria-label="Label"
          placeholder="Label, as key=value"
          value={filters.label ?? ""}
          commit={(label) => setFilters({ label })}
          w={170}
        />
        <SegmentedControl
          aria-label="Whose"
          data={[
            { value: "mine", label: "Mine" },
            { value: "shared", label: "Shared with me" },
            ...(everyones ? [{ value: "all", label: "Everybody's" }] : []),
          ]}
          value={whose}
          onChange={(value) => setFilters({ whose: value === "mine" ? "" : value })}
        />
      </Group>
      <Together chosen={there} done={() => setChosen(new Set())} />
      <Listed query={query} empty={<None filtered={filtered} whose={whose} mayCreate={mayCreate} />}>
        {(shown) => (
          <Found
            rows={shown}
            chosen={chosen}
            choose={setChosen}
            owners={whose !== "mine"}
            sort={filters.sort}
            setFilters={setFilters}
          />
        )}
      </Listed>
    </>
  );
}

function None({ filtered, whose, mayCreate }: { filtered: boolean; whose: string; mayCreate: boolean }) {
  if (filtered) return <Empty title="No cluster fits">Ask for less: another name, state or label.</Empty>;
  if (whose === "shared")
    return <Empty title="Nothing is shared with you">Whoever owns a cluster can share it from its page.</Empty>;
  return (
    <Empty
      title="No clusters yet"
      action={
        mayCreate && <Button renderRoot={(props) => <Link to="/clusters/new" {...props} />}>Create a cluster</Button>
      }
    >
      A cluster is a number of equal containers or virtual machines, which you start, stop and change together.
    </Empty>
  );
}

type Choose = (chosen: ReadonlySet<string>) => void;

function Found(given: {
  rows: Summary[];
  chosen: ReadonlySet<string>;
  choose: Choose;
  owners: boolean;
  sort: string | undefined;
  setFilters: (change: Record<string, string>) => void;
}) {
  const { rows, chosen, choose, owners, sort, setFilters } = given;
  const all = rows.length > 0 && rows.every(({ id }) => chosen.has(id));
  const byName = sort === "name" ? "ascending" : sort === "-name" ? "descending" : "none";
  return (
    <Rows
      minWidth={720}
      highlight
      columns={[
        <Table.Th key="chosen" w={40}>
          <Checkbox
            aria-label="Choose all that are shown"
            checked={all}
            indeterminate={!all && chosen.size > 0}
            onChange={() => choose(new Set(all ? [] : rows.map(({ id }) => id)))}
          />
        </Table.Th>,
        <Table.Th key="name" aria-sort={byName}>
          <Anchor
            component="button"
            type="button"
            c="inherit"
            fw="inherit"
            fz="inherit"
            onClick={() => setFilters({ sort: sort === "name" ? "-name" : sort === "-name" ? "" : "name" })}
          >
            Name{byName === "ascending" ? " ↑" : byName === "descending" ? " ↓" : ""}
          </Anchor>
        </Table.Th>,
        "State",
        "Instances",
        "Size of each",
        "Image",
        ...(owners ? ["Owner"] : []),
        "Created",
      ]}
    >
      {rows.map((row) => (
        <Table.Tr key={row.id} data-cluster={row.name}>
          <Table.Td>
            <Checkbox
              aria-label={`Choose ${row.name}`}
              checked={chosen.has(row.id)}
              onChange={() => {
                const next = new Set(chosen);
                if (!next.delete(row.id)) next.add(row.id);
                choose(next);
              }}
            />
          </Table.Td>
          <Table.Td>
            <Anchor renderRoot={(props) => <Link to="/clusters/$cluster" params={{ cluster: row.id }} {...props} />}>
              {row.name}
            </Anchor>
          </Table.Td>
          <Table.Td>
            <State of={row.phase} />
            {row.message && (
              <Text size="xs" lineClamp={2} maw={320}>
                {row.message}
              </Text>
            )}
          </Table.Td>
          <Table.Td className="numbers">
            {row.ready_instances} of {count(row.instance_count, row.instance_type === "vm" ? "VM" : "container")}
          </Table.Td>
          <Table.Td>{row.flavour ?? `${cores(row.cpu_per_instance)}, ${memory(row.memory_per_instance)}`}</Table.Td>
          <Long>{row.image_name ?? row.image}</Long>
          {owners && <Table.Td>{row.owner}</Table.Td>}
          <Table.Td>
            <Ago when={row.created_at} />
          </Table.Td>
        </Table.Tr>
      ))}
    </Rows>
  );
}

/** What can be done with all that are chosen. Each is answered for itself: what CMP refuses is said. */
function Together({ chosen, done }: { chosen: Summary[]; done: () => void }) {
  const mayOperate = useMay("instances:operate");
  const mayDelete = useMay("clusters:write");
  const [asking, { open: ask, close }] = useDisclosure();
  const remove = useSending(
    () => data(api.POST("/api/v1/clusters/delete", { body: { ids: chosen.map(({ id }) => id) } })),
    () => {
      close();
      done();
    },
    ({ succeeded, failed, items }) => {
      const why = items.find(({ problem }) => problem)?.problem?.detail;
      return failed
        ? `${succeeded} are being deleted, ${failed} are not: ${why}`
        : `${count(succeeded, "cluster")} being deleted.`;
    },
  );
  const operate = useActing(
    async (operation: "start" | "stop") => {
      const answers = await Promise.allSettled(
        chosen.map(({ id }) =>
          data(
            api.POST("/api/v1/clusters/{cluster}/operate", { params: { path: { cluster: id } }, body: { operation } }),
          ),
        ),
      );
      const refused = answers.find((answer) => answer.status === "rejected");
      if (refused) throw refused.reason;
      return answers.length;
    },
    { done: (number, operation) => `${operation === "start" ? "Starting" : "Stopping"} ${count(number, "cluster")}.` },
  );
  if (chosen.length === 0) return null;
  const names = chosen.map(({ name }) => name).join(", ");
  return (
    <Group mb="sm" gap="xs" role="toolbar" aria-label="With what is chosen">
      <Text size="sm">{count(chosen.length, "cluster")} chosen</Text>
      {mayOperate && (
        <>
          <Button
            size="compact-sm"
            variant="default"
            onClick={() => operate.mutate("start")}
            loading={operate.isPending}
          >
            Start
          </Button>
          <Button
            size="compact-sm"
            variant="default"
            onClick={() => operate.mutate("stop")}
            loading={operate.isPending}
          >
            Stop
          </Button>
        </>
      )}
      {mayDelete && (
        <Button size="compact-sm" color="red" variant="light" onClick={ask}>
          Delete
        </Button>
      )}
      <Button size="compact-sm" variant="subtle" onClick={done}>
        Choose none
      </Button>
      <Confirm
        opened={asking}
        onClose={close}
        title={`Delete ${count(chosen.length, "cluster")}?`}
        verb="Delete"
        name={chosen.length === 1 ? chosen[0]?.name : "delete"}
        sending={remove}
      >
        With all their instances and what they hold: {names}. This cannot be undone.
      </Confirm>
    </Group>
  );
}
