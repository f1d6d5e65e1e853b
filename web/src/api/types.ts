/**
 * What the service answers under `/api/v1` and at `/health`, as far as the page reads it. Units and signs are the
 * API's: seconds, and an offset is positive when the server is ahead of the monitoring host. Times are RFC 3339 texts.
 */

export type Condition = "paused" | "pending" | "ok" | "unjudged" | "failing" | "unreachable" | "wrong";
export type Class = "truechimer" | "falseticker" | "unknown";
export type VerdictState = "consistent" | "local_wrong" | "server_wrong" | "path" | "undecidable";
export type Kind = "step" | "frequency" | "constant" | "smear" | "asymmetry" | "congestion" | "unreachable" | "intermittent";

/** A closed interval of offsets. */
export interface Bounds {
  low_s: number;
  high_s: number;
}

export interface Rate {
  ok: number;
  polls: number;
  ratio: number | null;
}

/** One address of one server, as it is now. */
export interface ServerRow {
  id: string;
  name: string;
  address: string | null;
  tags: Record<string, string>;
  state: Condition;
  outcome: string | null;
  reason: string;
  class: Class;
  blamed: boolean;
  kind: Kind | null;
  gap_s: number | null;
  since: string | null;
  sentence: string;
  offset_s: number | null;
  delay_s: number | null;
  jitter_s: number | null;
  root_distance_s: number | null;
  interval: Bounds | null;
  /** Fate of the last eight polls, octal; the lowest bit is the newest. */
  reach: string;
  stratum: number | null;
  leap: number | null;
  refid: string | null;
  root_delay_s: number | null;
  root_dispersion_s: number | null;
  reference_age_s?: number | null;
  precision_s: number | null;
  poll_s: number;
  timestamping: string | null;
  /** How the last reply was authenticated, or should have been. */
  authentication?: string | null;
  nts?: NtsState | null;
  score: number | null;
  success: { hour: Rate; day: Rate; week: Rate };
  consecutive_failures: number;
  polls: number;
  /** Replies refused on the way since the program started. */
  rejected_replies?: number;
  last_poll: string | null;
  last_seen: string | null;
  sparkline: (number | null)[];
}

/** The state of NTS at one server. */
export interface NtsState {
  key_server: string;
  asked: string;
  aead: string | null;
  cookies: number;
  cookie_octets: number | null;
  exchanged: string | null;
  exchange_s: number | null;
  fault: string | null;
  reason: string;
  exchanges: number;
  failures: number;
  failures_in_row: number;
  naks: number;
  downgrades: number;
  certificates: Certificate[];
}

export interface Certificate {
  subject: string;
  issuer: string;
  serial: string;
  not_before: string;
  not_after: string;
  days_left: number;
}

export interface ServerPage {
  as_of: string;
  total: number;
  limit: number;
  offset: number;
  servers: ServerRow[];
}

export interface Settings {
  host: string;
  port: number;
  own: boolean;
  poll_interval_s: number;
  timeout_s: number;
  engine: string;
  family: string;
  addresses: string;
  samples_per_poll: number;
  offset_warning_s: number;
  offset_critical_s: number;
}

export interface ServerDetail {
  as_of: string;
  name: string;
  tags: Record<string, string>;
  settings: Settings;
  series: ServerRow[];
}

export interface LocalVerdict {
  estimate_s: number | null;
  bound_s: number | null;
  at_least_s: number;
  /** `slow`: behind the servers. */
  sign: "slow" | "fast" | "none";
  kind: Kind | null;
  /** Rate error and half width of its 95 % interval, in ppm, positive when the clock loses time. */
  rate_ppm: [number, number] | null;
  since: string | null;
  distrust: string | null;
}

export interface Majority extends Bounds {
  members: number;
  of: number;
  independent: number;
}

export interface Verdict {
  as_of: string;
  state: VerdictState;
  since: string | null;
  confidence: number;
  local: LocalVerdict;
  majority: Majority | null;
  reason: string;
  assumption: string;
  independence: string | null;
  sentence: string;
}

export interface KernelState {
  synchronised: boolean;
  max_error_s: number;
  est_error_s: number;
  frequency_ppm: number;
  tai_offset_s: number | null;
  leap_pending: number;
}

export interface DaemonView {
  name: string;
  synchronised: boolean;
  stratum: number | null;
  offset_s: number | null;
  bound_s: number | null;
}

export interface LocalClock {
  as_of: string;
  verdict: LocalVerdict;
  kernel: KernelState | null;
  daemon: DaemonView | null;
  distrust: string | null;
}

/** The own clock at one moment, or the moments within one step: means, extremes, and the widest bounds. */
export interface ClockPoint {
  time: string;
  /** True time less this clock: plus means that this clock is behind. */
  estimate_s: number | null;
  low_s: number | null;
  high_s: number | null;
  bound_s: number | null;
  frequency_ppm: number | null;
  frequency_min_ppm: number | null;
  frequency_max_ppm: number | null;
  max_error_s: number | null;
  est_error_s: number | null;
}

export interface LocalHistory {
  from: string;
  to: string;
  /** `null`: each point as it was recorded, one a minute. */
  step_s: number | null;
  points: ClockPoint[];
}

type Values = (number | null)[];

/** The history of one server, or of one of its addresses, in columns of equal length. */
export interface HistorySeries {
  id: string;
  name: string;
  address: string | null;
  /** The first poll ever. */
  began: string | null;
  /** The width of a step; `null`: each point is a poll. */
  step_s: number | null;
  poll_s: number | null;
  /** Unix seconds. */
  time: number[];
  polls: number[];
  /** Polls that brought an offset. */
  samples: number[];
  offset_s?: Values;
  offset_min_s?: Values;
  offset_max_s?: Values;
  root_distance_s?: Values;
  delay_s?: Values;
  delay_min_s?: Values;
  delay_max_s?: Values;
  jitter_s?: Values;
  score?: Values;
}

export interface HistoryBody {
  from: string;
  to: string;
  /** Servers that were too many for one answer. */
  left_out: number;
  series: HistorySeries[];
}

export interface Distribution {
  n: number;
  mean: number;
  median: number;
  stddev: number | null;
  min: number;
  max: number;
  p5: number;
  p25: number;
  p50: number;
  p75: number;
  p90: number;
  p95: number;
}

export interface Histogram {
  from_s: number;
  bin_s: number;
  counts: number[];
  /** Values beyond the first and the last bin. */
  below: number;
  above: number;
}

export interface SeriesStats {
  name: string;
  address: string | null;
  stats: {
    n: number;
    offset: Distribution | null;
    offset_abs: Distribution | null;
    delay: Distribution | null;
    polls: number;
    loss: number | null;
    jitter_s: number | null;
    outcomes: Record<string, number>;
    trend: { ppm: number; ppm_lo: number; ppm_hi: number } | null;
  };
  histogram: Histogram | null;
}

export interface Stats {
  from: string;
  to: string;
  series: SeriesStats[];
}

export interface Stability {
  tau_s: number[];
  n: number[];
  oadev: (number | null)[];
  tdev: (number | null)[];
  mdev: (number | null)[];
}

export interface StabilityBody {
  series: { name: string; address: string | null; stability: Stability | null; reason: string | null }[];
}

export interface Moment {
  ntp: string;
  time: string | null;
}

/** A refused reply. */
export interface Refusal {
  time: string;
  address: string | null;
  failed: string | null;
  explanation: string | null;
  /** Where it came from: address and port. */
  sender?: string | null;
  checks: { check: string; passed: boolean }[];
  t1: Moment;
  t2: Moment;
  t3: Moment;
  t4: Moment;
  datagram: string;
}

export interface EvidenceBody {
  evidence: Refusal[];
}

export interface EventEntry {
  id: number;
  kind: string;
  server: string | null;
  address: string | null;
  start: string;
  end: string | null;
  detail: string;
  sentence: string;
}

export interface EventsBody {
  from: string;
  to: string;
  events: EventEntry[];
}

export type HealthStatus = "ok" | "degraded" | "failing";

export interface SinkHealth {
  failing: boolean;
  queue_depth: number;
  queue_capacity: number | null;
  in_hand: number;
  dropped: number;
  written: number;
  failures: number;
  lag_s: number;
  last_error: string | null;
  incident: string | null;
}

export interface Health {
  status: HealthStatus;
  reasons: { status: HealthStatus; about: string; name: string; reason: string }[];
  ready: boolean;
  version: string;
  vantage: string;
  uptime_s: number;
  restarts: number;
  panics: number;
  sinks: Record<string, SinkHealth>;
  down: Record<string, { state: string; restarts: number; panics: number }>;
  log_dropped: number;
}

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

export interface ShownConfig {
  values: Json;
  [more: string]: Json;
}
