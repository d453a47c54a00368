/** A target is added, and a mail address confirmed. */
import { Checkbox, SegmentedControl, Stack, Text, TextInput } from "@mantine/core";
import { useState } from "react";
import { api, data, type Schemas } from "../../api/client";
import { Form, useSending } from "../../parts/dialog";
import { sentence } from "../../parts/words";
import { CHANNELS, type Subscription, TOPICS } from "./words";

const FIELDS: Record<Schemas["Channel"], { label: string; description: string; inputMode: "url" | "email" }> = {
  webhook: {
    label: "URL",
    description: "Of a program of yours that listens, such as https://ops.example.org/cmp",
    inputMode: "url",
  },
  email: {
    label: "Mail address",
    description: "Such as ops@example.org. It is sent a code first.",
    inputMode: "email",
  },
};
const ALL = Object.keys(TOPICS) as Schemas["Topic"][];

type Given = { close: () => void; made: (subscription: Subscription, secret: string | null) => void };

export function Add({ close, made }: Given) {
  const [channel, setChannel] = useState<Schemas["Channel"]>("webhook");
  const [target, setTarget] = useState("");
  const [topics, setTopics] = useState<string[]>(ALL);
  const add = useSending(async () => {
    const chosen = ALL.filter((topic) => topics.includes(topic));
    const body = { channel, target: target.trim(), topics: chosen };
    const { secret, ...subscription } = await data(api.POST("/api/v1/notifications/", { body }));
    made(subscription, secret);
  }, close);
  return (
    <Form sending={add} close={close} verb="Add it" ready={topics.length > 0}>
      <div>
        <Text size="sm" fw={500} id="channel" mb={4}>
          How you are told
        </Text>
        <SegmentedControl
          aria-labelledby="channel"
          data={Object.entries(CHANNELS).map(([value, label]) => ({ value, label }))}
          value={channel}
          onChange={(value) => {
            setChannel(value as Schemas["Channel"]);
            add.reset();
          }}
        />
      </div>
      <TextInput
        {...FIELDS[channel]}
        value={target}
        onChange={(event) => setTarget(event.currentTarget.value)}
        required
        autoComplete="off"
        data-autofocus
      />
      <Checkbox.Group
        label="You are told when"
        value={topics}
        onChange={setTopics}
        error={topics.length === 0 && "Choose at least one."}
      >
        <Stack gap="xs" my="xs">
          {ALL.map((topic) => (
            <Checkbox key={topic} value={topic} label={sentence(TOPICS[topic])} />
          ))}
        </Stack>
      </Checkbox.Group>
    </Form>
  );
}

export function Code({ of, close }: { of: Subscription; close: () => void }) {
  const [code, setCode] = useState("");
  const confirm = useSending(
    () =>
      data(
        api.POST("/api/v1/notifications/{subscription}/confirm", {
          params: { path: { subscription: of.id } },
          body: { code: code.trim() },
        }),
      ),
    close,
    () => `${of.target} is confirmed.`,
  );
  return (
    <Form sending={confirm} close={close} verb="Confirm">
      <Text size="sm" style={{ overflowWrap: "anywhere" }}>
        A mail to {of.target} has a code in it. It may take a minute; you can come back to this later.
      </Text>
      <TextInput
        label="Code"
        value={code}
        onChange={(event) => setCode(event.currentTarget.value)}
        required
        autoComplete="off"
        data-autofocus
      />
    </Form>
  );
}
