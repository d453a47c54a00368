/** What an instance lets one do now: exactly what the API says, shown at once and taken back where it is refused. */
import { Button, Group, Menu } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { api, data, type Schemas } from "../../api/client";
import { useActing } from "../../parts/acting";
import { sentence } from "../../parts/words";

type InstanceRead = Schemas["InstanceRead"];
type Operation = Schemas["InstanceOperation"];
const FIRST: Operation[] = ["start", "stop", "resume", "restart"];

/** `row`: small, for a line of a table. */
export function InstanceActions({ instance, row = false }: { instance: InstanceRead; row?: boolean }) {
  const client = useQueryClient();
  const operate = useActing((operation: Operation) =>
    data(
      api.POST("/api/v1/instances/{instance}/operate", {
        params: { path: { instance: instance.id } },
        body: { operation },
      }),
    ).then(({ instance: now }) => {
      client.setQueryData(["instances", now.id], now);
      client.setQueryData<Schemas["ClusterRead"]>(
        ["clusters", now.cluster_id],
        (cluster) =>
          cluster && { ...cluster, instances: cluster.instances.map((one) => (one.id === now.id ? now : one)) },
      );
    }),
  );
  const size = row ? "compact-xs" : "sm";
  const first = FIRST.filter((operation) => instance.allowed_operations.includes(operation));
  const others = instance.allowed_operations.filter((operation) => !FIRST.includes(operation));
  return (
    <Group gap={6} wrap="nowrap" justify={row ? "flex-end" : undefined}>
      {first.map((operation) => (
        <Button
          key={operation}
          size={size}
          variant="default"
          loading={operate.isPending && operate.variables === operation}
          disabled={operate.isPending}
          onClick={() => operate.mutate(operation)}
          aria-label={row ? `${sentence(operation)} ${instance.instance_name}` : undefined}
        >
          {sentence(operation)}
        </Button>
      ))}
      {others.length > 0 && (
        <Menu position="bottom-end" withinPortal>
          <Menu.Target>
            <Button size={size} variant="default" aria-label={`More for ${instance.instance_name}`}>
              …
            </Button>
          </Menu.Target>
          <Menu.Dropdown>
            {others.map((operation) => (
              <Menu.Item key={operation} onClick={() => operate.mutate(operation)}>
                {sentence(operation)}
              </Menu.Item>
            ))}
          </Menu.Dropdown>
        </Menu>
      )}
    </Group>
  );
}
