/** Secrets, shown once; and all of somebody's replaced by one. */
import { Button, Group, Modal, Stack, Text, TextInput } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { onlineManager, useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { api, data } from "../../api/client";
import { Copy } from "../../parts/copy";
import { Confirm } from "../../parts/dialog";

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
            <Copy text={value} label="Copy" size="sm" what={label.toLowerCase()} />
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
  const [asking, { open: ask, close }] = useDisclosure();
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
      close();
      setShown({ title: own ? "Your new token" : `The new token of ${user}`, Token: token ?? "" });
    },
  });
  return (
    <>
      <Button size="compact-sm" variant="default" onClick={ask}>
        Replace all
      </Button>
      <Confirm
        opened={asking}
        onClose={close}
        title={own ? "Replace all your tokens?" : `Replace all tokens of ${user}?`}
        verb="Replace all"
        sending={replace}
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
