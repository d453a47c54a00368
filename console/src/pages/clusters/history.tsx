/** What happened to a cluster, while it is there and afterwards. */
import { Button, Stack, Text, Timeline } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import type { Schemas } from "../../api/client";
import * as queries from "../../api/queries";
import { Ago, Heading, Mark, State, Trouble, Waiting } from "../../parts/parts";
import { sentence } from "../../parts/words";
import { useMay } from "../../shell";

/** A cluster that is not there: what is still known of it, or, of one that never was, `error`. */
export function Gone({ id, error }: { id: string; error: unknown }) {
  const everyones = useMay("everyones") || undefined;
  const query = useInfiniteQuery(queries.operations({ cluster_id: id, limit: 1, everyones }));
  const last = query.data?.pages[0]?.items[0];
  if (query.isPending) return <Waiting />;
  if (last === undefined)
    return (
      <>
        <Heading title="Cluster" />
        <Trouble error={error} />
      </>
    );
  return (
    <>
      <Heading title={last.cluster_name} beside={<Mark>Deleted</Mark>} />
      <Text size="sm" mb="md">
        This cluster is gone. What happened to it:
      </Text>
      <History id={id} />
    </>
  );
}

export function History({ id }: { id: string }) {
  const everyones = useMay("everyones") || undefined;
  const query = useInfiniteQuery(queries.events({ cluster_id: id, limit: 30, everyones }));
  const all =
    query.data?.pages.flatMap(({ items }) => items).filter((event) => event.kind !== "operation.progress") ?? [];
  return (
    <Stack>
      <Trouble error={query.error} again={() => query.refetch()} />
      {query.isSuccess && all.length === 0 && <Text size="sm">Nothing has happened that is still known.</Text>}
      <Timeline bulletSize={12} lineWidth={2}>
        {all.map((event) => (
          <Timeline.Item key={event.id} title={happened(event)}>
            {event.status && <State of={event.status} />}
            {event.message && (
              <Text size="sm" style={{ overflowWrap: "anywhere" }}>
                {event.message}
              </Text>
            )}
            <Text size="xs">
              <Ago when={event.created_at} /> · {event.actor}
            </Text>
          </Timeline.Item>
        ))}
      </Timeline>
      {query.hasNextPage && (
        <Button
          variant="default"
          w="fit-content"
          onClick={() => query.fetchNextPage()}
          loading={query.isFetchingNextPage}
        >
          Show more
        </Button>
      )}
    </Stack>
  );
}

function happened({ kind: of, instance_name }: Schemas["EventRead"]): string {
  if (of === "instance.status") return instance_name ?? "An instance";
  if (of === "cluster.phase") return "The cluster";
  return `${sentence(of.replace(".", " "))}${instance_name ? `: ${instance_name}` : ""}`;
}
