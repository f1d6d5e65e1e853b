/** A histogram of offsets. Pure. */
import type { Histogram } from "../api/types";
import { tick } from "../format/units";
import { niceAbove } from "./scale";
import type { Mark, Scene } from "./scene";

const HEIGHT = 170;
const LEFT = 48;
const RIGHT = 24;
const TOP = 14;
const BOTTOM = 26;

export function histogramScene(histogram: Histogram, width: number): Scene {
  const { from_s, bin_s, counts } = histogram;
  const most = Math.max(1, ...counts);
  const to_s = from_s + bin_s * counts.length;
  const base = HEIGHT - BOTTOM;
  const x = (value: number): number => LEFT + ((value - from_s) / (to_s - from_s || 1)) * (width - LEFT - RIGHT);
  const y = (n: number): number => base - (n / most) * (base - TOP);
  const marks: Mark[] = [];
  for (const n of [0, most]) {
    marks.push({ kind: "line", x1: LEFT, y1: y(n), x2: width - RIGHT, y2: y(n), role: "line" });
    marks.push({ kind: "text", x: LEFT - 6, y: y(n) + 4, text: String(n), role: "muted", anchor: "end" });
  }
  counts.forEach((n, index) => {
    const left = x(from_s + index * bin_s);
    const wide = x(from_s + (index + 1) * bin_s) - left;
    if (n > 0) marks.push({ kind: "rect", x: left + 0.5, y: y(n), w: Math.max(1, wide - 1), h: base - y(n), role: "accent" });
  });
  marks.push(...ticks(from_s, to_s, x, width, base));
  return { width, height: HEIGHT, marks };
}

/**
 * Ticks at round offsets. If all offsets are far from zero, short labels would look the same, so the ends and the
 * middle have full labels.
 */
function ticks(from_s: number, to_s: number, x: (value: number) => number, width: number, base: number): Mark[] {
  const step = niceAbove((to_s - from_s) / Math.max(2, Math.floor(width / 150)));
  const marks: Mark[] = [];
  for (let n = Math.ceil(from_s / step); n * step <= to_s; n += 1) {
    const value = n * step;
    marks.push({ kind: "line", x1: x(value), y1: base, x2: x(value), y2: base + 4, role: "muted" });
    marks.push({ kind: "text", x: x(value), y: base + 18, text: precise(value, step), role: "muted", anchor: "middle" });
  }
  return marks;
}

/** A tick with enough digits to differ from its neighbours. */
function precise(value: number, step: number): string {
  if (Math.abs(value) < step / 2) return "0";
  const digits = Math.max(0, Math.ceil(Math.log10(Math.abs(value) / step))) + 1;
  if (digits <= 4) return tick(Number(value.toPrecision(digits)), true);
  const factor = Math.abs(value) >= 1 ? 1 : Math.abs(value) >= 1e-3 ? 1e-3 : 1e-6;
  const name = factor === 1 ? "s" : factor === 1e-3 ? "ms" : "µs";
  return `${value < 0 ? "−" : "+"}${Number((Math.abs(value) / factor).toPrecision(digits))} ${name}`;
}
