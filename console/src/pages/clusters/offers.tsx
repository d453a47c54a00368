/** Clusters that others offer to me. */
import { Alert, Button, Group, Stack, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { api, data } from "../../api/client";
import * as queries from "../../api/queries";
import { useActing } from "../../parts/acting";
import { cores, count, memory } from "../../parts/words";
import { useMay, useMe } from "../../shell";

export function Offers() {
  const me = useMe();
  const may = useMay("clusters:share");
  const offers = useQuery(queries.transfers);
  const accept = useActing(
    (id: string) => data(api.POST("/api/v1/transfers/{transfer}/accept", { params: { path: { transfer: id } } })),
    { done: () => "The cluster is yours now." },
  );
  const decline = useActing(
    (id: string) => data(api.DELETE("/api/v1/transfers/{transfer}", { params: { path: { transfer: id } } })),
    { done: () => "Declined." },
  );
  const mine = offers.data?.items.filter(({ to }) => to === me.username) ?? [];
  if (mine.length === 0) return null;
  return (
    <Stack mb="md">
      {mine.map(({ id, cluster_name, owner, needs }) => (
        <Alert key={id} title={`${owner} offers you the cluster ${cluster_name}`}>
          <Text size="sm">
            It takes {cores(needs.cpu)}, {memory(needs.memory)} and {count(needs.instances, "instance")} of your quota.
          </Text>
          {may && (
            <Group mt="xs">
              <Button size="compact-sm" onClick={() => accept.mutate(id)} loading={accept.isPending}>
                Accept
              </Button>
              <Button
                size="compact-sm"
                variant="default"
                onClick={() => decline.mutate(id)}
                loading={decline.isPending}
              >
                Decline
              </Button>
            </Group>
          )}
        </Alert>
      ))}
    </Stack>
  );
}
