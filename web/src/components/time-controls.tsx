/** The stretch of time that charts show: read from the address, moved and zoomed. */
import { instant, span } from "../format/time";
import { monitorNowMs } from "../state/live";
import { zone } from "../state/prefs";
import { route, setQuery } from "../state/route";
import { asQuery, pan, SPANS, windowOf, zoom, type Window } from "../state/span";
import { Choice } from "./bits";

/** A stretch that ends now moves on so often. */
export const EVERY_MS = 5000;

/** The stretch of time that the address names. Now stands still between two readings, so that charts do not crawl. */
export function useWindow(): Window {
  const now_s = Math.floor(monitorNowMs.value / EVERY_MS) * (EVERY_MS / 1000);
  return windowOf(route.value.query, now_s);
}

const show = (window: Window): void => setQuery(asQuery(window));

/** What a drag in a chart does. */
export const zoomTo = (from_s: number, to_s: number): void => show({ from_s, to_s: Math.max(to_s, from_s + 1), span: null });

/** What a double click in a chart does. */
export const resetSpan = (): void => setQuery({ span: "1h", from: null, to: null });

export function TimeControls({ window, begins_s }: { window: Window; begins_s: number }) {
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
      <span class="muted hint">Drag in a chart to zoom, double-click to zoom out; arrows, + and − work here too.</span>
    </div>
  );
}
