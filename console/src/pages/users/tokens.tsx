/** Tokens and sign-ins, one's own or a user's: listed, made, revoked, replaced. A secret is shown once. */
import {
  Button,
  Card,
  Checkbox,
  CopyButton,
  Group,
  Modal,
  Select,
  Stack,
  Table,
  Text,
  TextInput,
  Title,
} from "@mantine/core";
import { onlineManager, queryOptions, useMutation, useQuery } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { api, data, type Schemas } from "../../api/client";
import { useActing } from "../../parts/acting";
import { Confirm } from "../../parts/confirm";
import { Ago, Loaded, Trouble } from "../../parts/parts";
import { sentence } from "../../parts/words";
import { CREDENTIALS } from "../audit";
import { ActionsAbove, instant } from "../lists";

type Token = Schemas["ApiTokenRead"];
/** More than one may have. */
const ALL = 500;
export const SCOPES: { value: Schemas["Scope"]; description: string }[] = [
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
  const [making, setMaking] = useState(false);
  const [shown, setShown] = useState<Secrets | null>(null);
  return (
    <>
      <Card withBorder>
        <Group justify="space-between" mb="sm">
          <Title order={2} size="h5">
            Tokens
          </Title>
          {mayWrite && (
            <Group gap="xs">
              {children}
              <Button size="compact-sm" onClick={() => setMaking(true)}>
                Make a token
              </Button>
            </Group>
          )}
        </Group>
        <Loaded query={query}>
          {({ items }) => (
            <Rows
              user={user}
              mayWrite={mayWrite}
              rows={items.filter(({ kind }) => kind === "bearer" || kind === "client")}
              none="None. A token lets a program or a script speak to CMP."
            />
          )}
        </Loaded>
      </Card>
      <Card withBorder>
        <Title order={2} size="h5" mb="sm">
          Sign-ins
        </Title>
        <Loaded query={query}>
          {({ items }) => (
            <Rows
              user={user}
              mayWrite={mayWrite}
              rows={items.filter(({ kind }) => kind === "browser" || kind === "oauth")}
              none="None. Whoever signs in with a password or single sign-on, or lets a program in, is listed here."
              signIns
            />
          )}
        </Loaded>
      </Card>
      <Modal
        opened={making}
        onClose={() => setMaking(false)}
        title={user === null ? "Make a token" : `Make a token for ${user}`}
      >
        <Make
          user={user}
          close={() => setMaking(false)}
          made={(secrets) => {
            setMaking(false);
            setShown(secrets);
          }}
        />
      </Modal>
      <Once secrets={shown} close={() => setShown(null)} />
    </>
  );
}

function Rows({ user, mayWrite, rows, none, signIns }: Given & { rows: Token[]; none: string; signIns?: boolean }) {
  const [asked, setAsked] = useState<Token | null>(null);
  const [opened, setOpened] = useState(false);
  const verb = signIns ? "End" : "Revoke";
  const revoke = useActing(
    (token: string) =>
      user === null
        ? data(api.DELETE("/api/v1/tokens/{token}", { params: { path: { token } } }))
        : data(api.DELETE("/api/v1/users/{user}/tokens/{token}", { params: { path: { user, token } } })),
    {
      quiet: true,
      done: () => {
        setOpened(false);
        return signIns ? "The sign-in has ended." : "The token is revoked.";
      },
    },
  );
  if (rows.length === 0) return <Text size="sm">{none}</Text>;
  return (
    <>
      <Table.ScrollContainer minWidth={signIns ? 520 : 760}>
        <Table verticalSpacing={6}>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Name</Table.Th>
              <Table.Th>Kind</Table.Th>
              {!signIns && <Table.Th>Begins and ends</Table.Th>}
              <Table.Th>May</Table.Th>
              <Table.Th>Last used</Table.Th>
              <Table.Th>Ends</Table.Th>
              <Table.Th>{signIns ? "Since" : "Made"}</Table.Th>
              {mayWrite && <ActionsAbove />}
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {rows.map((row) => (
              <Table.Tr key={row.id}>
                <Table.Td style={{ overflowWrap: "anywhere" }}>{row.name}</Table.Td>
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
                      onClick={() => {
                        revoke.reset();
                        setAsked(row);
                        setOpened(true);
                      }}
                    >
                      {verb}
                    </Button>
                  </Table.Td>
                )}
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
      <Confirm
        opened={opened}
        onClose={() => setOpened(false)}
        title={signIns ? `End ${asked?.name}?` : `Revoke ${asked?.name}?`}
        verb={verb}
        busy={revoke.isPending}
        error={revoke.error}
        onConfirm={() => asked && revoke.mutate(asked.id)}
      >
        {signIns
          ? "It is signed out at once. If it is the one you are using, you have to sign in again."
          : "Whatever uses it is refused from then on. This cannot be undone."}
      </Confirm>
    </>
  );
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
  const make = useActing(
    () => {
      const chosen = SCOPES.map(({ value }) => value).filter((value) => scopes.includes(value));
      const expires_at =
        ends === ""
          ? null
          : ends === "at"
            ? instant(at)
            : new Date(Date.now() + Number(ends) * 86_400_000).toISOString();
      const body = { name, kind, scopes: chosen.length > 0 ? chosen : null, expires_at };
      return user === null
        ? data(api.POST("/api/v1/tokens/", { body }))
        : data(api.POST("/api/v1/users/{user}/tokens/", { params: { path: { user } }, body }));
    },
    {
      quiet: true,
      done: ({ token, client_id, client_secret }) => {
        made(
          client_id
            ? { title: "Your new client", "Client id": client_id, Secret: client_secret ?? "" }
            : { title: "Your new token", Token: token ?? "" },
        );
        return undefined;
      },
    },
  );
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        make.mutate();
      }}
    >
      <Stack>
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
          description={
            user === null ? "With none chosen: all that you may." : `With none chosen: all that ${user} may.`
          }
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
        <Trouble error={make.error} />
        <Group justify="flex-end">
          <Button variant="default" onClick={close}>
            Cancel
          </Button>
          <Button type="submit" loading={make.isPending}>
            Make it
          </Button>
        </Group>
      </Stack>
    </form>
  );
}

/** What to show once, by its label. */
export type Secrets = { title: string } & Record<string, string>;

export function Once({ secrets, close }: { secrets: Secrets | null; close: () => void }) {
  const { title, ...all } = secrets ?? { title: "" };
  return (
    <Modal
      opened={secrets !== null}
      onClose={close}
      title={title}
      closeOnClickOutside={false}
      closeOnEscape={false}
      withCloseButton={false}
      transitionProps={{ duration: 0 }}
      size="lg"
    >
      <Stack>
        <Text size="sm">Copy it now and keep it safe: it is shown this once, and nobody can show it again.</Text>
        {Object.entries(all).map(([label, value]) => (
          <Group key={label} align="flex-end" gap="xs" wrap="nowrap">
            <TextInput
              label={label}
              value={value}
              readOnly
              flex={1}
              onFocus={(event) => event.currentTarget.select()}
            />
            <CopyButton value={value}>
              {({ copied, copy }) => (
                <Button
                  variant="default"
                  onClick={copy}
                  aria-label={`${copied ? "Copied" : "Copy"} ${label.toLowerCase()}`}
                >
                  {copied ? "Copied" : "Copy"}
                </Button>
              )}
            </CopyButton>
          </Group>
        ))}
        <Group justify="flex-end">
          <Button onClick={close}>I have it</Button>
        </Group>
      </Stack>
    </Modal>
  );
}

/** `own`: of whoever is signed in, whose sign-in ends with it. */
export function ReplaceToken({ user, own }: { user: string; own: boolean }) {
  const [asking, setAsking] = useState(false);
  const [shown, setShown] = useState<Secrets | null>(null);
  const replace = useMutation({
    mutationFn: async () => {
      if (!own) return data(api.POST("/api/v1/users/{user}/token", { params: { path: { user } } }));
      // This session ends too: nothing else is read from now on, so that nothing covers the new token.
      onlineManager.setOnline(false);
      try {
        return await data(api.POST("/api/v1/users/me/token"));
      } catch (error) {
        onlineManager.setOnline(true);
        throw error;
      }
    },
    onSuccess: ({ token }) => {
      setAsking(false);
      setShown({ title: own ? "Your new token" : `The new token of ${user}`, Token: token ?? "" });
    },
  });
  return (
    <>
      <Button
        size="compact-sm"
        variant="default"
        onClick={() => {
          replace.reset();
          setAsking(true);
        }}
      >
        Replace all
      </Button>
      <Confirm
        opened={asking}
        onClose={() => setAsking(false)}
        title={own ? "Replace all your tokens?" : `Replace all tokens of ${user}?`}
        verb="Replace all"
        busy={replace.isPending}
        error={replace.error}
        onConfirm={() => replace.mutate()}
      >
        There is one new token, and every earlier one stops working at once. All sign-ins end
        {own ? ", this one too: you sign in again afterwards." : "."}
      </Confirm>
      <Once
        secrets={shown}
        close={() => {
          if (own) window.location.assign(`/login?next=${encodeURIComponent(window.location.pathname)}`);
          else setShown(null);
        }}
      />
    </>
  );
}
