/** What is filled in on the create page, and the request that it makes. */
import type { Schemas } from "../../api/client";

export type Kind = Schemas["InstanceType"];
export type Wish = Schemas["ClusterCreate"];
/** Where something else than what the catalogue has is chosen. */
export const OWN = "";

export type Fields = {
  name: string;
  kind: Kind;
  image: string;
  ownImage: string;
  flavour: string;
  cpu: number | string;
  memory: number | string;
  count: number | string;
  command: string;
  env: string;
  ports: string;
  /** Names of saved keys that it is not given. */
  left: string[];
  keys: string;
  userData: string;
};

/** What the API is asked for. What it refuses it says itself; here only lines of text become lists. */
export function wishOf(at: Fields, saved: string[]): { body: Wish; env: string | null } {
  const sized = at.flavour !== OWN;
  const lines = (text: string) =>
    text
      .split("\n")
      .map((line) => line.trim())
      .filter(Boolean);
  const ports = at.ports
    .split(/[\s,]+/)
    .filter(Boolean)
    .map((port) => ({ port: Number(port), protocol: "TCP" as const }));
  const pairs = lines(at.env);
  const bad = pairs.find((line) => !line.includes("="));
  const container: Partial<Schemas["ContainerSettings"]> = {
    ...(at.command.trim() ? { command: split(at.command) } : {}),
    ...(pairs.length
      ? {
          env: Object.fromEntries(
            pairs.map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
          ),
        }
      : {}),
    ...(ports.length ? { ports } : {}),
  };
  const keys = [...saved.filter((name) => !at.left.includes(name)), ...lines(at.keys)];
  const vm: Partial<Schemas["VmSettings"]> = {
    ...(keys.length ? { ssh_keys: keys } : {}),
    ...(at.userData.trim() ? { cloud_init: { user_data: at.userData } } : {}),
    ...(ports.length ? { ports } : {}),
  };
  const settings = at.kind === "container" ? container : vm;
  return {
    env: at.kind === "container" && bad !== undefined ? `Environment: “${bad}” has no =. Write NAME=value.` : null,
    body: {
      name: at.name.trim(),
      instance_type: at.kind,
      image: at.image === OWN ? at.ownImage.trim() : at.image,
      ...(sized
        ? { flavour: at.flavour }
        : { cpu_per_instance: Number(at.cpu), memory_per_instance: Number(at.memory) }),
      instance_count: Number(at.count),
      ...(Object.keys(settings).length ? { [at.kind]: settings } : {}),
    } as Wish,
  };
}

/** Words as a shell would take them, with quotes. */
function split(command: string): string[] {
  return [...command.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(
    ([, double, single, bare]) => double ?? single ?? bare ?? "",
  );
}
