/** All instances one has, whichever cluster they are of. */
import { Button, Group, Select, TextInput } from "@mantine/core";
import { useDebouncedCallback } from "@mantine/hooks";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { Schemas } from "../../api/client";
import * as queries from "../../api/queries";
import { useFilters } from "../../parts/filters";
import { Empty, Heading, Trouble, Waiting } from "../../parts/parts";
import { useMay } from "../../shell";
import { InstanceRows } from "./rows";

const STATES: Schemas["InstanceStatus"][] = [
  "pending",
  "starting",
  "running",
  "stopping",
  "stopped",
  "suspending",
  "suspended",
  "failed",
  "deleting",
];

export function Instances() {
  const [filters, setFilters] = useFilters();
  const mayCreate = useMay("clusters:write");
  const query = useInfiniteQuery(
    queries.instances({
      limit: 50,
      name: filters.name,
      status: filters.status as Schemas["InstanceStatus"] | undefined,
      instance_type: filters.type as Schemas["InstanceType"] | undefined,
      sort: "name",
    }),
  );
  const rows = query.data?.pages.flatMap(({ items }) => items) ?? [];
  const typing = useDebouncedCallback((name: string) => setFilters({ name }), 250);
  const filtered = Boolean(filters.name || filters.status || filters.type);
  return (
    <>
      <Heading title="Instances" />
      <Group mb="sm" gap="xs">
        <TextInput
          type="search"
          aria-label="Find by name"
          placeholder="Find by name"
          defaultValue={filters.name ?? ""}
          onChange={(event) => typing(event.currentTarget.value)}
        />
        <Select
          aria-label="State"
          placeholder="Any state"
          data={STATES}
          clearable
          w={150}
          value={filters.status ?? null}
          onChange={(status) => setFilters({ status: status ?? "" })}
        />
        <Select
          aria-label="Kind"
          placeholder="Any kind"
          data={[
            { value: "container", label: "Containers" },
            { value: "vm", label: "Virtual machines" },
          ]}
          clearable
          w={160}
          value={filters.type ?? null}
          onChange={(type) => setFilters({ type: type ?? "" })}
        />
      </Group>
      <Trouble error={query.error} again={() => query.refetch()} />
      {query.isPending && <Waiting />}
      {query.isSuccess && rows.length === 0 && filtered && <Empty title="No instance fits">Ask for less.</Empty>}
      {query.isSuccess && rows.length === 0 && !filtered && (
        <Empty
          title="No instances yet"
          action={
            mayCreate && (
              <Button renderRoot={(props) => <Link to="/clusters/new" {...props} />}>Create a cluster</Button>
            )
          }
        >
          Containers and virtual machines appear here with the clusters they are of.
        </Empty>
      )}
      {rows.length > 0 && <InstanceRows rows={rows} />}
      {query.hasNextPage && (
        <Button mt="md" variant="default" onClick={() => query.fetchNextPage()} loading={query.isFetchingNextPage}>
          Show more
        </Button>
      )}
    </>
  );
}
