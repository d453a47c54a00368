/** All instances one has, whichever cluster they are of. */
import { Button, Group } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { Schemas } from "../../api/client";
import * as queries from "../../api/queries";
import { useFilters } from "../../parts/filters";
import { Empty, Heading } from "../../parts/parts";
import { useMay } from "../../shell";
import { Choice, Find, KINDS, Listed } from "../lists";
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
  const [filters] = useFilters();
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
  const filtered = Boolean(filters.name || filters.status || filters.type);
  return (
    <>
      <Heading title="Instances" />
      <Group mb="sm" gap="xs">
        <Find />
        <Choice of="status" label="State" any="Any state" data={STATES} w={150} />
        <Choice of="type" label="Kind" any="Any kind" data={KINDS} w={160} />
      </Group>
      <Listed
        query={query}
        empty={
          filtered ? (
            <Empty title="No instance fits">Ask for less: another name, state or kind.</Empty>
          ) : (
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
          )
        }
      >
        {(rows) => <InstanceRows rows={rows} />}
      </Listed>
    </>
  );
}
