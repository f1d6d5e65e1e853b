/** The time span that all panels of a view show: read from the address, moved, zoomed or typed. */
import { useEffect, useRef, useState } from "preact/hooks";
import { instant, span, zoned } from "../format/time";
import { monitorNowMs } from "../state/live";
import { zone } from "../state/prefs";
import { href } from "../state/address";
import { tell } from "../state/notices";
import { route, setQuery } from "../state/route";
import { asQuery, pan, SPANS, windowOf, zoom, type Window } from "../state/span";
import { Choice } from "./bits";

/** The interval at which a span that ends now is updated. */
export const EVERY_MS = 5000;

/** The time span in the address. Between two readings, "now" does not move, so that charts do not crawl. */
export function useWindow(): Window {
  const now_s = Math.floor(monitorNowMs.value / EVERY_MS) * (EVERY_MS / 1000);
  return windowOf(route.value.query, now_s);
}

/** The current time span. A panel that is read again moves to it, but keeps its key. */
export const windowNow = (): Window => windowOf(route.value.query, monitorNowMs.value / 1000);

/** The browser's Back undoes each step. */
const show = (window: Window): void => setQuery(asQuery(window), "push");

/** Handles a drag in a chart. */
export const zoomTo = (from_s: number, to_s: number): void => show({ from_s, to_s: Math.max(to_s, from_s + 1), span: null });

/** Handles a double click in a chart. */
export const resetSpan = (): void => setQuery({ span: "1h", from: null, to: null }, "push");

export function TimeControls({ window, begins_s }: { window: Window; begins_s: number }) {
  const now_s = monitorNowMs.value / 1000;
  const [typing, setTyping] = useState(false);
  const [link, setLink] = useState<string | null>(null);
  const copy = async (): Promise<void> => {
    const text = linkTo(window);
    // Browsers provide the clipboard on secure pages only.
    const copied = navigator.clipboard?.writeText(text).then(() => true, () => false) ?? false;
    if (await copied) tell("The link is copied. It shows the same time span to everyone.");
    else setLink(text);
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.target instanceof HTMLInputElement) return;
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
        onChange={(value) => setQuery({ span: value, from: null, to: null }, "push")} />
      <div class="choice" role="group" aria-label="Move and zoom">
        <button type="button" onClick={() => show(pan(window, -0.5, now_s))} aria-label="Earlier">‹</button>
        <button type="button" onClick={() => show(pan(window, 0.5, now_s))} aria-label="Later">›</button>
        <button type="button" onClick={() => show(zoom(window, 0.5, now_s))} aria-label="Zoom in">+</button>
        <button type="button" onClick={() => show(zoom(window, 2, now_s))} aria-label="Zoom out">−</button>
      </div>
      <button type="button" aria-expanded={typing} onClick={() => setTyping(!typing)}>From … to …</button>
      <button type="button" onClick={() => void copy()}>Copy link</button>
      <span class="muted">
        {instant(window.from_s * 1000, zone.value)} to {instant(window.to_s * 1000, zone.value)} {zone.value} ({span(window.to_s - window.from_s)})
      </span>
      {begins_s > window.from_s && <span class="muted">Drawn from {instant(begins_s * 1000, zone.value)}: there are no earlier records.</span>}
      <span class="muted hint">Drag in a chart to zoom; Back undoes it. Arrow keys, + and − work here too.</span>
      {typing && <Typed window={window} onDone={() => setTyping(false)} />}
      {link !== null && <CopyByHand link={link} onDone={() => setLink(null)} />}
    </div>
  );
}

/** The address of the current view with both ends of the time span, so that it shows the same later. */
function linkTo({ from_s, to_s }: Window): string {
  const { view, id, query } = route.value;
  const fixed = asQuery({ from_s, to_s, span: null });
  return new URL(href(view, id, { ...Object.fromEntries(query), ...fixed }), location.href).href;
}

function CopyByHand({ link, onDone }: { link: string; onDone: () => void }) {
  const box = useRef<HTMLInputElement>(null);
  useEffect(() => box.current?.select(), [link]);
  return (
    <div class="typed-span">
      <label>Copy this link: <input ref={box} class="mono link-box" type="text" readOnly value={link} /></label>
      <button type="button" onClick={onDone}>Done</button>
    </div>
  );
}

const asTyped = (time_s: number): string => instant(time_s * 1000, zone.value).replace(" ", "T");

/** Inputs for both ends, in the chosen time zone. */
function Typed({ window, onDone }: { window: Window; onDone: () => void }) {
  const [from, setFrom] = useState(asTyped(window.from_s));
  const [to, setTo] = useState(asTyped(window.to_s));
  const [from_ms, to_ms] = [zoned(from, zone.value), zoned(to, zone.value)];
  const good = from_ms !== null && to_ms !== null && from_ms < to_ms;
  const submit = (event: Event): void => {
    event.preventDefault();
    if (!good) return;
    show({ from_s: Math.round(from_ms / 1000), to_s: Math.round(to_ms / 1000), span: null });
    onDone();
  };
  return (
    <form class="typed-span" onSubmit={submit}>
      <label>From <input type="datetime-local" step="1" value={from} onInput={(event) => setFrom(event.currentTarget.value)} /></label>
      <label>to <input type="datetime-local" step="1" value={to} onInput={(event) => setTo(event.currentTarget.value)} /></label>
      <span class="muted">{zone.value}</span>
      <button type="submit" class="act-main" disabled={!good}>Show</button>
      {!good && <span role="alert">The beginning must be before the end.</span>}
    </form>
  );
}
