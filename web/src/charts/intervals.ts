/**
 * The interval chart: each server's correctness interval (offset ± root distance) as a bar, the majority intersection
 * shaded, zero (this host's clock) marked. Servers whose interval does not overlap the majority are grouped separately.
 * Pure.
 */
import type { Majority, ServerRow } from "../api/types";
import { duration, offset, tick, type Unit } from "../format/units";
import { href } from "../state/address";
import { scaleFor, type Scale } from "./scale";
import type { Mark, Role, Scene } from "./scene";

export interface IntervalChart {
  scene: Scene;
  scale: Scale;
  /** Servers without a current interval, which are not drawn. */
  absent: number;
  /** Servers with an interval that are left out to keep the chart short. */
  hidden: number;
}

type Drawn = ServerRow & { interval: NonNullable<ServerRow["interval"]> };

const ROW = 26;
const HEADING = 24;
const AXIS = 34;
const TOP = 20;
const NARROW = 560;

/** Lays the chart out for `width` pixels, with at most `most` servers: blamed ones first, worst first. */
export function intervalChart(servers: readonly ServerRow[], majority: Majority | null, width: number, most: number, unit: Unit): IntervalChart {
  const drawn = servers.filter((row): row is Drawn => row.interval !== null);
  const order = (a: Drawn, b: Drawn): number => distance(b) - distance(a) || 0;
  const apart = drawn.filter((row) => row.class === "falseticker").sort(order);
  const together = drawn.filter((row) => row.class !== "falseticker");
  // Always show some servers that agree, even if many do not.
  const room = Math.max(1, most - Math.min(together.length, Math.ceil(most / 3)));
  const first = apart.slice(0, room);
  const shown = [...first, ...together.slice(0, most - first.length)];
  const scale = scaleFor(shown.map((row) => row.interval), majority);
  const groups = [
    { title: "Disagree with the majority", role: "bad" as Role, rows: shown.filter((row) => row.class === "falseticker") },
    { title: "Agree with the majority", role: "muted" as Role, rows: shown.filter((row) => row.class === "truechimer") },
    { title: majority ? "Not judged" : "Not judged: no majority", role: "muted" as Role,
      rows: shown.filter((row) => row.class === "unknown") },
  ].filter((group) => group.rows.length > 0);
  return {
    scene: layout(groups, scale, majority, width, unit), scale,
    absent: servers.length - drawn.length, hidden: drawn.length - shown.length,
  };
}

const distance = (row: Drawn): number => row.gap_s ?? 0;

interface Group {
  title: string;
  role: Role;
  rows: Drawn[];
}

function layout(groups: readonly Group[], scale: Scale, majority: Majority | null, width: number, unit: Unit): Scene {
  const narrow = width < NARROW;
  const left = narrow ? 96 : 168;
  const right = narrow ? 12 : 170;
  const x = (offset_s: number): number => left + scale.place(offset_s) * (width - left - right);
  const body = groups.reduce((sum, group) => sum + HEADING + group.rows.length * ROW, 0);
  const bottom = TOP + body;
  const marks: Mark[] = [...ground(scale, majority, x, bottom, width)];
  let y = TOP;
  for (const group of groups) {
    marks.push({ kind: "text", x: 0, y: y + 16, text: group.title, role: group.role, bold: true });
    y += HEADING;
    for (const row of group.rows) {
      marks.push(...bar(row, roleOf(row, majority), y, x, unit, narrow, width));
      y += ROW;
    }
  }
  return { width, height: bottom + AXIS, marks };
}

function ground(scale: Scale, majority: Majority | null, x: (s: number) => number, bottom: number, width: number): Mark[] {
  const marks: Mark[] = [];
  if (majority) {
    const from = x(majority.low_s);
    marks.push({ kind: "rect", x: from, y: TOP, w: Math.max(2, x(majority.high_s) - from), h: bottom - TOP, role: "majority" });
  }
  let last = -Infinity;
  for (const value of scale.ticks) {
    const at = x(scale.centre_s + value);
    marks.push({ kind: "line", x1: at, y1: TOP, x2: at, y2: bottom, role: "line" });
    const half = 26;
    // Overlapping labels are left out; the line stays.
    if (at - last < 2 * half || at + half > width + 8) continue;
    last = at;
    marks.push({ kind: "text", x: at, y: bottom + 16, text: tick(value, true), role: "muted", anchor: "middle" });
  }
  const zero = x(0);
  marks.push({ kind: "line", x1: zero, y1: TOP - 4, x2: zero, y2: bottom, role: "zero", width: 1.5, dashed: true });
  marks.push({ kind: "text", x: zero, y: TOP - 8, text: "this clock", role: "ink", anchor: "middle" });
  return marks;
}

/**
 * Red only if the verdict says so. Green only if the interval of the last poll also overlaps the majority: the verdict
 * uses several polls, so a single poll may stray without making the server wrong.
 */
function roleOf(row: Drawn, majority: Majority | null): Role {
  if (row.class === "falseticker") return "bad";
  const meets = majority !== null && row.interval.low_s <= majority.high_s && row.interval.high_s >= majority.low_s;
  return row.class === "truechimer" && meets ? "good" : "idle";
}

function bar(row: Drawn, role: Role, top: number, x: (s: number) => number, unit: Unit, narrow: boolean, width: number): Mark[] {
  const { low_s, high_s } = row.interval;
  const middle = top + ROW / 2;
  const [from, to] = [x(low_s), x(high_s)];
  const wide = Math.max(3, to - from);
  const start = (from + to - wide) / 2;
  const dot = x((low_s + high_s) / 2);
  const value = `${offset(row.offset_s, unit)} ± ${duration(row.root_distance_s, unit)}`;
  const name = shorten(row.id, narrow ? 13 : 22);
  const marks: Mark[] = [
    { kind: "text", x: 0, y: middle + 4, text: row.class === "falseticker" ? `✕ ${name}` : name, role: role === "bad" ? "bad" : "ink",
      link: href("server", row.id), hint: `${row.id}: ${value}. ${row.sentence}` },
    { kind: "rect", x: start, y: middle - 5, w: wide, h: 10, role, round: 2 },
    { kind: "line", x1: dot, y1: middle - 8, x2: dot, y2: middle + 8, role: "ink", width: 1.5 },
  ];
  if (!narrow) marks.push({ kind: "text", x: width - 2, y: middle + 4, text: value, role: "muted", anchor: "end" });
  return marks;
}

function shorten(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}

/** Describes the axis, because a partly logarithmic axis needs an explanation. */
export function axisSentence(scale: Scale): string {
  const about = scale.centre_s === 0
    ? "Offset from this clock; + means that the server is ahead."
    : `The axis is relative to ${offset(scale.centre_s)}, the figures on the right are relative to this clock; + means that the server is ahead.`;
  const bend = scale.kind === "symlog"
    ? ` Scale: linear within ±${tick(scale.linear_s, false)}, logarithmic beyond (each step ten times the last).`
    : " Scale: linear.";
  return about + bend;
}
