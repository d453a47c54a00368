/** With whom a cluster is shared, and to whom it is given. */
import { Button, Group, Select, Stack, Table, Text, TextInput, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api, data, type Schemas } from "../../api/client";
import * as queries from "../../api/queries";
import { useActing } from "../../parts/acting";
import { Ago, Loaded, Trouble } from "../../parts/parts";
import { ACTIONS, Rows } from "../../parts/tables";

const LEVELS = [
  { value: "view", label: "may look" },
  { value: "operate", label: "may start, stop and enter" },
  { value: "manage", label: "may also change and scale" },
];

export function Share({ cluster }: { cluster: Schemas["ClusterRead"] }) {
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
            <Rows columns={["Who", "What they may", "Since", ACTIONS]} minWidth={420}>
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
            </Rows>
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
