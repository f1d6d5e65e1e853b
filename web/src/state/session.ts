/** Who the reader is, and what a role may do. The token itself is in a cookie that no script can read. */
import { computed, signal } from "@preact/signals";
import { sessions } from "../api/client";
import type { Role, Session } from "../api/types";

const RANKS: Record<Role, number> = { read: 0, operate: 1, admin: 2 };

/** `null` until it is known, and where it cannot be learnt: what may be read is then found by reading. */
export const session = signal<Session | null>(null);

export const mayRead = computed(() => {
  const now = session.value;
  return now === null || now.authenticated || now.reading_is_open;
});

/** Whether the reader holds a role that allows what needs `need`. */
export function may(need: Role): boolean {
  const role = session.value?.role;
  return role != null && RANKS[role] >= RANKS[need];
}

/** Why the reader may not do `what`, which needs `need`; `null` when they may. */
export function whyNot(need: Role, what = "This"): string | null {
  if (may(need)) return null;
  const now = session.value;
  if (!now?.authenticated) return `${what} needs a token with the role “${need}”.`;
  return `${what} needs the role “${need}”; ${now.name ?? "you"} may only “${now.role ?? "read"}”.`;
}

/** Why the dialog that asks for a token is open; `null` when it is not. */
export const signInAsked = signal<string | null>(null);

export function askToSignIn(reason: string): void {
  signInAsked.value = reason;
}

/** Learns who the reader is. A service that does not say leaves it unknown. */
export async function learnSession(): Promise<void> {
  session.value = await sessions.current().catch(() => null);
}

/** Presents a token. Throws what the service says against it. */
export async function signIn(token: string): Promise<void> {
  await sessions.begin(token);
  await learnSession();
}

export async function signOut(): Promise<void> {
  await sessions.end();
  await learnSession();
}
