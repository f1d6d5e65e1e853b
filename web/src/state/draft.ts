/** A configuration file that is being edited. It outlives the view, so that a look elsewhere loses nothing. */
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

/** Before the tab is closed over unsaved work, the browser asks. */
const ask = (event: BeforeUnloadEvent): void => event.preventDefault();
effect(() => {
  if (isDirty.value) addEventListener("beforeunload", ask);
  else removeEventListener("beforeunload", ask);
});
