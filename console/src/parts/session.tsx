/** The session has ended while something was being done: sign in again here, and it goes on where it was. */
import { Anchor, Button, Modal, PasswordInput, Stack, Text } from "@mantine/core";
import { useEffect, useState } from "react";
import { onSessionEnd, sessionBegan } from "../api/client";

export function SessionEnded({ username }: { username: string }) {
  const [ended, setEnded] = useState(false);
  const [password, setPassword] = useState("");
  const [wrong, setWrong] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  useEffect(() => onSessionEnd(() => setEnded(true)), []);

  async function again() {
    const me = await fetch("/api/v1/users/me");
    if (!me.ok) return false;
    if ((await me.json()).username !== username) window.location.assign("/");
    setEnded(false);
    setPassword("");
    setWrong(null);
    sessionBegan();
    return true;
  }
  async function signIn() {
    setBusy(true);
    try {
      await fetch("/login", { method: "POST", body: new URLSearchParams({ username, password, next: "/login" }) });
      if (!(await again())) setWrong("The name and the password do not belong together, or it was tried too often.");
    } catch {
      setWrong("CMP does not answer. Try again in a moment.");
    } finally {
      setBusy(false);
    }
  }
  return (
    <Modal opened={ended} onClose={() => undefined} withCloseButton={false} title="Your session has ended" centered>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void signIn();
        }}
      >
        <Stack>
          <Text size="sm">Nothing is lost: sign in again, and what you were doing goes on.</Text>
          <PasswordInput
            label={`Password of ${username}`}
            autoComplete="current-password"
            value={password}
            onChange={(event) => setPassword(event.currentTarget.value)}
            error={wrong}
            data-autofocus
          />
          <Button type="submit" loading={busy}>
            Sign in
          </Button>
          <Text size="sm">
            Another way in?{" "}
            <Anchor href="/login" target="_blank" rel="noopener">
              Sign in on another page
            </Anchor>
            , then{" "}
            <Anchor component="button" type="button" onClick={() => void again()}>
              go on here
            </Anchor>
            .
          </Text>
        </Stack>
      </form>
    </Modal>
  );
}
