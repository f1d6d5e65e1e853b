/** One chart over time: crosshair shared with its neighbours, drag to zoom, events marked on the axis. */
import { useRef } from "preact/hooks";
import uPlot from "uplot";
import type { EventEntry } from "../api/types";
import { axis, faint, inZone, ROOM, secondsAxis, timeAxis } from "../charts/axes";
import { cssColour, downloadCanvas, downloadCsv } from "../charts/download";
import type { Column } from "../charts/history";
import { drawEvents } from "../charts/marks";
import { Plot } from "../charts/plot";
import { Downloads, Empty, Panel } from "./bits";
import { dark, unit, zone } from "../state/prefs";

export interface Line {
  name: string;
  values: Column;
  /** A colour of the style sheet. */
  colour: string;
  /** Drawn as one edge of a shaded band with the next line. */
  band?: boolean;
  write: (value: number | null) => string;
}

export type Measure = "offset" | "duration" | "ratio" | "ppm";

/** What the columns of a file are called by. */
const SUFFIX: Record<Measure, string> = { offset: "_s", duration: "_s", ratio: "_ratio", ppm: "_ppm" };

export interface TimeChartProps {
  title: string;
  note?: string;
  /** Of what it is: a server or a host. */
  of: string;
  time_s: number[];
  lines: Line[];
  /** What the vertical axis counts. */
  measure: Measure;
  window: { from_s: number; to_s: number };
  events: readonly EventEntry[];
  /** As wide as two others. */
  wide?: boolean;
  onZoom: (from_s: number, to_s: number) => void;
  onReset: () => void;
}

const HEIGHT = 190;
const SYNC = "time";

export function TimeChart(props: TimeChartProps) {
  const latest = useRef(props);
  latest.current = props;
  const plot = useRef<uPlot | null>(null);
  const { title, note, of, time_s, lines, measure } = props;
  const full = `${title} of ${of}`;
  const empty = lines.every((line) => line.values.every((value) => value === null));
  const data = useData(time_s, lines);
  const png = (): void => {
    if (plot.current) downloadCanvas(full, plot.current.ctx.canvas, devicePixelRatio);
  };
  const csv = (): void => downloadCsv(full, ["time", ...lines.map((line) => csvName(line.name, measure))],
    time_s.map((time, index) => [new Date(time * 1000).toISOString(), ...lines.map((line) => line.values[index] ?? null)]));
  return (
    <Panel title={title} note={note} wide={props.wide} tools={!empty && <Downloads of={full} png={png} csv={csv} />}>
      {empty ? <Empty>Nothing was measured in this stretch of time.</Empty> : (
        <Plot label={`${full} over time`} height={HEIGHT} data={data} options={options(latest)}
          onReady={(made) => { plot.current = made; }}
          version={[dark.value, zone.value, unit.value, measure, lines.map((line) => line.name).join()].join()} />
      )}
    </Panel>
  );
}

const csvName = (name: string, measure: Measure): string =>
  `${name.toLowerCase().replaceAll(" ", "_")}${SUFFIX[measure]}`;

/** The same columns give the same array, so that a chart is fed only what is new. */
function useData(time_s: number[], lines: Line[]): uPlot.AlignedData {
  const held = useRef<{ time_s: number[]; columns: Column[]; data: uPlot.AlignedData } | null>(null);
  const columns = lines.map((line) => line.values);
  const same = held.current?.time_s === time_s && columns.every((column, index) => held.current?.columns[index] === column);
  if (!same || !held.current) held.current = { time_s, columns, data: [time_s, ...columns] };
  return held.current.data;
}

type Latest = { current: TimeChartProps };

function options(latest: Latest): Omit<uPlot.Options, "width" | "height"> {
  const { lines, measure } = latest.current;
  const bandAt = lines.findIndex((line) => line.band);
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
      y: { range: (_plot, low, high) => range(measure, low, high) },
    },
    axes: [timeAxis(zone.value), vertical(measure)],
    series: [
      { label: "Time", value: "{YYYY}-{MM}-{DD} {HH}:{mm}:{ss}" },
      ...lines.map((line) => series(line, measure)),
    ],
    ...(bandAt < 0 ? {} : { bands: [{ series: [bandAt + 1, bandAt + 2], fill: faint(cssColour("accent"), 18) } as uPlot.Band] }),
    hooks: { setSelect: [(plot) => select(plot, latest)], draw: [(plot) => drawEvents(plot, latest.current.events)] },
  };
}

function vertical(measure: Measure): uPlot.Axis {
  const plain = (size: number, write: (value: number) => string): uPlot.Axis => ({ ...axis((ticks) => ticks.map(write)), size });
  if (measure === "ratio") return plain(74, (value) => `${Number((value * 100).toFixed(1))} %`);
  if (measure === "ppm") return plain(92, (value) => `${value > 0 ? "+" : ""}${Number(value.toFixed(6))} ppm`.replace("-", "−"));
  return secondsAxis(measure === "offset");
}

function series(line: Line, measure: Measure): uPlot.Series {
  const colour = cssColour(line.colour);
  return {
    label: line.name,
    stroke: line.band ? faint(colour, 35) : colour,
    width: line.band ? 1 : 1.5,
    value: (_plot, value) => line.write(value),
    ...(measure === "ratio" ? { fill: faint(colour, 18), ...(uPlot.paths.bars ? { paths: uPlot.paths.bars({ size: [0.9, 24] }) } : {}), points: { show: false } } : {}),
    ...(line.band ? { points: { show: false } } : {}),
  };
}

/** Some air above and below; a loss begins at zero and shows ten per cent at least. */
function range(measure: Measure, low: number | null, high: number | null): [number, number] {
  if (measure === "ratio") return [0, Math.max(0.1, Math.min(1, (high ?? 0) * 1.1))];
  if (low === null || high === null) return [0, 1e-3];
  const air = (high - low || Math.abs(high) * 0.1 || (measure === "ppm" ? 1 : 1e-6)) * 0.08;
  return [measure === "duration" ? Math.max(0, low - air) : low - air, high + air];
}

function select(plot: uPlot, latest: Latest): void {
  const { left, width } = plot.select;
  if (width < 8) return;
  const [from, to] = [plot.posToVal(left, "x"), plot.posToVal(left + width, "x")];
  plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  latest.current.onZoom(from, to);
}
