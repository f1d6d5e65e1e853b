/**
 * Hash routes: `#/server/NAME?span=24h&addr=…`. All that a view shows is in its address, so that a link shows the same.
 */
import { signal } from "@preact/signals";

export type View = "overview" | "server" | "clock" | "service" | "config" | "nowhere";

export interface Route {
  view: View;
  /** Which server; empty for other views. */
  id: string;
  query: URLSearchParams;
}

const VIEWS: Record<string, View> = { "": "overview", clock: "clock", service: "service", config: "config" };

/** What an address means. Pure. */
export function parseRoute(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  const [first = "", ...rest] = path.split("/");
  if (first === "server" && rest.length > 0) {
    return { view: "server", id: decode(rest.join("/")), query: new URLSearchParams(query) };
  }
  const view = rest.join("") === "" ? VIEWS[first] : undefined;
  return { view: view ?? "nowhere", id: "", query: new URLSearchParams(query) };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The address of a view. Entries of the query that are empty are left out. */
export function href(view: View, id = "", query: Record<string, string | null> = {}): string {
  const path = view === "overview" ? "" : view === "server" ? `server/${encodeURIComponent(id)}` : view;
  const entries = Object.entries(query).filter((entry): entry is [string, string] => !!entry[1]);
  const text = new URLSearchParams(entries).toString();
  return `#/${path}${text ? `?${text}` : ""}`;
}

export const route = signal<Route>(parseRoute(location.hash));

addEventListener("hashchange", () => {
  route.value = parseRoute(location.hash);
});

/** Changes entries of the query in place; typing in a filter must not fill the history of the browser. */
export function setQuery(change: Record<string, string | null>, keep: "replace" | "push" = "replace"): void {
  const { view, id, query } = route.value;
  const next = href(view, id, { ...Object.fromEntries(query), ...change });
  if (keep === "push") {
    location.hash = next;
    return;
  }
  history.replaceState(null, "", next);
  route.value = parseRoute(next);
}
