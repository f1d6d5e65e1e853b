/** This host's clock over time: its error with the bound, the kernel's correction, and the kernel's errors. */
import { useMemo, useRef } from "preact/hooks";
import { api } from "../../api/client";
import type { ClockPoint, EventEntry, LocalClock, LocalHistory } from "../../api/types";
import { columnsOf, pointOf } from "../../charts/clock";
import { recorded } from "../../charts/history";
import { Failure, Loading } from "../../components/bits";
import { TimeChart } from "../../components/time-chart";
import { resetSpan, TimeControls, zoomTo } from "../../components/time-controls";
import { span } from "../../format/time";
import { duration, offset, ppm } from "../../format/units";
import { monitorNowMs } from "../../state/live";
import { unit } from "../../state/prefs";
import { useResource } from "../../state/resource";
import { route } from "../../state/route";
import { asTexts, spanKey, windowOf, type Window } from "../../state/span";

/** The service records one point a minute; readings of the page fill the time between. */
const EVERY_MS = 30_000;
const MOST_SEEN = 120;

export function ClockHistory({ host, window, now, events }: {
  host: string; window: Window; now: LocalClock | null; events: readonly EventEntry[];
}) {
  const live = window.span !== null;
  const { data: read, error, retry } = useResource(`clock of this host ${spanKey(window)}`, (signal) => {
    const wanted = live ? windowOf(route.value.query, monitorNowMs.value / 1000) : window;
    return api.localHistory(asTexts(wanted), signal);
  }, live ? EVERY_MS : null);
  // While another span is read, the charts stay unchanged, so that a zoom does not flicker.
  const drawn = useRef<LocalHistory | null>(null);
  if (read) drawn.current = read;
  const history = read ?? drawn.current;
  const seen = useSeen(now);
  const columns = useMemo(() => history && columnsOf(history, live ? seen : []), [history, live, seen]);
  const shown = columns ? recorded(columns.time_s, window.from_s, window.to_s) : window;
  return (
    <>
      <TimeControls window={window} begins_s={shown.from_s} />
      {error && !read && <Failure what="The history" error={error} retry={retry} />}
      {!history && !error && <Loading what="the history" />}
      {history && columns && <Charts host={host} shown={shown} step_s={history.step_s} columns={columns} events={events} />}
    </>
  );
}

/** The latest readings of the clock since the view was opened. */
function useSeen(now: LocalClock | null): readonly ClockPoint[] {
  const seen = useRef<readonly ClockPoint[]>([]);
  if (now && seen.current.at(-1)?.time !== now.as_of) seen.current = [...seen.current.slice(1 - MOST_SEEN), pointOf(now)];
  return seen.current;
}

function Charts({ host, shown, step_s, columns, events }: {
  host: string; shown: { from_s: number; to_s: number }; step_s: number | null; columns: NonNullable<ReturnType<typeof columnsOf>>;
  events: readonly EventEntry[];
}) {
  const chosen = unit.value;
  const shared = { of: host, window: shown, events, onZoom: zoomTo, onReset: resetSpan, time_s: columns.time_s };
  const signed = (value: number | null): string => offset(value, chosen);
  const size = (value: number | null): string => duration(value, chosen);
  const steps = step_s === null ? "" : span(step_s);
  return (
    <div class="chart-grid">
      <TimeChart {...shared} title="Estimate and bound" wide measure="offset"
        note={`True time against this clock; plus: this clock is behind. ${steps ? `Means over ${steps}; the band holds every bound within.` : "The band is the bound."}`}
        bands={[{ name: "Bound", low: columns.low, high: columns.high, colour: "accent", percentOpaque: 18, fits: true, write: signed }]}
        lines={[{ name: "Estimate", values: columns.estimate, colour: "accent", write: signed }]} />
      <TimeChart {...shared} title="Frequency correction" measure="ppm"
        note={`By the kernel; plus: it speeds the clock up. ${steps && `Means over ${steps}; the band shows minimum and maximum.`}`}
        bands={steps ? [{ name: "Frequency", low: columns.frequencyLow, high: columns.frequencyHigh, colour: "accent", percentOpaque: 18, fits: true, write: ppm }] : []}
        lines={[{ name: "Frequency", values: columns.frequency, colour: "accent", write: ppm }]} />
      <TimeChart {...shared} title="Error estimated by the kernel" measure="duration"
        note={`It grows by 500 µs a second until a time daemon renews it. ${steps && `The largest within ${steps}.`}`}
        lines={[
          { name: "Maximum", values: columns.maxError, colour: "accent", write: size },
          { name: "Estimated", values: columns.estError, colour: "warn", write: size },
        ]} />
    </div>
  );
}
