/** The same wish for a shell: by cmpctl, and by curl. */
import { Code } from "@mantine/core";
import { Copy } from "../../parts/copy";
import { Section } from "../../parts/parts";
import type { Wish } from "./wish";

export function Same({ body }: { body: Wish }) {
  const hidden = body.vm?.cloud_init?.user_data
    ? { ...body, vm: { ...body.vm, cloud_init: { user_data: "…" } } }
    : body;
  return (
    <>
      <Section title="The same by cmpctl" beside={<Copy text={cmpctl(body)} label="Copy" what="the cmpctl line" />}>
        <Line>{cmpctl(body)}</Line>
      </Section>
      <Section title="The same by curl" beside={<Copy text={curl(body)} label="Copy" what="the curl line" />}>
        <Line>{curl(hidden)}</Line>
      </Section>
    </>
  );
}

function Line({ children }: { children: string }) {
  return (
    <Code block tabIndex={0} style={{ whiteSpace: "pre-wrap", overflowWrap: "anywhere" }}>
      {children}
    </Code>
  );
}

function curl(what: Wish): string {
  return `curl ${location.origin}/api/v1/clusters/ \\\n  -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \\\n  -d ${quoted(JSON.stringify(what))}`;
}

function cmpctl(what: Wish): string {
  const { command, env } = what.container ?? {};
  const options = [
    ["--type", what.instance_type],
    ["--count", what.instance_count],
    ["--image", what.image || "IMAGE"],
    ["--flavour", what.flavour],
    ["--cpu", what.cpu_per_instance],
    ["--memory", what.memory_per_instance && `${what.memory_per_instance}Mi`],
    ...(what.container?.ports ?? what.vm?.ports ?? []).map(({ port }) => ["--port", port]),
    ...Object.entries(env ?? {}).map(([name, value]) => ["--env", `${name}=${value}`]),
    ...(what.vm?.ssh_keys ?? []).map((key) => ["--ssh-key", key]),
    ["--cloud-init", what.vm?.cloud_init && "@user-data.yaml"],
  ];
  return [
    `cmpctl launch ${quoted(what.name || "NAME")}`,
    ...options.filter(([, value]) => value).map(([option, value]) => `${option} ${quoted(String(value))}`),
    ...(command ? [`-- ${command.map(quoted).join(" ")}`] : []),
  ].join(" \\\n  ");
}

/** As a shell takes it for one word. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
