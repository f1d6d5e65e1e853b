/** The current alerts, for the navigation, the document title and the views. Read again when one changes. */
import { computed, signal } from "@preact/signals";
import { alerting } from "../api/client";
import type { Alert, Severity } from "../api/types";
import { onEvent } from "./live";

const EVERY_MS = 15_000;
/** Alerts change in groups: changes within this time cause one reading. */
const REST_MS = 500;

/** Pending, firing, silenced and inhibited alerts; `null` until they are known. */
export const active = signal<Alert[] | null>(null);
export const alertsFailure = signal<Error | null>(null);

const SEVERITIES: readonly Severity[] = ["critical", "warning", "info"];

export const firing = computed(() => (active.value ?? []).filter((alert) => alert.state === "firing"));
/** The worst severity of the firing alerts. */
export const worst = computed(() => SEVERITIES.find((one) => firing.value.some((alert) => alert.severity === one)) ?? null);

let due: ReturnType<typeof setTimeout> | undefined;

export async function readAlerts(): Promise<void> {
  clearTimeout(due);
  try {
    active.value = (await alerting.alerts()).active;
    alertsFailure.value = null;
  } catch (why) {
    alertsFailure.value = why instanceof Error ? why : new Error(String(why));
  }
  schedule(EVERY_MS);
}

function schedule(inMs: number): void {
  clearTimeout(due);
  due = setTimeout(() => {
    if (document.hidden) schedule(inMs);
    else void readAlerts();
  }, inMs);
}

let listening = false;

/** Subscribes to the alerts, and subscribes again after the user has signed in. */
export function followAlerts(): void {
  if (!listening) onEvent("alert", () => schedule(REST_MS));
  listening = true;
  void readAlerts();
}

/** Unsubscribes and drops the data. */
export function leaveAlerts(): void {
  clearTimeout(due);
  active.value = null;
  alertsFailure.value = null;
}
