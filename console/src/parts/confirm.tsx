/** Asks before what cannot be undone; with `name`, by typing it. */
import { Button, Group, Modal, Stack, Text, TextInput } from "@mantine/core";
import { type ReactNode, useState } from "react";
import { Trouble } from "./parts";

type Asked = {
  opened: boolean;
  onClose: () => void;
  title: string;
  children: ReactNode;
  /** The word on the button. */
  verb: string;
  name?: string;
  busy?: boolean;
  error?: unknown;
  onConfirm: () => void;
};

export function Confirm({ opened, onClose, title, children, verb, name, busy, error, onConfirm }: Asked) {
  const [typed, setTyped] = useState("");
  const ready = name === undefined || typed === name;
  return (
    <Modal opened={opened} onClose={onClose} title={title} onExitTransitionEnd={() => setTyped("")}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (ready) onConfirm();
        }}
      >
        <Stack>
          <Text size="sm" component="div">
            {children}
          </Text>
          {name !== undefined && (
            <TextInput
              label={`Type ${name} to go on`}
              value={typed}
              onChange={(event) => setTyped(event.currentTarget.value)}
              autoComplete="off"
              data-autofocus
            />
          )}
          <Trouble error={error} />
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              Cancel
            </Button>
            <Button type="submit" color="red" disabled={!ready} loading={busy}>
              {verb}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
