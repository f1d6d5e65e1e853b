/** One measure of several servers over time, a line for each. */
import { useMemo, useRef } from "preact/hooks";
import uPlot from "uplot";
import { api } from "../../api/client";
import type { EventEntry } from "../../api/types";
import { recorded, trackOf, type Column, type Track } from "../../charts/history";
import { Failure, Loading } from "../../components/bits";
import { TimeChart, type Line, type Measure as Axis } from "../../components/time-chart";
import { EVERY_MS, resetSpan, windowNow, zoomTo } from "../../components/time-controls";
import { span } from "../../format/time";
import { duration, offset, percent, plain } from "../../format/units";
import { unit } from "../../state/prefs";
import { useResource } from "../../state/resource";
import { asTexts, spanKey, type Window } from "../../state/span";
import { median, NAMES, type Measure } from "./choice";
import { dashOf, lineColour } from "./colours";

type Drawn = Exclude<Measure, "tdev">;

const AXES: Record<Drawn, Axis> = { offset: "offset", delay: "duration", jitter: "duration", loss: "ratio", score: "score" };
const NOTES: Record<Drawn, string> = {
  offset: "Plus: the server is ahead of this host.", delay: "Round trip without the server's own time.",
  jitter: "RMS of the differences between neighbouring offsets, over 8 polls.", loss: "Share of polls without an offset.",
  score: "Scored like the NTP Pool: at most 20; the pool hands out servers above 10.",
};
/** The columns to request from the service. */
const OF: Record<Drawn, string> = { offset: "offset", delay: "delay", jitter: "jitter", loss: "offset", score: "score" };

export function LinesPanel({ ids, window, measure, centred, events }: {
  ids: readonly string[]; window: Window; measure: Drawn; centred: boolean; events: readonly EventEntry[];
}) {
  const live = window.span !== null;
  const key = `lines ${ids.join("\n")} ${OF[measure]} ${spanKey(window)}`;
  const { data: read, error, retry } = useResource(key, async (signal) => {
    const { series } = await api.history(ids, { ...asTexts(live ? windowNow() : window), points: "600", of: OF[measure] }, signal);
    return series.map(trackOf);
  }, live ? EVERY_MS : null);
  const drawn = useRef<{ of: string; tracks: Track[] } | null>(null);
  if (read) drawn.current = { of: OF[measure], tracks: read };
  // Do not show columns of another measure while loading.
  const tracks = read ?? (drawn.current?.of === OF[measure] ? drawn.current.tracks : null);
  const joined = useMemo(() => tracks && join(tracks, measure, centred), [tracks, measure, centred]);
  if (error && !read) return <Failure what="The comparison" error={error} retry={retry} />;
  if (!joined || !tracks) return <Loading what="the comparison" />;
  const chosen = unit.value;
  const write = (value: number | null): string => (measure === "offset" ? offset(value, chosen) : measure === "loss" ? percent(value)
    : measure === "score" ? plain(value, 1) : centred ? offset(value, chosen) : duration(value, chosen));
  const lines = tracks.map((track, index): Line => ({
    name: track.id, values: joined.columns[index] ?? [], colour: lineColour(index), dash: dashOf(index), write,
  }));
  const coarsest = Math.max(0, ...tracks.map((track) => track.step_s ?? 0));
  return (
    <TimeChart title={NAMES[measure]} of={tracks.length === 1 ? tracks[0]?.id ?? "" : `${tracks.length} servers`} wide bars={false}
      measure={centred && measure === "delay" ? "offset" : AXES[measure]} time_s={joined.time_s} lines={lines} events={events}
      window={recorded(joined.time_s, window.from_s, window.to_s)} onZoom={zoomTo} onReset={resetSpan}
      note={`${NOTES[measure]} ${centred ? "Relative to each server's median." : ""} ${coarsest > 0 ? `Means over ${span(coarsest)}.` : "Every poll."}`} />
  );
}

/** The columns of all tracks over all of their times. */
export function join(tracks: readonly Track[], measure: Drawn, centred: boolean): { time_s: number[]; columns: Column[] } {
  const tables = tracks.map((track): uPlot.AlignedData => {
    const [time_s, values] = measure === "loss" ? [track.loss.time_s, track.loss.ratio] : [track.time_s, track[measure]];
    const base = centred && measure !== "loss" ? median(values) : 0;
    return [time_s, base === 0 ? values : values.map((value) => (value == null ? value : value - base))];
  });
  const [time_s, ...columns] = tables.length > 1 ? uPlot.join(tables) : tables[0] ?? [[]];
  return { time_s: Array.from(time_s ?? []), columns: columns as Column[] };
}
