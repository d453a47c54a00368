/** What may be chosen beside the catalogue. */
import { Button, List, Modal, Stack, Switch, TagsInput, Text } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api, data, type Schemas } from "../../api/client";
import * as queries from "../../api/queries";
import { Form, useSending } from "../../parts/dialog";
import { Loaded, Section } from "../../parts/parts";
import { useMay } from "../../shell";

export function Policy() {
  const query = useQuery(queries.policy);
  const mayWrite = useMay("catalogue:write");
  const [opened, { open, close }] = useDisclosure();
  return (
    <Section
      title="Policy"
      beside={
        mayWrite &&
        query.data !== undefined && (
          <Button size="compact-sm" variant="default" onClick={open}>
            Change the policy
          </Button>
        )
      }
    >
      <Loaded query={query}>
        {({ custom_sizes, allowed_images }) => (
          <Stack gap="xs">
            <Text size="sm">
              {custom_sizes
                ? "CPU and memory can be given instead of a flavour."
                : "Only flavours can be chosen: CPU and memory cannot be given."}
            </Text>
            {allowed_images.length === 0 ? (
              <Text size="sm">Only images of the catalogue can be chosen.</Text>
            ) : allowed_images.includes("*") ? (
              <Text size="sm">Any image can be given by reference.</Text>
            ) : (
              <>
                <Text size="sm">Beside the catalogue, these images can be given by reference:</Text>
                <List size="sm">
                  {allowed_images.map((image) => (
                    <List.Item key={image}>{image}</List.Item>
                  ))}
                </List>
              </>
            )}
          </Stack>
        )}
      </Loaded>
      <Modal opened={opened} onClose={close} title="Change the policy">
        {query.data && <PolicyForm before={query.data} close={close} />}
      </Modal>
    </Section>
  );
}

function PolicyForm({ before, close }: { before: Schemas["PolicyRead"]; close: () => void }) {
  const [sizes, setSizes] = useState(before.custom_sizes);
  const [images, setImages] = useState(before.allowed_images);
  const save = useSending(
    () => data(api.PATCH("/api/v1/policy/", { body: { custom_sizes: sizes, allowed_images: images } })),
    close,
    () => "The policy is changed, for what is made or changed from now on.",
  );
  return (
    <Form sending={save} close={close} verb="Save">
      <Switch
        label="Sizes of one's own"
        description="CPU and memory can be given instead of a flavour."
        checked={sizes}
        onChange={(event) => setSizes(event.currentTarget.checked)}
      />
      <TagsInput
        label="Images beside the catalogue"
        description="* for any, registry.example/team/* for all below, or one by one. Enter adds one. None: only the catalogue's."
        value={images}
        onChange={setImages}
      />
    </Form>
  );
}
