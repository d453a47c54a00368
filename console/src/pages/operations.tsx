/** What was asked for and what came of it. */
import { Anchor, Group, Progress, Table, Text } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { Schemas } from "../api/client";
import * as queries from "../api/queries";
import { Copy } from "../parts/copy";
import { useFilters } from "../parts/filters";
import { Ago, Empty, Heading, State } from "../parts/parts";
import { Rows } from "../parts/tables";
import { count, kind, sentence } from "../parts/words";
import { useMay } from "../shell";
import { Choice, Listed, Only, span } from "./lists";

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
  const [filters] = useFilters();
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
        <Choice of="status" label="State" any="Any state" data={STATUSES} w={160} />
        <Choice
          of="kind"
          label="What"
          any="Anything"
          data={KINDS.map((value) => ({ value, label: sentence(kind(value)) }))}
          w={190}
        />
        {mayEveryones && <Only of="everyones" label="Everybody's" />}
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
        {(rows) => <Lines rows={rows} />}
      </Listed>
    </>
  );
}

function Lines({ rows }: { rows: Operation[] }) {
  return (
    <Rows columns={["State", "What", "Who", "What came of it", "Started", "Took"]} minWidth={860}>
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
    </Rows>
  );
}

/** What is done, and with what. */
function Of({ operation }: { operation: Operation }) {
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

/** A few of them, on the page of something else. */
export function Few({ rows, actors }: { rows: Operation[]; actors?: boolean }) {
  return (
    <Table.ScrollContainer minWidth={420}>
      <Table verticalSpacing={6}>
        <Table.Tbody>
          {rows.map((row) => (
            <Table.Tr key={row.id}>
              <Table.Td w={130}>
                <State of={row.status} />
              </Table.Td>
              <Table.Td>
                <Of operation={row} />
                {row.total > 1 && row.finished_at === null && ` (${row.done} of ${count(row.total, "instance")})`}
                {row.message && (
                  <Text size="sm" style={{ overflowWrap: "anywhere" }}>
                    {row.message}
                  </Text>
                )}
              </Table.Td>
              {actors && <Table.Td>{row.actor}</Table.Td>}
              <Table.Td ta="right" style={{ whiteSpace: "nowrap" }}>
                <Ago when={row.created_at} />
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}
