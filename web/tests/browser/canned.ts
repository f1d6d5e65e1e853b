/** The default responses of the mock: a small healthy monitor with one wrong server. */
import type { ClockPoint, EventsBody, Health, LocalClock, LocalHistory, ServerPage, ServerRow, SheetBody, ShownConfig, Verdict } from "../../src/api/types";
import type { Alert, AlertsBody, Notifier, NotifiersBody, PastAlert, Replayed, ReportsBody, Rule, RulesBody, SilencesBody } from "../../src/api/types";
import type { AuditBody, ConfigCheck, ConfigFile, Schema, Session } from "../../src/api/types";
import type { KnownServer, ServerTest, SetUpDone } from "../../src/api/types";

/** The time this many seconds ago, as RFC 3339. */
export const ago = (seconds: number): string => new Date(Date.now() - seconds * 1000).toISOString();

const rate = { ok: 60, polls: 60, ratio: 1 };

export function row(name: string, more: Partial<ServerRow> = {}): ServerRow {
  return {
    id: name, name, address: "192.0.2.1:123", tags: { site: "ams" }, state: "ok", outcome: "sample", reason: "", class: "truechimer",
    blamed: false, kind: null, gap_s: null, since: null, sentence: `${name} is right.`, offset_s: 2e-5, delay_s: 1e-3, jitter_s: 1e-5,
    root_distance_s: 1e-3, interval: { low_s: -1e-3, high_s: 1e-3 }, reach: "377", stratum: 1, leap: 0, refid: "GPS", root_delay_s: 0,
    root_dispersion_s: 1e-4, precision_s: 1e-6, poll_s: 64, timestamping: "kernel", score: 20, success: { hour: rate, day: rate, week: rate },
    consecutive_failures: 0, polls: 60, last_poll: ago(5), last_seen: ago(5), sparkline: [1e-5, 2e-5, 1.5e-5, 2e-5],
    reference_age_s: null, authentication: "none", nts: null, outcomes: { sample: 60 }, rejected_replies: 0, ...more,
  };
}

const rows = [row("ams-1"), row("ams-2"), row("ams-3"), row("wild", {
  state: "wrong", class: "falseticker", blamed: true, offset_s: 0.08, interval: { low_s: 0.079, high_s: 0.081 }, sentence: "wild is wrong.",
})];

export const servers = (): ServerPage => ({ as_of: ago(0), total: rows.length, limit: 10_000, offset: 0, servers: rows });

const local = {
  estimate_s: 1e-5, bound_s: 1e-3, at_least_s: 0, sign: "none" as const, kind: null, rate_ppm: null, since: null, distrust: null,
};

export const verdict = (): Verdict => ({
  as_of: ago(0), state: "server_wrong", since: ago(600), confidence: 0.99, local, servers: [], majority: { low_s: -1e-3, high_s: 1e-3, members: 3, of: 4, independent: 3 },
  reason: "Three servers share an interval.", assumption: "Most servers are right.", independence: null,
  sentence: "wild is wrong by at least 79 ms: its error range does not overlap the range that 3 of 4 servers agree on.",
});

export const health = (): Health => ({
  status: "ok", reasons: [], ready: true, version: "0.1.0", vantage: "mock", uptime_s: 3600, restarts: 0, panics: 0, sinks: {}, down: {}, log_dropped: 0,
  polls_overdue_s: 0, servers: [], alerting: { rule_errors: {}, not_recorded: null }, notifiers: {},
  reports: { sent: 0, failures: 0, given_up: 0, under_way: null },
});

export const clock = (): LocalClock => ({
  as_of: ago(0), verdict: local, daemon: null, distrust: null, leap: { list: null, path: null, fault: null, findings: [] },
  kernel: { synchronised: true, max_error_s: 0.012, est_error_s: 1e-4, frequency_ppm: -2, tai_offset_s: 37, leap_pending: 0 },
});

/** The last two hours, of which half an hour is missing and the clock was a little behind at the end. */
export const clockHistory = (): LocalHistory => ({
  from: ago(7200), to: ago(0), step_s: null,
  points: Array.from({ length: 120 }, (_, n): ClockPoint => {
    const [estimate_s, bound_s, frequency_ppm] = [2e-4 * Math.sin(n / 15) + (n > 100 ? 1e-3 : 0), 5e-4 + 2e-6 * n, -3.2 + n / 100];
    return {
      time: ago(7200 - 60 * n), estimate_s, bound_s, low_s: estimate_s - bound_s, high_s: estimate_s + bound_s, frequency_ppm,
      frequency_min_ppm: frequency_ppm, frequency_max_ppm: frequency_ppm, max_error_s: 0.01 + 5e-4 * (n % 17), est_error_s: 1e-4,
    };
  }).filter((_, n) => n < 40 || n >= 70),
});

/** The sheet of a server whose clock was set twenty minutes ago. */
export const sheet = (): SheetBody => ({
  name: "wild", draft: "draft-ietf-ntp-ntpv5-09", sheets: [{
    address: "192.0.2.9:123", last_kiss: null, traits: [
      { trait: "version_3", title: "NTP version 3", value: null, text: "not known yet", varies: false },
      { trait: "precision", title: "precision", value: "0.000001", text: "2^-20 s (954 ns)", varies: false },
      { trait: "hop_limit", title: "hop limit of replies", value: "57", text: "differs from reply to reply, before: 57, probably 7 hops away", varies: true },
    ],
  }],
});

export const clockEvents = (): EventsBody => ({
  from: ago(2_592_000), to: ago(0), events: [{
    id: 1, kind: "clock_step", server: null, address: null, start: ago(1200), end: ago(1200), detail: "{}",
    sentence: "This host's clock was set forward by 1.0 ms.",
  }],
});

export const sessionOf = (role: Session["role"]): Session => ({
  authenticated: role !== null, name: role === null ? null : "alice", role, reading_is_open: true, setup_link: null,
});

export const shown: ShownConfig = {
  values: {
    defaults: { poll_interval: "64s", engine: "kernel" },
    http: { listen: "127.0.0.1:8080", tokens: [] },
    influxdb: { url: "http://127.0.0.1:8086", token: "********" },
    server: [
      { address: "192.0.2.1", name: "ams-1", tags: { site: "ams" }, poll_interval: "32s", engine: "kernel", own: false, paused: false },
      { address: "192.0.2.9", name: "wild", tags: {}, poll_interval: "64s", engine: "kernel", own: false, paused: true },
    ],
  },
  sources: {
    "defaults.poll_interval": "default", "server[0].address": "/etc/ntp-monitor.toml:8", "server[0].name": "/etc/ntp-monitor.toml:9",
    "server[0].poll_interval": "/etc/ntp-monitor.toml:10",
    "server[1].address": "/etc/ntp-monitor.toml:14", "server[1].name": "/etc/ntp-monitor.toml:15",
    "server[1].paused": "/etc/ntp-monitor.toml:16",
  },
};

export const FILE_TEXT = `# The clocks of the office.
[defaults]
poll_interval = "64s"

[influxdb]
url = "http://127.0.0.1:8086"
token = "********"

[[server]]
address = "192.0.2.1"
name = "ams-1"
poll_interval = "32s"

[server.tags]
site = "ams"

[[server]]
address = "192.0.2.9"
name = "wild"
paused = true
`;

export const file = (text = FILE_TEXT, etag = '"v1"'): ConfigFile => ({
  path: "/etc/ntp-monitor.toml", format: "toml", text, etag, editable: true, why_not: null, adds_to: null,
});

export const check = (more: Partial<ConfigCheck> = {}): ConfigCheck => ({
  valid: true, faults: [], warnings: [], diff: "--- a\n+++ b\n@@ -9,4 +9,4 @@\n [[server]]\n-poll_interval = \"32s\"\n+poll_interval = \"16s\"\n",
  changes: { added: [], changed: ["ams-1"], removed: [], sections: [], needs_restart: [] }, ...more,
});

const probeKeys: Record<string, Schema> = {
  poll_interval: { type: "string", default: "64s", description: "Time between two polls: at least 16 s, or 100 ms for a server that is your own." },
  engine: {
    description: "How to measure.", default: "kernel",
    oneOf: [{ const: "kernel", description: "Kernel timestamps." }, { const: "sntp", description: "The portable engine." }],
  },
};

export const schema: Schema = {
  type: "object",
  properties: {
    defaults: { type: "object", description: "For every server that does not say otherwise.", properties: probeKeys },
    influxdb: { type: "object", properties: { token: { type: "string", writeOnly: true, description: "The token. Better in token_file." } } },
    server: {
      type: "array",
      items: {
        type: "object", description: "`[[server]]`.", required: ["address"],
        properties: {
          address: { type: "string", description: "A name or an address.", examples: ["time.example.net"] },
          name: { type: "string", description: "What to call it; unique.", "x-default": "the address" },
          tags: { type: "object", description: "Tags of everything that is written about it.", additionalProperties: { type: "string" }, default: {} },
          own: { type: "boolean", description: "It is yours, so it may be polled faster than every 16 s.", default: false },
          paused: { type: "boolean", description: "It is not polled.", default: false },
          ...probeKeys,
          samples_per_poll: { type: "integer", minimum: 1, maximum: 8, default: 1, description: "Requests per poll." },
        },
      },
    },
  },
};

export const audit = (): AuditBody => ({
  entries: [
    { time: ago(7200), who: "alice", role: "admin", peer: "127.0.0.1:40312", action: "PUT /api/v1/config/file", target: "/api/v1/config/file: changed ams-1", outcome: "200 OK" },
    { time: ago(60), who: "bob", role: "operate", peer: "192.0.2.77:51000", action: "DELETE /api/v1/servers/{id}", target: "/api/v1/servers/ams-1", outcome: "403 Forbidden: the role of this token does not permit this" },
  ],
});

export function alert(id: string, more: Partial<Alert> = {}): Alert {
  return {
    id, alert: "high-offset", severity: "critical", state: "firing", server: "wild", value: 80.1234, unit: "ms", summary: "wild is 80 ms ahead",
    description: "At least 79 ms of that are proven.", labels: {}, started_at: ago(5400), since_state: ago(5100), silenced_by: null,
    inhibited_by: null, runbook_url: null, ...more,
  };
}

/** An alert that began this long ago and lasted this long, in seconds. */
export function past(began: number, lasted: number, more: Partial<PastAlert> = {}): PastAlert {
  return {
    alert: "high-offset", severity: "critical", server: "wild", value: 80.1, summary: "wild is 80 ms ahead", started_at: ago(began),
    fired_at: ago(began - 300), ended_at: ago(began - lasted), end: "clear", held_by: null, ...more,
  };
}

export const alerts = (): AlertsBody => ({
  active: [
    alert("1"),
    alert("2", { server: "ams-2", state: "pending", value: 51, summary: "ams-2 is 51 ms ahead", started_at: ago(40), description: "" }),
    alert("3", { alert: "falseticker", severity: "warning", summary: "wild is a falseticker", state: "silenced", silenced_by: "silence 1" }),
    alert("4", { alert: "failing-queries", severity: "warning", server: "ams-3", summary: "ams-3 does not answer", state: "inhibited", inhibited_by: "the monitor is blind" }),
  ],
  history: [
    past(90_000, 3600),
    past(50_000, 1000, { alert: "stratum-change", severity: "info", server: "ams-1", summary: "ams-1 went from stratum 1 to 2", held_by: "silence 1" }),
  ],
});

export function rule(name: string, more: Partial<Rule> = {}): Rule {
  return {
    name, expr: "abs_offset_ms > 50 && provable", for: "5m", keep_firing_for: "5m", severity: "critical", servers: [], notify: null,
    summary: "{{ server }} is off by {{ offset_ms }} ms", description: "", runbook_url: null, source: "default", enabled: true, state: "firing", last_error: null, eval_us: 12,
    notify_resolved: true, inhibit: false, firing: 0, pending: 0, ...more,
  };
}

/** The replay of a rule over a week. */
export const replayed = (found: PastAlert[]): Replayed => ({
  alerts: found, notifications: 2 * found.length, samples: 90_000, from: ago(604_800), to: ago(0), complete: true,
});

export const rules = (): RulesBody => ({
  rules: [
    rule("high-offset"), rule("office", { source: "configured", expr: "offset_ms > 5.0", severity: "warning", state: "inactive", servers: ["ams-1"] }),
    rule("leap", { enabled: false, state: "inactive", severity: "info" }),
  ],
  variables: [
    { name: "offset_ms", type: "number", unit: "ms", of: "server", help: "Plus: the server is ahead of this host." },
    { name: "provable", type: "truth", unit: "", of: "server", help: "Whether the offset exceeds what the path can explain." },
    { name: "verdict", type: "text", unit: "", of: "verdict", help: "consistent, server_wrong, local_wrong, path or undecidable." },
  ],
});

export const silences = (): SilencesBody => ({
  silences: [
    { id: 1, alert: "falseticker", servers: ["wild"], comment: "New antenna on Tuesday", starts_at: ago(600), ends_at: ago(-6600), created_by: "alice" },
    { id: 2, alert: null, servers: [], comment: "Maintenance of the uplink", starts_at: ago(-86_400), ends_at: ago(-90_000), created_by: "bob" },
  ],
  windows: [{ comment: "The router restarts on Sundays", alert: "failing-queries", servers: ["site:ams"], ends_at: ago(-1800) }],
});

export function notifier(name: string, more: Partial<Notifier> = {}): Notifier {
  return {
    name, type: "slack", failing: false, failing_since: null, queued: 0, delivered: 0, given_up: 0, expired: 0, last_success: null, last_failure: null,
    last_error: null, paused_until: null, oldest_s: 0, failures: 0, consecutive_failures: 0, ...more,
  };
}

export const notifiers = (): NotifiersBody => ({
  notifiers: [
    notifier("ops", { last_success: ago(3600), delivered: 12 }),
    notifier("mail", {
      type: "email", failing: true, failing_since: ago(4000), queued: 3, delivered: 7, expired: 1, last_success: ago(90_000), last_failure: ago(30),
      last_error: "connection refused by mail.example.net:587", paused_until: ago(-90),
    }),
  ],
});

export const reports = (): ReportsBody => ({
  reports: [{ id: "report-20261123T080000Z", made: "2026-11-23T08:00:00Z", bytes: 1_234_567, from: null, to: null }],
  under_way: null,
});

/** The servers that the time daemon and DHCP of the host name. */
export const known = (): { servers: KnownServer[] } => ({
  servers: [
    { address: "192.0.2.123", file: "/run/chrony-dhcp/eth0.sources" }, { address: "2.debian.pool.ntp.org", file: "/etc/chrony/chrony.conf" },
  ],
});

export const tested = (poll: Partial<ServerTest["poll"]> = {}): ServerTest => ({
  address: "192.0.2.1:123", others: 0,
  poll: {
    time: ago(0), address: "192.0.2.1", leap: 0, poll_s: 0, timestamping: "kernel", authentication: "none", reference_age_s: 20,
    mode: "basic", outcome: "sample", reason: "", offset_s: 3e-4, delay_s: 9e-3, root_distance_s: 0.012, stratum: 1, refid: "GPS", ...poll,
  },
});

export const setUpDone = (): SetUpDone => ({
  name: "setup", role: "admin", token: "5f".repeat(32), file: "/home/alice/.config/ntp-monitor/servers.toml",
});

export const noServers = (): ServerPage => ({ ...servers(), total: 0, servers: [] });
