/** Global search (Ctrl-K) for servers, views and alert rules. */
import { signal } from "@preact/signals";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { stateWords } from "../format/words";
import { href } from "../state/address";
import { active } from "../state/alerts";
import { picture } from "../state/live";
import { mayRead } from "../state/session";
import { Badge } from "./bits";
import { Dialog } from "./dialog";
import { found, type Place } from "../state/search";

const open = signal(false);
export const openSearch = (): void => { open.value = true; };

addEventListener("keydown", (event) => {
  if (event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey) || !mayRead.value) return;
  event.preventDefault();
  open.value = !open.value;
});

export function Search() {
  return open.value ? <Box onClose={() => { open.value = false; }} /> : null;
}

const VIEWS: readonly Place[] = [
  ["Overview", "overview", ""], ["Compare servers", "compare", ""], ["Host clock", "clock", ""], ["Alerts", "alerts", ""],
  ["Alert history", "alerts", "history"], ["Silences", "alerts", "silences"], ["Alert rules", "alerts", "rules"], ["Notifiers", "alerts", "notifiers"],
  ["Reports", "reports", ""], ["Service", "service", ""], ["Configuration", "config", ""], ["Configuration file", "config", "file"],
  ["Audit log", "config", "audit"],
].map(([text, view, part]) => ({ kind: "View", text: text ?? "", more: "", to: href(view as "overview", part) }));

function places(): Place[] {
  const servers = (picture.value?.servers.servers ?? []).map((row): Place => ({
    kind: "Server", text: row.id, to: href("server", row.id), state: stateWords(row),
    more: [row.address, row.refid, ...Object.entries(row.tags).map(([key, value]) => `${key}:${value}`)].filter(Boolean).join(" "),
  }));
  const alerts = (active.value ?? []).map((alert): Place => ({
    kind: "Alert", text: alert.summary || alert.alert, more: `${alert.alert} ${alert.server ?? ""}`, to: href("alerts"),
  }));
  return [...servers, ...VIEWS, ...alerts];
}

function Box({ onClose }: { onClose: () => void }) {
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const input = useRef<HTMLInputElement>(null);
  const hits = useMemo(() => found(places(), text), [text, picture.value]);
  useEffect(() => input.current?.focus(), []);
  useEffect(() => setAt(0), [text]);
  const go = (place: Place | undefined): void => {
    if (!place) return;
    location.hash = place.to;
    onClose();
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (step !== 0 && hits.length > 0) {
      event.preventDefault();
      setAt((at + step + hits.length) % hits.length);
    } else if (event.key === "Enter") {
      event.preventDefault();
      go(hits[at]);
    }
  };
  return (
    <Dialog title="Search" onClose={onClose}>
      <input ref={input} class="search-input" type="text" role="combobox" aria-expanded="true" aria-controls="search-hits" aria-label="Search servers, views and alerts"
        aria-activedescendant={hits[at] ? `hit-${at}` : undefined} placeholder="Server, address, tag, view or alert" value={text}
        onInput={(event) => setText(event.currentTarget.value)} onKeyDown={onKeyDown} />
      <ul id="search-hits" class="hits" role="listbox" aria-label="Found">
        {hits.map((place, index) => (
          <li key={`${place.kind} ${place.to} ${place.text}`} id={`hit-${index}`} role="option" aria-selected={index === at}
            onClick={() => go(place)} onMouseMove={() => setAt(index)}>
            <span class="muted">{place.kind}</span> <strong>{place.text}</strong>
            {place.state && <Badge tone={place.state.tone}>{place.state.label}</Badge>}
          </li>
        ))}
      </ul>
      {hits.length === 0 && <p class="empty" role="status">No server, view or alert matches.</p>}
    </Dialog>
  );
}
