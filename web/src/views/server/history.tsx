/** Offset, delay, jitter and loss over time. */
import { useMemo, useRef } from "preact/hooks";
import { api } from "../../api/client";
import type { EventEntry } from "../../api/types";
import { historyOf, recorded } from "../../charts/history";
import { Failure, Loading } from "../../components/bits";
import { TimeChart } from "../../components/time-chart";
import { EVERY_MS, resetSpan, TimeControls, useWindow, zoomTo } from "../../components/time-controls";
import { span } from "../../format/time";
import { duration, offset, percent } from "../../format/units";
import { monitorNowMs } from "../../state/live";
import { unit } from "../../state/prefs";
import { route } from "../../state/route";
import { useResource } from "../../state/resource";
import { asTexts, spanKey, windowOf, type Window } from "../../state/span";
import { Scatter } from "./scatter";


export function HistoryCharts({ id, events }: { id: string; events: readonly EventEntry[] }) {
  const window = useWindow();
  const live = window.span !== null;
  const key = `${id} ${spanKey(window)}`;
  // A span that ends now is reloaded at each refresh; its limits are computed then.
  const { data: read, error, retry } = useResource(key, async (signal) => {
    const wanted = live ? windowOf(route.value.query, monitorNowMs.value / 1000) : window;
    return historyAndSource(await api.samples(id, asTexts(wanted), signal));
  }, live ? EVERY_MS : null);
  // While another stretch is read, the charts stay as they are: a zoom must not flicker.
  const drawn = useRef<Data | null>(null);
  if (read) drawn.current = read;
  const data = read ?? drawn.current;
  return (
    <>
      <TimeControls window={window} begins_s={data ? recorded(data.history.time_s, window.from_s, window.to_s).from_s : window.from_s} />
      {error && !read && <Failure what="The history" error={error} retry={retry} />}
      {!data && !error && <Loading what="the history" />}
      {data && <Charts id={id} window={window} data={data} events={events} />}
    </>
  );
}

type Data = ReturnType<typeof historyAndSource>;

function historyAndSource(samples: Awaited<ReturnType<typeof api.samples>>) {
  return { samples, history: historyOf(samples) };
}

function Charts({ id, window, data, events }: { id: string; window: Window; data: Data; events: readonly EventEntry[] }) {
  const { samples, history } = data;
  const wish = unit.value;
  const shared = {
    of: id, window: recorded(history.time_s, window.from_s, window.to_s), events, onZoom: zoomTo, onReset: resetSpan,
  };
  const raw = samples.resolution === "raw";
  const step = raw ? "Every poll." : `Means over ${span(samples.step_s ?? 0)}; the band is from least to most.`;
  const signed = (value: number | null): string => offset(value, wish);
  const size = (value: number | null): string => duration(value, wish);
  const band = useMemo(() => raw ? [] : [
    { name: "Most", values: history.offsetHigh, colour: "accent", band: true, write: signed },
    { name: "Least", values: history.offsetLow, colour: "accent", band: true, write: signed },
  ], [raw, history, wish]);
  return (
    <div class="chart-grid">
      <TimeChart {...shared} title="Offset" wide measure="offset" time_s={history.time_s} note={`Plus: the server is ahead. ${step}`}
        lines={[...band, { name: "Offset", values: history.offset, colour: "accent", write: signed }]} />
      <TimeChart {...shared} title="Delay" measure="duration" time_s={history.time_s} note="Round trip without the server's own time."
        lines={[{ name: "Delay", values: history.delay, colour: "accent", write: size }]} />
      <TimeChart {...shared} title="Jitter" measure="duration" time_s={history.time_s}
        note={raw ? "RMS of the differences between neighbouring offsets, over 8." : "Standard deviation of the offsets within a step."}
        lines={[{ name: "Jitter", values: history.jitter, colour: "accent", write: size }]} />
      <TimeChart {...shared} title="Loss" measure="ratio" time_s={history.loss.time_s}
        note={`Share of polls that brought no offset, per ${span(history.loss.step_s)}.`}
        lines={[{ name: "Loss", values: history.loss.ratio, colour: "bad", write: percent }]} />
      <Scatter id={id} history={history} />
    </div>
  );
}
