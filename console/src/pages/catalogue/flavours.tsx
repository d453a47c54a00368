/** Sizes by name. */
import { Group, NumberInput, Select, Table, Text, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api, data, type Schemas } from "../../api/client";
import * as queries from "../../api/queries";
import { Form, useSending } from "../../parts/dialog";
import { cores, memory } from "../../parts/words";
import { CommonFields, changed, commonOf, Entries, Name, saidOf, TYPES, type Type, typeOf } from "./entries";

type Flavour = Schemas["FlavourRead"];

export function Flavours() {
  return (
    <Entries
      title="Flavours"
      noun="a flavour"
      query={useQuery(queries.flavours)}
      columns={["CPU", "Memory"]}
      cells={(flavour) => (
        <>
          <Table.Td>{saidOf(flavour.instance_type)}</Table.Td>
          <Table.Td className="numbers">{cores(flavour.cpu)}</Table.Td>
          <Table.Td className="numbers">{memory(flavour.memory)}</Table.Td>
        </>
      )}
      more={(flavour) => (
        <>
          {flavour.instancetype && <Text size="sm">Instancetype {flavour.instancetype}</Text>}
          {flavour.preference && <Text size="sm">Preference {flavour.preference}</Text>}
          {flavour.runtime_class && <Text size="sm">Runtime class {flavour.runtime_class}</Text>}
        </>
      )}
      none="None. Without any, CPU and memory are given, as far as the policy lets them."
      kept="Clusters that were made from it keep their size, and its name."
      remove={(flavour) => data(api.DELETE("/api/v1/flavours/{flavour}", { params: { path: { flavour } } }))}
      form={(before, close) =>
        before === null ? <FlavourCreate close={close} /> : <FlavourChange before={before} close={close} />
      }
    />
  );
}

function FlavourCreate({ close }: { close: () => void }) {
  const [name, setName] = useState("");
  const [type, setType] = useState<Type | null>(null);
  const [cpu, setCpu] = useState<number | string>(1);
  const [gibibytes, setGibibytes] = useState<number | string>(1);
  const [runtimeClass, setRuntimeClass] = useState("");
  const [instancetype, setInstancetype] = useState("");
  const [preference, setPreference] = useState("");
  const [common, setCommon] = useState(commonOf(null));
  const save = useSending(
    () =>
      data(
        api.POST("/api/v1/flavours/", {
          body: {
            name,
            instance_type: type,
            cpu: Number(cpu),
            memory: Math.round(Number(gibibytes) * 1024),
            runtime_class: (type === "container" && runtimeClass) || null,
            instancetype: (type === "vm" && instancetype) || null,
            preference: (type === "vm" && preference) || null,
            ...common,
            deprecated: common.deprecated || null,
          },
        }),
      ),
    close,
    (flavour) => `${flavour.name} is in the catalogue.`,
  );
  return (
    <Form sending={save} close={close} verb="Add">
      <Name name={name} change={setName} />
      <Select
        label="For"
        data={[{ value: "", label: "Both" }, ...TYPES]}
        value={type ?? ""}
        onChange={(value) => setType(typeOf(value))}
        allowDeselect={false}
      />
      <Group grow align="flex-start">
        <NumberInput label="CPU (cores)" value={cpu} onChange={setCpu} min={0} step={0.5} required />
        <NumberInput label="Memory (GiB)" value={gibibytes} onChange={setGibibytes} min={0} step={0.5} required />
      </Group>
      <Text size="sm">Its size never changes later: another size is another flavour.</Text>
      {type === "container" && (
        <TextInput
          label="Runtime class"
          description="Of the cluster, such as one of gVisor or Kata. Empty: the usual one."
          value={runtimeClass}
          onChange={(event) => setRuntimeClass(event.currentTarget.value)}
        />
      )}
      {type === "vm" && (
        <>
          <TextInput
            label="Instancetype"
            description="The VirtualMachineClusterInstancetype of just this size, if there is one."
            value={instancetype}
            onChange={(event) => setInstancetype(event.currentTarget.value)}
          />
          <TextInput
            label="Preference"
            description="A VirtualMachineClusterPreference, if there is one."
            value={preference}
            onChange={(event) => setPreference(event.currentTarget.value)}
          />
        </>
      )}
      <CommonFields common={common} change={setCommon} />
    </Form>
  );
}

function FlavourChange({ before, close }: { before: Flavour; close: () => void }) {
  const [common, setCommon] = useState(commonOf(before));
  const save = useSending(
    () =>
      data(
        api.PATCH("/api/v1/flavours/{flavour}", {
          params: { path: { flavour: before.name } },
          body: changed(common, commonOf(before)),
        }),
      ),
    close,
    (flavour) => `${flavour.name} is changed.`,
  );
  return (
    <Form sending={save} close={close} verb="Save">
      <CommonFields common={common} change={setCommon} />
    </Form>
  );
}
