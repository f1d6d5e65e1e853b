/** A chart over time: crosshair shared with its neighbours, drag to zoom, bands, limits, events marked on the axis. */
import { useRef } from "preact/hooks";
import type { ComponentChildren } from "preact";
import uPlot from "uplot";
import type { EventEntry } from "../api/types";
import { axis, faint, inZone, ROOM, secondsAxis, timeAxis, wide } from "../charts/axes";
import { cssColour, downloadCanvas, downloadCsv } from "../charts/download";
import type { Column } from "../charts/history";
import { drawEvents, drawLimits, type Limit } from "../charts/marks";
import { Plot } from "../charts/plot";
import { Downloads, Empty, Panel } from "./bits";
import { dark, unit, zone } from "../state/prefs";

export interface Line {
  name: string;
  values: Column;
  /** A colour of the style sheet. */
  colour: string;
  dash?: number[] | undefined;
  write: (value: number | null) => string;
}

/** A shaded area between two columns. */
export interface Band {
  name: string;
  low: Column;
  high: Column;
  colour: string;
  percentOpaque: number;
  /** Whether the vertical axis includes the whole band; otherwise it fits the lines. */
  fits: boolean;
  write: (value: number | null) => string;
}

export type Measure = "offset" | "duration" | "ratio" | "ppm" | "score";

/** The suffixes of the column names in a file. */
const SUFFIX: Record<Measure, string> = { offset: "_s", duration: "_s", ratio: "_ratio", ppm: "_ppm", score: "" };

export interface TimeChartProps {
  title: string;
  note?: ComponentChildren;
  /** The subject: a server or a host. */
  of: string;
  time_s: number[];
  lines: Line[];
  bands?: Band[];
  limits?: Limit[];
  /** Whether the vertical axis always includes the limits. */
  showsLimits?: boolean;
  /** The quantity of the vertical axis. */
  measure: Measure;
  window: { from_s: number; to_s: number };
  events: readonly EventEntry[];
  /** Whether it has double width. */
  wide?: boolean;
  tools?: ComponentChildren;
  /** A ratio is drawn as bars, unless there are several lines. */
  bars?: boolean;
  onZoom: (from_s: number, to_s: number) => void;
  onReset: () => void;
}

const HEIGHT = 230;
const TALL = 340;
const SYNC = "time";

export function TimeChart(props: TimeChartProps) {
  const latest = useRef(props);
  latest.current = props;
  const plot = useRef<uPlot | null>(null);
  const { title, note, of, time_s, lines, bands = [], limits = [], measure, events } = props;
  const full = `${title} of ${of}`;
  const empty = lines.every((line) => line.values.every((value) => value == null));
  const data = useData(time_s, [...bands.flatMap((band) => [band.high, band.low]), ...lines.map((line) => line.values)]);
  const png = (): void => {
    if (plot.current) downloadCanvas(full, plot.current.ctx.canvas, devicePixelRatio);
  };
  const csv = (): void => downloadTable(full, props);
  const marks = [...events.map((event) => `${event.id} ${event.start} ${event.end}`), ...limits.map((limit) => `${limit.name} ${limit.value}`)].join();
  const version = [dark.value, zone.value, unit.value, measure, lines.map((line) => `${line.name} ${line.colour}`).join(),
    bands.map((band) => `${band.name} ${band.fits}`).join(), props.showsLimits, limits.length].join();
  return (
    <Panel title={title} note={note} wide={props.wide} tools={<>{props.tools}{!empty && <Downloads of={full} png={png} csv={csv} />}</>}>
      {empty ? <Empty>No data in this time span.</Empty> : (
        <Plot label={`${full} over time${events.length > 0 ? `, with ${events.length} events` : ""}`} height={props.wide ? TALL : HEIGHT}
          data={data} options={options(latest)} marks={marks} onReady={(made) => { plot.current = made; }} version={version} />
      )}
    </Panel>
  );
}

function downloadTable(full: string, { time_s, lines, bands = [], measure }: TimeChartProps): void {
  const columns = [
    ...lines.map((line) => ({ name: csvName(line.name, measure), values: line.values })),
    ...bands.flatMap((band) => [
      { name: csvName(`${band.name} low`, measure), values: band.low }, { name: csvName(`${band.name} high`, measure), values: band.high },
    ]),
  ];
  // A point without any value only interrupts a line.
  const rows = time_s.map((time, index) => [new Date(time * 1000).toISOString(), ...columns.map((column) => column.values[index] ?? null)]);
  downloadCsv(full, ["time", ...columns.map((column) => column.name)], rows.filter((row) => row.slice(1).some((cell) => cell !== null)));
}

const csvName = (name: string, measure: Measure): string =>
  `${name.toLowerCase().replaceAll(" ", "_")}${SUFFIX[measure]}`;

/** Returns the same array for the same columns, so that a chart is updated only with new data. */
function useData(time_s: number[], columns: Column[]): uPlot.AlignedData {
  const held = useRef<{ time_s: number[]; columns: Column[]; data: uPlot.AlignedData } | null>(null);
  const same = held.current?.time_s === time_s && held.current.columns.length === columns.length
    && columns.every((column, index) => held.current?.columns[index] === column);
  if (!same || !held.current) held.current = { time_s, columns, data: [time_s, ...columns] };
  return held.current.data;
}

type Latest = { current: TimeChartProps };

function options(latest: Latest): Omit<uPlot.Options, "width" | "height"> {
  const { lines, bands = [], measure } = latest.current;
  return {
    tzDate: inZone(zone.value),
    padding: ROOM,
    cursor: {
      sync: { key: SYNC, setSeries: false },
      drag: { x: true, y: false, setScale: false },
      bind: { dblclick: () => () => { latest.current.onReset(); return null; } },
    },
    scales: {
      x: { time: true, range: () => [latest.current.window.from_s, latest.current.window.to_s] },
      y: { range: (_plot, low, high) => range(latest.current, low, high) },
    },
    axes: [timeAxis(zone.value), vertical(measure)],
    series: [
      { label: "Time", value: "{YYYY}-{MM}-{DD} {HH}:{mm}:{ss}" },
      ...bands.flatMap((band) => [edge(band, "max"), edge(band, "min")]),
      ...lines.map((line) => series(line, measure === "ratio" && latest.current.bars !== false)),
    ],
    bands: bands.map((band, index): uPlot.Band => ({ series: [2 * index + 1, 2 * index + 2], fill: faint(cssColour(band.colour), band.percentOpaque) })),
    hooks: {
      setSelect: [(plot) => select(plot, latest)],
      draw: [(plot) => { drawLimits(plot, latest.current.limits ?? []); drawEvents(plot, latest.current.events); }],
    },
  };
}

function vertical(measure: Measure): uPlot.Axis {
  const plain = (write: (value: number) => string): uPlot.Axis => ({ ...axis((ticks) => ticks.map(write)), size: wide });
  if (measure === "ratio") return plain((value) => `${Number((value * 100).toFixed(1))} %`);
  if (measure === "ppm") return plain((value) => `${value > 0 ? "+" : ""}${Number(value.toFixed(6))} ppm`.replace("-", "−"));
  if (measure === "score") return plain((value) => String(Number(value.toFixed(2))).replace("-", "−"));
  return secondsAxis(measure === "offset", unit.value);
}

function edge(band: Band, which: "max" | "min"): uPlot.Series {
  return {
    label: `${band.name}, ${which}`,
    stroke: faint(cssColour(band.colour), 35),
    width: 0.7,
    auto: band.fits,
    points: { show: false },
    value: (_plot, value) => band.write(value),
  };
}

function series(line: Line, bars: boolean): uPlot.Series {
  const colour = cssColour(line.colour);
  return {
    label: line.name,
    stroke: colour,
    width: 1.5,
    value: (_plot, value) => line.write(value),
    ...(line.dash ? { dash: line.dash } : {}),
    ...(bars ? { fill: faint(colour, 18), ...(uPlot.paths.bars ? { paths: uPlot.paths.bars({ size: [0.9, 24] }) } : {}), points: { show: false } } : {}),
  };
}

/** Adds some space above and below. A loss axis starts at zero and shows at least ten per cent. */
function range({ measure, limits = [], showsLimits }: TimeChartProps, low: number | null, high: number | null): [number, number] {
  if (measure === "ratio") return [0, Math.max(0.1, Math.min(1, (high ?? 0) * 1.1))];
  if (low === null || high === null) return [0, 1e-3];
  const reach = showsLimits ? limits.map((limit) => limit.value) : [];
  const [least, most] = [Math.min(low, ...reach), Math.max(high, ...reach)];
  const air = (most - least || Math.abs(most) * 0.1 || (measure === "ppm" || measure === "score" ? 1 : 1e-6)) * 0.08;
  return [measure === "duration" ? Math.max(0, least - air) : least - air, most + air];
}

function select(plot: uPlot, latest: Latest): void {
  const { left, width } = plot.select;
  if (width < 8) return;
  const [from, to] = [plot.posToVal(left, "x"), plot.posToVal(left + width, "x")];
  plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  latest.current.onZoom(from, to);
}
