/** The preferences of the user: theme, time zone, unit. Kept in this browser only. */
import { effect, signal, type Signal } from "@preact/signals";
import type { Unit } from "../format/units";

export type Theme = "auto" | "light" | "dark";

function kept<T extends string>(key: string, allowed: readonly T[], usual: T): Signal<T> {
  const name = `ntp-monitor.${key}`;
  const stored = read(name);
  const value = signal<T>(allowed.find((one) => one === stored) ?? usual);
  effect(() => {
    write(name, value.value);
  });
  return value;
}

// Storage may be refused (private windows); preferences are then kept as long as the page.
function read(name: string): string | null {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

function write(name: string, value: string): void {
  try {
    localStorage.setItem(name, value);
  } catch {
    // Only the preference is lost.
  }
}

export const THEMES = ["auto", "light", "dark"] as const;
export const UNITS: readonly Unit[] = ["auto", "s", "ms", "µs"];
/** The offered time zones: UTC, that of the browser, and common ones. */
export const ZONES: readonly string[] = [
  ...new Set([
    "UTC", Intl.DateTimeFormat().resolvedOptions().timeZone, "America/Los_Angeles", "America/New_York",
    "America/Sao_Paulo", "Europe/London", "Europe/Berlin", "Africa/Johannesburg", "Asia/Kolkata", "Asia/Shanghai",
    "Asia/Tokyo", "Australia/Sydney",
  ]),
];

export const theme = kept<Theme>("theme", THEMES, "auto");
export const unit = kept<Unit>("unit", UNITS, "auto");
export const zone = kept<string>("zone", ZONES, "UTC");

/** Whether the page is dark now. */
const prefersDark = matchMedia("(prefers-color-scheme: dark)");
export const dark = signal(prefersDark.matches);

function settle(): void {
  dark.value = theme.value === "dark" || (theme.value === "auto" && prefersDark.matches);
  document.documentElement.dataset["theme"] = dark.value ? "dark" : "light";
}

prefersDark.addEventListener("change", settle);
effect(() => {
  void theme.value;
  settle();
});
