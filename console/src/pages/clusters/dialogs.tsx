/** Changes of a cluster: how many, which image and size. */
import { Alert, Modal, NumberInput, Select, Text, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api, data, type Schemas } from "../../api/client";
import * as queries from "../../api/queries";
import { Form, useSending } from "../../parts/dialog";

type Given = { cluster: Schemas["ClusterRead"]; close: () => void };
type Dialog = Given & { opened: boolean };

export function Scale({ opened, ...given }: Dialog) {
  return (
    <Modal opened={opened} onClose={given.close} title={`How many instances of ${given.cluster.name}`}>
      <HowMany {...given} />
    </Modal>
  );
}

function HowMany({ cluster, close }: Given) {
  const [number, setNumber] = useState<number | string>(cluster.instance_count);
  const scale = useSending(
    () =>
      data(
        api.POST("/api/v1/clusters/{cluster}/scale", {
          params: { path: { cluster: cluster.id } },
          body: { instance_count: Number(number) },
        }),
      ),
    close,
  );
  return (
    <Form sending={scale} close={close} verb="Change">
      <NumberInput
        label="Instances"
        min={1}
        max={3000}
        allowDecimal={false}
        value={number}
        onChange={setNumber}
        data-autofocus
      />
      {Number(number) < cluster.instance_count && (
        <Alert color="orange">
          The newest {cluster.instance_count - Number(number)} are deleted, with what they hold.
        </Alert>
      )}
    </Form>
  );
}

export function Change({ opened, ...given }: Dialog) {
  return (
    <Modal opened={opened} onClose={given.close} title={`Change ${given.cluster.name}`}>
      <ImageAndSize {...given} />
    </Modal>
  );
}

function ImageAndSize({ cluster, close }: Given) {
  const flavours = useQuery(queries.flavours);
  const [image, setImage] = useState(cluster.image_name ?? cluster.image);
  const [flavour, setFlavour] = useState<string | null>(cluster.flavour);
  const change = useSending(
    () =>
      data(
        api.PATCH("/api/v1/clusters/{cluster}", {
          params: { path: { cluster: cluster.id } },
          body: {
            ...(image !== (cluster.image_name ?? cluster.image) ? { image } : {}),
            ...(flavour !== cluster.flavour && flavour !== null ? { flavour } : {}),
          },
        }),
      ),
    close,
  );
  const sizes = (flavours.data?.items ?? []).filter(
    ({ instance_type, enabled }) => enabled && (instance_type === null || instance_type === cluster.instance_type),
  );
  return (
    <Form sending={change} close={close} verb="Change">
      <TextInput label="Image" value={image} onChange={(event) => setImage(event.currentTarget.value)} data-autofocus />
      <Select
        label="Size of each"
        data={sizes.map(({ name }) => name)}
        value={flavour}
        onChange={setFlavour}
        placeholder="As it is"
      />
      <Text size="sm">Instances are replaced one after another, {cluster.max_unavailable} at a time.</Text>
    </Form>
  );
}
