/** The table's rows: filtered, sorted, grouped. Pure. */
import type { Condition, ServerRow } from "../../api/types";
import { CONDITIONS } from "../../format/words";

export type SortKey =
  | "state" | "name" | "offset" | "delay" | "jitter" | "reach" | "stratum" | "refid" | "score" | "seen";

export interface Wish {
  text: string;
  state: Condition | "";
  /** The tag to group by; empty for none. */
  group: string;
  sort: SortKey;
  descending: boolean;
}

export type Line = { kind: "group"; title: string; count: number } | { kind: "server"; row: ServerRow };

type Key = (row: ServerRow) => number | string | null;

const KEYS: Record<SortKey, Key> = {
  state: (row) => CONDITIONS[row.state].rank,
  name: (row) => row.id,
  offset: (row) => (row.offset_s === null ? null : Math.abs(row.offset_s)),
  delay: (row) => row.delay_s,
  jitter: (row) => row.jitter_s,
  reach: (row) => Number.parseInt(row.reach, 8),
  stratum: (row) => row.stratum,
  refid: (row) => row.refid,
  score: (row) => row.score,
  seen: (row) => (row.last_seen === null ? null : Date.parse(row.last_seen)),
};

const collator = new Intl.Collator("en", { numeric: true });

function compare(a: ReturnType<Key>, b: ReturnType<Key>, descending: boolean): number {
  // What is not known comes last, whichever the direction.
  if (a === null || b === null) return Number(a === null) - Number(b === null);
  const order = typeof a === "number" && typeof b === "number" ? a - b : collator.compare(String(a), String(b));
  return descending ? -order : order;
}

function admits(row: ServerRow, wish: Wish): boolean {
  if (wish.state && row.state !== wish.state) return false;
  const text = wish.text.trim().toLowerCase();
  if (!text) return true;
  const tags = Object.entries(row.tags).map(([key, value]) => `${key}:${value}`);
  return [row.name, row.address, row.refid, ...tags].some((field) => field?.toLowerCase().includes(text));
}

/** The value of a row's group, or what stands for none. */
const groupOf = (row: ServerRow, tag: string): string => row.tags[tag] ?? "(no tag)";

/** The lines of the table. Equal rows stay in the order of the configuration. */
export function arrange(rows: readonly ServerRow[], wish: Wish): Line[] {
  const key = KEYS[wish.sort];
  const sorted = rows.filter((row) => admits(row, wish)).sort((a, b) => compare(key(a), key(b), wish.descending));
  if (!wish.group) return sorted.map((row) => ({ kind: "server", row }));
  const groups = new Map<string, ServerRow[]>();
  for (const row of sorted) {
    const title = groupOf(row, wish.group);
    const members = groups.get(title);
    if (members) members.push(row);
    else groups.set(title, [row]);
  }
  return [...groups]
    .sort(([a], [b]) => collator.compare(a, b))
    .flatMap(([title, members]): Line[] => [
      { kind: "group", title: `${wish.group}: ${title}`, count: members.length },
      ...members.map((row): Line => ({ kind: "server", row })),
    ]);
}

/** Every tag that some server has. */
export function tagsOf(rows: readonly ServerRow[]): string[] {
  return [...new Set(rows.flatMap((row) => Object.keys(row.tags)))].sort(collator.compare);
}

/** Which lines a window `[top, bottom)` pixels below the first line shows, with some beyond its ends. Pure. */
export function visible(lines: number, height: number, top: number, bottom: number): { first: number; end: number } {
  const BEYOND = 12;
  const first = Math.min(Math.max(0, Math.floor(top / height) - BEYOND), lines);
  const end = Math.min(lines, Math.max(first, Math.ceil(bottom / height) + BEYOND));
  return { first, end };
}
