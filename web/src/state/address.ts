/** Addresses of views: `#/server/NAME?span=24h`. The whole state of a view is in its address, so a link shows the same. Pure. */

export type View = "overview" | "server" | "compare" | "clock" | "alerts" | "reports" | "fleet" | "service" | "config" | "nowhere";

export interface Route {
  view: View;
  /** The server, or the part of a view; otherwise empty. */
  id: string;
  query: URLSearchParams;
}

const VIEWS: Record<string, View> = {
  "": "overview", compare: "compare", clock: "clock", alerts: "alerts", reports: "reports", fleet: "fleet", service: "service", config: "config",
};

/** Parts with an address of their own; every view also has an unnamed part. */
const PARTS: Partial<Record<View, readonly string[]>> = {
  alerts: ["history", "silences", "rules", "notifiers"],
  config: ["file", "values", "audit"],
};

/** Parses an address. Pure. */
export function parseRoute(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  const [first = "", ...rest] = path.split("/");
  if (first === "server" && rest.length > 0) {
    return { view: "server", id: decode(rest.join("/")), query: new URLSearchParams(query) };
  }
  const view = VIEWS[first];
  const part = rest.join("/");
  const known = view !== undefined && (part === "" || PARTS[view]?.includes(part));
  return { view: known ? view : "nowhere", id: known ? part : "", query: new URLSearchParams(query) };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The address of a view. Empty entries of the query are left out. */
export function href(view: View, id = "", query: Record<string, string | null> = {}): string {
  const path = [view === "overview" ? "" : view, ...(id ? [encodeURIComponent(id)] : [])].join("/");
  const entries = Object.entries(query).filter((entry): entry is [string, string] => !!entry[1]);
  const text = new URLSearchParams(entries).toString();
  return `#/${path}${text ? `?${text}` : ""}`;
}

/** Links of views do not name the vantage; it stays in the address until a link names another one, or an empty one. Pure. */
export function keepVantage(hash: string, vantage: string | null): string {
  const { view, id, query } = parseRoute(hash);
  if (vantage === null || query.has("vantage") || view === "fleet") return hash;
  return href(view, id, { ...Object.fromEntries(query), vantage });
}
