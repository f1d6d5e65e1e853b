/** Cells as a matrix: a row for each address, whatever each vantage calls it. Pure. */
import type { FleetCell, FleetVerdict } from "../../api/types";
import type { Tone } from "../../format/words";

export interface Row {
  /** The address, or the name of a server without one. */
  key: string;
  /** The most frequent name. */
  name: string;
  cells: Map<string, FleetCell>;
}

export function arrange(cells: readonly FleetCell[]): { vantages: string[]; rows: Row[] } {
  const vantages = [...new Set(cells.map((cell) => cell.vantage))].sort();
  const byKey = new Map<string, Map<string, FleetCell>>();
  for (const cell of cells) {
    const key = cell.address ?? cell.server;
    const row = byKey.get(key) ?? new Map<string, FleetCell>();
    row.set(cell.vantage, cell);
    byKey.set(key, row);
  }
  const rows = [...byKey].map(([key, row]) => ({ key, name: mostFrequent([...row.values()].map((cell) => cell.server)), cells: row }));
  rows.sort((a, b) => a.name.localeCompare(b.name) || a.key.localeCompare(b.key));
  return { vantages, rows };
}

function mostFrequent(names: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]))[0]?.[0] ?? "";
}

/** How a cell is marked: what the verdict names is bad, what lies outside of its own bound is a warning. */
export function toneOf(cell: FleetCell, verdict: FleetVerdict): Tone {
  const isServer = (name: string): boolean => name === cell.server || name === `${cell.server}@${cell.address ?? ""}`;
  const isNamed = verdict.servers.some((one) => isServer(one.server))
    || verdict.vantages.some((one) => one.vantage === cell.vantage)
    || verdict.paths.some((path) => (path.vantage === "*" || path.vantage === cell.vantage) && (path.server === "*" || isServer(path.server)));
  if (isNamed) return "bad";
  if (cell.offset_s === null || cell.outcome !== "sample") return "idle";
  return Math.abs(cell.offset_s) > (cell.root_distance_s ?? Infinity) ? "warn" : "good";
}

/** The server that the address of the page names, or one that the verdict does, or the first. */
export function chosenOf(rows: readonly Row[], named: string | null, verdict: FleetVerdict): Row | undefined {
  const wrong = (row: Row): boolean => verdict.servers.some((one) => one.server === row.name || one.server === `${row.name}@${row.key}`);
  return rows.find((row) => row.key === named) ?? rows.find(wrong) ?? rows[0];
}
