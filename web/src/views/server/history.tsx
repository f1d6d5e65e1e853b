/** Offset, delay, jitter, loss and score over time. */
import { useEffect, useMemo, useRef } from "preact/hooks";
import { api } from "../../api/client";
import type { EventEntry, Settings } from "../../api/types";
import { recorded, trackOf, type Track } from "../../charts/history";
import { Choice, Failure, Loading } from "../../components/bits";
import { TimeChart, type Band } from "../../components/time-chart";
import { EVERY_MS, resetSpan, TimeControls, windowNow, zoomTo } from "../../components/time-controls";
import { span } from "../../format/time";
import { duration, offset, percent, plain } from "../../format/units";
import { unit } from "../../state/prefs";
import { route, setQuery } from "../../state/route";
import { useResource } from "../../state/resource";
import { asTexts, spanKey, type Window } from "../../state/span";
import { Scatter } from "./scatter";

export function HistoryCharts({ id, window, settings, events, onDrawn }: {
  id: string; window: Window; settings: Settings | null; events: readonly EventEntry[]; onDrawn: () => void;
}) {
  const live = window.span !== null;
  // A span that ends now is read again; its limits are computed then.
  const { data: read, error, retry } = useResource(`${id} ${spanKey(window)}`, async (signal) => {
    const { series } = await api.history([id], { ...asTexts(live ? windowNow() : window), points: "800" }, signal);
    return series[0] ? trackOf(series[0]) : null;
  }, live ? EVERY_MS : null);
  // While another span is read, the charts stay unchanged, so that a zoom does not flicker.
  const drawn = useRef<Track | null>(null);
  if (read) drawn.current = read;
  const track = read ?? drawn.current;
  const over = track !== null || error !== null;
  useEffect(() => { if (over) onDrawn(); }, [over]);
  return (
    <>
      <TimeControls window={window} begins_s={track ? recorded(track.time_s, window.from_s, window.to_s).from_s : window.from_s} />
      {error && !read && <Failure what="The history" error={error} retry={retry} />}
      {!track && !error && <Loading what="the history" />}
      {track && <Charts id={id} window={window} track={track} settings={settings} events={events} />}
    </>
  );
}

/** The options for the vertical axis of the offset. */
const FITS = [{ value: "", text: "Offset" }, { value: "bound", text: "± bound" }, { value: "limits", text: "Limits" }];

function Charts({ id, window, track, settings, events }: {
  id: string; window: Window; track: Track; settings: Settings | null; events: readonly EventEntry[];
}) {
  const chosen = unit.value;
  const fit = route.value.query.get("fit") ?? "";
  const shared = {
    of: id, window: recorded(track.time_s, window.from_s, window.to_s), events, onZoom: zoomTo, onReset: resetSpan,
  };
  const step = track.step_s === null ? "Every poll." : `Means over ${span(track.step_s)}. The band shows minimum and maximum.`;
  const signed = (value: number | null): string => offset(value, chosen);
  const size = (value: number | null): string => duration(value, chosen);
  const stepped = track.step_s !== null;
  const offsetBands = useMemo((): Band[] => [
    { name: "Bound", low: track.boundLow, high: track.boundHigh, colour: "good", percentOpaque: 14, fits: fit === "bound", write: signed },
    ...(stepped ? [{ name: "Offset", low: track.offsetLow, high: track.offsetHigh, colour: "accent", percentOpaque: 20, fits: true, write: signed }] : []),
  ], [track, fit, chosen]);
  const delayBands = useMemo((): Band[] => stepped
    ? [{ name: "Delay", low: track.delayLow, high: track.delayHigh, colour: "accent", percentOpaque: 20, fits: true, write: size }] : [], [track, chosen]);
  const limits = useMemo(() => settings === null ? [] : [
    ...[-1, 1].map((sign) => ({ name: "warning", value: sign * settings.offset_warning_s, colour: "warn" })),
    ...[-1, 1].map((sign) => ({ name: "critical", value: sign * settings.offset_critical_s, colour: "bad" })),
  ], [settings]);
  return (
    <div class="chart-grid">
      <TimeChart {...shared} title="Offset" wide measure="offset" time_s={track.time_s} bands={offsetBands} limits={limits}
        showsLimits={fit === "limits"} lines={[{ name: "Offset", values: track.offset, colour: "accent", write: signed }]}
        note={`Plus: the server is ahead. ${step} Shaded: ± root distance.${settings === null ? "" : ` Dashed: warning at ± ${size(settings.offset_warning_s)}, critical at ± ${size(settings.offset_critical_s)}.`}`}
        tools={<Choice label="Vertical axis" value={fit} options={FITS} onChange={(value) => setQuery({ fit: value })} />} />
      <TimeChart {...shared} title="Delay" measure="duration" time_s={track.time_s} bands={delayBands} note="Round trip without the server's own time."
        lines={[{ name: "Delay", values: track.delay, colour: "accent", write: size }]} />
      <TimeChart {...shared} title="Jitter" measure="duration" time_s={track.time_s}
        note="RMS of the differences between neighbouring offsets, over 8 polls. The figure above is the jitter of RFC 5905: the RMS of the differences from the poll with the least delay."
        lines={[{ name: "Jitter", values: track.jitter, colour: "accent", write: size }]} />
      <TimeChart {...shared} title="Loss" measure="ratio" time_s={track.loss.time_s}
        note={`Share of polls without an offset, per ${span(track.loss.step_s)}.`}
        lines={[{ name: "Loss", values: track.loss.ratio, colour: "bad", write: percent }]} />
      <TimeChart {...shared} title="Score" measure="score" time_s={track.time_s} limits={POOL} showsLimits
        note="Scored like the NTP Pool: at most 20; the pool hands out servers above 10."
        lines={[{ name: "Score", values: track.score, colour: "accent", write: (value) => plain(value, 1) }]} />
      <Scatter id={id} track={track} />
    </div>
  );
}

const POOL = [{ name: "pool", value: 10, colour: "warn" }];
