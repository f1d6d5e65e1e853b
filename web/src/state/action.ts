/** An action of the user that may fail. It runs one at a time, and its error is kept until the next attempt. */
import { useState } from "preact/hooks";
import { ApiError } from "../api/client";
import { askToSignIn, learnSession, session } from "./session";

export interface Action<A extends unknown[]> {
  busy: boolean;
  error: Error | null;
  /** Runs the action, unless it is running; returns whether it succeeded. */
  start: (...args: A) => Promise<boolean>;
  forget: () => void;
}

export function useAction<A extends unknown[]>(run: (...args: A) => Promise<void>): Action<A> {
  const [state, setState] = useState<{ busy: boolean; error: Error | null }>({ busy: false, error: null });
  const start = async (...args: A): Promise<boolean> => {
    if (state.busy) return false;
    setState({ busy: true, error: null });
    try {
      await run(...args);
      setState({ busy: false, error: null });
      return true;
    } catch (why) {
      const error = why instanceof Error ? why : new Error(String(why));
      setState({ busy: false, error });
      // A wrong token at sign-in does not end a session.
      if (error instanceof ApiError && error.status === 401 && session.value?.authenticated) await sessionIsOver();
      return false;
    }
  };
  return { ...state, start, forget: () => setState({ busy: false, error: null }) };
}

async function sessionIsOver(): Promise<void> {
  await learnSession();
  askToSignIn("You are no longer signed in. Your input is kept.");
}
