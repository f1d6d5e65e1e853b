/** Offset, delay, jitter and loss over time, with the controls of the stretch that is shown. */
import { useMemo, useRef } from "preact/hooks";
import { api } from "../../api/client";
import type { EventEntry } from "../../api/types";
import { historyOf, recorded } from "../../charts/history";
import { Choice, Failure, Loading } from "../../components/bits";
import { instant, span } from "../../format/time";
import { duration, offset, percent } from "../../format/units";
import { monitorNowMs } from "../../state/live";
import { unit, zone } from "../../state/prefs";
import { route, setQuery } from "../../state/route";
import { useResource } from "../../state/resource";
import { asQuery, asTexts, pan, SPANS, windowOf, zoom, type Window } from "./span";
import { Scatter } from "./scatter";
import { TimeChart } from "./time-chart";

const EVERY_MS = 5000;

/** The stretch of time that the address names. Now stands still between two readings, so that charts do not crawl. */
export function useWindow(): Window {
  const now_s = Math.floor(monitorNowMs.value / EVERY_MS) * (EVERY_MS / 1000);
  return windowOf(route.value.query, now_s);
}

const show = (window: Window): void => setQuery(asQuery(window));

export function HistoryCharts({ id, events }: { id: string; events: readonly EventEntry[] }) {
  const window = useWindow();
  const live = window.span !== null;
  const key = `${id} ${window.span ?? `${window.from_s} ${window.to_s}`}`;
  // A moving stretch is read anew at each turn; what it covers is taken then.
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
      <Controls window={window} begins_s={data ? recorded(data.history, window.from_s, window.to_s).from_s : window.from_s} />
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

function Controls({ window, begins_s }: { window: Window; begins_s: number }) {
  const now_s = monitorNowMs.value / 1000;
  const onKeyDown = (event: KeyboardEvent): void => {
    const moves: Record<string, Window> = {
      ArrowLeft: pan(window, -0.5, now_s), ArrowRight: pan(window, 0.5, now_s),
      "+": zoom(window, 0.5, now_s), "-": zoom(window, 2, now_s),
    };
    const move = moves[event.key];
    if (!move) return;
    event.preventDefault();
    show(move);
  };
  return (
    <div class="time-controls" role="toolbar" aria-label="Time shown" onKeyDown={onKeyDown}>
      <Choice label="Span" value={window.span ?? ""} options={SPANS.map((value) => ({ value, text: value }))}
        onChange={(value) => setQuery({ span: value, from: null, to: null })} />
      <div class="choice" role="group" aria-label="Move and zoom">
        <button type="button" onClick={() => show(pan(window, -0.5, now_s))} aria-label="Earlier">‹</button>
        <button type="button" onClick={() => show(pan(window, 0.5, now_s))} aria-label="Later">›</button>
        <button type="button" onClick={() => show(zoom(window, 0.5, now_s))} aria-label="Zoom in">+</button>
        <button type="button" onClick={() => show(zoom(window, 2, now_s))} aria-label="Zoom out">−</button>
      </div>
      <span class="muted">
        {instant(window.from_s * 1000, zone.value)} to {instant(window.to_s * 1000, zone.value)} {zone.value} ({span(window.to_s - window.from_s)})
      </span>
      {begins_s > window.from_s && <span class="muted">Drawn from {instant(begins_s * 1000, zone.value)}: nothing is recorded before.</span>}
      <span class="muted hint">Drag in a chart to zoom, double click to go back; arrows, + and − work here too.</span>
    </div>
  );
}

function Charts({ id, window, data, events }: { id: string; window: Window; data: Data; events: readonly EventEntry[] }) {
  const { samples, history } = data;
  const wish = unit.value;
  const shared = {
    server: id, window: recorded(history, window.from_s, window.to_s), events,
    onZoom: (from_s: number, to_s: number) => show({ from_s, to_s: Math.max(to_s, from_s + 1), span: null }),
    onReset: () => setQuery({ span: "1h", from: null, to: null }),
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
