/** Help of this very version: what things are, keys, and the pages that the repository has for those who use CMP. */
import { Code, List, SimpleGrid, Stack, Text, Title, Typography } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import Markdown from "markdown-to-jsx/react";
import type { ComponentProps } from "react";
import * as queries from "../api/queries";
import { Heading, Section, Trouble } from "../parts/parts";
import { Shortcuts } from "../shell";

const TEXTS = Object.entries(
  import.meta.glob<string>(
    [
      "../../../docs/how-to/{say-what-runs,reach-an-instance,sign-in,be-told,offer-images-and-sizes,change-keys}.md",
      "../../../docs/permissions.md",
    ],
    { query: "?raw", import: "default", eager: true },
  ),
).map(([path, text]) => ({
  name: path.replace(/^.*\/(.*)\.md$/, "$1"),
  title: text.replace(/^# (.*)\n[\s\S]*$/, "$1"),
  text: text.replace(/^# .*\n/, ""),
}));

const CONCEPTS: [string, string][] = [
  ["Cluster", "A number of equal instances, made, changed, scaled and deleted together. It has an owner."],
  ["Instance", "One container or one virtual machine of a cluster. It can be started, stopped and entered by itself."],
  ["Operation", "What was asked for and takes a while: who asked, how far it is, what came of it."],
  ["Quota", "How much one may use altogether. What does not fit is refused before anything is made."],
  ["Flavour", "A size by its name. Administrators say which there are, and whether others may be given."],
  ["Token", "What a program comes in with, for as long and for as much as you say. It is shown once."],
  [
    "SSH keys",
    "They are given with a cluster of virtual machines, and stay with it. CMP keeps no keys of yours beside that.",
  ],
];

export function Help() {
  const { page: name } = useParams({ strict: false });
  if (name !== undefined) return <Page name={name} />;
  return <Contents />;
}

function Contents() {
  const health = useQuery(queries.health);
  return (
    <>
      <Heading title="Help" beside={health.data && <Text size="sm">CMP {health.data.version}</Text>} />
      <SimpleGrid cols={{ base: 1, md: 2 }}>
        <Section title="How to">
          <List spacing="xs">
            {TEXTS.map(({ name, title }) => (
              <List.Item key={name}>
                <Link to="/help/$page" params={{ page: name }}>
                  {title}
                </Link>
              </List.Item>
            ))}
          </List>
          <Title order={3} size="h6" mt="md" mb="xs">
            For programs
          </Title>
          <List spacing="xs">
            <List.Item>
              <a href="/docs">The API, to read and to try</a>
            </List.Item>
            <List.Item>
              <a href="/openapi.json">Its description, as data</a>
            </List.Item>
          </List>
        </Section>
        <Section title="Keys">
          <Shortcuts />
        </Section>
        <Section title="What things are">
          <Stack gap="xs">
            {CONCEPTS.map(([what, text]) => (
              <div key={what}>
                <Text size="sm" fw={600}>
                  {what}
                </Text>
                <Text size="sm">{text}</Text>
              </div>
            ))}
          </Stack>
        </Section>
        <Section title="When something goes wrong">
          <Text size="sm">
            A refusal says what to do instead. Beside it stands the id of the request: give it to an administrator, who
            finds with it in the <Link to="/audit">audit trail</Link> and the logs what happened.
          </Text>
        </Section>
      </SimpleGrid>
    </>
  );
}

function Page({ name }: { name: string }) {
  const found = TEXTS.find((text) => text.name === name);
  return (
    <>
      <Heading title={found?.title ?? "Help"}>
        <Link to="/help">All of the help</Link>
      </Heading>
      {found ? (
        <Typography maw={820}>
          <Markdown options={{ overrides: { a: { component: Elsewhere }, pre: { component: Lines } } }}>
            {found.text}
          </Markdown>
        </Typography>
      ) : (
        <Trouble error="There is no such page of help." />
      )}
    </>
  );
}

/** To another page of help, or out of here; what is only in the repository is no link. */
function Elsewhere({ href = "", children }: ComponentProps<"a">) {
  const name = href.replace(/^.*?([^/]*)\.md.*$/, "$1");
  const there = TEXTS.find((text) => text.name === name);
  if (there !== undefined)
    return (
      <Link to="/help/$page" params={{ page: name }}>
        {there.title}
      </Link>
    );
  return /^https?:/.test(href) ? <a href={href}>{children}</a> : <span>{children}</span>;
}

/** Can be scrolled by keys. */
function Lines({ children }: ComponentProps<"pre">) {
  return (
    <Code block tabIndex={0} component="pre" mb="md" style={{ whiteSpace: "pre-wrap" }}>
      {children}
    </Code>
  );
}
