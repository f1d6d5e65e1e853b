/** Axes and colours that every uPlot chart of the page shares. */
import uPlot from "uplot";
import { tick } from "../format/units";
import { cssColour } from "./download";

const FONT = "12px system-ui, sans-serif";

/** An axis; `values` writes its ticks. */
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

/** An axis of seconds in sensible units; `signed` says the plus too. */
export function secondsAxis(signed: boolean, label?: string): uPlot.Axis {
  return { ...axis((ticks) => ticks.map((value) => (value == null ? "" : tick(value, signed))), label), size: 74 };
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
