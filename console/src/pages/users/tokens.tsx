/** Tokens and sign-ins, one's own or a user's: listed, made, revoked, replaced. A secret is shown once. */
import { Button, Checkbox, Group, Modal, Select, Stack, Table, Text, TextInput } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { queryOptions, useQuery } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { api, data, type Schemas } from "../../api/client";
import { Confirm, Form, useAbout, useSending } from "../../parts/dialog";
import { Ago, Loaded, Section } from "../../parts/parts";
import { ACTIONS, Long, Rows } from "../../parts/tables";
import { sentence } from "../../parts/words";
import { CREDENTIALS } from "../audit";
import { instant } from "../lists";
import { Once, type Secrets } from "./secrets";

type Token = Schemas["ApiTokenRead"];
/** More than one may have. */
const ALL = 500;
const SCOPES: { value: Schemas["Scope"]; description: string }[] = [
  { value: "read", description: "See what there is." },
  { value: "operate", description: "Start and stop instances, and reach into them." },
  { value: "write", description: "Create, change, share and delete clusters; make tokens." },
  { value: "admin", description: "Users, the catalogue, keys." },
];

/** `user`: whose they are; null for one's own. */
const tokensOf = (user: string | null) =>
  queryOptions({
    queryKey: ["tokens", { user, limit: ALL }],
    queryFn: () =>
      user === null
        ? data(api.GET("/api/v1/tokens/", { params: { query: { limit: ALL, sort: "-created_at" } } }))
        : data(
            api.GET("/api/v1/users/{user}/tokens/", {
              params: { path: { user }, query: { limit: ALL, sort: "-created_at" } },
            }),
          ),
  });

type Given = {
  /** Whose they are; null for one's own. */
  user: string | null;
  mayWrite: boolean;
};

export function Tokens({ user, mayWrite, children }: Given & { children?: ReactNode }) {
  const query = useQuery(tokensOf(user));
  const [making, { open, close }] = useDisclosure();
  const [shown, setShown] = useState<Secrets | null>(null);
  return (
    <>
      <Section
        title="Tokens"
        beside={
          mayWrite && (
            <Group gap="xs">
              {children}
              <Button size="compact-sm" onClick={open}>
                Make a token
              </Button>
            </Group>
          )
        }
      >
        <Loaded query={query}>
          {({ items }) => (
            <Listed
              user={user}
              mayWrite={mayWrite}
              rows={items.filter(({ kind }) => kind === "bearer" || kind === "client")}
              none="None. A token lets a program or a script speak to CMP."
            />
          )}
        </Loaded>
      </Section>
      <Section title="Sign-ins">
        <Loaded query={query}>
          {({ items }) => (
            <Listed
              user={user}
              mayWrite={mayWrite}
              rows={items.filter(({ kind }) => kind === "browser" || kind === "oauth")}
              none="None. Whoever signs in with a password or single sign-on, or lets a program in, is listed here."
              signIns
            />
          )}
        </Loaded>
      </Section>
      <Modal opened={making} onClose={close} title={user === null ? "Make a token" : `Make a token for ${user}`}>
        <Make user={user} close={close} made={setShown} />
      </Modal>
      <Once secrets={shown} close={() => setShown(null)} />
    </>
  );
}

function Listed({ user, mayWrite, rows, none, signIns }: Given & { rows: Token[]; none: string; signIns?: boolean }) {
  const asked = useAbout<Token>();
  const verb = signIns ? "End" : "Revoke";
  const revoke = useSending(
    async () => asked.about && (await revoked(user, asked.about.id)),
    asked.close,
    () => (signIns ? "The sign-in has ended." : "The token is revoked."),
  );
  if (rows.length === 0) return <Text size="sm">{none}</Text>;
  return (
    <>
      <Rows
        columns={[
          "Name",
          "Kind",
          ...(signIns ? [] : ["Begins and ends"]),
          "May",
          "Last used",
          "Ends",
          signIns ? "Since" : "Made",
          ...(mayWrite ? [ACTIONS] : []),
        ]}
        minWidth={signIns ? 520 : 760}
      >
        {rows.map((row) => (
          <Table.Tr key={row.id}>
            <Long>{row.name}</Long>
            <Table.Td>{CREDENTIALS[row.kind]}</Table.Td>
            {!signIns && <Table.Td ff="monospace">{row.hint}</Table.Td>}
            <Table.Td>{row.scopes === null ? "Everything" : row.scopes.map(sentence).join(", ")}</Table.Td>
            <Table.Td>{row.last_used_at ? <Ago when={row.last_used_at} /> : "Never"}</Table.Td>
            <Table.Td>{row.expires_at ? <Ago when={row.expires_at} /> : "Never"}</Table.Td>
            <Table.Td>
              <Ago when={row.created_at} />
            </Table.Td>
            {mayWrite && (
              <Table.Td ta="right">
                <Button
                  size="compact-sm"
                  variant="default"
                  aria-label={`${verb} ${row.name}`}
                  onClick={() => asked.ask(row)}
                >
                  {verb}
                </Button>
              </Table.Td>
            )}
          </Table.Tr>
        ))}
      </Rows>
      <Confirm
        opened={asked.opened}
        onClose={asked.close}
        title={`${verb} ${asked.about?.name}?`}
        verb={verb}
        sending={revoke}
      >
        {signIns
          ? "It is signed out at once. If it is the one you are using, you have to sign in again."
          : "Whatever uses it is refused from then on. This cannot be undone."}
      </Confirm>
    </>
  );
}

function revoked(user: string | null, token: string) {
  return user === null
    ? data(api.DELETE("/api/v1/tokens/{token}", { params: { path: { token } } }))
    : data(api.DELETE("/api/v1/users/{user}/tokens/{token}", { params: { path: { user, token } } }));
}

const ENDS = [
  { value: "", label: "Never" },
  { value: "7", label: "In 7 days" },
  { value: "30", label: "In 30 days" },
  { value: "90", label: "In 90 days" },
  { value: "365", label: "In a year" },
  { value: "at", label: "At a time that I say" },
];

function Make({ user, close, made }: { user: string | null; close: () => void; made: (secrets: Secrets) => void }) {
  const [name, setName] = useState("");
  const [kind, setKind] = useState<"bearer" | "client">("bearer");
  const [scopes, setScopes] = useState<string[]>([]);
  const [ends, setEnds] = useState("90");
  const [at, setAt] = useState("");
  const make = useSending(async () => {
    const chosen = SCOPES.map(({ value }) => value).filter((value) => scopes.includes(value));
    const expires_at =
      ends === "" ? null : ends === "at" ? instant(at) : new Date(Date.now() + Number(ends) * 86_400_000).toISOString();
    const body = { name, kind, scopes: chosen.length > 0 ? chosen : null, expires_at };
    const { token, client_id, client_secret } = await (user === null
      ? data(api.POST("/api/v1/tokens/", { body }))
      : data(api.POST("/api/v1/users/{user}/tokens/", { params: { path: { user } }, body })));
    made(
      client_id
        ? { title: "Your new client", "Client id": client_id, Secret: client_secret ?? "" }
        : { title: "Your new token", Token: token ?? "" },
    );
  }, close);
  return (
    <Form sending={make} close={close} verb="Make it">
      <TextInput
        label="Name"
        description="What it is for, such as backup or ci."
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
        required
        autoComplete="off"
        data-autofocus
      />
      <Select
        label="Kind"
        data={[
          { value: "bearer", label: "Token, sent as it is" },
          { value: "client", label: "Client, an id and a secret for OAuth" },
        ]}
        value={kind}
        onChange={(value) => setKind(value === "client" ? "client" : "bearer")}
        allowDeselect={false}
      />
      <Checkbox.Group
        label="What it may"
        description={user === null ? "With none chosen: all that you may." : `With none chosen: all that ${user} may.`}
        value={scopes}
        onChange={setScopes}
      >
        <Stack gap="xs" mt="xs">
          {SCOPES.map(({ value, description }) => (
            <Checkbox key={value} value={value} label={sentence(value)} description={description} />
          ))}
        </Stack>
      </Checkbox.Group>
      <Select
        label="It ends"
        data={ENDS}
        value={ends}
        onChange={(value) => setEnds(value ?? "")}
        allowDeselect={false}
      />
      {ends === "at" && (
        <TextInput
          label="When"
          type="datetime-local"
          value={at}
          onChange={(event) => setAt(event.currentTarget.value)}
          required
        />
      )}
    </Form>
  );
}
