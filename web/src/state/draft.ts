/** A configuration file that is being edited. The draft is kept when the user opens another view. */
import { computed, effect, signal } from "@preact/signals";
import type { ConfigFile } from "../api/types";

export interface Draft {
  /** The file as it was when editing began. */
  base: ConfigFile;
  text: string;
  /** The line to be shown first, counted from 1. */
  line?: number;
}

export const draft = signal<Draft | null>(null);
export const isDirty = computed(() => draft.value !== null && draft.value.text !== draft.value.base.text);

/** The browser asks before a tab with unsaved changes is closed. */
const ask = (event: BeforeUnloadEvent): void => event.preventDefault();
effect(() => {
  if (isDirty.value) addEventListener("beforeunload", ask);
  else removeEventListener("beforeunload", ask);
});
