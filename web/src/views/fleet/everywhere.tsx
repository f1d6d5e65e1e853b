/** One server seen from every vantage, with a line for each vantage. */
import { useMemo } from "preact/hooks";
import { api } from "../../api/client";
import type { EventEntry, FleetVerdict } from "../../api/types";
import { recorded, trackOf, type Track } from "../../charts/history";
import { Failure, Loading, Select } from "../../components/bits";
import { TimeChart, type Line } from "../../components/time-chart";
import { EVERY_MS, resetSpan, TimeControls, useWindow, windowNow, zoomTo } from "../../components/time-controls";
import { offset } from "../../format/units";
import { unit } from "../../state/prefs";
import { useResource } from "../../state/resource";
import { route, setQuery } from "../../state/route";
import { asTexts, spanKey } from "../../state/span";
import { dashOf, lineColour } from "../compare/colours";
import { join } from "../compare/lines";
import { chosenOf, type Row } from "./arrange";

/** Maximum number of vantages that are drawn. */
const MOST = 12;
const NONE: EventEntry[] = [];

export function Everywhere({ rows, verdict }: { rows: readonly Row[]; verdict: FleetVerdict }) {
  const window = useWindow();
  const row = chosenOf(rows, route.value.query.get("server"), verdict);
  if (!row) return null;
  return (
    <>
      <TimeControls window={window} begins_s={window.from_s} />
      <div class="compare-measure">
        <Select label="Server seen from everywhere" value={row.key} onChange={(server) => setQuery({ server })}
          options={rows.map((one) => ({ value: one.key, text: one.name === one.key ? one.name : `${one.name} (${one.key})` }))} />
      </div>
      <Chart row={row} />
    </>
  );
}

function Chart({ row }: { row: Row }) {
  const window = useWindow();
  const seen = [...row.cells.values()].sort((a, b) => a.vantage.localeCompare(b.vantage)).slice(0, MOST);
  const key = `everywhere ${seen.map((cell) => `${cell.vantage} ${cell.server}`).join("\n")} ${spanKey(window)}`;
  const { data: tracks, error, retry } = useResource(key, async (signal) => {
    const span = asTexts(window.span === null ? window : windowNow());
    const from = async (vantage: string, server: string): Promise<Track[]> => {
      const { series } = await api.history([server], { ...span, vantage, points: "600", of: "offset" }, signal);
      return series.map((columns) => ({ ...trackOf(columns), id: vantage }));
    };
    return (await Promise.all(seen.map((cell) => from(cell.vantage, cell.server)))).flat();
  }, window.span === null ? null : EVERY_MS);
  const joined = useMemo(() => tracks && join(tracks, "offset", false), [tracks]);
  if (error && !tracks) return <Failure what="The chart" error={error} retry={retry} />;
  if (!tracks || !joined) return <Loading what="the chart" />;
  const lines = tracks.map((track, index): Line => ({
    name: track.id, values: joined.columns[index] ?? [], colour: lineColour(index), dash: dashOf(index),
    write: (value) => offset(value, unit.value),
  }));
  const more = row.cells.size > MOST ? ` The first ${MOST} of ${row.cells.size} vantages.` : "";
  return (
    <TimeChart title="Offset" of={row.name} wide bars={false} measure="offset" time_s={joined.time_s} lines={lines} events={NONE}
      window={recorded(joined.time_s, window.from_s, window.to_s)} onZoom={zoomTo} onReset={resetSpan}
      note={`Plus: the server is ahead of the vantage. If one line differs from the others, the cause is its vantage or its path.${more}`} />
  );
}
