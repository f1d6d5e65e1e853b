/** Buttons that change something. They check the role, and show the reason when it is not sufficient. */
import { useId } from "preact/hooks";
import type { ComponentChildren } from "preact";
import type { Role } from "../api/types";
import { askToSignIn, session, whyNot } from "../state/session";
import { tell } from "../state/notices";

export interface ActProps {
  need: Role;
  onClick: () => void;
  /** Why the action is not possible now, for any role. */
  blocked?: string | null | undefined;
  busy?: boolean;
  kind?: "main" | "danger" | "small";
  /** An accessible label, if the text alone does not name the target. */
  label?: string;
  children: ComponentChildren;
}

/**
 * A button for an action that needs a role. Without a session it asks the user to sign in; without the role it shows
 * the reason. It keeps its tab stop, so that screen readers can read the reason.
 */
export function Act({ need, onClick, blocked, busy, kind, label, children }: ActProps) {
  const hint = useId();
  const stranger = !session.value?.authenticated;
  const denied = whyNot(need);
  const why = denied ?? blocked ?? null;
  const press = (): void => {
    if (busy) return;
    if (denied !== null && stranger) askToSignIn(denied);
    else if (why !== null) tell(why, "warn");
    else onClick();
  };
  return (
    <>
      <button type="button" class={kind ? `act-${kind}` : undefined} aria-label={label} onClick={press} title={why ?? undefined}
        aria-disabled={why !== null || busy ? true : undefined} aria-describedby={why === null ? undefined : hint}>
        {denied !== null && <Lock />}{children}
      </button>
      {why !== null && <span id={hint} class="visually-hidden">{why}</span>}
    </>
  );
}

function Lock() {
  return (
    <svg class="lock" width="12" height="12" viewBox="0 0 24 24" aria-hidden="true">
      <path d="M5 11h14v10H5zM8 11V8a4 4 0 0 1 8 0v3" />
    </svg>
  );
}

/** A notice above content that the user may see but not change. */
export function NeedsRole({ need, what }: { need: Role; what: string }) {
  const why = whyNot(need, what);
  if (why === null) return null;
  const stranger = !session.value?.authenticated;
  return (
    <p class="needs">
      <Lock /> <span>{why}</span>
      {stranger && <button type="button" onClick={() => askToSignIn(why)}>Sign in</button>}
    </p>
  );
}
