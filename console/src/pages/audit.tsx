/** Who tried what, and whether the trail is whole. */
import { Alert, Button, Group, Select, Switch, Table, Text, TextInput } from "@mantine/core";
import { IconAlertTriangle, IconCheck, IconDownload } from "@tabler/icons-react";
import { useInfiniteQuery, useMutation } from "@tanstack/react-query";
import { api, data, type Schemas } from "../api/client";
import * as queries from "../api/queries";
import type { paths } from "../api/schema";
import { Copy } from "../parts/copy";
import { useFilters } from "../parts/filters";
import { Ago, Empty, Heading, State, Trouble } from "../parts/parts";
import { Long, Rows } from "../parts/tables";
import { count, sentence } from "../parts/words";
import { useMay } from "../shell";
import { instant, Listed, local, Typed } from "./lists";

type Entry = Schemas["AuditRead"];
type Query = NonNullable<paths["/api/v1/audit/"]["get"]["parameters"]["query"]>;
const METHODS: NonNullable<Query["method"]>[] = ["POST", "PUT", "PATCH", "DELETE", "GET", "WEBSOCKET"];
const OUTCOMES: Schemas["AuditOutcome"][] = ["done", "refused", "failed", "pending", "unknown"];
const FILTERS = ["actor", "method", "outcome", "request_id", "since", "until"] as const;
export const CREDENTIALS: Record<Schemas["CredentialKind"], string> = {
  bearer: "Token",
  client: "Client",
  browser: "Browser",
  oauth: "Program",
};

export function Audit() {
  const [filters, setFilters] = useFilters();
  const mayEveryones = useMay("everyones");
  const mayVerify = useMay("audit:verify");
  const everyones = mayEveryones && filters.everyones === "true";
  const wanted: Query = {
    everyones: everyones || undefined,
    actor: everyones ? filters.actor : undefined,
    method: METHODS.find((method) => method === filters.method),
    outcome: OUTCOMES.find((outcome) => outcome === filters.outcome),
    request_id: filters.request_id,
    since: filters.since,
    until: filters.until,
  };
  const query = useInfiniteQuery(queries.audit({ limit: 50, ...wanted }));
  const verify = useMutation({ mutationFn: () => data(api.GET("/api/v1/audit/verify")) });
  const filtered = FILTERS.some((name) => wanted[name]);
  const words = Object.entries(wanted)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => [name, String(value)]);
  return (
    <>
      <Heading title="Audit">
        {mayVerify && (
          <Button variant="default" onClick={() => verify.mutate()} loading={verify.isPending}>
            Check the trail
          </Button>
        )}
        <Button
          component="a"
          href={`/api/v1/audit/export?${new URLSearchParams(words)}`}
          download="audit.ndjson"
          variant="default"
          leftSection={<IconDownload size={16} aria-hidden />}
        >
          Export
        </Button>
      </Heading>
      <Trouble error={verify.error} again={() => verify.mutate()} />
      {verify.data && <Verified {...verify.data} close={() => verify.reset()} />}
      <Group mb="sm" gap="sm" align="flex-end">
        {everyones && (
          <Typed
            label="Who"
            placeholder="Username"
            value={filters.actor ?? ""}
            commit={(actor) => setFilters({ actor })}
            w={150}
          />
        )}
        <Select
          label="Method"
          placeholder="Any"
          data={METHODS}
          value={filters.method ?? null}
          onChange={(method) => setFilters({ method: method ?? "" })}
          clearable
          w={130}
        />
        <Select
          label="Outcome"
          placeholder="Any"
          data={OUTCOMES.map((value) => ({ value, label: sentence(value) }))}
          value={filters.outcome ?? null}
          onChange={(outcome) => setFilters({ outcome: outcome ?? "" })}
          clearable
          w={130}
        />
        <TextInput
          label="From"
          type="datetime-local"
          key={`since ${filters.since}`}
          defaultValue={local(filters.since)}
          onBlur={(event) => setFilters({ since: instant(event.currentTarget.value) })}
        />
        <TextInput
          label="Before"
          type="datetime-local"
          key={`until ${filters.until}`}
          defaultValue={local(filters.until)}
          onBlur={(event) => setFilters({ until: instant(event.currentTarget.value) })}
        />
        <Typed
          label="Request"
          placeholder="Its id"
          value={filters.request_id ?? ""}
          commit={(request_id) => setFilters({ request_id })}
          w={200}
        />
        {mayEveryones && (
          <Switch
            label="Everybody's"
            checked={everyones}
            onChange={(event) => setFilters({ everyones: event.currentTarget.checked ? "true" : "", actor: "" })}
            mb={8}
          />
        )}
      </Group>
      <Listed
        query={query}
        empty={
          filtered ? (
            <Empty title="No entry fits">Ask for less: another outcome, a longer time.</Empty>
          ) : (
            <Empty title="Nothing yet">Whatever is changed, or tried and refused, is written down here.</Empty>
          )
        }
      >
        {(rows) => <Entries rows={rows} />}
      </Listed>
    </>
  );
}

function Verified({ entries, unkeyed, broken_at, close }: Schemas["AuditVerified"] & { close: () => void }) {
  const whole = broken_at === null;
  return (
    <Alert
      role="status"
      variant="default"
      mb="sm"
      color={whole ? "teal" : "red"}
      icon={whole ? <IconCheck aria-hidden /> : <IconAlertTriangle aria-hidden />}
      title={whole ? "The trail is whole" : "The trail is broken"}
      withCloseButton
      closeButtonLabel="Hide this"
      onClose={close}
    >
      <Text size="sm">
        {whole
          ? `${count(entries, "entry fits", "entries fit")} together.`
          : `Entry ${broken_at} was changed, is missing, or follows another. ${count(entries, "entry fits", "entries fit")} together.`}
        {unkeyed > 0 &&
          ` ${count(unkeyed, "entry was", "entries were")} sealed without CMP_SECRET_KEY: who writes the database could forge these.`}
      </Text>
    </Alert>
  );
}

/** Enough to tell requests apart; what is copied is whole. */
const short = (id: string) => (id.length > 12 ? `${id.slice(0, 8)}…` : id);

function Entries({ rows }: { rows: Entry[] }) {
  return (
    <Rows columns={["When", "Who", "With", "From", "What", "Outcome", "Request"]} minWidth={900}>
      {rows.map((row) => (
        <Table.Tr key={row.id}>
          <Table.Td style={{ whiteSpace: "nowrap" }}>
            <Ago when={row.created_at} />
          </Table.Td>
          <Table.Td>{row.actor ?? "Nobody known"}</Table.Td>
          <Table.Td>{row.credential ? CREDENTIALS[row.credential] : "Nothing"}</Table.Td>
          <Table.Td>{row.address}</Table.Td>
          <Long maw={360}>
            <Text component="span" size="sm" fw={600}>
              {row.method}
            </Text>{" "}
            {row.path}
          </Long>
          <Table.Td style={{ whiteSpace: "nowrap" }}>
            <State of={row.outcome} /> {row.status}
          </Table.Td>
          <Table.Td>
            <Copy text={row.request_id} label={short(row.request_id)} />
          </Table.Td>
        </Table.Tr>
      ))}
    </Rows>
  );
}
