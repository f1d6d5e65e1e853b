/** Checks input with the service while the user types. */
import { useEffect, useRef, useState } from "preact/hooks";

const RESTS_MS = 400;

export interface Checked<V, R> {
  /** The checked value; differs from the current value while a response is pending. */
  value: V;
  result: R | null;
  error: Error | null;
}

/** Sends a check when the user pauses typing. Only the latest response counts; it stays until the next one arrives. */
export function useChecked<V, R>(value: V | null, ask: (value: V, signal: AbortSignal) => Promise<R>): Checked<V, R> | null {
  const [checked, setChecked] = useState<Checked<V, R> | null>(null);
  const latest = useRef(ask);
  latest.current = ask;
  useEffect(() => {
    if (value === null) {
      setChecked(null);
      return undefined;
    }
    const controller = new AbortController();
    const told = (result: R | null, error: Error | null): void => {
      if (!controller.signal.aborted) setChecked({ value, result, error });
    };
    const timer = setTimeout(() => {
      latest.current(value, controller.signal).then(
        (result) => told(result, null),
        (why: unknown) => told(null, why instanceof Error ? why : new Error(String(why))),
      );
    }, RESTS_MS);
    return () => {
      clearTimeout(timer);
      controller.abort();
    };
  }, [value]);
  return checked;
}
