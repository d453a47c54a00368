/** One's SSH keys: listed, added, deleted. VMs are given them by name. */
import { Button, Code, Modal, Stack, Table, Text, Textarea, TextInput } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api, data, type Schemas } from "../../api/client";
import * as queries from "../../api/queries";
import { Confirm, Form, useAbout, useSending } from "../../parts/dialog";
import { Ago, Loaded, Section } from "../../parts/parts";
import { ACTIONS, Long, Rows } from "../../parts/tables";

type Key = Schemas["SshKeyRead"];

export function SshKeys({ mayWrite }: { mayWrite: boolean }) {
  const query = useQuery(queries.sshKeys);
  const [adding, { open, close }] = useDisclosure();
  return (
    <>
      <Section
        title="SSH keys"
        beside={
          mayWrite && (
            <Button size="compact-sm" onClick={open}>
              Add an SSH key
            </Button>
          )
        }
      >
        <Loaded query={query}>
          {({ items }) => (items.length > 0 ? <Listed rows={items} mayWrite={mayWrite} /> : <None />)}
        </Loaded>
      </Section>
      <Modal opened={adding} onClose={close} title="Add an SSH key">
        <Add close={close} />
      </Modal>
    </>
  );
}

function None() {
  return (
    <Stack gap="xs">
      <Text size="sm">
        None. Save the keys that you log in with: the page that creates virtual machines offers them, and cmpctl launch
        takes their names. If you have none yet, make one on your own computer:
      </Text>
      <Code block tabIndex={0}>
        ssh-keygen -t ed25519
      </Code>
      <Text size="sm">
        Then paste what the file <Code>~/.ssh/id_ed25519.pub</Code> holds. The file without .pub is nobody’s but yours.
      </Text>
    </Stack>
  );
}

function Listed({ rows, mayWrite }: { rows: Key[]; mayWrite: boolean }) {
  const asked = useAbout<Key>();
  const remove = useSending(
    async () =>
      asked.about && data(api.DELETE("/api/v1/ssh-keys/{ssh_key}", { params: { path: { ssh_key: asked.about.id } } })),
    asked.close,
    () => "The SSH key is deleted.",
  );
  return (
    <>
      <Rows columns={["Name", "Kind", "Fingerprint", "Added", ...(mayWrite ? [ACTIONS] : [])]} minWidth={680}>
        {rows.map((row) => (
          <Table.Tr key={row.id}>
            <Long>{row.name}</Long>
            <Table.Td>{row.public_key.split(" ")[0]}</Table.Td>
            <Table.Td ff="monospace">{row.fingerprint}</Table.Td>
            <Table.Td>
              <Ago when={row.created_at} />
            </Table.Td>
            {mayWrite && (
              <Table.Td ta="right">
                <Button
                  size="compact-sm"
                  variant="default"
                  aria-label={`Delete ${row.name}`}
                  onClick={() => asked.ask(row)}
                >
                  Delete
                </Button>
              </Table.Td>
            )}
          </Table.Tr>
        ))}
      </Rows>
      <Confirm
        opened={asked.opened}
        onClose={asked.close}
        title={`Delete ${asked.about?.name}?`}
        verb="Delete"
        sending={remove}
      >
        It is offered to new virtual machines no longer. Those that were given it still let it in.
      </Confirm>
    </>
  );
}

function Add({ close }: { close: () => void }) {
  const [name, setName] = useState("");
  const [key, setKey] = useState("");
  // It does not even leave the browser.
  const secret = /PRIVATE KEY|Private-Lines/.test(key);
  const add = useSending(
    () => data(api.POST("/api/v1/ssh-keys/", { body: { name: name.trim(), public_key: key.trim() } })),
    close,
    (made) => `${made.name} is saved.`,
  );
  return (
    <Form sending={add} close={close} verb="Add it" ready={!secret}>
      <TextInput
        label="Name"
        description="What it is of, such as laptop."
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
        required
        autoComplete="off"
        data-autofocus
      />
      <Textarea
        label="Public key"
        description="What the file that ends in .pub holds, such as ssh-ed25519 AAAA… ada@laptop."
        value={key}
        onChange={(event) => setKey(event.currentTarget.value)}
        error={secret && "This is a private key: keep it to yourself. Paste what the file that ends in .pub holds."}
        required
        autosize
        minRows={3}
        spellCheck={false}
        styles={{ input: { fontFamily: "var(--mantine-font-family-monospace)" } }}
      />
    </Form>
  );
}
