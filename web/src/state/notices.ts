/** A notice about the last action, which disappears after a while. */
import { signal } from "@preact/signals";
import type { Tone } from "../format/words";

export interface Notice {
  id: number;
  tone: Tone;
  text: string;
}

const STAYS_MS = 8000;
const MOST = 3;
let last = 0;

export const notices = signal<readonly Notice[]>([]);

export function tell(text: string, tone: Tone = "good"): void {
  last += 1;
  const notice = { id: last, tone, text };
  notices.value = [...notices.value.slice(1 - MOST), notice];
  setTimeout(() => dismiss(notice.id), STAYS_MS);
}

export function dismiss(id: number): void {
  notices.value = notices.value.filter((notice) => notice.id !== id);
}
