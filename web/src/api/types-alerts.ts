/** What the service answers about alerts, rules, silences, notifiers and reports. */

export type Severity = "info" | "warning" | "critical";
export type AlertState = "firing" | "inhibited" | "silenced" | "pending" | "resolved";

/** An alert of one server, or of the monitor as a whole, that is not over. */
export interface Alert {
  id: string;
  alert: string;
  severity: Severity;
  state: AlertState;
  server: string | null;
  /** What the rule looked at, in the unit of its variable. */
  value: number | null;
  /** Of the value; empty for ratios and counts. */
  unit: string;
  summary: string;
  description: string;
  labels: Record<string, string>;
  /** When it began to hold. */
  started_at: string;
  /** Since when it is pending, or fires. */
  since_state: string;
  silenced_by: string | null;
  inhibited_by: string | null;
  runbook_url: string | null;
}

/** One that fired, from beginning to end. */
export interface PastAlert {
  alert: string;
  severity: Severity;
  server: string | null;
  value: number | null;
  summary: string;
  started_at: string;
  fired_at: string;
  /** `null` while it lasts. */
  ended_at: string | null;
  /** Why it ended: `clear`, `no_data` or `gone`. */
  end: string | null;
  /** What kept it quiet: a silence, a window or a cause. */
  held_by: string | null;
}

export interface AlertsBody {
  active: Alert[];
  history: PastAlert[];
}

/** A rule, as the configuration writes it and as it stands. */
export interface Rule {
  name: string;
  expr: string;
  for: string;
  keep_firing_for: string;
  severity: Severity;
  /** By name or tag; empty for all. */
  servers: string[];
  /** `null` for everybody. */
  notify: string[] | null;
  /** Templates. */
  summary: string;
  description: string;
  runbook_url: string | null;
  source: "default" | "configured";
  enabled: boolean;
  /** The worst of its alerts. */
  state: "firing" | "pending" | "error" | "inactive";
  last_error: string | null;
  /** What one look at all servers cost last, in microseconds. */
  eval_us: number;
}

export interface Variable {
  name: string;
  type: string;
  unit: string | null;
  of: string;
  help: string;
}

export interface RulesBody {
  rules: Rule[];
  variables: Variable[];
}

export interface RuleCheck {
  valid: boolean;
  faults: (string | { message: string; path?: string; key?: string; line?: number | null; column?: number | null })[];
}

export interface Replayed {
  alerts: PastAlert[];
  /** How many messages would have been sent. */
  notifications: number;
  samples: number;
  from: string;
  to: string;
  /** Otherwise the work was cut short. */
  complete: boolean;
}

export interface Silence {
  id: number;
  /** `null` for every rule. */
  alert: string | null;
  /** By name or tag; empty for all. */
  servers: string[];
  comment: string;
  created_by: string;
  starts_at: string;
  ends_at: string;
}

/** A maintenance window of the configuration that is open. */
export interface OpenWindow {
  comment: string;
  alert: string | null;
  servers: string[];
  ends_at: string;
}

export interface SilencesBody {
  silences: Silence[];
  windows: OpenWindow[];
}

export interface SilenceWish {
  alert?: string;
  servers?: string[];
  comment: string;
  /** How long from now. */
  for: string;
}

export interface Notifier {
  name: string;
  type: string;
  /** Whether the last attempts failed. */
  failing: boolean;
  failing_since: string | null;
  queued: number;
  /** Messages that were taken since the start. */
  delivered: number;
  /** Given up, or dropped because they waited too long or were too many, since the start. */
  given_up: number;
  expired: number;
  last_success: string | null;
  last_failure: string | null;
  last_error: string | null;
  /** When the next attempt is made, while one is waited for. */
  paused_until: string | null;
}

/** The result of a test message. */
export interface Tested {
  delivered: boolean;
  /** What the receiver said, or why it has not got the message. */
  detail: string;
}

export interface NotifiersBody {
  notifiers: Notifier[];
}

export interface ReportRow {
  id: string;
  made: string;
  bytes: number;
  /** The span that it is about, where the file says it. */
  from?: string | null;
  to?: string | null;
}

/** A scheduled report that is not everywhere yet. */
export interface ReportUnderWay {
  due: string;
  missing: string[];
  attempts: number;
  failing_since: string | null;
  last_error: string | null;
  next_attempt: string | null;
}

export interface ReportsBody {
  reports: ReportRow[];
  under_way: ReportUnderWay | null;
}
