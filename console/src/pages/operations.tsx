/** What was asked for and what came of it. */
import { Anchor, Group, Progress, Select, Switch, Table, Text } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { Schemas } from "../api/client";
import * as queries from "../api/queries";
import { useFilters } from "../parts/filters";
import { Ago, Copy, Empty, Heading, State } from "../parts/parts";
import { count, kind, sentence } from "../parts/words";
import { useMay } from "../shell";
import { Listed, span } from "./lists";

type Operation = Schemas["OperationRead"];
const STATUSES: Schemas["OperationStatus"][] = ["pending", "running", "succeeded", "failed", "cancelled"];
const KINDS: Schemas["OperationKind"][] = [
  "cluster.create",
  "cluster.update",
  "cluster.scale",
  "cluster.delete",
  "instance.start",
  "instance.stop",
  "instance.suspend",
  "instance.resume",
  "instance.restart",
  "instance.reboot",
  "instance.migrate",
  "instance.replace",
];

export function Operations() {
  const [filters, setFilters] = useFilters();
  const mayEveryones = useMay("everyones");
  const everyones = mayEveryones && filters.everyones === "true";
  const query = useInfiniteQuery(
    queries.operations({
      limit: 50,
      status: STATUSES.find((status) => status === filters.status),
      kind: KINDS.find((one) => one === filters.kind),
      everyones: everyones || undefined,
    }),
  );
  return (
    <>
      <Heading title="Operations" />
      <Group mb="sm" gap="sm">
        <Select
          aria-label="State"
          placeholder="Any state"
          data={STATUSES.map((value) => ({ value, label: sentence(value) }))}
          value={filters.status ?? null}
          onChange={(status) => setFilters({ status: status ?? "" })}
          clearable
          w={160}
        />
        <Select
          aria-label="What"
          placeholder="Anything"
          data={KINDS.map((value) => ({ value, label: sentence(kind(value)) }))}
          value={filters.kind ?? null}
          onChange={(of) => setFilters({ kind: of ?? "" })}
          clearable
          w={190}
        />
        {mayEveryones && (
          <Switch
            label="Everybody's"
            checked={everyones}
            onChange={(event) => setFilters({ everyones: event.currentTarget.checked ? "true" : "" })}
          />
        )}
      </Group>
      <Listed
        query={query}
        empty={
          filters.status || filters.kind ? (
            <Empty title="No operation fits">Choose another state or kind.</Empty>
          ) : (
            <Empty title="No operations yet">
              Whatever you ask for, such as a new cluster or a restart, is an operation, and is listed here.
            </Empty>
          )
        }
      >
        {(rows) => <Rows rows={rows} />}
      </Listed>
    </>
  );
}

function Rows({ rows }: { rows: Operation[] }) {
  return (
    <Table.ScrollContainer minWidth={860}>
      <Table verticalSpacing={6}>
        <Table.Thead>
          <Table.Tr>
            <Table.Th w={130}>State</Table.Th>
            <Table.Th>What</Table.Th>
            <Table.Th>Who</Table.Th>
            <Table.Th>What came of it</Table.Th>
            <Table.Th>Started</Table.Th>
            <Table.Th>Took</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {rows.map((row) => (
            <Table.Tr key={row.id} data-operation={row.id}>
              <Table.Td>
                <State of={row.status} />
              </Table.Td>
              <Table.Td>
                <Of operation={row} />
              </Table.Td>
              <Table.Td>{row.actor}</Table.Td>
              <Table.Td maw={360}>
                <Outcome operation={row} />
              </Table.Td>
              <Table.Td style={{ whiteSpace: "nowrap" }}>
                <Ago when={row.created_at} />
              </Table.Td>
              <Table.Td className="numbers" style={{ whiteSpace: "nowrap" }}>
                {row.finished_at ? span(row.created_at, row.finished_at) : "Not done yet"}
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

/** What is done, and with what. */
export function Of({ operation }: { operation: Operation }) {
  const { cluster_id, cluster_name, instance_name, status } = operation;
  const gone = operation.kind === "cluster.delete" && status === "succeeded";
  const name = instance_name ?? cluster_name;
  return (
    <>
      {sentence(kind(operation.kind))}{" "}
      {gone ? (
        name
      ) : (
        <Anchor
          inherit
          underline="always"
          renderRoot={(props) => <Link to="/clusters/$cluster" params={{ cluster: cluster_id }} {...props} />}
        >
          {name}
        </Anchor>
      )}
    </>
  );
}

function Outcome({ operation }: { operation: Operation }) {
  const { done, total, reason, message, status, finished_at, request_id } = operation;
  return (
    <>
      {finished_at === null && total > 0 && (
        <>
          <Text size="sm" className="numbers">
            {done} of {count(total, "instance")}
          </Text>
          <Progress value={(done / total) * 100} size="sm" aria-label={`${done} of ${total} done`} />
        </>
      )}
      {reason && (
        <Text size="sm" fw={500}>
          {reason}
        </Text>
      )}
      {message && (
        <Text size="sm" style={{ overflowWrap: "anywhere" }}>
          {message}
        </Text>
      )}
      {status === "failed" && request_id && (
        <Group gap={6} mt={4}>
          <Text size="xs">Request</Text>
          <Copy text={request_id} />
        </Group>
      )}
    </>
  );
}
