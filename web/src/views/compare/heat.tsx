/** The heat map: a row for each server, a column for each time step. */
import { useMemo, useRef } from "preact/hooks";
import { api } from "../../api/client";
import type { HistoryBody } from "../../api/types";
import { downloadCsv, downloadScene } from "../../charts/download";
import { HEATS, heatOf, heatScene } from "../../charts/heat";
import { recorded } from "../../charts/history";
import { SceneSvg } from "../../charts/scene-svg";
import { Downloads, Empty, Failure, Loading, Panel } from "../../components/bits";
import { windowNow } from "../../components/time-controls";
import { useWidth } from "../../components/width";
import { unit, zone } from "../../state/prefs";
import { useResource } from "../../state/resource";
import { asTexts, spanKey, type Window } from "../../state/span";

/** More rows would be unreadable, and take the service more than a second. */
const MOST = 64;
const COLUMNS = "180";
const TITLE = "Who was wrong or silent, and when";

/** For the chosen servers: some, those with a tag, or all, in the order of the service. */
export function HeatPanel({ ids, tag, window }: { ids: readonly string[]; tag: string; window: Window }) {
  const [box, width] = useWidth(1000);
  const live = window.span !== null;
  const shown = ids.slice(0, MOST);
  const { data: read, error, retry } = useResource(`heat ${tag} ${shown.join("\n")} ${spanKey(window)}`, (signal) =>
    api.history(shown, { ...(shown.length === 0 && tag !== "" && { tag }), ...asTexts(live ? windowNow() : window), points: COLUMNS, of: "offset", limit: String(MOST) }, signal), live ? 15_000 : null);
  const drawn = useRef<HistoryBody | null>(null);
  if (read) drawn.current = read;
  const data = read ?? drawn.current;
  const [of, chosen] = [zone.value, unit.value];
  const scene = useMemo(() => {
    if (!data) return null;
    const begins = data.series.map((series) => series.time[0]).filter((time): time is number => time !== undefined);
    const span = recorded(begins.length > 0 ? [Math.min(...begins)] : [], window.from_s, window.to_s);
    return heatScene(data.series, { ...span, width, zone: of }, chosen);
  }, [data, width, of, chosen, spanKey(window)]);
  const left = ids.length - shown.length + (data?.left_out ?? 0);
  return (
    <Panel title={TITLE} note="Each row is a server. Click to see that server at that time." tools={data && scene && (
      <Downloads of="the heat map" png={() => downloadScene(TITLE, scene)} csv={() => csv(data)} />
    )}>
      {error && !read && <Failure what="The heat map" error={error} retry={retry} />}
      {!data && !error && <Loading what="the heat map" />}
      <div ref={box} class="chart-box">
        {data && scene && (data.series.every((series) => series.time.length === 0)
          ? <Empty>No data in this time span.</Empty>
          : <SceneSvg scene={scene} label={`${TITLE}: ${data.series.length} servers`} />)}
      </div>
      <p class="legend">
        {Object.values(HEATS).map(({ role, text }) => <span key={role}><i class={`swatch swatch-${role}`} /> {text}</span>)}
        {left > 0 && <span>{left} more servers are not drawn: choose fewer.</span>}
      </p>
    </Panel>
  );
}

function csv(data: HistoryBody): void {
  downloadCsv(TITLE, ["server", "time", "state", "polls", "samples", "offset_s", "root_distance_s"], data.series.flatMap((series) =>
    series.time.map((time, place) => [series.id, new Date(time * 1000).toISOString(), heatOf(series, place), series.polls[place] ?? 0,
      series.samples[place] ?? 0, series.offset_s?.[place] ?? null, series.root_distance_s?.[place] ?? null])));
}
