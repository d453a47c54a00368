/** What the lists of operations, entries, users share: pages one after another, fields that filter, spans of time. */
import { Button, Select, Switch, TextInput, type TextInputProps } from "@mantine/core";
import { useDebouncedCallback } from "@mantine/hooks";
import type { InfiniteData, UseInfiniteQueryResult } from "@tanstack/react-query";
import { type ReactNode, useEffect, useRef, useState } from "react";
import { useFilters } from "../parts/filters";
import { Trouble, Waiting } from "../parts/parts";
import { sentence } from "../parts/words";

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

/** A filter for a part of the name. */
export function Find() {
  const [filters, setFilters] = useFilters();
  return (
    <Typed
      aria-label="Find by name"
      placeholder="Find by name"
      type="search"
      value={filters.name ?? ""}
      commit={(name) => setFilters({ name })}
    />
  );
}

type Choice = {
  of: string;
  label: string;
  any: string;
  data: readonly (string | { value: string; label: string })[];
  w: number;
};

/** A filter for one of some words, or none. */
export function Choice({ of, label, any, data, w }: Choice) {
  const [filters, setFilters] = useFilters();
  return (
    <Select
      aria-label={label}
      placeholder={any}
      data={data.map((one) => (typeof one === "string" ? { value: one, label: sentence(one) } : one))}
      value={filters[of] ?? null}
      onChange={(value) => setFilters({ [of]: value ?? "" })}
      clearable
      w={w}
    />
  );
}

/** A filter that is on or off. */
export function Only({ of, label }: { of: string; label: string }) {
  const [filters, setFilters] = useFilters();
  return (
    <Switch
      label={label}
      checked={filters[of] === "true"}
      onChange={(event) => setFilters({ [of]: event.currentTarget.checked ? "true" : "" })}
    />
  );
}

export const KINDS = [
  { value: "container", label: "Containers" },
  { value: "vm", label: "Virtual machines" },
] as const;

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
