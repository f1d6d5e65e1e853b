/** Words and order for alerts. Pure. */
import type { Alert, Rule, Silence } from "../../api/types-alerts";
import { groupBy } from "../../format/group";
import { ALERT_STATES, SEVERITIES } from "../../format/words";

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
