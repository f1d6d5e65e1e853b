/** ADEV and TDEV over averaging time, both axes logarithmic (NIST SP 1065). */
import { useMemo, useRef } from "preact/hooks";
import type uPlot from "uplot";
import { api } from "../../api/client";
import type { Stability as Figures } from "../../api/types";
import { deviationOptions, positive } from "../../charts/deviation";
import { downloadCanvas, downloadCsv } from "../../charts/download";
import { Plot } from "../../charts/plot";
import { Downloads, Empty, Failure, Loading, Panel } from "../../components/bits";
import { duration } from "../../format/units";
import { dark } from "../../state/prefs";
import { windowNow } from "../../components/time-controls";
import { useResource } from "../../state/resource";
import { asTexts, spanKey, type Window } from "../../state/span";

export function StabilityPanel({ id, window }: { id: string; window: Window }) {
  const live = window.span !== null;
  const { data, error, retry } = useResource(`${id} ${spanKey(window)}`,
    (signal) => api.stability(id, asTexts(live ? windowNow() : window), signal), live ? 30_000 : null);
  const series = data?.series[0];
  return (
    <>
      {error && !data && <Panel title="Stability"><Failure what="Stability" error={error} retry={retry} /></Panel>}
      {!data && !error && <Panel title="Stability"><Loading what="stability" /></Panel>}
      {data && <Both id={id} figures={series?.stability ?? null} reason={series?.reason ?? null} />}
    </>
  );
}

function Both({ id, figures, reason }: { id: string; figures: Figures | null; reason: string | null }) {
  if (!figures || figures.tau_s.length === 0) {
    return <Panel title="Stability"><Empty>The stability cannot be computed{reason ? `: ${reason}` : ""}.</Empty></Panel>;
  }
  const csv = (): void => downloadCsv(`Stability of ${id}`, ["tau_s", "n", "oadev", "mdev", "tdev_s"],
    figures.tau_s.map((tau, index) => [tau, figures.n[index] ?? null, figures.oadev[index] ?? null, figures.mdev[index] ?? null, figures.tdev[index] ?? null]));
  return (
    <div class="chart-grid">
      <Deviation title="Allan deviation" note="Overlapping ADEV of the server's clock against this one. Where the curve falls, noise averages out."
        id={id} csv={csv} tau={figures.tau_s} values={figures.oadev} write={(value) => value.toExponential(1)} />
      <Deviation title="Time deviation" note="TDEV: how much the time itself varies over the averaging time."
        id={id} csv={csv} tau={figures.tau_s} values={figures.tdev} write={(value) => duration(value)} />
    </div>
  );
}

function Deviation({ title, note, id, csv, tau, values, write }: {
  title: string; note: string; id: string; csv: () => void;
  tau: number[]; values: (number | null)[]; write: (value: number) => string;
}) {
  const plot = useRef<uPlot | null>(null);
  const data = useMemo((): uPlot.AlignedData => [tau, positive(values)], [tau, values]);
  const full = `${title} of ${id}`;
  return (
    <Panel title={title} note={note} tools={<Downloads of={full} csv={csv}
      png={() => plot.current && downloadCanvas(full, plot.current.ctx.canvas, devicePixelRatio)} />}>
      <Plot label={`${full} over averaging time`} height={230} data={data} version={String(dark.value)}
        options={deviationOptions([{ name: title, colour: "accent" }], write)} onReady={(made) => { plot.current = made; }} />
    </Panel>
  );
}
