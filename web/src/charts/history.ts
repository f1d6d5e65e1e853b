/** The history of a server as columns for its charts. Pure. */
import type { HistorySeries } from "../api/types";

/** `null` interrupts a line; the line continues across `undefined`, a point without a value. */
export type Column = (number | null | undefined)[];

export interface Track {
  id: string;
  /** `null`: each point is a poll. */
  step_s: number | null;
  /** The first poll ever. */
  began_s: number | null;
  /** Unix seconds, rising. */
  time_s: number[];
  offset: Column;
  /** Minimum and maximum within a step. */
  offsetLow: Column;
  offsetHigh: Column;
  /** Offset ± root distance. */
  boundLow: Column;
  boundHigh: Column;
  delay: Column;
  delayLow: Column;
  delayHigh: Column;
  jitter: Column;
  score: Column;
  /** Loss has its own, wider steps. */
  loss: Loss;
}

export interface Loss {
  time_s: number[];
  ratio: Column;
  step_s: number;
}

const LOSS_BINS = 120;
/** Minimum number of polls for a loss ratio. */
const LOSS_POLLS = 5;
/** A gap of this many poll intervals without an offset interrupts the line. */
const REACH = 8.5;
/** Tolerance for the distance of neighbouring steps, which is never exactly their width. */
const NEIGHBOURS = 1.6;

/** The columns of a series, with an empty point in each gap. */
export function trackOf(series: HistorySeries): Track {
  const poll_s = series.poll_s ?? 64;
  const longest_s = Math.max(REACH * poll_s, NEIGHBOURS * (series.step_s ?? 0));
  const places = withHoles(series.time, series.samples, longest_s);
  const at = (index: number): number => series.time[index] ?? 0;
  const time_s = places.map((place, n) => (place === null ? (at(places[n - 1] ?? 0) + at(places[n + 1] ?? 0)) / 2 : at(place)));
  const column = (values: readonly (number | null)[] | undefined): Column =>
    places.map((place) => (place === null ? null : values?.[place] ?? undefined));
  const bound = (sign: number): Column => places.map((place) => {
    if (place === null) return null;
    const [offset, distance] = [series.offset_s?.[place], series.root_distance_s?.[place]];
    return offset == null || distance == null ? undefined : offset + sign * distance;
  });
  return {
    id: series.id, step_s: series.step_s, began_s: series.began === null ? null : Date.parse(series.began) / 1000, time_s,
    offset: column(series.offset_s), offsetLow: column(series.offset_min_s), offsetHigh: column(series.offset_max_s),
    boundLow: bound(-1), boundHigh: bound(1),
    delay: column(series.delay_s), delayLow: column(series.delay_min_s), delayHigh: column(series.delay_max_s),
    jitter: column(series.jitter_s), score: column(series.score), loss: lossOf(series, poll_s),
  };
}

/** The indices of the points, with `null` where nothing was measured for longer than `longest_s`. */
function withHoles(time: readonly number[], samples: readonly number[], longest_s: number): (number | null)[] {
  const places: (number | null)[] = [];
  let before: number | null = null;
  time.forEach((now, place) => {
    const measured = (samples[place] ?? 0) > 0;
    if (measured && before !== null && now - before > longest_s && places.at(-1) !== null) places.push(null);
    places.push(place);
    if (measured) before = now;
  });
  return places;
}

/** The share of polls without an offset, in steps of at least five polls. */
export function lossOf(series: Pick<HistorySeries, "time" | "polls" | "samples" | "step_s">, poll_s: number): Loss {
  const { time, polls, samples } = series;
  const [first, last] = [time[0] ?? 0, time.at(-1) ?? 0];
  const unit = series.step_s ?? 1;
  const step_s = Math.ceil(Math.max((last - first) / LOSS_BINS, LOSS_POLLS * poll_s) / unit) * unit;
  const bins = new Map<number, { all: number; good: number }>();
  time.forEach((now, place) => {
    const bin = Math.floor(now / step_s);
    const sum = bins.get(bin) ?? { all: 0, good: 0 };
    sum.all += polls[place] ?? 0;
    sum.good += samples[place] ?? 0;
    bins.set(bin, sum);
  });
  const known = [...bins].filter(([, sum]) => sum.all > 0);
  const middle = (bin: number): number => Math.max(first, Math.min(last, (bin + 0.5) * step_s));
  return { time_s: known.map(([bin]) => middle(bin)), ratio: known.map(([, sum]) => 1 - sum.good / sum.all), step_s };
}

/**
 * The part of the span `[from_s, to_s]` to draw: if the data covers less than a third of it, from the start of the
 * data.
 */
export function recorded(time_s: readonly number[], from_s: number, to_s: number): { from_s: number; to_s: number } {
  const first = time_s[0];
  if (first === undefined || to_s - first > (to_s - from_s) / 3) return { from_s, to_s };
  return { from_s: Math.max(from_s, Math.min(first, to_s - 10)), to_s };
}

/** This many missing points in a row are a gap. */
const GAP = 4;

/** Points by time, with an empty point in each gap. */
export function withGaps<T extends { time: string }>(points: readonly T[], step_ms: number, empty: Omit<T, "time">): T[] {
  const filled: T[] = [];
  let before: number | null = null;
  for (const point of points) {
    const now = Date.parse(point.time);
    if (before !== null && now - before > GAP * step_ms) {
      filled.push({ ...empty, time: new Date((before + now) / 2).toISOString() } as T);
    }
    filled.push(point);
    before = now;
  }
  return filled;
}
