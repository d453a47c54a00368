/** What can be chosen by name, and what beside it. */
import {
  Badge,
  Button,
  Card,
  Group,
  List,
  Modal,
  NumberInput,
  Select,
  Stack,
  Switch,
  Table,
  TagsInput,
  Text,
  TextInput,
  Title,
} from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { api, data, type Schemas } from "../api/client";
import * as queries from "../api/queries";
import { useActing } from "../parts/acting";
import { Confirm } from "../parts/confirm";
import { Heading, Loaded, Trouble } from "../parts/parts";
import { cores, memory } from "../parts/words";
import { useMay } from "../shell";
import { ActionsAbove } from "./lists";

type Image = Schemas["ImageRead"];
type Flavour = Schemas["FlavourRead"];
type Type = Schemas["InstanceType"];
/** What both have. */
type Entry = Pick<Image, "name" | "description" | "default" | "deprecated" | "enabled">;
const TYPES: { value: Type; label: string }[] = [
  { value: "container", label: "Containers" },
  { value: "vm", label: "Virtual machines" },
];
const typeOf = (value: string | null): Type | null => TYPES.find((type) => type.value === value)?.value ?? null;
const saidOf = (type: Type | null) => TYPES.find(({ value }) => value === type)?.label ?? "Both";

export function Catalogue() {
  return (
    <>
      <Heading title="Catalogue" />
      <Stack>
        <Images />
        <Flavours />
        <Policy />
      </Stack>
    </>
  );
}

function Images() {
  const query = useQuery(queries.images);
  const mayWrite = useMay("catalogue:write");
  const dialogs = useDialogs<Image>();
  const remove = useActing(
    (image: string) => data(api.DELETE("/api/v1/images/{image}", { params: { path: { image } } })),
    { quiet: true, done: (_, name) => dialogs.close(`${name} is out of the catalogue.`) },
  );
  return (
    <Section title="Images" add={mayWrite && "Add an image"} onAdd={dialogs.add}>
      <Loaded query={query}>
        {({ items, next_cursor }) => (
          <>
            <Table.ScrollContainer minWidth={720}>
              <Table verticalSpacing={6}>
                <Table.Thead>
                  <Table.Tr>
                    <Table.Th>Name</Table.Th>
                    <Table.Th>For</Table.Th>
                    <Table.Th>Image</Table.Th>
                    <Table.Th>What it is</Table.Th>
                    {mayWrite && <ActionsAbove />}
                  </Table.Tr>
                </Table.Thead>
                <Table.Tbody>
                  {items.map((row) => (
                    <Table.Tr key={row.name} data-image={row.name}>
                      <Named entry={row} />
                      <Table.Td>{saidOf(row.instance_type)}</Table.Td>
                      <Table.Td style={{ overflowWrap: "anywhere" }}>{row.reference}</Table.Td>
                      <Described entry={row} />
                      {mayWrite && <Actions entry={row} dialogs={dialogs} />}
                    </Table.Tr>
                  ))}
                </Table.Tbody>
              </Table>
            </Table.ScrollContainer>
            <Rest
              none={
                items.length === 0 &&
                "None. Without any, images are given by reference, as far as the policy lets them."
              }
              more={next_cursor}
            />
          </>
        )}
      </Loaded>
      <Modal opened={dialogs.shown === "add"} onClose={() => dialogs.close()} title="Add an image">
        <ImageForm before={null} close={dialogs.close} />
      </Modal>
      <Modal
        opened={dialogs.shown === "change"}
        onClose={() => dialogs.close()}
        title={`Change ${dialogs.entry?.name}`}
      >
        {dialogs.entry && <ImageForm before={dialogs.entry} close={dialogs.close} />}
      </Modal>
      <Remove dialogs={dialogs} removing={remove}>
        It can no longer be chosen. Clusters that were made from it keep its reference, and its name.
      </Remove>
    </Section>
  );
}

function Flavours() {
  const query = useQuery(queries.flavours);
  const mayWrite = useMay("catalogue:write");
  const dialogs = useDialogs<Flavour>();
  const remove = useActing(
    (flavour: string) => data(api.DELETE("/api/v1/flavours/{flavour}", { params: { path: { flavour } } })),
    { quiet: true, done: (_, name) => dialogs.close(`${name} is out of the catalogue.`) },
  );
  return (
    <Section title="Flavours" add={mayWrite && "Add a flavour"} onAdd={dialogs.add}>
      <Loaded query={query}>
        {({ items, next_cursor }) => (
          <>
            <Table.ScrollContainer minWidth={720}>
              <Table verticalSpacing={6}>
                <Table.Thead>
                  <Table.Tr>
                    <Table.Th>Name</Table.Th>
                    <Table.Th>For</Table.Th>
                    <Table.Th>CPU</Table.Th>
                    <Table.Th>Memory</Table.Th>
                    <Table.Th>What it is</Table.Th>
                    {mayWrite && <ActionsAbove />}
                  </Table.Tr>
                </Table.Thead>
                <Table.Tbody>
                  {items.map((row) => (
                    <Table.Tr key={row.name} data-flavour={row.name}>
                      <Named entry={row} />
                      <Table.Td>{saidOf(row.instance_type)}</Table.Td>
                      <Table.Td className="numbers">{cores(row.cpu)}</Table.Td>
                      <Table.Td className="numbers">{memory(row.memory)}</Table.Td>
                      <Described entry={row}>
                        {row.instancetype && <Text size="sm">Instancetype {row.instancetype}</Text>}
                        {row.preference && <Text size="sm">Preference {row.preference}</Text>}
                        {row.runtime_class && <Text size="sm">Runtime class {row.runtime_class}</Text>}
                      </Described>
                      {mayWrite && <Actions entry={row} dialogs={dialogs} />}
                    </Table.Tr>
                  ))}
                </Table.Tbody>
              </Table>
            </Table.ScrollContainer>
            <Rest
              none={
                items.length === 0 && "None. Without any, CPU and memory are given, as far as the policy lets them."
              }
              more={next_cursor}
            />
          </>
        )}
      </Loaded>
      <Modal opened={dialogs.shown === "add"} onClose={() => dialogs.close()} title="Add a flavour">
        <FlavourCreate close={dialogs.close} />
      </Modal>
      <Modal
        opened={dialogs.shown === "change"}
        onClose={() => dialogs.close()}
        title={`Change ${dialogs.entry?.name}`}
      >
        {dialogs.entry && <FlavourChange before={dialogs.entry} close={dialogs.close} />}
      </Modal>
      <Remove dialogs={dialogs} removing={remove}>
        It can no longer be chosen. Clusters that were made from it keep their size, and its name.
      </Remove>
    </Section>
  );
}

type Section = { title: string; add: string | false; onAdd: () => void; children: ReactNode };

function Section({ title, add, onAdd, children }: Section) {
  return (
    <Card withBorder>
      <Group justify="space-between" mb="sm">
        <Title order={2} size="h5">
          {title}
        </Title>
        {add && (
          <Button size="compact-sm" variant="default" onClick={onAdd}>
            {add}
          </Button>
        )}
      </Group>
      {children}
    </Card>
  );
}

function Rest({ none, more }: { none: string | false; more: string | null }) {
  return (
    <>
      {none && <Text size="sm">{none}</Text>}
      {more && <Text size="sm">These are the first 500; the API lists the others.</Text>}
    </>
  );
}

/** Which dialog is open, and about what. */
function useDialogs<T extends Entry>() {
  const [shown, setShown] = useState<"add" | "change" | "remove" | null>(null);
  const [entry, setEntry] = useState<T | null>(null);
  return {
    shown,
    entry,
    add: () => setShown("add"),
    change: (of: T) => {
      setEntry(of);
      setShown("change");
    },
    remove: (of: T) => {
      setEntry(of);
      setShown("remove");
    },
    /** Answers what it is given, to be said. */
    close: (said?: string) => {
      setShown(null);
      return said;
    },
  };
}
type Dialogs<T extends Entry> = ReturnType<typeof useDialogs<T>>;

function Named({ entry }: { entry: Entry }) {
  return (
    <Table.Td>
      <Group gap={6}>
        <Text size="sm" fw={500} style={{ overflowWrap: "anywhere" }}>
          {entry.name}
        </Text>
        {entry.default && <Mark>Default</Mark>}
        {entry.deprecated && <Mark>Deprecated</Mark>}
        {!entry.enabled && <Mark>Off</Mark>}
      </Group>
    </Table.Td>
  );
}

function Mark({ children }: { children: string }) {
  return (
    <Badge variant="default" tt="none">
      {children}
    </Badge>
  );
}

function Described({ entry, children }: { entry: Entry; children?: ReactNode }) {
  return (
    <Table.Td style={{ overflowWrap: "anywhere" }}>
      {entry.description}
      {entry.deprecated && <Text size="sm">Deprecated: {entry.deprecated}</Text>}
      {children}
    </Table.Td>
  );
}

function Actions<T extends Entry>({ entry, dialogs }: { entry: T; dialogs: Dialogs<T> }) {
  return (
    <Table.Td>
      <Group gap={6} justify="flex-end" wrap="nowrap">
        <Button
          size="compact-sm"
          variant="default"
          aria-label={`Change ${entry.name}`}
          onClick={() => dialogs.change(entry)}
        >
          Change
        </Button>
        <Button
          size="compact-sm"
          variant="default"
          aria-label={`Remove ${entry.name}`}
          onClick={() => dialogs.remove(entry)}
        >
          Remove
        </Button>
      </Group>
    </Table.Td>
  );
}

type Removing = { mutate: (name: string) => void; isPending: boolean; error: unknown; reset: () => void };

function Remove<T extends Entry>(given: { dialogs: Dialogs<T>; removing: Removing; children: ReactNode }) {
  const { dialogs, removing, children } = given;
  return (
    <Confirm
      opened={dialogs.shown === "remove"}
      onClose={() => {
        dialogs.close();
        removing.reset();
      }}
      title={`Remove ${dialogs.entry?.name}?`}
      verb="Remove"
      busy={removing.isPending}
      error={removing.error}
      onConfirm={() => dialogs.entry && removing.mutate(dialogs.entry.name)}
    >
      {children}
    </Confirm>
  );
}

/** What can be said of both, new or not. */
type Common = { description: string; deprecated: string; enabled: boolean; default: boolean };

function commonOf(entry: Entry | null): Common {
  return {
    description: entry?.description ?? "",
    deprecated: entry?.deprecated ?? "",
    enabled: entry?.enabled ?? true,
    default: entry?.default ?? false,
  };
}

/** Only what is other than before. */
function changed(now: Common, before: Common) {
  return {
    ...(now.description !== before.description && { description: now.description }),
    ...(now.deprecated !== before.deprecated && { deprecated: now.deprecated || null }),
    ...(now.enabled !== before.enabled && { enabled: now.enabled }),
    ...(now.default !== before.default && { default: now.default }),
  };
}

function CommonFields({ common, change }: { common: Common; change: (common: Common) => void }) {
  return (
    <>
      <TextInput
        label="What it is"
        value={common.description}
        onChange={(event) => change({ ...common, description: event.currentTarget.value })}
      />
      <Switch
        label="Default"
        description="Taken where none is named, instead of the one that was."
        checked={common.default}
        onChange={(event) => change({ ...common, default: event.currentTarget.checked })}
      />
      <Switch
        label="On"
        description="Off: users do not see it, and nobody can choose it."
        checked={common.enabled}
        onChange={(event) => change({ ...common, enabled: event.currentTarget.checked })}
      />
      <TextInput
        label="Deprecated"
        description="What to take instead, and why. It can still be chosen, with this as a warning. Empty: not deprecated."
        value={common.deprecated}
        onChange={(event) => change({ ...common, deprecated: event.currentTarget.value })}
      />
    </>
  );
}

type Close = (said?: string) => string | undefined;

function Form(given: {
  act: () => void;
  busy: boolean;
  error: unknown;
  verb: string;
  close: Close;
  children: ReactNode;
}) {
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        given.act();
      }}
    >
      <Stack>
        {given.children}
        <Trouble error={given.error} />
        <Group justify="flex-end">
          <Button variant="default" onClick={() => given.close()}>
            Cancel
          </Button>
          <Button type="submit" loading={given.busy}>
            {given.verb}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}

function ImageForm({ before, close }: { before: Image | null; close: Close }) {
  const [name, setName] = useState("");
  const [type, setType] = useState<Type>("container");
  const [reference, setReference] = useState(before?.reference ?? "");
  const [common, setCommon] = useState(commonOf(before));
  const save = useActing(
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
    { quiet: true, done: (image) => close(`${image.name} is ${before ? "changed" : "in the catalogue"}.`) },
  );
  return (
    <Form
      act={() => save.mutate()}
      busy={save.isPending}
      error={save.error}
      verb={before ? "Save" : "Add"}
      close={close}
    >
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

function Name({ name, change }: { name: string; change: (name: string) => void }) {
  return (
    <TextInput
      label="Name"
      description="Small letters and digits, and - or . between them."
      value={name}
      onChange={(event) => change(event.currentTarget.value)}
      required
      autoComplete="off"
      data-autofocus
    />
  );
}

function FlavourCreate({ close }: { close: Close }) {
  const [name, setName] = useState("");
  const [type, setType] = useState<Type | null>(null);
  const [cpu, setCpu] = useState<number | string>(1);
  const [gibibytes, setGibibytes] = useState<number | string>(1);
  const [runtimeClass, setRuntimeClass] = useState("");
  const [instancetype, setInstancetype] = useState("");
  const [preference, setPreference] = useState("");
  const [common, setCommon] = useState(commonOf(null));
  const save = useActing(
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
    { quiet: true, done: (flavour) => close(`${flavour.name} is in the catalogue.`) },
  );
  return (
    <Form act={() => save.mutate()} busy={save.isPending} error={save.error} verb="Add" close={close}>
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

function FlavourChange({ before, close }: { before: Flavour; close: Close }) {
  const [common, setCommon] = useState(commonOf(before));
  const save = useActing(
    () =>
      data(
        api.PATCH("/api/v1/flavours/{flavour}", {
          params: { path: { flavour: before.name } },
          body: changed(common, commonOf(before)),
        }),
      ),
    { quiet: true, done: (flavour) => close(`${flavour.name} is changed.`) },
  );
  return (
    <Form act={() => save.mutate()} busy={save.isPending} error={save.error} verb="Save" close={close}>
      <CommonFields common={common} change={setCommon} />
    </Form>
  );
}

function Policy() {
  const query = useQuery(queries.policy);
  const mayWrite = useMay("catalogue:write");
  const [opened, setOpened] = useState(false);
  return (
    <Section
      title="Policy"
      add={mayWrite && query.data !== undefined && "Change the policy"}
      onAdd={() => setOpened(true)}
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
      <Modal opened={opened} onClose={() => setOpened(false)} title="Change the policy">
        {query.data && (
          <PolicyForm
            before={query.data}
            close={(said) => {
              setOpened(false);
              return said;
            }}
          />
        )}
      </Modal>
    </Section>
  );
}

function PolicyForm({ before, close }: { before: Schemas["PolicyRead"]; close: Close }) {
  const [sizes, setSizes] = useState(before.custom_sizes);
  const [images, setImages] = useState(before.allowed_images);
  const save = useActing(
    () => data(api.PATCH("/api/v1/policy/", { body: { custom_sizes: sizes, allowed_images: images } })),
    { quiet: true, done: () => close("The policy is changed, for what is made or changed from now on.") },
  );
  return (
    <Form act={() => save.mutate()} busy={save.isPending} error={save.error} verb="Save" close={close}>
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
