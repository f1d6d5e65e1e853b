/** Shows the state of alerts in the title of the tab and in its icon. */
import { effect, signal } from "@preact/signals";
import { firing, worst } from "./alerts";

/** The name of the view. */
export const viewName = signal("");

const ICONS = { critical: "./icon-bad.svg", warning: "./icon-warn.svg", info: "./icon.svg" } as const;

/** Keeps both up to date. Called once. */
export function showMark(): void {
  effect(() => {
    const count = firing.value.length;
    document.title = `${count > 0 ? `(${count}) ` : ""}${viewName.value} – ntp-monitor`;
  });
  effect(() => {
    const icon = document.querySelector<HTMLLinkElement>('link[rel="icon"]');
    if (icon) icon.href = worst.value === null ? "./icon.svg" : ICONS[worst.value];
  });
}
