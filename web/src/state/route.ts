/** Where the reader is: the address of the page as a signal. */
import { signal } from "@preact/signals";
import { href, parseRoute, type Route } from "./address";

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
