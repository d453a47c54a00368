/** Instances in a table, each with what can be done with it. A thousand are shown a hundred at a time. */
import { Anchor, Button, Table, Text } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import type { Schemas } from "../../api/client";
import { State } from "../../parts/parts";
import { Rows } from "../../parts/tables";
import { cores, memory } from "../../parts/words";
import { InstanceActions } from "./actions";

const SHOWN = 100;
const COLUMNS = [
  "Name",
  "State",
  "Size",
  "Address",
  "Node",
  "Restarts",
  <Table.Th key="what" ta="right">
    What to do
  </Table.Th>,
];

export function InstanceRows({ rows }: { rows: Schemas["InstanceRead"][] }) {
  const [shown, setShown] = useState(SHOWN);
  return (
    <>
      <Rows columns={COLUMNS} minWidth={760} highlight>
        {rows.slice(0, shown).map((row) => (
          <Table.Tr key={row.id} data-instance={row.instance_name}>
            <Table.Td>
              <Anchor
                renderRoot={(props) => <Link to="/instances/$instance" params={{ instance: row.id }} {...props} />}
              >
                {row.instance_name}
              </Anchor>
            </Table.Td>
            <Table.Td>
              <State of={row.status} />
              {row.message && (
                <Text size="xs" lineClamp={3} maw={320}>
                  {row.message}
                </Text>
              )}
            </Table.Td>
            <Table.Td>
              {cores(row.cpu)}, {memory(row.memory)}
            </Table.Td>
            <Table.Td>{row.ip ?? "none"}</Table.Td>
            <Table.Td>{row.node ?? "none"}</Table.Td>
            <Table.Td className="numbers">{row.restarts}</Table.Td>
            <Table.Td>
              <InstanceActions instance={row} row />
            </Table.Td>
          </Table.Tr>
        ))}
      </Rows>
      {rows.length > shown && (
        <Button mt="sm" variant="default" onClick={() => setShown(shown + SHOWN)}>
          Show {Math.min(SHOWN, rows.length - shown)} more of {rows.length}
        </Button>
      )}
    </>
  );
}
