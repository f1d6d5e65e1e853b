/** Several servers on one chart, and all of them over time: who was wrong or silent, and when. */
import { api } from "../../api/client";
import { Choice, Empty, Loading, Panel } from "../../components/bits";
import { TimeControls, useWindow, windowNow } from "../../components/time-controls";
import type { Picture } from "../../state/live";
import { route, setQuery } from "../../state/route";
import { useResource } from "../../state/resource";
import { asTexts, spanKey } from "../../state/span";
import { chosenOf, meant, MEASURES, MOST_LINES, NAMES } from "./choice";
import { HeatPanel } from "./heat";
import { LinesPanel } from "./lines";
import { Pick } from "./pick";
import { DeviationsPanel } from "./deviations";
import type { EventEntry, ServerRow } from "../../api/types";

const NONE: EventEntry[] = [];
const NO_ROWS: ServerRow[] = [];
const HOST_EVENTS = "clock_step,clock_slew,monitor_pause,machine_restart,leap";

/**
 * The heat map is read at once, with the servers that the service selects; the rest waits for the list of servers. The
 * API cannot select a tag that contains a comma.
 */
export function CompareView({ picture }: { picture: Picture | null }) {
  const rows = picture?.servers.servers ?? NO_ROWS;
  const window = useWindow();
  const chosen = chosenOf(route.value.query);
  const known = new Set(rows.flatMap((row) => [row.id, row.name]));
  const ids = meant(rows, chosen).filter((id) => known.has(id));
  const live = window.span !== null;
  const events = useResource(`compare events ${spanKey(window)}`, async (signal) =>
    (await api.events({ kind: HOST_EVENTS, ...asTexts(live ? windowNow() : window) }, signal)).events.filter((event) => event.server === null),
  live ? 15_000 : null);
  return (
    <>
      <h1 class="view-title">Compare</h1>
      {picture ? <Pick rows={rows} chosen={chosen} ids={ids} /> : <Panel title="Servers"><Loading what="the servers" /></Panel>}
      <TimeControls window={window} begins_s={window.from_s} />
      {picture && ids.length === 0 ? <Empty>No server is chosen.</Empty> : (
        <>
          <HeatPanel ids={chosen.tag.includes(",") ? ids : chosen.ids} tag={chosen.tag} window={window} />
          <div class="compare-measure">
            <Choice label="Measure" value={chosen.of} options={MEASURES.map((value) => ({ value, text: NAMES[value] }))}
              onChange={(of) => setQuery({ of })} />
            {(chosen.of === "offset" || chosen.of === "delay") && (
              <label><input type="checkbox" checked={chosen.centred} onChange={(event) => setQuery({ centred: event.currentTarget.checked ? "1" : null })} /> relative to each server's median</label>
            )}
            {ids.length > MOST_LINES && <span class="muted">The first {MOST_LINES} of {ids.length} servers are drawn as lines. Choose others above.</span>}
          </div>
          {picture && (chosen.of === "tdev"
            ? <DeviationsPanel ids={ids.slice(0, MOST_LINES)} window={window} />
            : <LinesPanel ids={ids.slice(0, MOST_LINES)} window={window} measure={chosen.of} centred={chosen.centred} events={events.data ?? NONE} />)}
        </>
      )}
    </>
  );
}
