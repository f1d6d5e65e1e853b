/** The results of a search, best first. Pure. */
import type { Tone } from "../format/words";

export interface Place {
  kind: "Server" | "View" | "Alert";
  text: string;
  /** Other words that find it. */
  more: string;
  /** Its address. */
  to: string;
  state?: { label: string; tone: Tone };
}

const MOST = 12;

/** A result must contain every word; results that begin with a word come first. */
export function found(places: readonly Place[], text: string): Place[] {
  const words = text.trim().toLowerCase().split(/\s+/).filter(Boolean);
  const rank = ({ text: title, more }: Place): number => {
    const [name, rest] = [title.toLowerCase(), more.toLowerCase()];
    if (!words.every((word) => name.includes(word) || rest.includes(word))) return -1;
    const first = words[0] ?? "";
    return name === first ? 0 : name.startsWith(first) ? 1 : words.every((word) => name.includes(word)) ? 2 : 3;
  };
  return places.map((place, index) => ({ place, index, rank: rank(place) })).filter(({ rank: at }) => at >= 0)
    .sort((a, b) => a.rank - b.rank || a.index - b.index).slice(0, MOST).map(({ place }) => place);
}
