/** The daily success of servers over the last 90 days. It is read for visible rows, a few at a time, and kept. */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { api } from "../api/client";
import type { HistorySeries } from "../api/types";

export const DAYS = 90;
const DAY_S = 86_400;
/** Rows of one request. */
const AT_ONCE = 50;
const FRESH_MS = 300_000;
/** Rows that are only scrolled past are not read. */
const REST_MS = 150;

/** The success ratio of each day, oldest first, today last; `null`: not polled. */
export type Days = (number | null)[];

export const uptime = signal<ReadonlyMap<string, Days>>(new Map());
const asked = new Map<string, number>();

/** The days of a series, up to now. Pure. */
export function daysOf(series: Pick<HistorySeries, "time" | "polls" | "samples">, now_s: number): Days {
  const days: Days = Array.from({ length: DAYS }, () => null);
  const first = Math.floor(now_s / DAY_S) - DAYS + 1;
  series.time.forEach((time, place) => {
    const day = Math.floor(time / DAY_S) - first;
    const polls = series.polls[place] ?? 0;
    if (day >= 0 && day < DAYS && polls > 0) days[day] = (series.samples[place] ?? 0) / polls;
  });
  return days;
}

/** Drops the data, after the user has signed out of a page that needs a token. */
export function forgetUptime(): void {
  uptime.value = new Map();
  asked.clear();
}

async function read(ids: readonly string[], signal: AbortSignal): Promise<void> {
  const from = new Date((Math.floor(Date.now() / (DAY_S * 1000)) - DAYS + 1) * DAY_S * 1000).toISOString();
  const { to, series } = await api.history(ids, { from, step: "1d", of: "offset", limit: "200" }, signal);
  const known = new Map(uptime.value);
  for (const one of series) known.set(one.id, daysOf(one, Date.parse(to) / 1000));
  uptime.value = known;
}

/** Reads missing or outdated data of these servers. */
export function useUptime(ids: readonly string[]): void {
  const key = ids.join("\n");
  useEffect(() => {
    const controller = new AbortController();
    const timer = setTimeout(async () => {
      const now = Date.now();
      const missing = ids.filter((id) => now - (asked.get(id) ?? 0) > FRESH_MS);
      for (let at = 0; at < missing.length; at += AT_ONCE) {
        const part = missing.slice(at, at + AT_ONCE);
        part.forEach((id) => asked.set(id, now));
        // The table works without the bars, and the next reading tries again.
        await read(part, controller.signal).catch(() => part.forEach((id) => asked.delete(id)));
        if (controller.signal.aborted) return;
      }
    }, REST_MS);
    return () => {
      clearTimeout(timer);
      controller.abort();
    };
  }, [key]);
}
