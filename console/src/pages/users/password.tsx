/** A password, one's own or a user's: set, changed, taken away. */
import { Button, Group, Modal, PasswordInput, Text } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useState } from "react";
import { api, data, type Schemas } from "../../api/client";
import { Confirm, Form, useSending } from "../../parts/dialog";
import { Section } from "../../parts/parts";
import { useMe } from "../../shell";

type Given = { user: Pick<Schemas["UserRead"], "id" | "username" | "has_password"> };

export function Password({ user, mayWrite }: Given & { mayWrite: boolean }) {
  const own = useMe().id === user.id;
  const [setting, { open, close }] = useDisclosure();
  const [taking, { open: ask, close: leave }] = useDisclosure();
  const take = useSending(
    () => data(api.DELETE("/api/v1/users/{user}/password", { params: { path: { user: user.username } } })),
    leave,
    () => `${user.username} has no password now.`,
  );
  const verb = user.has_password ? "Change the password" : "Set a password";
  return (
    <Section title="Password">
      <Text size="sm" mb="sm">
        {user.has_password ? "There is one." : "There is none."}
        {own && (user.has_password ? " You sign in with it and your name." : " With one you sign in without a token.")}
      </Text>
      {mayWrite && (
        <Group gap="xs">
          <Button variant="default" onClick={open}>
            {verb}
          </Button>
          {user.has_password && !own && (
            <Button variant="default" onClick={ask}>
              Take it away
            </Button>
          )}
        </Group>
      )}
      <Modal opened={setting} onClose={close} title={own ? verb : `Password of ${user.username}`}>
        <Change user={user} own={own} close={close} />
      </Modal>
      <Confirm
        opened={taking}
        onClose={leave}
        title={`Take the password of ${user.username} away?`}
        verb="Take it away"
        sending={take}
      >
        All their sign-ins end. Tokens and single sign-on stay.
      </Confirm>
    </Section>
  );
}

function Change({ user, own, close }: Given & { own: boolean; close: () => void }) {
  const [before, setBefore] = useState("");
  const [password, setPassword] = useState("");
  const known = own && user.has_password;
  const change = useSending(
    () => {
      const body = { password, current_password: known ? before : null };
      return own
        ? data(api.PUT("/api/v1/users/me/password", { body }))
        : data(api.PUT("/api/v1/users/{user}/password", { params: { path: { user: user.username } }, body }));
    },
    close,
    () => (own ? "The password is set. Other sign-ins have ended." : `The password of ${user.username} is set.`),
  );
  return (
    <Form sending={change} close={close} verb="Set it">
      <input type="text" name="username" autoComplete="username" value={user.username} readOnly hidden />
      {known && (
        <PasswordInput
          label="The one you have"
          autoComplete="current-password"
          value={before}
          onChange={(event) => setBefore(event.currentTarget.value)}
          required
          data-autofocus
        />
      )}
      <PasswordInput
        label="The new one"
        description={
          own
            ? "Several words that nobody guesses are good. All sign-ins but this one end; tokens stay."
            : "Their sign-ins end; tokens stay."
        }
        autoComplete="new-password"
        value={password}
        onChange={(event) => setPassword(event.currentTarget.value)}
        required
        data-autofocus={!known || undefined}
      />
    </Form>
  );
}
