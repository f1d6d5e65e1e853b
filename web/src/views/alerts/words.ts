/** Words and order for alerts. Pure. */
import type { Alert, Notifier, Rule, Silence } from "../../api/types-alerts";
import { groupBy } from "../../format/group";
import { ALERT_STATES, SEVERITIES, type Tone } from "../../format/words";

/** A value as the rule computed it: no unit is known, so none is said. */
export function valueText(value: Alert["value"]): string {
  if (value === null) return "–";
  if (typeof value !== "number") return String(value);
  return String(Number(value.toPrecision(4))).replace("-", "−");
}

export interface Group {
  alert: string;
  severity: Alert["severity"];
  alerts: Alert[];
}

/** Alerts of one rule together, the worst rule first; within it what fires before what waits or is held back. */
export function grouped(alerts: readonly Alert[]): Group[] {
  const state = (alert: Alert): number => ALERT_STATES[alert.state]?.rank ?? 9;
  const severity = (alert: Alert): number => SEVERITIES[alert.severity].rank;
  const groups = [...groupBy(alerts, (alert) => alert.alert)].map(([name, held]): Group => ({
    alert: name,
    severity: held.reduce((worst, alert) => (severity(alert) < severity(worst) ? alert : worst)).severity,
    alerts: held.sort((a, b) => state(a) - state(b) || (a.server ?? "").localeCompare(b.server ?? "", "en", { numeric: true })),
  }));
  const best = (group: Group): number => Math.min(...group.alerts.map(state));
  return groups.sort((a, b) =>
    best(a) - best(b) || SEVERITIES[a.severity].rank - SEVERITIES[b.severity].rank || a.alert.localeCompare(b.alert));
}

/** Which servers a rule or a silence is about. */
export function selectorText(servers: Rule["servers"] | Silence["servers"] | undefined): string {
  if (servers == null || (Array.isArray(servers) && servers.length === 0)) return "all";
  if (typeof servers === "string") return servers;
  if (Array.isArray(servers)) return servers.join(", ");
  return Object.entries(servers).map(([key, value]) => `${key}: ${Array.isArray(value) ? value.join(", ") : String(value)}`).join("; ");
}

/** Those that the filter lets through, newest first. */
export function filtered(alerts: readonly Alert[], rule: string, text: string): Alert[] {
  const wanted = text.trim().toLowerCase();
  return alerts
    .filter((alert) => (!rule || alert.alert === rule) && (!wanted || `${alert.alert} ${alert.server ?? ""} ${alert.summary}`.toLowerCase().includes(wanted)))
    .sort((a, b) => b.started_at.localeCompare(a.started_at));
}

/** Whether it holds, is to come, or is over, by the clock of the monitor. */
export function standing(silence: Silence, nowMs: number): "active" | "to come" | "over" {
  if (silence.ends_at && Date.parse(silence.ends_at) <= nowMs) return "over";
  if (silence.active === false || (silence.starts_at && Date.parse(silence.starts_at) > nowMs)) return "to come";
  return "active";
}

/** How a notifier stands: what happened last counts. */
export function notifierState(notifier: Notifier, nowMs: number): { label: string; tone: Tone } {
  const at = (time: string | null): number => (time === null ? 0 : Date.parse(time));
  if (at(notifier.paused_until) > nowMs) return { label: "Waits", tone: "warn" };
  if (at(notifier.last_failure) > at(notifier.last_success)) return { label: "Failing", tone: "bad" };
  return notifier.last_success === null ? { label: "Not used yet", tone: "idle" } : { label: "OK", tone: "good" };
}
