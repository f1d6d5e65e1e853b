/** Which rows of a long list are visible in the browser window. Short lists are rendered as a whole. */
import type { RefObject } from "preact";
import { useEffect, useState } from "preact/hooks";
import { visible } from "./arrange";

const WHOLE_UP_TO = 120;

export function useVisible(list: RefObject<HTMLElement | null>, lines: number, height: number): { first: number; end: number } {
  const [place, setPlace] = useState({ top: 0, bottom: 1200 });
  useEffect(() => {
    if (lines <= WHOLE_UP_TO) return undefined;
    let frame = 0;
    const measure = (): void => {
      frame = 0;
      const top = -(list.current?.getBoundingClientRect().top ?? 0);
      setPlace({ top, bottom: top + innerHeight });
    };
    const soon = (): void => {
      frame ||= requestAnimationFrame(measure);
    };
    measure();
    addEventListener("scroll", soon, { passive: true });
    addEventListener("resize", soon);
    return () => {
      cancelAnimationFrame(frame);
      removeEventListener("scroll", soon);
      removeEventListener("resize", soon);
    };
  }, [lines > WHOLE_UP_TO]);
  return lines <= WHOLE_UP_TO ? { first: 0, end: lines } : visible(lines, height, place.top, place.bottom);
}
