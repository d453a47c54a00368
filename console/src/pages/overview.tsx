/** What there is, what is left, and what needs somebody. */
import { Anchor, Button, Grid, Group, SimpleGrid, Stack, Text } from "@mantine/core";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import * as queries from "../api/queries";
import { Bar, Heading, Loaded, Section, State, Trouble } from "../parts/parts";
import { cores, memory } from "../parts/words";
import { useMay, useMe } from "../shell";
import { Offers } from "./clusters/offers";
import { Few } from "./operations";

const MANY = 500;

export function Overview() {
  const me = useMe();
  const mayCreate = useMay("clusters:write");
  const quota = useQuery(queries.quota);
  const clusters = useInfiniteQuery(queries.clusters({ limit: MANY }));
  const found = clusters.data?.pages[0];
  const troubled = found?.items.filter(({ phase }) => phase === "failed" || phase === "degraded") ?? [];
  const phases = Map.groupBy(found?.items ?? [], ({ phase }) => phase);
  return (
    <>
      <Heading title={`Hello, ${me.username}`}>
        {mayCreate && <Button renderRoot={(props) => <Link to="/clusters/new" {...props} />}>Create a cluster</Button>}
      </Heading>
      <Offers />
      <Grid>
        <Grid.Col span={{ base: 12, md: 8 }}>
          <Stack>
            <Section title="Clusters">
              <Trouble error={clusters.error} again={() => clusters.refetch()} />
              {found && found.items.length === 0 && (
                <Text size="sm">
                  None yet. A cluster is a number of equal containers or virtual machines.{" "}
                  {mayCreate && <Link to="/clusters/new">Create the first one</Link>}
                </Text>
              )}
              <Group gap="lg">
                {[...phases].map(([phase, some]) => (
                  <Link key={phase} to="/clusters" search={{ phase }} className="plain">
                    <Group gap={6}>
                      <Text fw={600} className="numbers">
                        {some.length}
                        {found?.next_cursor ? "+" : ""}
                      </Text>
                      <State of={phase} />
                    </Group>
                  </Link>
                ))}
              </Group>
            </Section>
            {troubled.length > 0 && (
              <Section title="Needs attention">
                <Stack gap="sm">
                  {troubled.slice(0, 8).map(({ id, name, phase, message }) => (
                    <div key={id}>
                      <Group gap="xs">
                        <Anchor
                          renderRoot={(props) => <Link to="/clusters/$cluster" params={{ cluster: id }} {...props} />}
                        >
                          {name}
                        </Anchor>
                        <State of={phase} />
                      </Group>
                      <Text size="sm">{message}</Text>
                    </div>
                  ))}
                  {troubled.length > 8 && (
                    <Link to="/clusters" search={{ phase: "failed" }}>
                      {troubled.length - 8} more
                    </Link>
                  )}
                </Stack>
              </Section>
            )}
            <Recent />
          </Stack>
        </Grid.Col>
        <Grid.Col span={{ base: 12, md: 4 }}>
          <Section title="Your quota">
            <Loaded query={quota}>
              {({ used, total, strategy }) => (
                <SimpleGrid cols={1} spacing="md">
                  <Bar label="CPU" used={used.cpu} total={total.cpu} say={cores} />
                  <Bar label="Memory" used={used.memory} total={total.memory} say={memory} />
                  <Bar
                    label="Instances"
                    used={used.instances}
                    total={total.instances}
                    say={(n) => n.toLocaleString()}
                  />
                  <Bar label="Clusters" used={used.clusters} total={total.clusters} say={(n) => n.toLocaleString()} />
                  <Bar label="Storage" used={used.storage} total={total.storage} say={memory} />
                  <Text size="xs">
                    {strategy === "running"
                      ? "CPU and memory count while an instance runs."
                      : "CPU and memory count from the moment a cluster is created until it is gone."}
                  </Text>
                </SimpleGrid>
              )}
            </Loaded>
          </Section>
        </Grid.Col>
      </Grid>
    </>
  );
}

function Recent() {
  const operations = useInfiniteQuery(queries.operations({ limit: 8 }));
  const items = operations.data?.pages[0]?.items;
  return (
    <Section title="Recent operations" beside={<Link to="/operations">All</Link>}>
      <Trouble error={operations.error} again={() => operations.refetch()} />
      {items?.length === 0 && <Text size="sm">Nothing has been done yet.</Text>}
      {items && items.length > 0 && <Few rows={items} />}
    </Section>
  );
}
