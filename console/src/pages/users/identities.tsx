/** Who somebody is to the single sign-on provider. */
import { Button, Modal, Table, Text, TextInput } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { queryOptions, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api, data, type Schemas } from "../../api/client";
import { Confirm, Form, useAbout, useSending } from "../../parts/dialog";
import { Ago, Loaded, Section } from "../../parts/parts";
import { ACTIONS, Long, Rows } from "../../parts/tables";

type Read = Schemas["UserRead"];

const identitiesOf = (user: string) =>
  queryOptions({
    queryKey: ["identities", { user }],
    queryFn: () => data(api.GET("/api/v1/users/{user}/identities", { params: { path: { user } } })),
  });

export function Identities({ user, mayWrite }: { user: Read; mayWrite: boolean }) {
  const query = useQuery(identitiesOf(user.username));
  const [linking, { open: link, close: linked }] = useDisclosure();
  const unlinking = useAbout<Schemas["IdentityRead"]>();
  const unlink = useSending(
    async () =>
      unlinking.about &&
      (await data(
        api.DELETE("/api/v1/users/{user}/identities/{identity}", {
          params: { path: { user: user.username, identity: unlinking.about.id } },
        }),
      )),
    unlinking.close,
    () => "It is unlinked.",
  );
  return (
    <Section
      title="Single sign-on"
      beside={
        mayWrite && (
          <Button size="compact-sm" variant="default" onClick={link}>
            Link
          </Button>
        )
      }
    >
      <Loaded query={query}>
        {({ items }) =>
          items.length === 0 ? (
            <Text size="sm">
              Nothing is linked. People link their own when they sign in with the provider while they are signed in
              here.
            </Text>
          ) : (
            <Rows columns={["Provider", "Subject", "Linked", ...(mayWrite ? [ACTIONS] : [])]} minWidth={420}>
              {items.map((row) => (
                <Table.Tr key={row.id}>
                  <Long>{row.issuer}</Long>
                  <Long>{row.subject}</Long>
                  <Table.Td>
                    <Ago when={row.created_at} />
                  </Table.Td>
                  {mayWrite && (
                    <Table.Td ta="right">
                      <Button
                        size="compact-sm"
                        variant="default"
                        aria-label={`Unlink ${row.subject}`}
                        onClick={() => unlinking.ask(row)}
                      >
                        Unlink
                      </Button>
                    </Table.Td>
                  )}
                </Table.Tr>
              ))}
            </Rows>
          )
        }
      </Loaded>
      <Modal opened={linking} onClose={linked} title={`Link ${user.username} to a provider`}>
        <LinkIdentity user={user} close={linked} />
      </Modal>
      <Confirm
        opened={unlinking.opened}
        onClose={unlinking.close}
        title={`Unlink ${unlinking.about?.subject}?`}
        verb="Unlink"
        sending={unlink}
      >
        {user.username} no longer comes in with it, and all their sign-ins end.
      </Confirm>
    </Section>
  );
}

function LinkIdentity({ user, close }: { user: Read; close: () => void }) {
  const [issuer, setIssuer] = useState("");
  const [subject, setSubject] = useState("");
  const link = useSending(
    () =>
      data(
        api.POST("/api/v1/users/{user}/identities", {
          params: { path: { user: user.username } },
          body: { issuer, subject },
        }),
      ),
    close,
    () => "It is linked.",
  );
  return (
    <Form sending={link} close={close} verb="Link">
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
    </Form>
  );
}
