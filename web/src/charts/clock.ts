/** The history of this host's clock as columns for its charts. Pure. */
import type { ClockPoint, LocalClock, LocalHistory } from "../api/types";
import { withGaps, type Column } from "./history";

export interface ClockColumns {
  /** Unix seconds, rising. */
  time_s: number[];
  estimate: Column;
  /** The edges of estimate and bound. */
  low: Column;
  high: Column;
  frequency: Column;
  frequencyLow: Column;
  frequencyHigh: Column;
  maxError: Column;
  estError: Column;
}

/** The service records a point a minute. */
const MINUTE_MS = 60_000;
const UNKNOWN: Omit<ClockPoint, "time"> = {
  estimate_s: null, low_s: null, high_s: null, bound_s: null, frequency_ppm: null, frequency_min_ppm: null, frequency_max_ppm: null,
  max_error_s: null, est_error_s: null,
};

/** The current state of the clock as a point of its history. */
export function pointOf({ as_of, verdict, kernel }: LocalClock): ClockPoint {
  const { estimate_s, bound_s } = verdict;
  const edge = (sign: number): number | null => estimate_s === null || bound_s === null ? null : estimate_s + sign * bound_s;
  const frequency_ppm = kernel?.frequency_ppm ?? null;
  return {
    time: as_of, estimate_s, bound_s, low_s: edge(-1), high_s: edge(1),
    frequency_ppm, frequency_min_ppm: frequency_ppm, frequency_max_ppm: frequency_ppm,
    max_error_s: kernel?.max_error_s ?? null, est_error_s: kernel?.est_error_s ?? null,
  };
}

/** The recorded points, and the readings after the last of them. Steps already contain their last minutes. */
export function columnsOf(history: LocalHistory, seen: readonly ClockPoint[]): ClockColumns {
  const last = history.points.at(-1)?.time;
  const since = last === undefined ? Date.parse(history.from) : Date.parse(last);
  const later = history.step_s === null ? seen.filter((point) => Date.parse(point.time) > since) : [];
  const step_ms = history.step_s === null ? MINUTE_MS : history.step_s * 1000;
  const points = withGaps([...history.points, ...later], step_ms, UNKNOWN);
  const column = (of: (point: ClockPoint) => number | null): Column => points.map(of);
  return {
    time_s: points.map((point) => Date.parse(point.time) / 1000),
    estimate: column((point) => point.estimate_s), low: column((point) => point.low_s), high: column((point) => point.high_s),
    frequency: column((point) => point.frequency_ppm),
    frequencyLow: column((point) => point.frequency_min_ppm), frequencyHigh: column((point) => point.frequency_max_ppm),
    maxError: column((point) => point.max_error_s), estError: column((point) => point.est_error_s),
  };
}
