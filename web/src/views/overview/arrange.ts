/** The table's rows: filtered, sorted, grouped. Pure. */
import type { Condition, ServerRow } from "../../api/types";
import { CONDITIONS, stateWords, type Tone } from "../../format/words";

export type SortKey =
  | "state" | "name" | "offset" | "delay" | "jitter" | "reach" | "stratum" | "refid" | "score" | "seen";

/** The categories in which the tiles count servers. */
export type Tally = "ok" | "wrong" | "silent" | "unjudged";

/** The category of a server. It is "ok" only if the verdict calls it right. Pure. */
export function tallyOf(row: Pick<ServerRow, "state" | "class" | "outcome">): Tally {
  if (row.state === "wrong") return "wrong";
  if (row.state === "unreachable" || row.state === "failing") return "silent";
  return row.state === "ok" && row.class === "truechimer" ? "ok" : "unjudged";
}

export interface TableOptions {
  text: string;
  state: Condition | "";
  /** The category of the clicked tile. */
  is: Tally | "";
  /** Groups that are folded, by title. */
  folded: readonly string[];
  /** The tag to group by; empty for none. */
  group: string;
  sort: SortKey;
  descending: boolean;
}

export type Line =
  | { kind: "group"; title: string; count: number; folded: boolean;
      /** The number of servers of the group in each state, worst first. */
      states: readonly { label: string; tone: Tone; count: number }[] }
  | { kind: "server"; row: ServerRow };

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
  // Unknown values come last in either direction.
  if (a === null || b === null) return Number(a === null) - Number(b === null);
  const order = typeof a === "number" && typeof b === "number" ? a - b : collator.compare(String(a), String(b));
  return descending ? -order : order;
}

function admits(row: ServerRow, options: TableOptions): boolean {
  if (options.state && row.state !== options.state) return false;
  if (options.is && tallyOf(row) !== options.is) return false;
  const text = options.text.trim().toLowerCase();
  if (!text) return true;
  const tags = Object.entries(row.tags).map(([key, value]) => `${key}:${value}`);
  return [row.name, row.address, row.refid, ...tags].some((field) => field?.toLowerCase().includes(text));
}

/** The group of a row, or the text for rows without one. */
const groupOf = (row: ServerRow, tag: string): string => row.tags[tag] ?? "(no tag)";

/** The lines of the table. Equal rows stay in the order of the configuration. */
export function arrange(rows: readonly ServerRow[], options: TableOptions): Line[] {
  const key = KEYS[options.sort];
  const sorted = rows.filter((row) => admits(row, options)).sort((a, b) => compare(key(a), key(b), options.descending));
  if (!options.group) return sorted.map((row) => ({ kind: "server", row }));
  const groups = new Map<string, ServerRow[]>();
  for (const row of sorted) {
    const title = groupOf(row, options.group);
    const members = groups.get(title);
    if (members) members.push(row);
    else groups.set(title, [row]);
  }
  return [...groups]
    .sort(([a], [b]) => collator.compare(a, b))
    .flatMap(([title, members]): Line[] => {
      const folded = options.folded.includes(title);
      return [
        { kind: "group", title, count: members.length, folded, states: summary(members) },
        ...(folded ? [] : members.map((row): Line => ({ kind: "server", row }))),
      ];
    });
}

/** The states of a group, worst first. */
function summary(members: readonly ServerRow[]): { label: string; tone: Tone; count: number }[] {
  const found = new Map<string, { label: string; tone: Tone; count: number; rank: number }>();
  for (const row of members) {
    const { label, tone } = stateWords(row);
    const held = found.get(label) ?? { label, tone, count: 0, rank: CONDITIONS[row.state].rank };
    held.count += 1;
    found.set(label, held);
  }
  return [...found.values()].sort((a, b) => a.rank - b.rank);
}

/** Every tag that some server has. */
export function tagsOf(rows: readonly ServerRow[]): string[] {
  return [...new Set(rows.flatMap((row) => Object.keys(row.tags)))].sort(collator.compare);
}

/** The lines that are visible in `[top, bottom)`, in pixels below the first line, and some lines beyond. Pure. */
export function visible(lines: number, height: number, top: number, bottom: number): { first: number; end: number } {
  const BEYOND = 12;
  const first = Math.min(Math.max(0, Math.floor(top / height) - BEYOND), lines);
  const end = Math.min(lines, Math.max(first, Math.ceil(bottom / height) + BEYOND));
  return { first, end };
}
