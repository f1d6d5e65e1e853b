/**
 * Axes that can show 100 µs and 80 ms together. Symlog: linear within `±linear_s` of the centre, logarithmic beyond.
 * The centre is zero, unless all intervals are far from zero. Pure.
 */

export interface Scale {
  kind: "linear" | "symlog";
  /** The offset in the middle of the axis. */
  centre_s: number;
  /** Half the width of the linear part, or of the whole axis if it is linear. */
  linear_s: number;
  low_s: number;
  high_s: number;
  /** From an offset to a place on the axis: 0 at `low_s`, 1 at `high_s`. */
  place(offset_s: number): number;
  /** Offsets of the ticks, relative to `centre_s`. */
  ticks: number[];
}

/** If the whole range is this many times as wide as the intervals need, a linear axis would hide the intervals. */
const TOO_WIDE = 12;

/** The next of 1, 2, 5 · 10ⁿ that is not below `value`. */
export function niceAbove(value: number): number {
  if (!(value > 0)) return 1e-6;
  const power = 10 ** Math.floor(Math.log10(value));
  const factor = [1, 2, 5, 10].find((step) => step * power >= value * (1 - 1e-9)) ?? 10;
  return Number((factor * power).toPrecision(6));
}

export interface Interval {
  low_s: number;
  high_s: number;
}

/** The axis for `intervals`, around the `majority` if there is one. */
export function scaleFor(intervals: readonly Interval[], majority: Interval | null): Scale {
  const core = majority ?? median(intervals) ?? { low_s: -1e-3, high_s: 1e-3 };
  const widths = intervals.map((one) => one.high_s - one.low_s).sort((a, b) => a - b);
  const typical_s = Math.max(widths[Math.floor(widths.length / 2)] ?? 0, core.high_s - core.low_s, 1e-9);
  const middle_s = (core.low_s + core.high_s) / 2;
  const centre_s = Math.abs(middle_s) > 5 * typical_s ? middle_s : 0;
  const ends = [...intervals, core, { low_s: 0, high_s: 0 }].flatMap((one) => [one.low_s - centre_s, one.high_s - centre_s]);
  const reach_s = Math.max(...ends.map(Math.abs), 1e-9);
  const linear_s = niceAbove(Math.abs(middle_s - centre_s) + typical_s / 2);
  return reach_s > TOO_WIDE * linear_s ? symlog(centre_s, linear_s, ends) : linear(centre_s, ends);
}

function median(intervals: readonly Interval[]): Interval | null {
  const sorted = [...intervals].sort((a, b) => a.low_s + a.high_s - b.low_s - b.high_s);
  return sorted[Math.floor(sorted.length / 2)] ?? null;
}

function linear(centre_s: number, ends: readonly number[]): Scale {
  const low = Math.min(...ends);
  const high = Math.max(...ends);
  const margin = (high - low || 2e-6) * 0.06;
  const [from, to] = [low - margin, high + margin];
  const step = niceAbove((to - from) / 6);
  const ticks: number[] = [];
  for (let n = Math.ceil(from / step); n * step <= to; n += 1) ticks.push(Number((n * step).toPrecision(9)));
  return {
    kind: "linear", centre_s, linear_s: (to - from) / 2, low_s: centre_s + from, high_s: centre_s + to, ticks,
    place: (offset_s) => (offset_s - centre_s - from) / (to - from),
  };
}

function symlog(centre_s: number, linear_s: number, ends: readonly number[]): Scale {
  const bend = (value: number): number => Math.sign(value) * bent(Math.abs(value) / linear_s);
  const low = Math.min(...ends, -1.2 * linear_s);
  const high = Math.max(...ends, 1.2 * linear_s);
  const margin = (bend(high) - bend(low)) * 0.05;
  const [from, to] = [bend(low) - margin, bend(high) + margin];
  return {
    kind: "symlog", centre_s, linear_s, low_s: centre_s + low, high_s: centre_s + high,
    ticks: decades(linear_s, low, high),
    place: (offset_s) => (bend(offset_s - centre_s) - from) / (to - from),
  };
}

/** Linear up to 1, then one decade for each width of the linear half: continuous, with a slope change of only 2.3. */
function bent(ratio: number): number {
  return ratio <= 1 ? ratio : 1 + Math.log10(ratio);
}

function decades(linear_s: number, low: number, high: number): number[] {
  const ticks = [0];
  for (let size = linear_s; size <= Math.max(high, -low) * 1.0001; size *= 10) {
    const value = Number(size.toPrecision(6));
    if (value <= high * 1.0001) ticks.push(value);
    if (-value >= low * 1.0001) ticks.unshift(-value);
  }
  return ticks;
}
