/** What pages are made of: states, times, troubles, empty lists. */
import { Alert, Badge, Button, Card, Center, Group, Loader, Progress, Stack, Text, Title } from "@mantine/core";
import { IconAlertTriangle, IconRefresh } from "@tabler/icons-react";
import type { UseQueryResult } from "@tanstack/react-query";
import { type ReactNode, useEffect, useState } from "react";
import { ProblemError, titleOf } from "../api/client";
import { Copy } from "./copy";
import { ago, exactly, sentence } from "./words";

const COLOURS: Record<string, string> = {
  running: "teal",
  succeeded: "teal",
  done: "teal",
  ready: "teal",
  delivered: "teal",
  failed: "red",
  failing: "red",
  gave_up: "red",
  degraded: "orange",
  refused: "orange",
  not_confirmed: "orange",
  suspended: "violet",
  stopped: "gray",
  cancelled: "gray",
};

/** A state in its own word; the colour only helps. */
export function State({ of }: { of: string }) {
  return (
    <Badge
      variant="dot"
      color={COLOURS[of] ?? "blue"}
      tt="none"
      fw={500}
      radius="sm"
      style={{ flexShrink: 0, minWidth: "max-content" }}
    >
      {sentence(of)}
    </Badge>
  );
}

/** What is not as with most. */
export function Mark({ children }: { children: ReactNode }) {
  return (
    <Badge variant="default" tt="none">
      {children}
    </Badge>
  );
}

export function Ago({ when }: { when: string }) {
  const [, again] = useState(0);
  useEffect(() => {
    const timer = window.setInterval(() => again((count) => count + 1), 10_000);
    return () => window.clearInterval(timer);
  }, []);
  return (
    <time dateTime={when} title={exactly(when)}>
      {ago(when)}
    </time>
  );
}

/** What went wrong, in CMP's own words, with the id that an administrator can look up. */
export function Trouble({ error, again }: { error: unknown; again?: () => void }) {
  if (error === null || error === undefined) return null;
  const problem = error instanceof ProblemError ? error.problem : null;
  return (
    <Alert role="alert" color="red" icon={<IconAlertTriangle aria-hidden />} title={titleOf(problem)} variant="light">
      <Text size="sm" style={{ overflowWrap: "anywhere", whiteSpace: "pre-line" }}>
        {problem?.detail ?? String(error)}
      </Text>
      <Group gap="sm" mt="xs">
        {again && (
          <Button
            size="compact-sm"
            variant="default"
            leftSection={<IconRefresh size={14} aria-hidden />}
            onClick={again}
          >
            Try again
          </Button>
        )}
        {problem?.request_id && (
          <Group gap={6}>
            <Text size="xs">Request</Text>
            <Copy text={problem.request_id} />
          </Group>
        )}
      </Group>
    </Alert>
  );
}

type Loading<T> = { query: UseQueryResult<T>; children: (data: T) => ReactNode; title?: string };

/** What one query answers: waits, fails in words, or shows. `title`: of the page, where that is all of it. */
export function Loaded<T>({ query, children, title }: Loading<T>) {
  if (query.data !== undefined)
    return (
      <>
        {query.isError && <Trouble error={query.error} again={() => query.refetch()} />}
        {children(query.data)}
      </>
    );
  if (query.isError)
    return (
      <>
        {title && <Heading title={title} />}
        <Trouble error={query.error} again={() => query.refetch()} />
      </>
    );
  return <Waiting />;
}

export function Waiting() {
  return (
    <Center mih="40vh" role="status" aria-label="Loading">
      <Loader type="dots" />
    </Center>
  );
}

export function Empty({ title, children, action }: { title: string; children: ReactNode; action?: ReactNode }) {
  return (
    <Center mih="40vh">
      <Stack align="center" gap="xs" maw={480}>
        <Title order={2} size="h4">
          {title}
        </Title>
        <Text c="dimmed" ta="center" component="div">
          {children}
        </Text>
        {action}
      </Stack>
    </Center>
  );
}

export function Heading({ title, children, beside }: { title: string; children?: ReactNode; beside?: ReactNode }) {
  useEffect(() => {
    document.title = `${title} · CMP`;
  }, [title]);
  return (
    <Group justify="space-between" align="center" mb="md" gap="sm">
      <Group gap="sm">
        <Title order={1} size="h3" style={{ overflowWrap: "anywhere" }}>
          {title}
        </Title>
        {beside}
      </Group>
      <Group gap="xs">{children}</Group>
    </Group>
  );
}

/** A part of a page, with what belongs beside its title. */
export function Section({ title, beside, children }: { title: ReactNode; beside?: ReactNode; children: ReactNode }) {
  return (
    <Card withBorder>
      <Group justify="space-between" mb="sm" gap="xs">
        <Title order={2} size="h5" style={{ overflowWrap: "anywhere" }}>
          {title}
        </Title>
        {beside}
      </Group>
      {children}
    </Card>
  );
}

/** So much of so much, in words and as a bar. */
export function Bar({
  label,
  used,
  total,
  say,
}: {
  label: string;
  used: number;
  total: number;
  say: (n: number) => string;
}) {
  const part = total > 0 ? Math.min(100, (used / total) * 100) : 100;
  const colour = part >= 95 ? "red" : part >= 80 ? "orange" : "blue";
  return (
    <Stack gap={4}>
      <Group justify="space-between" gap="xs">
        <Text size="sm" fw={500}>
          {label}
        </Text>
        <Text size="sm" className="numbers">
          {say(used)} of {say(total)}
        </Text>
      </Group>
      <Progress value={part} color={colour} aria-label={`${label}: ${say(used)} of ${say(total)} used`} />
      <Text size="xs" c="dimmed">
        {say(Math.max(0, total - used))} left
      </Text>
    </Stack>
  );
}
