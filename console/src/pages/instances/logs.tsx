/** What an instance says: followed, searched, also that of the run before. */
import { Button, Code, Group, Switch, Text, TextInput } from "@mantine/core";
import { useEffect, useRef, useState } from "react";
import { type Problem, ProblemError } from "../../api/client";
import { Trouble } from "../../parts/parts";

/** Lines that are kept on the page: the rest is a download away. */
const KEPT = 5_000;

export function Logs({ id }: { id: string }) {
  const [follow, setFollow] = useState(true);
  const [previous, setPrevious] = useState(false);
  const [find, setFind] = useState("");
  const { lines, error, ended, again } = useLines(id, follow && !previous, previous);
  const box = useRef<HTMLElement>(null);
  const bottom = useRef(true);
  const shown = find ? lines.filter((line) => line.toLowerCase().includes(find.toLowerCase())) : lines;

  // biome-ignore lint/correctness/useExhaustiveDependencies: scrolls with every line that comes
  useEffect(() => {
    if (bottom.current && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [shown.length]);

  return (
    <>
      <Group mb="xs">
        <TextInput
          type="search"
          aria-label="Find in the log"
          placeholder="Find in the log"
          value={find}
          onChange={(event) => setFind(event.currentTarget.value)}
        />
        <Switch
          label="Follow"
          checked={follow && !previous}
          disabled={previous}
          onChange={(event) => setFollow(event.currentTarget.checked)}
        />
        <Switch
          label="The run before"
          checked={previous}
          onChange={(event) => setPrevious(event.currentTarget.checked)}
        />
        <Button
          variant="default"
          component="a"
          href={`/api/v1/instances/${id}/logs?tail=100000`}
          download={`${id}.log`}
        >
          Download
        </Button>
      </Group>
      {error && <Trouble error={new ProblemError(error)} again={again} />}
      <Code
        block
        ref={box as never}
        tabIndex={0}
        aria-label="Log"
        mah="60vh"
        mih={160}
        style={{ overflow: "auto", whiteSpace: "pre-wrap", overflowWrap: "anywhere" }}
        onScroll={({ currentTarget: { scrollTop, scrollHeight, clientHeight } }) => {
          bottom.current = scrollHeight - scrollTop - clientHeight < 40;
        }}
      >
        {shown.join("\n")}
      </Code>
      <Text size="sm" role="status">
        {lines.length === 0 && !error
          ? ended
            ? "It has said nothing."
            : "It has said nothing yet."
          : find
            ? `${shown.length} of ${lines.length} lines`
            : ended && follow
              ? "That was all."
              : ""}
      </Text>
    </>
  );
}

function useLines(id: string, follow: boolean, previous: boolean) {
  const [lines, setLines] = useState<string[]>([]);
  const [error, setError] = useState<Problem | null>(null);
  const [ended, setEnded] = useState(false);
  const [run, setRun] = useState(0);
  // biome-ignore lint/correctness/useExhaustiveDependencies: `run` asks for it once more
  useEffect(() => {
    const stop = new AbortController();
    setLines([]);
    setError(null);
    setEnded(false);
    const query = new URLSearchParams({
      tail: "1000",
      ...(follow ? { follow: "true" } : {}),
      ...(previous ? { previous: "true" } : {}),
    });
    read(`/api/v1/instances/${id}/logs?${query}`, stop.signal, (some) =>
      setLines((before) => [...before, ...some].slice(-KEPT)),
    )
      .catch((problem: unknown) => {
        if (!stop.signal.aborted) setError(problem instanceof ProblemError ? problem.problem : broken(problem));
      })
      .finally(() => !stop.signal.aborted && setEnded(true));
    return () => stop.abort();
  }, [id, follow, previous, run]);
  return { lines, error, ended, again: () => setRun((before) => before + 1) };
}

async function read(url: string, signal: AbortSignal, say: (lines: string[]) => void): Promise<void> {
  const answer = await fetch(url, { signal });
  if (!answer.ok) throw new ProblemError(await answer.json());
  if (answer.body === null) return;
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    const lines = (rest + (value ?? "")).split("\n");
    rest = done ? "" : (lines.pop() ?? "");
    const whole = done ? lines.filter(Boolean) : lines;
    if (whole.length) say(whole);
    if (done) return;
  }
}

function broken(error: unknown): Problem {
  return {
    type: "about:blank",
    code: "broken",
    title: "The log broke off",
    status: 0,
    detail: String(error),
    request_id: "",
  };
}
