/** One page from a name to a cluster, with what it takes of the quota as it is typed. */
import {
  Alert,
  Anchor,
  Button,
  Checkbox,
  Collapse,
  Grid,
  Group,
  NumberInput,
  Radio,
  SegmentedControl,
  Select,
  SimpleGrid,
  Stack,
  Text,
  Textarea,
  TextInput,
} from "@mantine/core";
import { useForm } from "@mantine/form";
import { useDisclosure } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { api, data, type Schemas } from "../../api/client";
import * as queries from "../../api/queries";
import { useActing } from "../../parts/acting";
import { Heading, Loaded, Section, Trouble } from "../../parts/parts";
import { cores, count, memory } from "../../parts/words";
import { Same } from "./same";
import { type Fields, type Kind, OWN, wishOf } from "./wish";

type Wish = Schemas["ClusterCreate"];
/** That a VM takes. */
const MOST_KEYS = 32;

export function CreateCluster() {
  const images = useQuery(queries.images);
  const flavours = useQuery(queries.flavours);
  const policy = useQuery(queries.policy);
  const keys = useQuery(queries.sshKeys);
  return (
    <>
      <Heading title="Create a cluster" />
      <Loaded query={images}>
        {(imagesThere) => (
          <Loaded query={flavours}>
            {(flavoursThere) => (
              <Loaded query={policy}>
                {(rules) => (
                  <Loaded query={keys}>
                    {(saved) => (
                      <Form
                        images={imagesThere.items}
                        flavours={flavoursThere.items}
                        policy={rules}
                        saved={saved.items.map(({ name }) => name)}
                      />
                    )}
                  </Loaded>
                )}
              </Loaded>
            )}
          </Loaded>
        )}
      </Loaded>
    </>
  );
}

type Given = {
  images: Schemas["ImageRead"][];
  flavours: Schemas["FlavourRead"][];
  policy: Schemas["PolicyRead"];
  /** Names of one's SSH keys. */
  saved: string[];
};

function Form({ images, flavours, policy, saved }: Given) {
  const navigate = useNavigate();
  const [more, { toggle }] = useDisclosure();
  const first = (kind: Kind) => images.filter((image) => image.instance_type === kind && image.enabled);
  const usual = (kind: Kind) => (first(kind).find((image) => image.default) ?? first(kind)[0])?.name ?? OWN;
  const sizes = (kind: Kind) =>
    flavours.filter(({ instance_type, enabled }) => enabled && (instance_type === null || instance_type === kind));
  const usualSize = (kind: Kind) => (sizes(kind).find((flavour) => flavour.default) ?? sizes(kind)[0])?.name ?? OWN;
  const form = useForm<Fields>({
    initialValues: {
      name: "",
      kind: "container",
      image: usual("container"),
      ownImage: "",
      flavour: usualSize("container"),
      cpu: 0.5,
      memory: 512,
      count: 1,
      command: "",
      env: "",
      ports: "",
      left: saved.slice(MOST_KEYS),
      keys: "",
      userData: "",
    },
  });
  const at = form.values;
  const flavour = flavours.find(({ name }) => name === at.flavour);
  const each = { cpu: flavour?.cpu ?? Number(at.cpu), memory: flavour?.memory ?? Number(at.memory) };
  const [wrong, setWrong] = useState<string | null>(null);
  const create = useActing((body: Wish) => data(api.POST("/api/v1/clusters/", { body })), {
    quiet: true,
    done: ({ name }) => `${name} is being made.`,
  });
  const wish = wishOf(at, saved);

  function submit() {
    setWrong(null);
    if (wish.env) {
      setWrong(wish.env);
      return;
    }
    create.mutate(wish.body, {
      onSuccess: ({ id }) => navigate({ to: "/clusters/$cluster", params: { cluster: id } }),
    });
  }

  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      <Grid>
        <Grid.Col span={{ base: 12, md: 8 }}>
          <Stack gap="lg">
            <TextInput
              label="Name"
              description="Small letters, digits and dashes. Instances are called after it."
              required
              data-autofocus
              autoComplete="off"
              {...form.getInputProps("name")}
            />
            <div>
              <Text size="sm" fw={500} mb={4} id="kind">
                What it is made of
              </Text>
              <SegmentedControl
                aria-labelledby="kind"
                data={[
                  { value: "container", label: "Containers" },
                  { value: "vm", label: "Virtual machines" },
                ]}
                value={at.kind}
                onChange={(value) => {
                  const kind = value as Kind;
                  form.setValues({ kind, image: usual(kind), flavour: usualSize(kind) });
                }}
              />
            </div>
            <Images form={form} images={first(at.kind)} policy={policy} />
            <Sizes form={form} sizes={sizes(at.kind)} custom={policy.custom_sizes} />
            <NumberInput
              label="How many"
              min={1}
              max={3000}
              allowDecimal={false}
              w={160}
              required
              {...form.getInputProps("count")}
            />
            {at.kind === "vm" && saved.length > 0 && (
              <Checkbox.Group
                label="Your SSH keys"
                description={`They may log in, where the image runs cloud-init.${saved.length > MOST_KEYS ? ` At most ${MOST_KEYS}.` : ""}`}
                value={saved.filter((name) => !at.left.includes(name))}
                onChange={(chosen) =>
                  form.setFieldValue(
                    "left",
                    saved.filter((name) => !chosen.includes(name)),
                  )
                }
              >
                <Group mt="xs">
                  {saved.map((name) => (
                    <Checkbox key={name} value={name} label={name} />
                  ))}
                </Group>
              </Checkbox.Group>
            )}
            <Anchor component="button" type="button" onClick={toggle} aria-expanded={more} w="fit-content">
              {more ? "Fewer settings" : "More settings"}
            </Anchor>
            <Collapse expanded={more}>
              <Stack>
                {at.kind === "container" ? (
                  <>
                    <TextInput
                      label="Command"
                      description="Instead of the image's own. Words are separated by spaces; quote what belongs together."
                      {...form.getInputProps("command")}
                    />
                    <Textarea
                      label="Environment"
                      description="One NAME=value a line."
                      autosize
                      minRows={2}
                      styles={{ input: { fontFamily: "var(--mantine-font-family-monospace)" } }}
                      {...form.getInputProps("env")}
                    />
                  </>
                ) : (
                  <>
                    <Textarea
                      label={saved.length > 0 ? "Other SSH keys" : "SSH keys"}
                      description="One public key a line; the image must run cloud-init. Those that you save under Account are offered here by name."
                      autosize
                      minRows={2}
                      {...form.getInputProps("keys")}
                    />
                    <Textarea
                      label="Cloud-init user data"
                      description="Kept encrypted, and shown to nobody again."
                      autosize
                      minRows={3}
                      styles={{ input: { fontFamily: "var(--mantine-font-family-monospace)" } }}
                      {...form.getInputProps("userData")}
                    />
                  </>
                )}
                <TextInput
                  label="Ports"
                  description="That it listens on, such as 80, 443. Others in the cluster, and you, can reach them."
                  {...form.getInputProps("ports")}
                />
              </Stack>
            </Collapse>
            {wrong && (
              <Alert color="red" role="alert">
                {wrong}
              </Alert>
            )}
            <Trouble error={create.error} />
            <Group>
              <Button type="submit" loading={create.isPending}>
                Create
              </Button>
              <Button variant="default" renderRoot={(props) => <Link to="/clusters" {...props} />}>
                Cancel
              </Button>
            </Group>
          </Stack>
        </Grid.Col>
        <Grid.Col span={{ base: 12, md: 4 }}>
          <Stack>
            <Headroom each={each} number={Number(at.count) || 0} />
            <Same body={wish.body} />
          </Stack>
        </Grid.Col>
      </Grid>
    </form>
  );
}

type FormOf = ReturnType<typeof useForm<Fields>>;

function Images({
  form,
  images,
  policy,
}: {
  form: FormOf;
  images: Schemas["ImageRead"][];
  policy: Schemas["PolicyRead"];
}) {
  const chosen = images.find(({ name }) => name === form.values.image);
  const open = policy.allowed_images.length > 0;
  return (
    <Stack gap="xs">
      <Select
        label="Image"
        required
        allowDeselect={false}
        data={[
          ...images.map(({ name }) => ({ value: name, label: name })),
          ...(open || images.length === 0 ? [{ value: OWN, label: "Another, by its reference" }] : []),
        ]}
        {...form.getInputProps("image")}
        description={chosen?.deprecated ? `Not for long: ${chosen.deprecated}` : chosen?.description || undefined}
      />
      {form.values.image === OWN && (
        <TextInput
          label="Reference"
          description={
            policy.allowed_images.length > 0
              ? `Such as docker.io/library/nginx:1.29.${policy.allowed_images.includes("*") ? "" : ` Allowed here: ${policy.allowed_images.join(", ")}`}`
              : "An administrator lets nothing be run but what the catalogue has."
          }
          required
          {...form.getInputProps("ownImage")}
        />
      )}
    </Stack>
  );
}

function Sizes({ form, sizes, custom }: { form: FormOf; sizes: Schemas["FlavourRead"][]; custom: boolean }) {
  return (
    <Stack gap="xs">
      <Radio.Group label="Size of each" {...form.getInputProps("flavour")}>
        <SimpleGrid cols={{ base: 1, xs: 2, lg: 3 }} mt={4}>
          {sizes.map((size) => (
            <Radio.Card
              key={size.name}
              value={size.name}
              p="sm"
              aria-label={`${size.name}: ${cores(size.cpu)}, ${memory(size.memory)}`}
            >
              <Group wrap="nowrap" align="flex-start">
                <Radio.Indicator />
                <div>
                  <Text fw={500}>{size.name}</Text>
                  <Text size="sm">
                    {cores(size.cpu)}, {memory(size.memory)}
                  </Text>
                  {size.deprecated && <Text size="xs">Not for long: {size.deprecated}</Text>}
                </div>
              </Group>
            </Radio.Card>
          ))}
          {(custom || sizes.length === 0) && (
            <Radio.Card value={OWN} p="sm" aria-label="Another size">
              <Group wrap="nowrap" align="flex-start">
                <Radio.Indicator />
                <Text fw={500}>Another size</Text>
              </Group>
            </Radio.Card>
          )}
        </SimpleGrid>
      </Radio.Group>
      {form.values.flavour === OWN && (
        <Group>
          <NumberInput label="Cores" min={0.001} step={0.5} decimalScale={3} w={140} {...form.getInputProps("cpu")} />
          <NumberInput
            label="Memory in MiB"
            min={1}
            step={256}
            allowDecimal={false}
            w={160}
            {...form.getInputProps("memory")}
          />
        </Group>
      )}
    </Stack>
  );
}

function Headroom({ each, number }: { each: { cpu: number; memory: number }; number: number }) {
  const quota = useQuery(queries.quota);
  return (
    <Section title="What it takes">
      <Loaded query={quota}>
        {({ available }) => {
          const lines = [
            { takes: each.cpu * number, left: available.cpu, say: cores },
            { takes: each.memory * number, left: available.memory, say: memory },
            { takes: number, left: available.instances, say: (n: number) => count(n, "instance") },
            { takes: 1, left: available.clusters, say: (n: number) => count(n, "cluster") },
          ];
          const over = lines.filter(({ takes, left }) => takes > left + 1e-9);
          return (
            <Stack gap={6} aria-live="polite">
              {lines.map(({ takes, left, say }) => (
                <Text key={say(0)} size="sm" fw={takes > left + 1e-9 ? 700 : undefined}>
                  {say(takes)} of the {say(left)} that you have left
                </Text>
              ))}
              {over.length > 0 && (
                <Alert color="orange" mt="xs" title="More than you have left">
                  <Text size="sm">Ask for less, delete something, or ask an administrator for more.</Text>
                </Alert>
              )}
            </Stack>
          );
        }}
      </Loaded>
    </Section>
  );
}
