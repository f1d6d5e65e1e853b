/** The one-time link of the first start: its code is in the address, is taken out of it at once, and is used. */
import { signal } from "@preact/signals";
import { sessions } from "../api/client";
import type { SetUpDone } from "../api/types";
import { href, parseRoute } from "./address";
import { route } from "./route";

/** The new administrator's token, until the reader has kept it. */
export const welcome = signal<SetUpDone | null>(null);
/** Why the link was of no use. */
export const setupError = signal<string | null>(null);

export async function takeSetupLink(): Promise<void> {
  const code = route.value.query.get("setup");
  if (code === null) return;
  // Neither the history of the browser nor a copied address keeps it.
  const clean = href("overview");
  history.replaceState(null, "", clean);
  route.value = parseRoute(clean);
  try {
    welcome.value = await sessions.setUp(code);
  } catch (why) {
    setupError.value = why instanceof Error ? why.message : String(why);
  }
}
