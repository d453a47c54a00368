/** One user: what they use and may, how they come in, and what becomes of them. */
import {
  Autocomplete,
  Button,
  Card,
  Group,
  Modal,
  PasswordInput,
  Radio,
  Select,
  SimpleGrid,
  Stack,
  Table,
  Text,
  TextInput,
  Title,
} from "@mantine/core";
import { queryOptions, useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useNavigate, useParams } from "@tanstack/react-router";
import { useState } from "react";
import { api, data, type Schemas } from "../../api/client";
import * as queries from "../../api/queries";
import { useActing } from "../../parts/acting";
import { Confirm } from "../../parts/confirm";
import { Ago, Bar, Heading, Loaded, Trouble } from "../../parts/parts";
import { count, sentence } from "../../parts/words";
import { useMay, useMe } from "../../shell";
import { ActionsAbove } from "../lists";
import { DIMENSIONS, LimitFields, limitsOf, near, typedOf } from "./limits";
import { Marks, ROLES, STRATEGIES } from "./list";
import { ReplaceToken, Tokens } from "./tokens";

type Read = Schemas["UserRead"];

export function User() {
  const { user: name = "" } = useParams({ strict: false });
  const query = useQuery({ ...queries.user(name), refetchInterval: 15_000 });
  return (
    <>
      {query.data === undefined && <Heading title={name} />}
      <Loaded query={query}>{(user) => <Known user={user} />}</Loaded>
    </>
  );
}

function Known({ user }: { user: Read }) {
  const me = useMe();
  const mayWrite = useMay("users:write");
  const tight = near(user);
  const strategy = STRATEGIES.find(({ value }) => value === user.quota_strategy);
  return (
    <>
      <Heading title={user.username} beside={<Marks user={user} />}>
        {mayWrite && (
          <>
            <ChangeLimits user={user} />
            <Disable user={user} />
            <Delete user={user} />
          </>
        )}
      </Heading>
      <Stack>
        <Card withBorder>
          <Title order={2} size="h5" mb="sm">
            Quota
          </Title>
          {tight.length > 0 && (
            <Text size="sm" fw={600} mb="sm">
              Near the limit: {tight.map(({ label }) => label).join(", ")}
            </Text>
          )}
          <SimpleGrid cols={{ base: 1, sm: 2, lg: 3 }}>
            {DIMENSIONS.map(({ of, label, say }) => (
              <Bar key={of} label={label} used={user[`used_${of}`]} total={user[`quota_${of}`]} say={say} />
            ))}
          </SimpleGrid>
          <Text size="sm" mt="md">
            {sentence(user.role)}, here since <Ago when={user.created_at} />. CPU and memory count{" "}
            {strategy?.label.toLowerCase()}.
          </Text>
        </Card>
        {user.kind === "person" && (
          <SimpleGrid cols={{ base: 1, md: 2 }}>
            <Password user={user} mayWrite={mayWrite} />
            <Identities user={user} mayWrite={mayWrite} />
          </SimpleGrid>
        )}
        <Tokens user={user.username} mayWrite={mayWrite}>
          <ReplaceToken user={user.username} own={user.id === me.id} />
        </Tokens>
      </Stack>
    </>
  );
}

function ChangeLimits({ user }: { user: Read }) {
  const [opened, setOpened] = useState(false);
  return (
    <>
      <Button variant="default" onClick={() => setOpened(true)}>
        Change
      </Button>
      <Modal opened={opened} onClose={() => setOpened(false)} title={`Change ${user.username}`} size="lg">
        <Change user={user} close={() => setOpened(false)} />
      </Modal>
    </>
  );
}

function Change({ user, close }: { user: Read; close: () => void }) {
  // As it was when this was opened: what somebody else changes meanwhile stays theirs.
  const [before] = useState(user);
  const [limits, setLimits] = useState(typedOf(user));
  const [role, setRole] = useState(user.role);
  const [strategy, setStrategy] = useState(user.quota_strategy);
  const body: Schemas["UserChange"] = {
    ...limitsOf(limits, typedOf(before)),
    ...(role !== before.role && { role }),
    ...(strategy !== before.quota_strategy && { quota_strategy: strategy }),
    instances: "keep",
  };
  const change = useActing(
    () => data(api.PATCH("/api/v1/users/{user}", { params: { path: { user: user.username } }, body })),
    {
      quiet: true,
      done: () => {
        close();
        return `${user.username} is changed.`;
      },
    },
  );
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        change.mutate();
      }}
    >
      <Stack>
        <Select
          label="Role"
          data={ROLES.map((value) => ({ value, label: sentence(value) }))}
          value={role}
          onChange={(value) => setRole(ROLES.find((one) => one === value) ?? user.role)}
          allowDeselect={false}
        />
        <LimitFields typed={limits} change={setLimits} />
        <Text size="sm">A limit below what is used blocks what is new. Nothing that runs is stopped.</Text>
        <Select
          label="CPU and memory count"
          data={STRATEGIES}
          value={strategy}
          onChange={(value) => setStrategy(value === "running" ? "running" : "allocated")}
          allowDeselect={false}
        />
        <Trouble error={change.error} />
        <Group justify="flex-end">
          <Button variant="default" onClick={close}>
            Cancel
          </Button>
          <Button type="submit" loading={change.isPending}>
            Save
          </Button>
        </Group>
      </Stack>
    </form>
  );
}

function Disable({ user }: { user: Read }) {
  const [opened, setOpened] = useState(false);
  const [instances, setInstances] = useState<"keep" | "stop">("keep");
  const change = useActing(
    (disabled: boolean) =>
      data(
        api.PATCH("/api/v1/users/{user}", {
          params: { path: { user: user.username } },
          body: { disabled, instances: disabled ? instances : "keep" },
        }),
      ),
    {
      quiet: !user.disabled,
      done: ({ disabled, username }) => {
        setOpened(false);
        return `${username} is ${disabled ? "disabled" : "enabled"}.`;
      },
    },
  );
  if (user.disabled) {
    return (
      <Button variant="default" onClick={() => change.mutate(false)} loading={change.isPending}>
        Enable
      </Button>
    );
  }
  return (
    <>
      <Button
        variant="default"
        onClick={() => {
          change.reset();
          setInstances("keep");
          setOpened(true);
        }}
      >
        Disable
      </Button>
      <Modal opened={opened} onClose={() => setOpened(false)} title={`Disable ${user.username}?`}>
        <form
          onSubmit={(event) => {
            event.preventDefault();
            change.mutate(true);
          }}
        >
          <Stack>
            <Text size="sm">Nothing that {user.username} comes in with works until you enable them again.</Text>
            <Radio.Group
              label="Their instances"
              value={instances}
              onChange={(value) => setInstances(value === "stop" ? "stop" : "keep")}
            >
              <Stack gap="xs" mt="xs">
                <Radio value="keep" label="Go on as they are" />
                <Radio value="stop" label="Are stopped" />
              </Stack>
            </Radio.Group>
            <Trouble error={change.error} />
            <Group justify="flex-end">
              <Button variant="default" onClick={() => setOpened(false)}>
                Cancel
              </Button>
              <Button type="submit" color="red" loading={change.isPending}>
                Disable
              </Button>
            </Group>
          </Stack>
        </form>
      </Modal>
    </>
  );
}

function Delete({ user }: { user: Read }) {
  const navigate = useNavigate();
  const [opened, setOpened] = useState(false);
  const [clusters, setClusters] = useState<"delete" | "transfer">("transfer");
  const [to, setTo] = useState("");
  const [leaving, setLeaving] = useState("");
  const others = useInfiniteQuery({ ...queries.users({ limit: 500, sort: "username" }), enabled: opened });
  const names = others.data?.pages.flatMap(({ items }) => items.map(({ username }) => username)) ?? [];
  const has = user.used_clusters > 0;
  const remove = useActing(
    () => {
      const what = !has ? {} : clusters === "delete" ? { clusters, wait: 15 } : { clusters, to: to.trim() };
      return data<Schemas["UserLeaving"] | undefined>(
        api.DELETE("/api/v1/users/{user}", { params: { path: { user: user.username }, query: what } }),
      );
    },
    {
      quiet: true,
      done: (still) => {
        if (still) {
          setLeaving(still.message);
          return undefined;
        }
        setOpened(false);
        void navigate({ to: "/users" });
        return `${user.username} is deleted.`;
      },
    },
  );
  return (
    <>
      <Button
        color="red"
        variant="light"
        onClick={() => {
          remove.reset();
          setLeaving("");
          setOpened(true);
        }}
      >
        Delete
      </Button>
      <Confirm
        opened={opened}
        onClose={() => setOpened(false)}
        title={`Delete ${user.username}?`}
        verb="Delete"
        name={user.username}
        busy={remove.isPending}
        error={remove.error}
        onConfirm={() => remove.mutate()}
      >
        <Stack gap="sm">
          <Text size="sm">The user, their tokens and sign-ins are gone for good.</Text>
          {has && (
            <Radio.Group
              label={`What becomes of their ${count(user.used_clusters, "cluster")}`}
              value={clusters}
              onChange={(value) => setClusters(value === "delete" ? "delete" : "transfer")}
            >
              <Stack gap="xs" mt="xs">
                <Radio value="transfer" label="Somebody else's, within that one's quota" />
                <Radio value="delete" label="Deleted, with all that they hold" />
              </Stack>
            </Radio.Group>
          )}
          {has && clusters === "transfer" && (
            <Autocomplete
              label="Whose they are then"
              data={names.filter((name) => name !== user.username)}
              limit={20}
              value={to}
              onChange={setTo}
              required
            />
          )}
          {leaving && (
            <Text size="sm" fw={600} role="status">
              {leaving}
            </Text>
          )}
        </Stack>
      </Confirm>
    </>
  );
}

function Password({ user, mayWrite }: { user: Read; mayWrite: boolean }) {
  const [setting, setSetting] = useState(false);
  const [taking, setTaking] = useState(false);
  const take = useActing(
    () => data(api.DELETE("/api/v1/users/{user}/password", { params: { path: { user: user.username } } })),
    {
      quiet: true,
      done: () => {
        setTaking(false);
        return `${user.username} has no password now.`;
      },
    },
  );
  return (
    <Card withBorder>
      <Title order={2} size="h5" mb="sm">
        Password
      </Title>
      <Text size="sm" mb="sm">
        {user.has_password ? "There is one." : "There is none."}
      </Text>
      {mayWrite && (
        <Group gap="xs">
          <Button variant="default" onClick={() => setSetting(true)}>
            {user.has_password ? "Set another" : "Set a password"}
          </Button>
          {user.has_password && (
            <Button
              variant="default"
              onClick={() => {
                take.reset();
                setTaking(true);
              }}
            >
              Take it away
            </Button>
          )}
        </Group>
      )}
      <Modal opened={setting} onClose={() => setSetting(false)} title={`Password of ${user.username}`}>
        <SetPassword user={user} close={() => setSetting(false)} />
      </Modal>
      <Confirm
        opened={taking}
        onClose={() => setTaking(false)}
        title={`Take the password of ${user.username} away?`}
        verb="Take it away"
        busy={take.isPending}
        error={take.error}
        onConfirm={() => take.mutate()}
      >
        All their sign-ins end. Tokens and single sign-on stay.
      </Confirm>
    </Card>
  );
}

function SetPassword({ user, close }: { user: Read; close: () => void }) {
  const me = useMe();
  const own = user.id === me.id;
  const [before, setBefore] = useState("");
  const [password, setPassword] = useState("");
  const change = useActing(
    () =>
      data(
        api.PUT("/api/v1/users/{user}/password", {
          params: { path: { user: user.username } },
          body: { password, current_password: own && user.has_password ? before : null },
        }),
      ),
    {
      quiet: true,
      done: () => {
        close();
        return `The password of ${user.username} is set.`;
      },
    },
  );
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        change.mutate();
      }}
    >
      <Stack>
        {own && user.has_password && (
          <PasswordInput
            label="The one you have"
            autoComplete="current-password"
            value={before}
            onChange={(event) => setBefore(event.currentTarget.value)}
            required
          />
        )}
        <PasswordInput
          label="The new one"
          description="Their sign-ins end; tokens stay."
          autoComplete="new-password"
          value={password}
          onChange={(event) => setPassword(event.currentTarget.value)}
          required
          data-autofocus
        />
        <Trouble error={change.error} />
        <Group justify="flex-end">
          <Button variant="default" onClick={close}>
            Cancel
          </Button>
          <Button type="submit" loading={change.isPending}>
            Set it
          </Button>
        </Group>
      </Stack>
    </form>
  );
}

const identitiesOf = (user: string) =>
  queryOptions({
    queryKey: ["identities", { user }],
    queryFn: () => data(api.GET("/api/v1/users/{user}/identities", { params: { path: { user } } })),
  });

function Identities({ user, mayWrite }: { user: Read; mayWrite: boolean }) {
  const query = useQuery(identitiesOf(user.username));
  const [linking, setLinking] = useState(false);
  const [asked, setAsked] = useState<Schemas["IdentityRead"] | null>(null);
  const [unlinking, setUnlinking] = useState(false);
  const unlink = useActing(
    (identity: string) =>
      data(
        api.DELETE("/api/v1/users/{user}/identities/{identity}", {
          params: { path: { user: user.username, identity } },
        }),
      ),
    {
      quiet: true,
      done: () => {
        setUnlinking(false);
        return "It is unlinked.";
      },
    },
  );
  return (
    <Card withBorder>
      <Group justify="space-between" mb="sm">
        <Title order={2} size="h5">
          Single sign-on
        </Title>
        {mayWrite && (
          <Button size="compact-sm" variant="default" onClick={() => setLinking(true)}>
            Link
          </Button>
        )}
      </Group>
      <Loaded query={query}>
        {({ items }) =>
          items.length === 0 ? (
            <Text size="sm">
              Nothing is linked. People link their own when they sign in with the provider while they are signed in
              here.
            </Text>
          ) : (
            <Table.ScrollContainer minWidth={420}>
              <Table verticalSpacing={6}>
                <Table.Thead>
                  <Table.Tr>
                    <Table.Th>Provider</Table.Th>
                    <Table.Th>Subject</Table.Th>
                    <Table.Th>Linked</Table.Th>
                    {mayWrite && <ActionsAbove />}
                  </Table.Tr>
                </Table.Thead>
                <Table.Tbody>
                  {items.map((row) => (
                    <Table.Tr key={row.id}>
                      <Table.Td style={{ overflowWrap: "anywhere" }}>{row.issuer}</Table.Td>
                      <Table.Td style={{ overflowWrap: "anywhere" }}>{row.subject}</Table.Td>
                      <Table.Td>
                        <Ago when={row.created_at} />
                      </Table.Td>
                      {mayWrite && (
                        <Table.Td ta="right">
                          <Button
                            size="compact-sm"
                            variant="default"
                            aria-label={`Unlink ${row.subject}`}
                            onClick={() => {
                              unlink.reset();
                              setAsked(row);
                              setUnlinking(true);
                            }}
                          >
                            Unlink
                          </Button>
                        </Table.Td>
                      )}
                    </Table.Tr>
                  ))}
                </Table.Tbody>
              </Table>
            </Table.ScrollContainer>
          )
        }
      </Loaded>
      <Modal opened={linking} onClose={() => setLinking(false)} title={`Link ${user.username} to a provider`}>
        <LinkIdentity user={user} close={() => setLinking(false)} />
      </Modal>
      <Confirm
        opened={unlinking}
        onClose={() => setUnlinking(false)}
        title={`Unlink ${asked?.subject}?`}
        verb="Unlink"
        busy={unlink.isPending}
        error={unlink.error}
        onConfirm={() => asked && unlink.mutate(asked.id)}
      >
        {user.username} no longer comes in with it, and all their sign-ins end.
      </Confirm>
    </Card>
  );
}

function LinkIdentity({ user, close }: { user: Read; close: () => void }) {
  const [issuer, setIssuer] = useState("");
  const [subject, setSubject] = useState("");
  const link = useActing(
    () =>
      data(
        api.POST("/api/v1/users/{user}/identities", {
          params: { path: { user: user.username } },
          body: { issuer, subject },
        }),
      ),
    {
      quiet: true,
      done: () => {
        close();
        return "It is linked.";
      },
    },
  );
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        link.mutate();
      }}
    >
      <Stack>
        <TextInput
          label="Provider"
          description="Its address (issuer), such as https://sso.example.org"
          value={issuer}
          onChange={(event) => setIssuer(event.currentTarget.value)}
          required
          data-autofocus
        />
        <TextInput
          label="Subject"
          description="What the provider calls them (sub), which is rarely a name."
          value={subject}
          onChange={(event) => setSubject(event.currentTarget.value)}
          required
        />
        <Trouble error={link.error} />
        <Group justify="flex-end">
          <Button variant="default" onClick={close}>
            Cancel
          </Button>
          <Button type="submit" loading={link.isPending}>
            Link
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
