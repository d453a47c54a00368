/** How amounts and times are said. */

export function cores(amount: number): string {
  return `${amount.toLocaleString(undefined, { maximumFractionDigits: 3 })} ${amount === 1 ? "core" : "cores"}`;
}

/** `mebibytes` as the greatest unit that leaves a number one can read. */
export function memory(mebibytes: number): string {
  const [amount, unit] =
    mebibytes >= 1024 * 1024
      ? [mebibytes / 1024 / 1024, "TiB"]
      : mebibytes >= 1024
        ? [mebibytes / 1024, "GiB"]
        : [mebibytes, "MiB"];
  return `${amount.toLocaleString(undefined, { maximumFractionDigits: 1 })} ${unit}`;
}

export function count(amount: number, one: string, many = `${one}s`): string {
  return `${amount.toLocaleString()} ${amount === 1 ? one : many}`;
}

const UNITS: [Intl.RelativeTimeFormatUnit, number][] = [
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });

export function ago(when: string, now = Date.now()): string {
  const seconds = (Date.parse(when) - now) / 1000;
  for (const [unit, length] of UNITS) {
    if (Math.abs(seconds) >= length) return relative.format(Math.round(seconds / length), unit);
  }
  return Math.abs(seconds) < 10 ? "just now" : relative.format(Math.round(seconds), "second");
}

export function exactly(when: string): string {
  return new Date(when).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "long" });
}

/** `cluster.create` as people say it. */
export function kind(of: string): string {
  const [noun, verb] = of.split(".");
  return verb === undefined ? of : `${verb.replaceAll("_", " ")} ${noun}`;
}

export function sentence(words: string): string {
  return words.charAt(0).toUpperCase() + words.slice(1).replaceAll("_", " ");
}
