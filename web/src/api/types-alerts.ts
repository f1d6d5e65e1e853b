/** What the service answers about alerts, rules, silences, notifiers and reports. */

export type Severity = "info" | "warning" | "critical";
export type AlertState = "pending" | "firing" | "inhibited" | "silenced" | "resolved";

/** An alert of one server, or of the monitor as a whole. */
export interface Alert {
  id: string;
  alert: string;
  severity: Severity;
  state: AlertState;
  server: string | null;
  value: number | string | boolean | null;
  summary: string;
  description: string | null;
  labels: Record<string, string>;
  started_at: string;
  /** When the present state began. */
  since_state?: string | null;
  ended_at?: string | null;
  silenced_by?: string | null;
  inhibited_by?: string | null;
  runbook_url?: string | null;
}

export interface AlertsBody {
  active: Alert[];
  history: Alert[];
}

/** A rule, as the configuration writes it and as it stands. */
export interface Rule {
  name: string;
  expr: string;
  for: string | null;
  keep_firing_for: string | null;
  severity: Severity;
  servers: string[] | string | Record<string, unknown> | null;
  notify: string[] | null;
  summary?: string | null;
  description?: string | null;
  runbook_url?: string | null;
  source: "default" | "configured";
  enabled: boolean;
  state: string;
  last_error: string | null;
  /** What the last evaluation took, in microseconds. */
  eval_us: number | null;
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
  alerts: Alert[];
  samples: number;
}

export interface Silence {
  id: string;
  alert: string | null;
  servers: string[] | string | Record<string, unknown> | null;
  comment: string;
  starts_at: string | null;
  ends_at: string | null;
  /** Who made it, where that is known. */
  by?: string | null;
  created_by?: string | null;
  /** `config` for a maintenance window of the file, which is ended there. */
  source?: string;
  active?: boolean;
}

export interface SilencesBody {
  silences: Silence[];
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
  queued: number;
  last_success: string | null;
  last_failure: string | null;
  last_error: string | null;
  paused_until: string | null;
}

export interface NotifiersBody {
  notifiers: Notifier[];
}

export interface ReportRow {
  id: string;
  title?: string;
  summary?: string;
  created?: string | null;
  created_at?: string | null;
  from?: string | null;
  to?: string | null;
  bytes?: number | null;
}

export interface ReportsBody {
  reports: ReportRow[];
}
