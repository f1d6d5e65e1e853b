/** Data that is read from the service: loading, present, stale with a reason, or missing with a reason. */
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { vantage } from "./route";

export interface Resource<T> {
  data: T | null;
  /** Why the last attempt failed; `data` then has the last known value. */
  error: Error | null;
  loading: boolean;
  retry: () => void;
}

/**
 * Calls `load` at once, whenever `name` or the vantage changes, and every `everyMs` while the page is visible. Data of
 * another name or vantage is never shown.
 */
export function useResource<T>(name: string, load: (signal: AbortSignal) => Promise<T>, everyMs: number | null = null): Resource<T> {
  const key = `${vantage.value ?? ""} ${name}`;
  const [held, setHeld] = useState<{ key: string; data: T | null; error: Error | null }>({ key, data: null, error: null });
  const [attempt, setAttempt] = useState(0);
  const latest = useRef(load);
  latest.current = load;

  // A layout effect runs before the next frame, so the request is sent sooner.
  useLayoutEffect(() => {
    const controller = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const again = (): void => {
      if (everyMs !== null && !controller.signal.aborted) timer = setTimeout(() => void read(), everyMs);
    };
    const read = async (): Promise<void> => {
      if (document.hidden && everyMs !== null) return again();
      try {
        const data = await latest.current(controller.signal);
        if (!controller.signal.aborted) setHeld({ key, data, error: null });
      } catch (why) {
        if (controller.signal.aborted) return;
        const error = why instanceof Error ? why : new Error(String(why));
        setHeld((before) => ({ key, data: before.key === key ? before.data : null, error }));
      }
      again();
    };
    void read();
    return () => {
      controller.abort();
      clearTimeout(timer);
    };
  }, [key, everyMs, attempt]);

  const current = held.key === key ? held : { data: null, error: null };
  return {
    data: current.data,
    error: current.error,
    loading: current.data === null && current.error === null,
    retry: () => setAttempt((n) => n + 1),
  };
}
