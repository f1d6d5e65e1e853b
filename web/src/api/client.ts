/** The endpoints that the page uses, grouped by purpose. */
import { vantage } from "../state/route";
import { ask, ok, type Answer, type Ask } from "./http";
import type {
  EventsBody, EvidenceBody, Health, HistoryBody, LocalClock, LocalHistory, ServerDetail, ServerPage, ShownConfig, StabilityBody, Stats,
  SheetBody, Verdict,
} from "./types";
import type {
  AlertsBody, NotifiersBody, Replayed, ReportRow, ReportsBody, Rule, RuleCheck, RulesBody, SilencesBody, NewSilence,
  Tested,
} from "./types";
import type { FleetAgent, FleetMatrix, FleetSkew, FleetVantages, FleetVerdict, Version } from "./types";
import type { AuditBody, ConfigCheck, ConfigFile, Schema, ServerKeys, Session } from "./types";
import type { KnownServer, ServerTest, SetUpDone } from "./types";

export { ApiError } from "./http";

/** Relative to the page, so that a proxy may serve it below any path. */
const V1 = "api/v1";

async function get<T>(path: string, query: NonNullable<Ask["query"]> = {}, signal?: AbortSignal): Promise<T> {
  return (await ask<T>(`${V1}/${path}`, { query, signal })).body;
}

/** Reads data of the vantage in the address of the page. */
function seen<T>(path: string, query: [string, string][] | Record<string, string> = {}, signal?: AbortSignal): Promise<T> {
  const entries = Array.isArray(query) ? query : Object.entries(query);
  const isNamed = vantage.value === null || entries.some(([key]) => key === "vantage");
  return get<T>(path, isNamed ? entries : [...entries, ["vantage", vantage.value ?? ""]], signal);
}

function write<T>(method: NonNullable<Ask["method"]>, path: string, options: Ask = {}): Promise<Answer<T>> {
  return ask<T>(`${V1}/${path}`, { ...options, method });
}

const server = (id: string): string => `servers/${encodeURIComponent(id)}`;

/** For slow requests: a replay reads days of samples, a test waits for a server, a change until the service has applied it. */
const PATIENT_MS = 60_000;

/** A time span in the form of the API: RFC 3339, `now`, or relative (`-1h`). */
export interface Span {
  from: string;
  to: string;
}

/** Maximum number of servers in one response. */
const SERVERS_AT_ONCE = 10_000;

/** Reads all servers, page by page. Servers that are added or removed meanwhile are correct at the next reading. */
async function allServers(signal?: AbortSignal): Promise<ServerPage> {
  const page = (offset: number) =>
    seen<ServerPage>("servers", { limit: String(SERVERS_AT_ONCE), ...(offset > 0 && { offset: String(offset) }) }, signal);
  const all = await page(0);
  while (all.servers.length < all.total) {
    const next = await page(all.servers.length);
    if (next.servers.length === 0) break;
    all.servers.push(...next.servers);
  }
  return all;
}

/** Measurements, verdicts, health. */
export const api = {
  servers: allServers,
  server: (id: string, signal?: AbortSignal) => seen<ServerDetail>(server(id), {}, signal),
  history: (ids: readonly string[], query: Record<string, string>, signal?: AbortSignal) =>
    seen<HistoryBody>("history", [...ids.map((id): [string, string] => ["id", id]), ...Object.entries(query)], signal),
  stats: (id: string, span: Span, signal?: AbortSignal) => seen<Stats>(`${server(id)}/stats`, { ...span }, signal),
  stability: (id: string, span: Span, signal?: AbortSignal) =>
    seen<StabilityBody>(`${server(id)}/stability`, { ...span }, signal),
  evidence: (id: string, signal?: AbortSignal) => seen<EvidenceBody>(`${server(id)}/evidence`, {}, signal),
  sheet: (id: string, signal?: AbortSignal) => get<SheetBody>(`${server(id)}/sheet`, {}, signal),
  /** Contains only the blamed servers; the state of the others is in their rows. */
  verdict: (signal?: AbortSignal) => seen<Verdict>("verdict", { servers: "blamed" }, signal),
  local: (signal?: AbortSignal) => seen<LocalClock>("local", {}, signal),
  localHistory: (span: Span, signal?: AbortSignal) => seen<LocalHistory>("local/history", { ...span }, signal),
  events: (query: Record<string, string>, signal?: AbortSignal) => seen<EventsBody>("events", query, signal),
  config: (signal?: AbortSignal) => get<ShownConfig>("config", {}, signal),
  /** The health of the service, without its servers. A failing service answers 503 with the same body. */
  health: async (signal?: AbortSignal) =>
    (await ask<Health>("health", { query: { servers: "false" }, signal, admitted: (status) => ok(status) || status === 503 })).body,
};

/** The fleet (at its hub), and the state of this agent. */
export const fleet = {
  version: (signal?: AbortSignal) => get<Version>("version", {}, signal),
  verdict: (signal?: AbortSignal) => get<FleetVerdict>("fleet/verdict", {}, signal),
  skew: (signal?: AbortSignal) => get<FleetSkew>("fleet/skew", {}, signal),
  vantages: (signal?: AbortSignal) => get<FleetVantages>("fleet/vantages", {}, signal),
  matrix: (signal?: AbortSignal) => get<FleetMatrix>("fleet/matrix", {}, signal),
  agent: (signal?: AbortSignal) => get<FleetAgent>("fleet/agent", {}, signal),
};

/** Polls a server at once, if its minimum interval has passed; needs the role `operate`. */
export const probeNow = (id: string): Promise<Answer<unknown>> =>
  write<unknown>("POST", `${server(id)}/probe`, { deadline_ms: PATIENT_MS });

/** Sessions. The browser keeps the session in a cookie that scripts cannot read. */
export const sessions = {
  current: (signal?: AbortSignal) => get<Session>("session", {}, signal),
  begin: (token: string) => write<unknown>("POST", "session", { body: { token } }),
  end: () => write<null>("DELETE", "session"),
  /** Signs in with the one-time link of the first start. */
  setUp: async (code: string) => (await write<SetUpDone>("POST", "session/setup", { body: { code }, deadline_ms: PATIENT_MS })).body,
};

/** Requests that help to choose servers; they need the role `admin`. */
export const first = {
  known: async (signal?: AbortSignal) => (await get<{ servers: KnownServer[] }>("known-servers", {}, signal)).servers,
  test: async (address: string) => (await write<ServerTest>("POST", "test", { body: { address }, deadline_ms: PATIENT_MS })).body,
};

/** Reads and changes the configuration; needs the role `admin`. */
export const settings = {
  file: (signal?: AbortSignal) => get<ConfigFile>("config/file", {}, signal),
  schema: (signal?: AbortSignal) => get<Schema>("config/schema", {}, signal),
  check: async (text: string, signal?: AbortSignal) =>
    (await write<ConfigCheck>("POST", "config/check", { body: { text }, signal })).body,
  apply: (text: string, ifMatch: string) => write<ConfigCheck>("PUT", "config/file", { body: { text }, ifMatch, deadline_ms: PATIENT_MS }),
  audit: (signal?: AbortSignal) => get<AuditBody>("audit", {}, signal),
  addServer: (body: ServerKeys, ifMatch: string) =>
    write<ConfigCheck>("POST", "servers", { body, ifMatch, deadline_ms: PATIENT_MS }),
  changeServer: (id: string, body: ServerKeys, ifMatch: string) =>
    write<ConfigCheck>("PATCH", server(id), { body, ifMatch, deadline_ms: PATIENT_MS }),
  removeServer: (id: string, ifMatch: string) =>
    write<null>("DELETE", server(id), { ifMatch, deadline_ms: PATIENT_MS }),
  setPaused: (id: string, paused: boolean) =>
    write<ConfigCheck>("POST", `${server(id)}/${paused ? "pause" : "resume"}`, { deadline_ms: PATIENT_MS }),
};

/** Alerts, rules, silences, notifiers and reports; writing needs the role `operate`. */
export const alerting = {
  /** The active alerts, without their history. */
  alerts: (signal?: AbortSignal) => get<AlertsBody>("alerts", { limit: "1" }, signal),
  history: (query: Record<string, string>, signal?: AbortSignal) => get<AlertsBody>("alerts", query, signal),
  rules: (signal?: AbortSignal) => get<RulesBody>("rules", {}, signal),
  checkRule: async (rule: Partial<Rule>, signal?: AbortSignal) =>
    (await write<RuleCheck>("POST", "rules/check", { body: { rule }, signal })).body,
  replayRule: async (rule: Partial<Rule>, since: string, signal?: AbortSignal) =>
    (await write<Replayed>("POST", "rules/replay", { body: { rule, since }, signal, deadline_ms: PATIENT_MS })).body,
  silences: (signal?: AbortSignal) => get<SilencesBody>("silences", {}, signal),
  silence: (options: NewSilence) => write<unknown>("POST", "silences", { body: options }),
  endSilence: (id: number) => write<null>("DELETE", `silences/${id}`),
  notifiers: (signal?: AbortSignal) => get<NotifiersBody>("notifiers", {}, signal),
  testNotifier: async (name: string) =>
    (await write<Tested>("POST", `notifiers/${encodeURIComponent(name)}/test`, { deadline_ms: PATIENT_MS })).body,
};

export const reports = {
  list: (signal?: AbortSignal) => get<ReportsBody>("reports", {}, signal),
  make: async (since: string) =>
    (await write<ReportRow>("POST", "reports", { body: { since }, deadline_ms: PATIENT_MS })).body,
  /** The address of a report, which is a separate document. */
  address: (id: string): string => `${V1}/reports/${encodeURIComponent(id)}`,
};
