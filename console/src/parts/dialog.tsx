/** What is filled in and sent: fields, what was refused, Cancel and the word for it. */
import { Button, Group, Modal, Stack, Text, TextInput } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { type ReactNode, useState } from "react";
import { useActing } from "./acting";
import { Trouble } from "./parts";

type Sending = { mutate: () => void; isPending: boolean; error: unknown };

/** The inside of a dialog. `danger`: it cannot be undone. */
export function Form(given: {
  sending: Sending;
  close: () => void;
  /** The word on the button. */
  verb: string;
  danger?: boolean;
  ready?: boolean;
  children: ReactNode;
}) {
  const { sending, close, verb, danger, ready = true, children } = given;
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (ready) sending.mutate();
      }}
    >
      <Stack>
        {children}
        <Trouble error={sending.error} />
        <Group justify="flex-end">
          <Button variant="default" onClick={close}>
            Cancel
          </Button>
          <Button type="submit" color={danger ? "red" : undefined} disabled={!ready} loading={sending.isPending}>
            {verb}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}

/** What a dialog sends. It closes when that worked; what was refused is said in it. */
export function useSending<Output>(send: () => Promise<Output>, close: () => void, said?: (output: Output) => string) {
  return useActing(send, {
    quiet: true,
    done: (output) => {
      close();
      return said?.(output);
    },
  });
}

/** Whether a dialog is open, and about what: kept while it closes. */
export function useAbout<T>() {
  const [about, setAbout] = useState<T | null>(null);
  const [opened, { open, close }] = useDisclosure();
  const ask = (of: T) => {
    setAbout(of);
    open();
  };
  return { about, opened, ask, close };
}

/** Asks before what cannot be undone; with `name`, by typing it. */
export function Confirm(given: {
  opened: boolean;
  onClose: () => void;
  title: string;
  verb: string;
  name?: string;
  sending: Sending & { reset: () => void };
  children: ReactNode;
}) {
  const { opened, onClose, title, verb, name, sending, children } = given;
  const [typed, setTyped] = useState("");
  const close = () => {
    onClose();
    sending.reset();
  };
  return (
    <Modal opened={opened} onClose={close} title={title} onExitTransitionEnd={() => setTyped("")}>
      <Form sending={sending} close={close} verb={verb} danger ready={name === undefined || typed === name}>
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
      </Form>
    </Modal>
  );
}
