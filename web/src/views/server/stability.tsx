/** ADEV and TDEV over averaging time, both axes logarithmic (NIST SP 1065). */
import { useMemo, useRef, useState } from "preact/hooks";
import type uPlot from "uplot";
import { api } from "../../api/client";
import type { Stability as Figures } from "../../api/types";
import { axis, DOTS } from "../../charts/axes";
import { cssColour, downloadCanvas, downloadCsv } from "../../charts/download";
import { Plot } from "../../charts/plot";
import { Choice, Downloads, Empty, Failure, Loading, Panel } from "../../components/bits";
import { span } from "../../format/time";
import { duration } from "../../format/units";
import { dark } from "../../state/prefs";
import { useResource } from "../../state/resource";

const SPANS = ["1h", "6h", "24h", "7d"];
/** The scale distribution of uPlot that is logarithmic. */
const LOG = 3;

export function StabilityPanel({ id }: { id: string }) {
  const [span, setSpan] = useState("24h");
  const { data, error, retry } = useResource(`${id} ${span}`,
    (signal) => api.stability(id, { from: `-${span}`, to: "now" }, signal), 30_000);
  const series = data?.series[0];
  return (
    <>
      {error && !data && <Panel title="Stability"><Failure what="Stability" error={error} retry={retry} /></Panel>}
      {!data && !error && <Panel title="Stability"><Loading what="stability" /></Panel>}
      {data && <Both id={id} figures={series?.stability ?? null} reason={series?.reason ?? null} tools={(
        <Choice label="Span" value={span} onChange={setSpan} options={SPANS.map((value) => ({ value, text: value }))} />
      )} />}
    </>
  );
}

function Both({ id, figures, reason, tools }: { id: string; figures: Figures | null; reason: string | null; tools: preact.ComponentChildren }) {
  if (!figures || figures.tau_s.length === 0) {
    return <Panel title="Stability" tools={tools}><Empty>No stability can be given{reason ? `: ${reason}` : ""}.</Empty></Panel>;
  }
  const csv = (): void => downloadCsv(`Stability of ${id}`, ["tau_s", "n", "oadev", "mdev", "tdev_s"],
    figures.tau_s.map((tau, index) => [tau, figures.n[index] ?? null, figures.oadev[index] ?? null, figures.mdev[index] ?? null, figures.tdev[index] ?? null]));
  return (
    <div class="chart-grid">
      <Deviation title="Allan deviation" note="Overlapping ADEV of the server's clock against this one. Where it falls, noise averages out."
        id={id} tools={tools} csv={csv} tau={figures.tau_s} values={figures.oadev} write={(value) => value.toExponential(1)} />
      <Deviation title="Time deviation" note="TDEV: how much the time itself varies over the averaging time."
        id={id} csv={csv} tau={figures.tau_s} values={figures.tdev} write={(value) => duration(value)} />
    </div>
  );
}

function Deviation({ title, note, id, tools, csv, tau, values, write }: {
  title: string; note: string; id: string; tools?: preact.ComponentChildren; csv: () => void;
  tau: number[]; values: (number | null)[]; write: (value: number) => string;
}) {
  const plot = useRef<uPlot | null>(null);
  // Zero has no place on a logarithmic axis.
  const data = useMemo((): uPlot.AlignedData => [tau, values.map((value) => (value !== null && value > 0 ? value : null))], [tau, values]);
  const full = `${title} of ${id}`;
  return (
    <Panel title={title} note={note} tools={<>{tools}<Downloads of={full} csv={csv}
      png={() => plot.current && downloadCanvas(full, plot.current.ctx.canvas, devicePixelRatio)} /></>}>
      <Plot label={`${full} over averaging time`} height={230} data={data} version={String(dark.value)}
        options={options(title, write)} onReady={(made) => { plot.current = made; }} />
    </Panel>
  );
}

function options(title: string, write: (value: number) => string): Omit<uPlot.Options, "width" | "height"> {
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
      { label: title, stroke: cssColour("accent"), width: 1.5, points: { ...DOTS, size: 6, fill: cssColour("accent") },
        value: (_plot, value) => (value == null ? "–" : write(value)) },
    ],
  };
}

const isDecade = (value: number): boolean => Math.abs(Math.log10(value) - Math.round(Math.log10(value))) < 1e-6;
