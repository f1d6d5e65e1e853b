/** Words and order for alerts. Pure. */
import type { Alert, Notifier, PastAlert, Silence } from "../../api/types";
import { groupBy } from "../../format/group";
import { ALERT_STATES, SEVERITIES, type Tone } from "../../format/words";

/** A value of a rule, with its unit if it has one. */
export function valueText(value: Alert["value"], unit = ""): string {
  if (value === null) return "–";
  const text = String(Number(value.toPrecision(4))).replace("-", "−");
  return unit === "" ? text : `${text} ${unit}`;
}

export interface Group {
  alert: string;
  severity: Alert["severity"];
  alerts: Alert[];
}

/** Groups alerts by rule, the worst rule first. In a group, firing alerts come before pending and inhibited ones. */
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

/** The servers of a rule or a silence, as text. */
export function selectorText(servers: readonly string[]): string {
  return servers.length === 0 ? "all" : servers.join(", ");
}

/** The alerts that match the filter, newest first. */
export function filtered(alerts: readonly PastAlert[], rule: string, text: string): PastAlert[] {
  const wanted = text.trim().toLowerCase();
  return alerts
    .filter((alert) => (!rule || alert.alert === rule) && (!wanted || `${alert.alert} ${alert.server ?? ""} ${alert.summary}`.toLowerCase().includes(wanted)))
    .sort((a, b) => b.started_at.localeCompare(a.started_at));
}

/** Whether it is active, in the future, or over, by the clock of the monitor. */
export function standing(silence: Silence, nowMs: number): "active" | "to come" | "over" {
  if (Date.parse(silence.ends_at) <= nowMs) return "over";
  return Date.parse(silence.starts_at) > nowMs ? "to come" : "active";
}

export function notifierState(notifier: Notifier): { label: string; tone: Tone } {
  if (notifier.failing) return { label: "Failing", tone: "bad" };
  return notifier.last_success === null ? { label: "Not used yet", tone: "idle" } : { label: "OK", tone: "good" };
}
