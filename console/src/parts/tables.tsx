/** Tables: of things, a line each, and of what is known of one thing. */
import { Box, Table, VisuallyHidden } from "@mantine/core";
import type { ReactNode } from "react";

/** Above the buttons of each row. */
export const ACTIONS = "Actions";

type Given = { columns: readonly ReactNode[]; minWidth: number; highlight?: boolean; children: ReactNode };

/** Narrower than `minWidth` it scrolls. A column is its name, or its whole head. */
export function Rows({ columns, minWidth, highlight, children }: Given) {
  return (
    <Table.ScrollContainer minWidth={minWidth}>
      <Table verticalSpacing={6} highlightOnHover={highlight}>
        <Table.Thead>
          <Table.Tr>
            {columns.map((column) =>
              typeof column !== "string" ? (
                column
              ) : (
                <Table.Th key={column}>
                  {column === ACTIONS ? <VisuallyHidden>{column}</VisuallyHidden> : column}
                </Table.Th>
              ),
            )}
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>{children}</Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

/** A cell that may break anywhere: references, paths, what people typed. */
export function Long({ children, maw }: { children: ReactNode; maw?: number }) {
  return (
    <Table.Td maw={maw} style={{ overflowWrap: "anywhere" }}>
      {children}
    </Table.Td>
  );
}

export function Facts({ rows }: { rows: [string, ReactNode][] }) {
  return (
    <Box maw={800}>
      <Table>
        <Table.Tbody>
          {rows.map(([key, value]) => (
            <Table.Tr key={key}>
              <Table.Th w={{ base: 120, xs: 180 }} scope="row">
                {key}
              </Table.Th>
              <Long>{value}</Long>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Box>
  );
}
