/** The compared servers, in the form of the address. Pure. */
import type { ServerRow } from "../../api/types";

export const MEASURES = ["offset", "delay", "jitter", "loss", "score", "tdev"] as const;
export type Measure = (typeof MEASURES)[number];

export const NAMES: Record<Measure, string> = {
  offset: "Offset", delay: "Delay", jitter: "Jitter", loss: "Loss", score: "Score", tdev: "TDEV",
};

/** More lines are hard to distinguish. */
export const MOST_LINES = 12;

export interface Chosen {
  /** Single servers; if empty, all servers with the tag. */
  ids: string[];
  /** `key:value`; empty: any. */
  tag: string;
  of: Measure;
  /** Whether each line is drawn relative to its median, so that lines that are far apart fit together. */
  centred: boolean;
}

export function chosenOf(query: URLSearchParams): Chosen {
  const ids = (query.get("servers") ?? "").split(",").filter(Boolean).map(decoded);
  return {
    ids, tag: query.get("tag") ?? "", of: MEASURES.find((one) => one === query.get("of")) ?? "offset",
    centred: query.get("centred") === "1",
  };
}

export const idsText = (ids: readonly string[]): string | null => ids.map(encodeURIComponent).join(",") || null;

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The tags to choose from, with the number of servers that have them. */
export function tagChoices(rows: readonly ServerRow[]): { value: string; text: string }[] {
  const counts = new Map<string, number>();
  for (const row of rows) {
    for (const [key, value] of Object.entries(row.tags)) counts.set(`${key}:${value}`, (counts.get(`${key}:${value}`) ?? 0) + 1);
  }
  return [...counts].sort(([a], [b]) => a.localeCompare(b)).map(([value, n]) => ({ value, text: `${value} (${n})` }));
}

/** The chosen servers, in the order of the page. */
export function meant(rows: readonly ServerRow[], { ids, tag }: Pick<Chosen, "ids" | "tag">): string[] {
  if (ids.length > 0) return ids;
  const [key = "", value = ""] = [tag.slice(0, tag.indexOf(":")), tag.slice(tag.indexOf(":") + 1)];
  return rows.filter((row) => tag === "" || row.tags[key] === value).map((row) => row.id);
}

/** The median of the known values. */
export function median(values: readonly (number | null | undefined)[]): number {
  const known = values.filter((value): value is number => value != null).sort((a, b) => a - b);
  return known[Math.floor(known.length / 2)] ?? 0;
}
