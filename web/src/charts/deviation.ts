/** Deviations over averaging time, both axes logarithmic (NIST SP 1065), for one server or several. */
import type uPlot from "uplot";
import { span } from "../format/time";
import { axis, DOTS } from "./axes";
import { cssColour } from "./download";

/** uPlot's code for a logarithmic scale. */
const LOG = 3;

/** Replaces values that a logarithmic axis cannot show, such as zero. */
export const positive = (values: readonly (number | null | undefined)[]): (number | null | undefined)[] =>
  values.map((value) => (value == null || value > 0 ? value : null));

export function deviationOptions(lines: readonly { name: string; colour: string; dash?: number[] | undefined }[], write: (value: number) => string): Omit<uPlot.Options, "width" | "height"> {
  const ticks = (text: (value: number) => string) => (values: number[]): string[] =>
    values.map((value) => (value == null || !isDecade(value) ? "" : text(value)));
  return {
    scales: { x: { time: false, distr: LOG }, y: { distr: LOG } },
    axes: [
      { ...axis(ticks((value) => (value < 1 ? `${value} s` : span(value))), "Averaging time"), space: 30 },
      { ...axis(ticks(write)), size: 74 },
    ],
    cursor: { drag: { x: false, y: false } },
    series: [
      { label: "Averaging time", value: (_plot, value) => (value == null ? "–" : span(value)) },
      ...lines.map(({ name, colour, dash }): uPlot.Series => ({
        label: name, stroke: cssColour(colour), width: 1.5, points: { ...DOTS, size: 6, fill: cssColour(colour) },
        ...(dash ? { dash } : {}), value: (_plot, value) => (value == null ? "–" : write(value)),
      })),
    ],
  };
}

const isDecade = (value: number): boolean => Math.abs(Math.log10(value) - Math.round(Math.log10(value))) < 1e-6;
