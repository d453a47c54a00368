/** What was sent to one target, and what became of it. */
import { Button, Group, Stack, Table, Text } from "@mantine/core";
import type { InfiniteData, UseInfiniteQueryResult } from "@tanstack/react-query";
import { Ago, State } from "../../parts/parts";
import { ACTIONS, Rows } from "../../parts/tables";
import { ago, count, exactly, sentence } from "../../parts/words";
import { Listed } from "../lists";
import { type Delivery, nameOf } from "./words";

type Given = {
  query: UseInfiniteQueryResult<InfiniteData<{ items: Delivery[] }>>;
  /** Null for whoever may not. */
  resend: ((delivery: string) => void) | null;
};

export function Messages({ query, resend }: Given) {
  return (
    <Listed query={query} empty={<Text size="sm">Nothing was sent there yet.</Text>}>
      {(rows) => (
        <Rows columns={["Message", ...(resend ? [ACTIONS] : [])]} minWidth={280}>
          {rows.map((row) => (
            <Table.Tr key={row.id}>
              <Table.Td>
                <Message of={row} now={query.dataUpdatedAt} />
              </Table.Td>
              {resend && (
                <Table.Td ta="right">
                  {row.topic !== "confirmation" && (
                    <Button
                      size="compact-sm"
                      variant="default"
                      aria-label={`Send again: ${nameOf(row.topic)}, ${exactly(row.created_at)}`}
                      onClick={() => resend(row.id)}
                    >
                      Send again
                    </Button>
                  )}
                </Table.Td>
              )}
            </Table.Tr>
          ))}
        </Rows>
      )}
    </Listed>
  );
}

/** What it is about, and what became of it. `now`: when that was known. */
export function Message({ of, now }: { of: Delivery; now: number }) {
  const { topic, status, said, attempts, next_try_at, created_at } = of;
  const soon = next_try_at !== null && Date.parse(next_try_at) - now < 10_000;
  return (
    <Stack gap={4}>
      <Text size="sm">
        {nameOf(topic)}, <Ago when={created_at} />
      </Text>
      <Group gap="xs" style={{ rowGap: 4 }}>
        <State of={status} />
        <Text size="sm">
          {said && `${sentence(said)}. `}
          {attempts > 1 && `${count(attempts, "try", "tries")}. `}
          {next_try_at && (
            <span title={exactly(next_try_at)}>
              {attempts > 0 ? "Next" : "First"} try {soon ? "in a moment" : ago(next_try_at, now)}.
            </span>
          )}
        </Text>
      </Group>
    </Stack>
  );
}
