/** The time deviation of several servers over averaging time. */
import { useMemo, useRef } from "preact/hooks";
import uPlot from "uplot";
import { api } from "../../api/client";
import { deviationOptions, positive } from "../../charts/deviation";
import { downloadCanvas, downloadCsv } from "../../charts/download";
import { Plot } from "../../charts/plot";
import { Downloads, Empty, Failure, Loading, Panel } from "../../components/bits";
import { windowNow } from "../../components/time-controls";
import { duration } from "../../format/units";
import { dark } from "../../state/prefs";
import { useResource } from "../../state/resource";
import { asTexts, spanKey, type Window } from "../../state/span";
import { dashOf, lineColour } from "./colours";

const TITLE = "Time deviation";

export function DeviationsPanel({ ids, window }: { ids: readonly string[]; window: Window }) {
  const live = window.span !== null;
  const plot = useRef<uPlot | null>(null);
  const { data, error, retry } = useResource(`tdev ${ids.join("\n")} ${spanKey(window)}`, (signal) => {
    const span = asTexts(live ? windowNow() : window);
    return Promise.all(ids.map(async (id) => ({ id, found: (await api.stability(id, span, signal)).series[0] ?? null })));
  }, live ? 30_000 : null);
  const known = useMemo(() => (data ?? []).flatMap(({ id, found }) => (found?.stability ? [{ id, stability: found.stability }] : [])), [data]);
  const table = useMemo((): uPlot.AlignedData => {
    const tables = known.map(({ stability }): uPlot.AlignedData => [stability.tau_s, positive(stability.tdev)]);
    return tables.length > 1 ? uPlot.join(tables) : tables[0] ?? [[]];
  }, [known]);
  if (error && !data) return <Failure what="Stability" error={error} retry={retry} />;
  if (!data) return <Loading what="stability" />;
  const missing = data.filter(({ found }) => !found?.stability);
  const png = (): void => { if (plot.current) downloadCanvas(TITLE, plot.current.ctx.canvas, devicePixelRatio); };
  const csv = (): void => downloadCsv(TITLE, ["server", "tau_s", "tdev_s"],
    known.flatMap(({ id, stability }) => stability.tau_s.map((tau, place) => [id, tau, stability.tdev[place] ?? null])));
  return (
    <Panel title={TITLE} note="TDEV: how much the time itself varies over the averaging time." tools={<Downloads of={TITLE} png={png} csv={csv} />}>
      {known.length === 0 ? <Empty>The stability cannot be computed{missing[0]?.found?.reason ? `: ${missing[0].found.reason}` : ""}.</Empty> : (
        <Plot label={`${TITLE} of ${known.length} servers over averaging time`} height={340} data={table}
          version={`${dark.value} ${known.map(({ id }) => id).join("\n")}`} onReady={(made) => { plot.current = made; }}
          options={deviationOptions(known.map(({ id }, index) => ({ name: id, colour: lineColour(index), dash: dashOf(index) })), (value) => duration(value))} />
      )}
      {known.length > 0 && missing.length > 0 && <p class="legend">Without: {missing.map(({ id }) => id).join(", ")}.</p>}
    </Panel>
  );
}
