/** Cells as a matrix with a row for each address, even if vantages use different names. Pure. */
import type { FleetCell, FleetVerdict } from "../../api/types";
import { duration, offset, percent } from "../../format/units";
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

/** The tone of a cell: bad if the verdict names it, a warning if the offset is outside of its bound. */
export function toneOf(cell: FleetCell, verdict: FleetVerdict): Tone {
  const isServer = (name: string): boolean => name === cell.server || name === `${cell.server}@${cell.address ?? ""}`;
  const isNamed = verdict.servers.some((one) => isServer(one.server))
    || verdict.vantages.some((one) => one.vantage === cell.vantage)
    || verdict.paths.some((path) => (path.vantage === "*" || path.vantage === cell.vantage) && (path.server === "*" || isServer(path.server)));
  if (isNamed) return "bad";
  if (cell.offset_s === null || cell.outcome !== "sample") return "idle";
  return Math.abs(cell.offset_s) > (cell.root_distance_s ?? Infinity) ? "warn" : "good";
}

/** Whether the verdict calls a server wrong. */
export function isServerWrong(row: Row, verdict: FleetVerdict): boolean {
  return verdict.servers.some((one) => one.server === row.name || one.server === `${row.name}@${row.key}`);
}

export function isVantageWrong(vantage: string, verdict: FleetVerdict): boolean {
  return verdict.vantages.some((one) => one.vantage === vantage);
}

/** The server in the address of the page, otherwise one that the verdict names, otherwise the first. */
export function chosenOf(rows: readonly Row[], named: string | null, verdict: FleetVerdict): Row | undefined {
  return rows.find((row) => row.key === named) ?? rows.find((row) => isServerWrong(row, verdict)) ?? rows[0];
}

/** Rows with the most bad cells first. Cells of a wrong vantage do not count, because they say nothing about a server. */
export function worstFirst(rows: readonly Row[], vantages: readonly string[], verdict: FleetVerdict): Row[] {
  const right = vantages.filter((vantage) => !isVantageWrong(vantage, verdict));
  const weight: Record<Tone, number> = { bad: 1e4, warn: 1e2, idle: 1, good: 0 };
  const badness = (row: Row): number => {
    const tones = right.map((vantage) => row.cells.get(vantage)).map((cell) => (cell ? toneOf(cell, verdict) : "good"));
    return tones.reduce((sum, tone) => sum + weight[tone], 0);
  };
  const known = new Map(rows.map((row) => [row, badness(row)]));
  return [...rows].sort((a, b) => (known.get(b) ?? 0) - (known.get(a) ?? 0));
}

/** A cell in words. */
export function told(cell: FleetCell): string {
  const text = cell.offset_s === null ? cell.outcome : offset(cell.offset_s);
  return `${cell.vantage}, ${cell.server}: ${text} ± ${duration(cell.root_distance_s)}, round trip ${duration(cell.delay_s)}, loss ${percent(cell.loss)}`;
}
