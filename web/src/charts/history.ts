/** A server's history as the columns that its charts draw. Pure. */
import type { Point, Samples } from "../api/types";

export type Column = (number | null)[];

export interface History {
  /** Unix seconds, rising. */
  time_s: number[];
  offset: Column;
  /** Of polls within a step; equal to the offset for single polls. */
  offsetLow: Column;
  offsetHigh: Column;
  delay: Column;
  jitter: Column;
  /** Loss has its own, wider steps. */
  loss: { time_s: number[]; ratio: Column; step_s: number };
}

/** Jitter is taken over so many differences of neighbours. */
const JITTER_OVER = 8;
const LOSS_BINS = 60;
/** Fewer polls than these say little of a loss. */
const LOSS_POLLS = 5;
/** So many missing polls in a row are a gap, and no line is drawn across. */
const GAP = 4;

export function historyOf(samples: Samples): History {
  const points = ordered(samples);
  const raw = samples.resolution === "raw";
  const offset = points.map((point) => point.offset_s);
  return {
    time_s: points.map((point) => Date.parse(point.time) / 1000),
    offset,
    offsetLow: points.map((point) => point.offset_min_s ?? point.offset_s),
    offsetHigh: points.map((point) => point.offset_max_s ?? point.offset_s),
    delay: points.map((point) => point.delay_s),
    jitter: raw ? jitterOf(offset) : points.map((point) => point.offset_stddev_s ?? null),
    loss: lossOf(samples),
  };
}

/**
 * The part of the stretch `[from_s, to_s]` that is worth drawing: when the record fills less than a third of it, from
 * its beginning.
 */
export function recorded(time_s: readonly number[], from_s: number, to_s: number): { from_s: number; to_s: number } {
  const first = time_s[0];
  if (first === undefined || to_s - first > (to_s - from_s) / 3) return { from_s, to_s };
  return { from_s: Math.max(from_s, Math.min(first, to_s - 10)), to_s };
}

function ordered(samples: Samples): Point[] {
  const points = [...samples.samples].sort((a, b) => Date.parse(a.time) - Date.parse(b.time));
  const step_ms = samples.step_s !== null ? samples.step_s * 1000 : typicalStep(points.map((point) => Date.parse(point.time)));
  return withGaps(points, step_ms, { address: null, timestamping: null, offset_s: null, delay_s: null, root_distance_s: null });
}

/** Points by time, with an empty one in each gap: where some steps are missing. */
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

function typicalStep(times: readonly number[]): number {
  const steps = times.slice(1).map((time, index) => time - (times[index] ?? time)).sort((a, b) => a - b);
  return steps[Math.floor((steps.length - 1) * 0.9)] ?? 1000;
}

/** RMS of the differences of neighbouring offsets over the last eight, as RFC 5905 weighs them against the last one. */
export function jitterOf(offsets: Column): Column {
  const squares: number[] = [];
  let before: number | null = null;
  return offsets.map((offset) => {
    if (offset === null) return null;
    if (before !== null) squares.push((offset - before) ** 2);
    if (squares.length > JITTER_OVER) squares.shift();
    before = offset;
    return squares.length < 2 ? null : Math.sqrt(squares.reduce((a, b) => a + b, 0) / squares.length);
  });
}

/** The share of polls without an offset, per bin of time. */
export function lossOf(samples: Samples): History["loss"] {
  const times = samples.samples.map((point) => Date.parse(point.time)).sort((a, b) => a - b);
  const from = Math.max(Date.parse(samples.from), times[0] ?? 0) / 1000;
  const to = Date.parse(samples.to) / 1000;
  const step_s = samples.step_s ?? Math.max((to - from) / LOSS_BINS, (LOSS_POLLS * typicalStep(times)) / 1000 || 1);
  const polls = new Map<number, { all: number; good: number }>();
  for (const point of samples.samples) {
    const bin = Math.floor((Date.parse(point.time) / 1000 - from) / step_s);
    const sum = polls.get(bin) ?? { all: 0, good: 0 };
    sum.all += point.polls ?? 1;
    sum.good += point.successes ?? (point.offset_s === null ? 0 : 1);
    polls.set(bin, sum);
  }
  const bins = [...polls].sort(([a], [b]) => a - b).filter(([, sum]) => sum.all > 0);
  return {
    time_s: bins.map(([bin]) => from + (bin + 0.5) * step_s),
    ratio: bins.map(([, sum]) => 1 - sum.good / sum.all),
    step_s,
  };
}
