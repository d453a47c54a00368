/** What was used, as small lines: how much of how much, over the last readings. */
import { Group, Text } from "@mantine/core";
import { READINGS, type Reading } from "../api/queries";
import { cores, memory } from "./words";

type Given = { seen: Reading[]; cpu: number; memory: number };

/** `cpu`, `memory`: all that there is to use, which is the upper edge. */
export function Lines({ seen, cpu, memory: mebibytes }: Given) {
  const now = seen.at(-1);
  if (now === undefined) return null;
  return (
    <Group gap="lg">
      <Line label={`${cores(now.cpu)} of ${cores(cpu)}`} of={seen.map((one) => one.cpu / cpu)} />
      <Line label={`${memory(now.memory)} of ${memory(mebibytes)}`} of={seen.map((one) => one.memory / mebibytes)} />
    </Group>
  );
}

function Line({ label, of }: { label: string; of: number[] }) {
  const points = of.map((part, index) => `${(index / (READINGS - 1)) * 120},${30 - Math.min(1, part) * 28}`).join(" ");
  return (
    <Group gap="xs">
      <Text size="sm" className="numbers">
        {label}
      </Text>
      {of.length > 1 && (
        <svg width={120} height={32} role="img" aria-label={`The last ${of.length} readings, now ${label}`}>
          <line x1={0} x2={120} y1={31} y2={31} stroke="currentColor" opacity={0.3} />
          <polyline points={points} fill="none" stroke="currentColor" strokeWidth={1.5} />
        </svg>
      )}
    </Group>
  );
}
