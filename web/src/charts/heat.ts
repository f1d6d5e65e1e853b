/** The heat map of servers and time: offset within its bound, outside of it, or no answer. Pure. */
import type { HistorySeries } from "../api/types";
import { instant } from "../format/time";
import { duration, offset, percent, type Unit } from "../format/units";
import { href } from "../state/address";
import { gridOfTime, type TimeGrid } from "./lanes";
import type { Mark, Role, Scene } from "./scene";

const LANE = 18;
const BAR = 14;
const TOP = 6;
const AXIS = 40;
const LABEL_PX = 7;
/** A step with at least this share of lost polls counts as unanswered. */
const SILENT = 0.5;

export type Heat = "within" | "outside" | "lossy" | "silent";

export const HEATS: Record<Heat, { role: Role; text: string }> = {
  within: { role: "good", text: "offset within its bound" },
  outside: { role: "bad", text: "offset outside its bound" },
  lossy: { role: "warn", text: "answers missing" },
  silent: { role: "idle", text: "no answer" },
};
const LOSSY = 0.1;

/** The state of a step. The bound is the root distance: an offset beyond it means that one of the two clocks is wrong. */
export function heatOf(series: HistorySeries, place: number): Heat {
  const [polls, samples] = [series.polls[place] ?? 0, series.samples[place] ?? 0];
  if (samples === 0 || samples / polls < SILENT) return "silent";
  const [value, bound] = [series.offset_s?.[place], series.root_distance_s?.[place]];
  if (value != null && bound != null && Math.abs(value) > bound) return "outside";
  return samples / polls < 1 - LOSSY ? "lossy" : "within";
}

/** Consecutive steps with the same state. */
interface Run {
  heat: Heat;
  from_s: number;
  to_s: number;
  polls: number;
  samples: number;
  worst: { offset_s: number; bound_s: number } | null;
}

/** A poll counts until the next one, at most for this many times the interval before it: intervals may double. */
const REACH = 2.5;

/** The time for which a single poll counts. The interval may have changed since, so that of the last poll says nothing. */
function reachOf({ time, poll_s }: HistorySeries, place: number): [number, number] {
  const [at, before, next] = [time[place] ?? 0, time[place - 1], time[place + 1]];
  if (next === undefined) return [at, at + (poll_s ?? 64)];
  return [at, Math.min(next, at + REACH * (before === undefined ? poll_s ?? 64 : at - before))];
}

export function runsOf(series: HistorySeries): Run[] {
  const step_s = series.step_s ?? series.poll_s ?? 64;
  const most_s = series.step_s === null ? 0 : Math.max(0.6 * step_s, 2.5 * (series.poll_s ?? 64) - step_s);
  const runs: Run[] = [];
  series.time.forEach((time, place) => {
    const heat = heatOf(series, place);
    let run = runs.at(-1);
    const [from_s, to_s] = series.step_s === null ? reachOf(series, place) : [time - step_s / 2, time + step_s / 2];
    const joins = run !== undefined && from_s - run.to_s <= most_s;
    if (!run || run.heat !== heat || !joins) {
      run = { heat, from_s: run && joins ? run.to_s : from_s, to_s, polls: 0, samples: 0, worst: null };
      runs.push(run);
    }
    run.to_s = to_s;
    run.polls += series.polls[place] ?? 0;
    run.samples += series.samples[place] ?? 0;
    const [offset_s, bound_s] = [series.offset_s?.[place], series.root_distance_s?.[place]];
    if (offset_s != null && bound_s != null && Math.abs(offset_s) > Math.abs(run.worst?.offset_s ?? 0)) run.worst = { offset_s, bound_s };
  });
  return runs;
}

export function heatScene(all: readonly HistorySeries[], grid: TimeGrid, unit: Unit): Scene {
  const { from_s, to_s, width, zone } = grid;
  const room = Math.min(width * 0.35, Math.max(60, ...all.map((series) => series.id.length * LABEL_PX + 12)));
  const x = (time_s: number): number => room + (Math.min(to_s, Math.max(from_s, time_s)) - from_s) / (to_s - from_s) * (width - room - 30);
  const bottom = TOP + all.length * LANE;
  const marks: Mark[] = [...gridOfTime(grid, x, TOP, bottom)];
  all.forEach((series, index) => {
    const middle = TOP + index * LANE + LANE / 2;
    const most = Math.floor((room - 8) / LABEL_PX);
    const name = series.id.length > most ? `${series.id.slice(0, Math.max(1, most - 1))}…` : series.id;
    marks.push({ kind: "text", x: 0, y: middle + 4, text: name, role: "ink", hint: series.id, link: href("server", series.id, spanQuery(from_s, to_s)) });
    for (const run of runsOf(series)) {
      if (run.to_s < from_s || run.from_s > to_s) continue;
      const left = x(run.from_s);
      marks.push({
        kind: "rect", x: left, y: middle - BAR / 2, w: Math.max(1, x(run.to_s) - left), h: BAR, role: HEATS[run.heat].role,
        hint: hintOf(series.id, run, zone, unit), link: href("server", series.id, around(run)),
      });
    }
  });
  return { width, height: bottom + AXIS, marks };
}

const spanQuery = (from_s: number, to_s: number): Record<string, string> => ({ from: from_s.toFixed(0), to: to_s.toFixed(0) });

/** The time span of the run, extended by its own length, but at least some minutes, on both sides. */
function around({ from_s, to_s }: Run): Record<string, string> {
  const beyond = Math.max(300, (to_s - from_s) / 2);
  return spanQuery(from_s - beyond, to_s + beyond);
}

function hintOf(id: string, run: Run, zone: string, unit: Unit): string {
  const worst = run.worst ? `, at most ${offset(run.worst.offset_s, unit)} (bound ± ${duration(run.worst.bound_s, unit)})` : "";
  return `${id}: ${HEATS[run.heat].text} from ${instant(run.from_s * 1000, zone)} to ${instant(run.to_s * 1000, zone)}${worst}; `
    + `${percent(run.polls > 0 ? run.samples / run.polls : null)} of ${run.polls} ${run.polls === 1 ? "poll" : "polls"} answered`;
}
