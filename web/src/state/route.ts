/** The address of the page as a signal. */
import { computed, signal } from "@preact/signals";
import { href, keepVantage, parseRoute, type Route } from "./address";

export const route = signal<Route>(parseRoute(location.hash));

/** The vantage whose data the page of a hub shows; null for its own. */
export const vantage = computed(() => route.value.query.get("vantage") || null);

addEventListener("hashchange", () => {
  const next = keepVantage(location.hash, vantage.value);
  if (next !== location.hash) history.replaceState(null, "", next);
  route.value = parseRoute(next);
});

/** Changes entries of the query in place, so that typing in a filter does not fill the browser history. */
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
