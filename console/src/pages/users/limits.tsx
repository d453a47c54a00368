/** Limits: what is used of them, who is near one, and fields to set them. */
import { Group, NumberInput, Progress, SimpleGrid, Text } from "@mantine/core";
import { IconAlertTriangle } from "@tabler/icons-react";
import type { Schemas } from "../../api/client";
import { cores, memory } from "../../parts/words";

type User = Schemas["UserRead"];
export type Dimension = keyof Schemas["Dimensions"];

const plain = (amount: number) => amount.toLocaleString();
/** `unit` of the field, which is `times` what the API counts in. */
export const DIMENSIONS: {
  of: Dimension;
  label: string;
  unit: string;
  times: number;
  say: (amount: number) => string;
}[] = [
  { of: "cpu", label: "CPU", unit: "cores", times: 1, say: cores },
  { of: "memory", label: "Memory", unit: "GiB", times: 1024, say: memory },
  { of: "instances", label: "Instances", unit: "", times: 1, say: plain },
  { of: "clusters", label: "Clusters", unit: "", times: 1, say: plain },
  { of: "storage", label: "Storage", unit: "GiB", times: 1024, say: memory },
];
const NEAR = 0.8;

export function part(user: User, of: Dimension): number {
  const used = user[`used_${of}`];
  const total = user[`quota_${of}`];
  return total > 0 ? used / total : used > 0 ? 1 : 0;
}

/** The limits that somebody has used up, or nearly. */
export function near(user: User) {
  return DIMENSIONS.filter(({ of }) => part(user, of) >= NEAR);
}

export function percent(of: number): string {
  return of.toLocaleString(undefined, { style: "percent", maximumFractionDigits: 0 });
}

/** Used of total, small: for a table. */
export function Used({ user, of }: { user: User; of: (typeof DIMENSIONS)[number] }) {
  const used = part(user, of.of);
  const tight = used >= NEAR;
  return (
    <div data-near={tight || undefined}>
      <Text size="sm" className="numbers" fw={tight ? 600 : undefined} style={{ whiteSpace: "nowrap" }}>
        {of.say(user[`used_${of.of}`])} of {of.say(user[`quota_${of.of}`])}
      </Text>
      <Progress
        value={Math.min(100, used * 100)}
        size="sm"
        color={used >= 0.95 ? "red" : tight ? "orange" : "blue"}
        aria-label={`${of.label} of ${user.username}: ${percent(used)} used`}
      />
      {tight && (
        <Group gap={4} wrap="nowrap">
          <IconAlertTriangle size={14} aria-hidden />
          <Text size="xs">{percent(used)} used</Text>
        </Group>
      )}
    </div>
  );
}

/** As typed; "" where nothing is said. */
export type Typed = Record<Dimension, number | string>;
export const NONE: Typed = { cpu: "", memory: "", instances: "", clusters: "", storage: "" };

export function typedOf(user: User): Typed {
  return Object.fromEntries(DIMENSIONS.map(({ of, times }) => [of, user[`quota_${of}`] / times])) as Typed;
}

/** As the API has them, without what nothing is said of or what is `before`. */
export function limitsOf(typed: Typed, before: Typed = NONE): Partial<Record<`quota_${Dimension}`, number>> {
  return Object.fromEntries(
    DIMENSIONS.filter(({ of }) => typed[of] !== "" && Number(typed[of]) !== before[of]).map(({ of, times }) => [
      `quota_${of}`,
      times === 1 ? Number(typed[of]) : Math.round(Number(typed[of]) * times),
    ]),
  );
}

type Given = { typed: Typed; change: (typed: Typed) => void; placeholder?: string };

export function LimitFields({ typed, change, placeholder }: Given) {
  return (
    <SimpleGrid cols={{ base: 1, xs: 2 }} spacing="sm">
      {DIMENSIONS.map(({ of, label, unit, times }) => (
        <NumberInput
          key={of}
          label={unit ? `${label} (${unit})` : label}
          placeholder={placeholder}
          value={typed[of]}
          onChange={(value) => change({ ...typed, [of]: value })}
          min={0}
          allowNegative={false}
          allowDecimal={of === "cpu" || times > 1}
        />
      ))}
    </SimpleGrid>
  );
}
