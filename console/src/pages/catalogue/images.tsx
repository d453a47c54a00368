/** Images by name: what they are and for which kind. */
import { Select, Table, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api, data, type Schemas } from "../../api/client";
import * as queries from "../../api/queries";
import { Form, useSending } from "../../parts/dialog";
import { Long } from "../../parts/tables";
import { CommonFields, changed, commonOf, Entries, Name, saidOf, TYPES, type Type, typeOf } from "./entries";

type Image = Schemas["ImageRead"];

export function Images() {
  return (
    <Entries
      title="Images"
      noun="an image"
      query={useQuery(queries.images)}
      columns={["Image"]}
      cells={(image) => (
        <>
          <Table.Td>{saidOf(image.instance_type)}</Table.Td>
          <Long>{image.reference}</Long>
        </>
      )}
      none="None. Without any, images are given by reference, as far as the policy lets them."
      kept="Clusters that were made from it keep its reference, and its name."
      remove={(image) => data(api.DELETE("/api/v1/images/{image}", { params: { path: { image } } }))}
      form={(before, close) => <ImageForm before={before} close={close} />}
    />
  );
}

function ImageForm({ before, close }: { before: Image | null; close: () => void }) {
  const [name, setName] = useState("");
  const [type, setType] = useState<Type>("container");
  const [reference, setReference] = useState(before?.reference ?? "");
  const [common, setCommon] = useState(commonOf(before));
  const save = useSending(
    () =>
      before === null
        ? data(
            api.POST("/api/v1/images/", {
              body: { name, instance_type: type, reference, ...common, deprecated: common.deprecated || null },
            }),
          )
        : data(
            api.PATCH("/api/v1/images/{image}", {
              params: { path: { image: before.name } },
              body: {
                ...changed(common, commonOf(before)),
                ...(reference !== before.reference && { reference }),
              },
            }),
          ),
    close,
    (image) => `${image.name} is ${before ? "changed" : "in the catalogue"}.`,
  );
  return (
    <Form sending={save} close={close} verb={before ? "Save" : "Add"}>
      {before === null && (
        <>
          <Name name={name} change={setName} />
          <Select
            label="For"
            data={TYPES}
            value={type}
            onChange={(value) => setType(typeOf(value) ?? "container")}
            allowDeselect={false}
          />
        </>
      )}
      <TextInput
        label="Image"
        description={
          before ? "Clusters that were made from it keep the one they have." : "Such as registry.example/team/web:1.4"
        }
        value={reference}
        onChange={(event) => setReference(event.currentTarget.value)}
        required
      />
      <CommonFields common={common} change={setCommon} />
    </Form>
  );
}
