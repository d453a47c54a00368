/** What images and flavours have in common: how they are listed, added, changed and removed. */
import { Button, Group, Modal, Switch, Table, Text, TextInput } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import type { UseQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import type { Schemas } from "../../api/client";
import { Confirm, useAbout, useSending } from "../../parts/dialog";
import { Loaded, Mark, Section } from "../../parts/parts";
import { ACTIONS, Long, Rows } from "../../parts/tables";
import { useMay } from "../../shell";

export type Entry = Pick<Schemas["ImageRead"], "name" | "description" | "default" | "deprecated" | "enabled">;
export type Type = Schemas["InstanceType"];
export const TYPES: { value: Type; label: string }[] = [
  { value: "container", label: "Containers" },
  { value: "vm", label: "Virtual machines" },
];
export const typeOf = (value: string | null): Type | null => TYPES.find((type) => type.value === value)?.value ?? null;
export const saidOf = (type: Type | null) => TYPES.find(({ value }) => value === type)?.label ?? "Both";

type Given<T extends Entry> = {
  title: string;
  /** With its article: an image. */
  noun: string;
  query: UseQueryResult<{ items: T[]; next_cursor: string | null }>;
  /** Between the name and what it is. */
  columns: string[];
  cells: (entry: T) => ReactNode;
  /** Below what it is. */
  more?: (entry: T) => ReactNode;
  none: string;
  /** What stays of one that is removed. */
  kept: string;
  remove: (name: string) => Promise<unknown>;
  form: (before: T | null, close: () => void) => ReactNode;
};

export function Entries<T extends Entry>(given: Given<T>) {
  const { title, noun, query, columns, cells, more, none, kept, remove, form } = given;
  const mayWrite = useMay("catalogue:write");
  const [adding, { open: add, close: added }] = useDisclosure();
  const changing = useAbout<T>();
  const removing = useAbout<T>();
  const removal = useSending(
    async () => removing.about && (await remove(removing.about.name)),
    removing.close,
    () => `${removing.about?.name} is out of the catalogue.`,
  );
  return (
    <Section
      title={title}
      beside={
        mayWrite && (
          <Button size="compact-sm" variant="default" onClick={add}>
            Add {noun}
          </Button>
        )
      }
    >
      <Loaded query={query}>
        {({ items, next_cursor }) => (
          <>
            {items.length > 0 && (
              <Rows columns={["Name", "For", ...columns, "What it is", ...(mayWrite ? [ACTIONS] : [])]} minWidth={720}>
                {items.map((entry) => (
                  <Table.Tr key={entry.name} data-entry={entry.name}>
                    <Named entry={entry} />
                    {cells(entry)}
                    <Described entry={entry}>{more?.(entry)}</Described>
                    {mayWrite && (
                      <Table.Td>
                        <Actions
                          name={entry.name}
                          change={() => changing.ask(entry)}
                          remove={() => removing.ask(entry)}
                        />
                      </Table.Td>
                    )}
                  </Table.Tr>
                ))}
              </Rows>
            )}
            {items.length === 0 && <Text size="sm">{none}</Text>}
            {next_cursor && <Text size="sm">These are the first 500; the API lists the others.</Text>}
          </>
        )}
      </Loaded>
      <Modal opened={adding} onClose={added} title={`Add ${noun}`}>
        {form(null, added)}
      </Modal>
      <Modal opened={changing.opened} onClose={changing.close} title={`Change ${changing.about?.name}`}>
        {changing.about && form(changing.about, changing.close)}
      </Modal>
      <Confirm
        opened={removing.opened}
        onClose={removing.close}
        title={`Remove ${removing.about?.name}?`}
        verb="Remove"
        sending={removal}
      >
        It can no longer be chosen. {kept}
      </Confirm>
    </Section>
  );
}

function Named({ entry }: { entry: Entry }) {
  return (
    <Table.Td>
      <Group gap={6}>
        <Text size="sm" fw={500} style={{ overflowWrap: "anywhere" }}>
          {entry.name}
        </Text>
        {entry.default && <Mark>Default</Mark>}
        {entry.deprecated && <Mark>Deprecated</Mark>}
        {!entry.enabled && <Mark>Off</Mark>}
      </Group>
    </Table.Td>
  );
}

function Described({ entry, children }: { entry: Entry; children?: ReactNode }) {
  return (
    <Long>
      {entry.description}
      {entry.deprecated && <Text size="sm">Deprecated: {entry.deprecated}</Text>}
      {children}
    </Long>
  );
}

function Actions({ name, change, remove }: { name: string; change: () => void; remove: () => void }) {
  return (
    <Group gap={6} justify="flex-end" wrap="nowrap">
      <Button size="compact-sm" variant="default" aria-label={`Change ${name}`} onClick={change}>
        Change
      </Button>
      <Button size="compact-sm" variant="default" aria-label={`Remove ${name}`} onClick={remove}>
        Remove
      </Button>
    </Group>
  );
}

/** What can be said of both, new or not. */
export type Common = { description: string; deprecated: string; enabled: boolean; default: boolean };

export function commonOf(entry: Entry | null): Common {
  return {
    description: entry?.description ?? "",
    deprecated: entry?.deprecated ?? "",
    enabled: entry?.enabled ?? true,
    default: entry?.default ?? false,
  };
}

/** Only what is other than before. */
export function changed(now: Common, before: Common) {
  return {
    ...(now.description !== before.description && { description: now.description }),
    ...(now.deprecated !== before.deprecated && { deprecated: now.deprecated || null }),
    ...(now.enabled !== before.enabled && { enabled: now.enabled }),
    ...(now.default !== before.default && { default: now.default }),
  };
}

export function CommonFields({ common, change }: { common: Common; change: (common: Common) => void }) {
  return (
    <>
      <TextInput
        label="What it is"
        value={common.description}
        onChange={(event) => change({ ...common, description: event.currentTarget.value })}
      />
      <Switch
        label="Default"
        description="Taken where none is named, instead of the one that was."
        checked={common.default}
        onChange={(event) => change({ ...common, default: event.currentTarget.checked })}
      />
      <Switch
        label="On"
        description="Off: users do not see it, and nobody can choose it."
        checked={common.enabled}
        onChange={(event) => change({ ...common, enabled: event.currentTarget.checked })}
      />
      <TextInput
        label="Deprecated"
        description="What to take instead, and why. It can still be chosen, with this as a warning. Empty: not deprecated."
        value={common.deprecated}
        onChange={(event) => change({ ...common, deprecated: event.currentTarget.value })}
      />
    </>
  );
}

export function Name({ name, change }: { name: string; change: (name: string) => void }) {
  return (
    <TextInput
      label="Name"
      description="Small letters and digits, and - or . between them."
      value={name}
      onChange={(event) => change(event.currentTarget.value)}
      required
      autoComplete="off"
      data-autofocus
    />
  );
}
