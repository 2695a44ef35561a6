// Values that are rows of a table: a list of maps with the same few keys.
import type { Json } from "../api/types";
import { Table } from "../ui/table";
import { oneLine } from "./format";

const COLUMNS_MAX = 12;
const ROWS_MAX = 200;
const CELL_SHOWN = 300;

type Row = { [key: string]: Json };

export interface Rows {
  columns: string[];
  rows: Row[];
}

// Null where it is none: fewer than two rows, too many keys, or keys that hardly any row has.
export function rowsOf(value: Json | undefined): Rows | null {
  if (!Array.isArray(value) || value.length < 2) {
    return null;
  }
  const seen = new Map<string, number>();
  for (const one of value.slice(0, ROWS_MAX)) {
    if (typeof one !== "object" || one === null || Array.isArray(one)) {
      return null;
    }
    for (const key of Object.keys(one)) {
      seen.set(key, (seen.get(key) ?? 0) + 1);
    }
  }
  const shown = Math.min(value.length, ROWS_MAX);
  const isOften = [...seen.values()].every((times) => times * 2 >= shown);
  return seen.size > 0 && seen.size <= COLUMNS_MAX && isOften
    ? { columns: [...seen.keys()], rows: value as Row[] }
    : null;
}

export function RowTable({ rows: { columns, rows }, label }: { rows: Rows; label: string }) {
  return (
    <>
      <Table label={`${label} as a table`} className="of-values">
        <thead>
          <tr>
            {columns.map((key) => (
              <th key={key} className={typeof rows[0]?.[key] === "number" ? "num" : ""}>
                {key}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.slice(0, ROWS_MAX).map((row, at) => (
            <tr key={at}>
              {columns.map((key) => (
                <td key={key} className={typeof row[key] === "number" ? "num" : ""}>
                  {row[key] === undefined ? "" : oneLine(row[key]).slice(0, CELL_SHOWN)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </Table>
      {rows.length > ROWS_MAX && <p className="soft">and {rows.length - ROWS_MAX} further rows</p>}
    </>
  );
}
