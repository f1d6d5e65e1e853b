/** The signed-in user and the permissions of roles. The session is in a cookie that scripts cannot read. */
import { computed, signal } from "@preact/signals";
import { sessions } from "../api/client";
import type { Role, Session } from "../api/types";

const RANKS: Record<Role, number> = { read: 0, operate: 1, admin: 2 };

/** `null` until it is known, or if it cannot be read. Then only requests show what the user may read. */
export const session = signal<Session | null>(null);

export const mayRead = computed(() => {
  const now = session.value;
  return now === null || now.authenticated || now.reading_is_open;
});

/** Whether the role of the user includes `need`. */
export function may(need: Role): boolean {
  const role = session.value?.role;
  return role != null && RANKS[role] >= RANKS[need];
}

/** Why the user may not do `what`, which needs the role `need`; `null` if they may. */
export function whyNot(need: Role, what = "This"): string | null {
  if (may(need)) return null;
  const now = session.value;
  if (!now?.authenticated) return `${what} needs a token with the role “${need}”.`;
  return `${what} needs the role “${need}”; ${now.name ?? "you"} may only “${now.role ?? "read"}”.`;
}

/** Why the dialog that asks for a token is open; `null` if it is closed. */
export const signInAsked = signal<string | null>(null);

export function askToSignIn(reason: string): void {
  signInAsked.value = reason;
}

/** Reads the session. It stays unknown if the service does not answer. */
export async function learnSession(): Promise<void> {
  session.value = await sessions.current().catch(() => null);
}

/** Signs in with a token. Throws the error of the service. */
export async function signIn(token: string): Promise<void> {
  await sessions.begin(token);
  await learnSession();
}

export async function signOut(): Promise<void> {
  await sessions.end();
  await learnSession();
}
