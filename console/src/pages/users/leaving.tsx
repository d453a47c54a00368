/** What ends a user's stay: for a while, or for good. */
import { Autocomplete, Button, Modal, Radio, Stack, Text } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useInfiniteQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { api, data, type Schemas } from "../../api/client";
import * as queries from "../../api/queries";
import { useActing } from "../../parts/acting";
import { Confirm, Form, useSending } from "../../parts/dialog";
import { count } from "../../parts/words";

type Given = { user: Schemas["UserRead"] };

export function Disable({ user }: Given) {
  const [opened, { open, close }] = useDisclosure();
  const enable = useActing(
    () => data(api.PATCH("/api/v1/users/{user}", { params: at(user), body: { disabled: false, instances: "keep" } })),
    { done: () => `${user.username} is enabled.` },
  );
  if (user.disabled) {
    return (
      <Button variant="default" onClick={() => enable.mutate()} loading={enable.isPending}>
        Enable
      </Button>
    );
  }
  return (
    <>
      <Button variant="default" onClick={open}>
        Disable
      </Button>
      <Modal opened={opened} onClose={close} title={`Disable ${user.username}?`}>
        <Disabling user={user} close={close} />
      </Modal>
    </>
  );
}

const at = (user: Given["user"]) => ({ path: { user: user.username } });

function Disabling({ user, close }: Given & { close: () => void }) {
  const [instances, setInstances] = useState<"keep" | "stop">("keep");
  const disable = useSending(
    () => data(api.PATCH("/api/v1/users/{user}", { params: at(user), body: { disabled: true, instances } })),
    close,
    () => `${user.username} is disabled.`,
  );
  return (
    <Form sending={disable} close={close} verb="Disable" danger>
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
    </Form>
  );
}

export function Delete({ user }: Given) {
  const navigate = useNavigate();
  const [opened, { open, close }] = useDisclosure();
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
        close();
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
          setLeaving("");
          open();
        }}
      >
        Delete
      </Button>
      <Confirm
        opened={opened}
        onClose={close}
        title={`Delete ${user.username}?`}
        verb="Delete"
        name={user.username}
        sending={remove}
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
