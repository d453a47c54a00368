/** Changes of a cluster: how many, which image and size, with whom. */
import { Alert, Button, Group, Modal, NumberInput, Select, Stack, Table, Text, TextInput, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api, data, type Schemas } from "../../api/client";
import * as queries from "../../api/queries";
import { useActing } from "../../parts/acting";
import { Ago, Loaded, Trouble } from "../../parts/parts";

type ClusterRead = Schemas["ClusterRead"];
type Dialog = { cluster: ClusterRead; opened: boolean; onClose: () => void };

export function Scale({ cluster, opened, onClose }: Dialog) {
  const [number, setNumber] = useState<number | string>(cluster.instance_count);
  const scale = useActing(
    () =>
      data(
        api.POST("/api/v1/clusters/{cluster}/scale", {
          params: { path: { cluster: cluster.id } },
          body: { instance_count: Number(number) },
        }),
      ),
    { quiet: true, done: onClose as () => undefined },
  );
  return (
    <Modal opened={opened} onClose={onClose} title={`How many instances of ${cluster.name}`}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          scale.mutate();
        }}
      >
        <Stack>
          <NumberInput
            label="Instances"
            min={1}
            max={3000}
            allowDecimal={false}
            value={number}
            onChange={setNumber}
            data-autofocus
          />
          {Number(number) < cluster.instance_count && (
            <Alert color="orange">
              The newest {cluster.instance_count - Number(number)} are deleted, with what they hold.
            </Alert>
          )}
          <Trouble error={scale.error} />
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              Cancel
            </Button>
            <Button type="submit" loading={scale.isPending}>
              Change
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}

export function Change({ cluster, opened, onClose }: Dialog) {
  const flavours = useQuery({ ...queries.flavours, enabled: opened });
  const [image, setImage] = useState(cluster.image_name ?? cluster.image);
  const [flavour, setFlavour] = useState<string | null>(cluster.flavour);
  const change = useActing(
    () =>
      data(
        api.PATCH("/api/v1/clusters/{cluster}", {
          params: { path: { cluster: cluster.id } },
          body: {
            ...(image !== (cluster.image_name ?? cluster.image) ? { image } : {}),
            ...(flavour !== cluster.flavour && flavour !== null ? { flavour } : {}),
          },
        }),
      ),
    { quiet: true, done: onClose as () => undefined },
  );
  const sizes = (flavours.data?.items ?? []).filter(
    ({ instance_type, enabled }) => enabled && (instance_type === null || instance_type === cluster.instance_type),
  );
  return (
    <Modal opened={opened} onClose={onClose} title={`Change ${cluster.name}`}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          change.mutate();
        }}
      >
        <Stack>
          <TextInput
            label="Image"
            value={image}
            onChange={(event) => setImage(event.currentTarget.value)}
            data-autofocus
          />
          <Select
            label="Size of each"
            data={sizes.map(({ name }) => name)}
            value={flavour}
            onChange={setFlavour}
            placeholder="As it is"
          />
          <Text size="sm">Instances are replaced one after another, {cluster.max_unavailable} at a time.</Text>
          <Trouble error={change.error} />
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              Cancel
            </Button>
            <Button type="submit" loading={change.isPending}>
              Change
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}

const LEVELS = [
  { value: "view", label: "may look" },
  { value: "operate", label: "may start, stop and enter" },
  { value: "manage", label: "may also change and scale" },
];

export function Share({ cluster }: { cluster: ClusterRead }) {
  const query = useQuery(queries.grants(cluster.id));
  const may = cluster.allowed_actions.includes("share");
  const [name, setName] = useState("");
  const [level, setLevel] = useState<Schemas["GrantLevel"]>("view");
  const [to, setTo] = useState("");
  const path = (user: string) => ({ params: { path: { cluster: cluster.id, user } } });
  const share = useActing(
    () => data(api.PUT("/api/v1/clusters/{cluster}/grants/{user}", { ...path(name.trim()), body: { level } })),
    {
      quiet: true,
      done: () => {
        setName("");
        return `Shared with ${name.trim()}.`;
      },
    },
  );
  const end = useActing((user: string) => data(api.DELETE("/api/v1/clusters/{cluster}/grants/{user}", path(user))), {
    done: (_, user) => `No longer shared with ${user}.`,
  });
  const offer = useActing(
    () =>
      data(
        api.POST("/api/v1/clusters/{cluster}/transfer", {
          params: { path: { cluster: cluster.id } },
          body: { to: to.trim() },
        }),
      ),
    { quiet: true, done: ({ to }) => `Offered to ${to}, who can accept it on their overview.` },
  );
  return (
    <Stack maw={720}>
      <Loaded query={query}>
        {({ items }) =>
          items.length === 0 ? (
            <Text size="sm">Shared with nobody.</Text>
          ) : (
            <Table>
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>Who</Table.Th>
                  <Table.Th>What they may</Table.Th>
                  <Table.Th>Since</Table.Th>
                  <Table.Th aria-label="End" />
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {items.map((grant) => (
                  <Table.Tr key={grant.user_id}>
                    <Table.Td>{grant.username}</Table.Td>
                    <Table.Td>{LEVELS.find(({ value }) => value === grant.level)?.label}</Table.Td>
                    <Table.Td>
                      <Ago when={grant.updated_at} />
                    </Table.Td>
                    <Table.Td ta="right">
                      {may && (
                        <Button
                          size="compact-sm"
                          variant="default"
                          onClick={() => end.mutate(grant.username)}
                          aria-label={`Share with ${grant.username} no longer`}
                        >
                          End
                        </Button>
                      )}
                    </Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          )
        }
      </Loaded>
      {may && (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            share.mutate();
          }}
        >
          <Group align="flex-end">
            <TextInput
              label="Share with"
              placeholder="Username"
              required
              value={name}
              onChange={(event) => setName(event.currentTarget.value)}
              autoComplete="off"
            />
            <Select
              label="They"
              data={LEVELS}
              value={level}
              allowDeselect={false}
              onChange={(value) => setLevel((value ?? "view") as Schemas["GrantLevel"])}
              w={240}
            />
            <Button type="submit" loading={share.isPending}>
              Share
            </Button>
          </Group>
        </form>
      )}
      <Trouble error={share.error} />
      {cluster.allowed_actions.includes("transfer") && (
        <>
          <Title order={2} size="h5" mt="md">
            Give it away
          </Title>
          <form
            onSubmit={(event) => {
              event.preventDefault();
              offer.mutate();
            }}
          >
            <Group align="flex-end">
              <TextInput
                label="To"
                placeholder="Username"
                required
                value={to}
                onChange={(event) => setTo(event.currentTarget.value)}
                autoComplete="off"
              />
              <Button type="submit" variant="default" loading={offer.isPending}>
                Offer
              </Button>
            </Group>
          </form>
          <Text size="sm">It counts against their quota from when they accept.</Text>
          <Trouble error={offer.error} />
        </>
      )}
    </Stack>
  );
}
