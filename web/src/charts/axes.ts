/** Axes and colours that every uPlot chart of the page shares. */
import uPlot from "uplot";
import { instant } from "../format/time";
import { ticks as unitTicks, type Unit } from "../format/units";
import { cssColour } from "./download";

const FONT = "12px system-ui, sans-serif";

/** An axis; `values` formats its ticks. */
export function axis(values: ((ticks: number[]) => string[]) | null, label?: string): uPlot.Axis {
  return {
    stroke: cssColour("muted"),
    font: FONT,
    labelFont: FONT,
    grid: { stroke: cssColour("line"), width: 1 },
    ticks: { stroke: cssColour("line"), width: 1 },
    ...(label === undefined ? {} : { label, labelSize: 20 }),
    ...(values === null ? {} : { values: (_plot: uPlot, ticks: number[]) => values(ticks) }),
  };
}

/** An axis of seconds with all ticks in one unit; `signed` also shows the plus sign. */
export function secondsAxis(signed: boolean, chosen: Unit = "auto", label?: string): uPlot.Axis {
  return { ...axis((values) => unitTicks(values, signed, chosen), label), size: wide };
}

const TICK_PX = 7;

/** The width of an axis: that of its longest text, but charts above each other have the same left edge. */
export function wide(_plot: uPlot, texts: string[] | null): number {
  return Math.max(74, 18 + TICK_PX * Math.max(0, ...(texts ?? []).map((text) => text.length)));
}

/** Room on the right for half of the last tick. */
export const ROOM: uPlot.Padding = [null, 30, null, null];

const DAY_S = 86_400;

/** The ticks of a time axis: the time of day, and below it the date at its first tick, in ISO 8601 as in lists. Pure. */
export function timeTicks(times_s: readonly number[], step_s: number, zone: string): string[] {
  let before = "";
  return times_s.map((time_s) => {
    const [date = "", clock = ""] = instant(time_s * 1000, zone).split(" ");
    const day = date === before ? "" : date;
    before = date;
    if (step_s >= 28 * DAY_S) return date.slice(0, 7);
    if (step_s >= DAY_S) return date.slice(5);
    const shown = step_s < 60 ? clock : clock.slice(0, 5);
    return day ? `${shown}\n${day}` : shown;
  });
}

/** A time axis in a zone. */
export function timeAxis(zone: string): uPlot.Axis {
  return { ...axis(null), space: 70, values: (_plot, times, _index, _space, step) => timeTicks(times, step, zone) };
}

/** The zone of a time axis. */
export function inZone(zone: string): (time_s: number) => Date {
  return (time_s) => uPlot.tzDate(new Date(time_s * 1000), zone);
}

/** Dots without a line. */
export const DOTS: uPlot.Series.Points = { show: true, size: 4 };

/** A colour with another opacity. */
export function faint(colour: string, percentOpaque: number): string {
  return `color-mix(in srgb, ${colour} ${percentOpaque}%, transparent)`;
}
