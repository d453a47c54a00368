/** Where one is told of failures and of one's quota: webhooks and mail addresses, how they do, and what was sent. */
import { Box, Button, Group, List, Modal, Stack, Text } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { api, data } from "../../api/client";
import * as queries from "../../api/queries";
import { useActing } from "../../parts/acting";
import { Confirm, useAbout, useSending } from "../../parts/dialog";
import { Ago, Empty, Heading, Loaded, Section, State, Trouble } from "../../parts/parts";
import { Facts } from "../../parts/tables";
import { useMay } from "../../shell";
import { Once, type Secrets } from "../users/secrets";
import { Add, Code } from "./add";
import { Message, Messages } from "./messages";
import { CHANNELS, type Subscription, TOPICS } from "./words";

const Help = () => (
  <Link to="/help/$page" params={{ page: "be-told" }}>
    How it works
  </Link>
);

export function Notifications() {
  const query = useQuery(queries.subscriptions);
  const mayWrite = useMay("notifications:write");
  const [adding, { open, close }] = useDisclosure();
  const [shown, setShown] = useState<Secrets | null>(null);
  const confirming = useAbout<Subscription>();
  const add = mayWrite && <Button onClick={open}>Add a target</Button>;
  return (
    <>
      <Heading title="Notifications" beside={<Help />}>
        {query.data !== undefined && query.data.items.length > 0 && add}
      </Heading>
      <Loaded query={query}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty title="No notifications yet" action={add}>
              CMP calls a program of yours, or writes a mail, when:
              <List my="xs" ta="left">
                {Object.values(TOPICS).map((topic) => (
                  <List.Item key={topic}>{topic}</List.Item>
                ))}
              </List>
              That is of what you own, not of what is shared with you.
            </Empty>
          ) : (
            <Stack>
              {items.map((one) => (
                <Target key={one.id} of={one} mayWrite={mayWrite} confirm={() => confirming.ask(one)} />
              ))}
            </Stack>
          )
        }
      </Loaded>
      <Modal opened={adding} onClose={close} title="Add a target">
        <Add
          close={close}
          made={(subscription, secret) =>
            secret ? setShown({ title: "The webhook's secret", Secret: secret }) : confirming.ask(subscription)
          }
        />
      </Modal>
      <Once secrets={shown} close={() => setShown(null)} />
      <Modal opened={confirming.opened} onClose={confirming.close} title="Confirm the address">
        {confirming.about && <Code of={confirming.about} close={confirming.close} />}
      </Modal>
    </>
  );
}

type Given = { of: Subscription; mayWrite: boolean; confirm: () => void };

function Target({ of, mayWrite, confirm }: Given) {
  const { id, target, channel, confirmed, failures, topics, created_at } = of;
  const path = { subscription: id };
  const sent = useInfiniteQuery({ ...queries.deliveries(id), refetchInterval: ({ state }) => until(state.data) });
  const last = sent.data?.pages[0]?.items[0];
  const [reading, { open: read, close }] = useDisclosure();
  const [deleting, { open: ask, close: kept }] = useDisclosure();
  const test = useActing(() => data(api.POST("/api/v1/notifications/{subscription}/test", { params: { path } })), {
    done: () => "A test is on its way.",
  });
  const resend = useActing(
    (delivery: string) =>
      data(
        api.POST("/api/v1/notifications/{subscription}/deliveries/{delivery}/resend", {
          params: { path: { ...path, delivery } },
        }),
      ),
    { done: () => "It is on its way again." },
  );
  const remove = useSending(
    () => data(api.DELETE("/api/v1/notifications/{subscription}", { params: { path } })),
    kept,
    () => "You are told there no more.",
  );
  const button = (verb: string, onClick: () => void, loading = false) => (
    <Button size="compact-sm" variant="default" aria-label={`${verb}: ${target}`} onClick={onClick} loading={loading}>
      {verb}
    </Button>
  );
  return (
    <Section
      title={target}
      beside={
        <Group gap="xs">
          {mayWrite && !confirmed && button("Enter the code", confirm)}
          {mayWrite &&
            !confirmed &&
            last &&
            button("Send the code again", () => resend.mutate(last.id), resend.isPending)}
          {mayWrite && confirmed && button("Send a test", () => test.mutate(), test.isPending)}
          {button("Messages", read)}
          {mayWrite && button("Delete", ask)}
        </Group>
      }
    >
      <Facts
        rows={[
          [
            "State",
            <Group key="state" gap="xs" style={{ rowGap: 4 }}>
              <State of={confirmed ? (failures > 0 ? "failing" : "ready") : "not_confirmed"} />
              <Text size="sm">
                {CHANNELS[channel]}, added <Ago when={created_at} />.
                {!confirmed && " Nothing but a code is sent there before it is confirmed."}
                {failures > 0 && (failures === 1 ? " The last try failed." : ` The last ${failures} tries failed.`)}
              </Text>
            </Group>,
          ],
          ["Told when", topics.map((topic) => TOPICS[topic]).join(", ")],
          [
            "Last message",
            <Box key="last" mih={48} aria-live="polite">
              <Trouble error={sent.error} again={() => sent.refetch()} />
              {last ? <Message of={last} now={sent.dataUpdatedAt} /> : sent.isSuccess && "None yet."}
            </Box>,
          ],
        ]}
      />
      <Modal opened={reading} onClose={close} title="Messages" size="lg">
        <Text size="sm" mb="xs" style={{ overflowWrap: "anywhere" }}>
          {target}
        </Text>
        <Messages query={sent} resend={mayWrite ? resend.mutate : null} />
      </Modal>
      <Confirm opened={deleting} onClose={kept} title="Stop notifications there?" verb="Delete" sending={remove}>
        <Text size="sm" fw={500} mb="xs" style={{ overflowWrap: "anywhere" }}>
          {target}
        </Text>
        What waits to be sent there is lost, and so is the list of what was sent.
        {channel === "webhook" && " If you add it again, it has another secret."}
      </Confirm>
    </Section>
  );
}

/** How long what is known of messages stands: to the next try, in milliseconds; half a minute where none is due. */
function until(known: { pages: { items: { next_try_at: string | null }[] }[] } | undefined): number {
  const due = known?.pages.flatMap(({ items }) => items.flatMap((one) => one.next_try_at ?? [])) ?? [];
  if (due.length === 0) {
    return 30_000;
  }
  const next = Math.min(...due.map((when) => Date.parse(when) - Date.now()));
  return Math.min(10_000, Math.max(2_000, next));
}
