/** The one-time link of the first start: removes the code from the address and uses it. */
import { signal } from "@preact/signals";
import { sessions } from "../api/client";
import type { SetUpDone } from "../api/types";
import { href, parseRoute } from "./address";
import { tell } from "./notices";
import { route } from "./route";

/** The new administrator's token, until the user has saved it. */
export const welcome = signal<SetUpDone | null>(null);
/** Why the link could not be used. */
export const setupError = signal<string | null>(null);

export async function takeSetupLink(): Promise<void> {
  const code = route.value.query.get("setup");
  if (code === null) return;
  // Keeps the code out of the browser history and of copied addresses.
  const clean = href("overview");
  history.replaceState(null, "", clean);
  route.value = parseRoute(clean);
  try {
    welcome.value = await sessions.setUp(code);
  } catch (why) {
    setupError.value = why instanceof Error ? why.message : String(why);
    // The view of the first start shows the error itself. Once there are servers, only the notice does.
    tell(`The set-up link could not be used: ${setupError.value}`, "bad");
  }
}
