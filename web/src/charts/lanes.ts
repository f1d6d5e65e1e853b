/** Time spans in lanes, one lane for each subject: when an alert fired, and for how long. Pure. */
import { groupBy } from "../format/group";
import { timeTicks } from "./axes";
import type { Mark, Role, Scene } from "./scene";

export interface Stretch {
  lane: string;
  from_s: number;
  /** `null` while it lasts. */
  to_s: number | null;
  role: Role;
  hint: string;
}

const LANE = 24;
const BAR = 12;
const TOP = 8;
const AXIS = 40;
/** Minimum width of a bar, so that short spans are visible. */
const LEAST = 3;
const LABEL_PX = 7;
const STEPS_S = [5, 10, 30, 60, 120, 300, 900, 3600, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800, 1_209_600, 2_592_000];

/** A time span mapped to a width. */
export interface TimeGrid {
  from_s: number;
  to_s: number;
  width: number;
  zone: string;
}

export interface LanesOptions extends TimeGrid {
  /** Maximum number of lanes. */
  most: number;
}

/** The lanes with the most spans, and the number of lanes that are left out. */
export function lanes(stretches: readonly Stretch[], chosen: LanesOptions): { scene: Scene; left: number } {
  const held = groupBy(stretches, (stretch) => stretch.lane);
  const order = [...held.keys()].sort((a, b) => (held.get(b)?.length ?? 0) - (held.get(a)?.length ?? 0) || a.localeCompare(b));
  const drawn = order.slice(0, chosen.most);
  const { from_s, to_s, width } = chosen;
  const room = Math.min(width * 0.35, Math.max(60, ...drawn.map((name) => name.length * LABEL_PX + 16)));
  const x = (time_s: number): number => room + (Math.min(to_s, Math.max(from_s, time_s)) - from_s) / (to_s - from_s) * (width - room - 30);
  const bottom = TOP + drawn.length * LANE;
  const marks = [...gridOfTime(chosen, x, TOP, bottom)];
  drawn.forEach((name, index) => {
    const middle = TOP + index * LANE + LANE / 2;
    marks.push({ kind: "text", x: 0, y: middle + 4, text: shortened(name, room), role: "ink", hint: name });
    for (const { from_s: from, to_s: to, role, hint } of held.get(name) ?? []) {
      const left = x(from);
      marks.push({ kind: "rect", x: left, y: middle - BAR / 2, w: Math.max(LEAST, x(to ?? to_s) - left), h: BAR, role, round: 2, hint });
    }
  });
  return { scene: { width, height: bottom + AXIS, marks }, left: order.length - drawn.length };
}

/** Lines at round times, with the times below them. */
export function* gridOfTime({ from_s, to_s, width, zone }: TimeGrid, x: (time_s: number) => number, top: number, bottom: number): Generator<Mark> {
  const step_s = STEPS_S.find((step) => (to_s - from_s) / step <= Math.max(4, width / 130)) ?? STEPS_S.at(-1) ?? 86_400;
  const times: number[] = [];
  for (let time_s = Math.ceil(from_s / step_s) * step_s; time_s <= to_s; time_s += step_s) times.push(time_s);
  const texts = timeTicks(times, step_s, zone);
  for (const [index, time_s] of times.entries()) {
    yield { kind: "line", x1: x(time_s), y1: top, x2: x(time_s), y2: bottom, role: "line" };
    for (const [line, text] of (texts[index] ?? "").split("\n").entries()) {
      yield { kind: "text", x: x(time_s), y: bottom + 16 + 14 * line, text, role: "muted", anchor: "middle" };
    }
  }
}

function shortened(text: string, room: number): string {
  const most = Math.floor((room - 12) / LABEL_PX);
  return text.length > most ? `${text.slice(0, Math.max(1, most - 1))}…` : text;
}
