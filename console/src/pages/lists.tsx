/** What the lists of operations, entries, users share: pages one after another, fields that filter, spans of time. */
import { Button, Table, TextInput, type TextInputProps, VisuallyHidden } from "@mantine/core";
import { useDebouncedCallback } from "@mantine/hooks";
import type { InfiniteData, UseInfiniteQueryResult } from "@tanstack/react-query";
import { type ReactNode, useEffect, useRef, useState } from "react";
import { Trouble, Waiting } from "../parts/parts";

type Given<T> = {
  query: UseInfiniteQueryResult<InfiniteData<{ items: T[] }>>;
  /** What to show where there is nothing. */
  empty: ReactNode;
  children: (rows: T[]) => ReactNode;
};

/** Waits, fails in words, says that there is nothing, or shows; and shows more. */
export function Listed<T>({ query, empty, children }: Given<T>) {
  const rows = query.data?.pages.flatMap(({ items }) => items);
  return (
    <>
      <Trouble error={query.error} again={() => query.refetch()} />
      {rows === undefined ? !query.isError && <Waiting /> : rows.length === 0 ? empty : children(rows)}
      {query.hasNextPage && (
        <Button mt="md" variant="default" onClick={() => query.fetchNextPage()} loading={query.isFetchingNextPage}>
          Show more
        </Button>
      )}
    </>
  );
}

/** Above the buttons of each row. */
export function ActionsAbove() {
  return (
    <Table.Th>
      <VisuallyHidden>Actions</VisuallyHidden>
    </Table.Th>
  );
}

type Typed = Omit<TextInputProps, "value" | "onChange"> & { value: string; commit: (text: string) => void };

/** A filter that one types: taken a moment later, on Enter, or on leaving it. */
export function Typed({ value, commit, ...rest }: Typed) {
  const [text, setText] = useState(value);
  const taken = useRef(value);
  // From elsewhere, such as a link to the same page; never what was typed a moment ago over what is typed now.
  useEffect(() => {
    if (value !== taken.current) {
      taken.current = value;
      setText(value);
    }
  }, [value]);
  function take(typed: string) {
    const trimmed = typed.trim();
    if (trimmed === taken.current) return;
    taken.current = trimmed;
    commit(trimmed);
  }
  const later = useDebouncedCallback(take, 400);
  return (
    <TextInput
      {...rest}
      value={text}
      onChange={(event) => {
        setText(event.currentTarget.value);
        later(event.currentTarget.value);
      }}
      onBlur={() => take(text)}
      onKeyDown={(event) => event.key === "Enter" && take(text)}
    />
  );
}

/** `2026-05-01T10:00:00Z` as a field for local time has it. */
export function local(when: string | undefined): string {
  if (!when || Number.isNaN(Date.parse(when))) return "";
  const at = new Date(when);
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

/** What a field for local time says, as the API has it; "" where it says nothing whole. */
export function instant(said: string): string {
  const at = new Date(said);
  return said === "" || Number.isNaN(at.getTime()) ? "" : at.toISOString();
}

/** How long it took. */
export function span(from: string, to: string): string {
  const seconds = Math.max(0, (Date.parse(to) - Date.parse(from)) / 1000);
  if (seconds < 10) return `${seconds.toLocaleString(undefined, { maximumFractionDigits: 1 })} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60
    ? `${minutes} min ${Math.floor(seconds % 60)} s`
    : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
