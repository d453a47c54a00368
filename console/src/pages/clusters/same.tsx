/** The same wish for a shell: by cmpctl, and by curl. */
import { Code, Stack, Text } from "@mantine/core";
import { Copy } from "../../parts/copy";
import { Section } from "../../parts/parts";
import type { Wish } from "./wish";

export function Same({ body }: { body: Wish }) {
  const hidden = body.vm?.cloud_init?.user_data
    ? { ...body, vm: { ...body.vm, cloud_init: { user_data: "…" } } }
    : body;
  const byCmpctl = cmpctl(body);
  return (
    <>
      <Section
        title="The same by cmpctl"
        beside={byCmpctl && <Copy text={byCmpctl} label="Copy" what="the cmpctl line" />}
      >
        {byCmpctl ? (
          <Line>{byCmpctl}</Line>
        ) : (
          <Text size="sm">Not with cloud-init user data or SSH keys: use curl.</Text>
        )}
      </Section>
      <Section title="The same by curl" beside={<Copy text={curl(body)} label="Copy" what="the curl line" />}>
        <Line>{curl(hidden)}</Line>
      </Section>
    </>
  );
}

function Line({ children }: { children: string }) {
  return (
    <Stack>
      <Code block tabIndex={0} style={{ whiteSpace: "pre-wrap", overflowWrap: "anywhere" }}>
        {children}
      </Code>
    </Stack>
  );
}

function curl(what: Wish): string {
  return `curl ${location.origin}/api/v1/clusters/ \\\n  -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \\\n  -d ${quoted(JSON.stringify(what))}`;
}

/** None where cmpctl has no option for what is asked. */
function cmpctl(what: Wish): string | null {
  if (what.vm?.cloud_init || what.vm?.ssh_keys?.length) return null;
  const { command, env } = what.container ?? {};
  const options = [
    ["--type", what.instance_type],
    ["--count", what.instance_count],
    ["--image", what.image],
    ["--flavour", what.flavour],
    ["--cpu", what.cpu_per_instance],
    ["--memory", what.memory_per_instance && `${what.memory_per_instance}Mi`],
    ...(what.container?.ports ?? what.vm?.ports ?? []).map(({ port }) => ["--port", port]),
    ...Object.entries(env ?? {}).map(([name, value]) => ["--env", `${name}=${value}`]),
    ["--command", command?.map(quoted).join(" ")],
  ];
  return [
    `cmpctl launch ${quoted(what.name || "NAME")}`,
    ...options.filter(([, value]) => value).map(([option, value]) => `${option} ${quoted(String(value))}`),
  ].join(" \\\n  ");
}

/** As a shell takes it for one word. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
