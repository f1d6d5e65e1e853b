/** The current width of a box. */
import { useEffect, useRef, useState } from "preact/hooks";
import type { RefObject } from "preact";

export function useWidth(usual: number): [RefObject<HTMLDivElement | null>, number] {
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(usual);
  useEffect(() => {
    const host = box.current;
    if (!host) return undefined;
    const observer = new ResizeObserver(() => {
      if (host.clientWidth > 0) setWidth(host.clientWidth);
    });
    observer.observe(host);
    setWidth(host.clientWidth || usual);
    return () => observer.disconnect();
  }, []);
  return [box, width];
}
