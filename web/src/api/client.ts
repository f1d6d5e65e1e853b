/**
 * Reading the API. Every request has a deadline and can be withdrawn; every failure is an `ApiError` whose message a
 * person can act on. Caching is the browser's: the service sends entity tags.
 */
import type {
  EventsBody, EvidenceBody, Health, LocalClock, Samples, ServerDetail, ServerPage, ShownConfig, StabilityBody, Stats,
  Verdict,
} from "./types";

const DEADLINE_MS = 15_000;

/** Why an answer is missing. */
export class ApiError extends Error {
  /** The HTTP status; 0 when the service was not reached. */
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.name = "ApiError";
    this.status = status;
  }
}

/** The detail of an RFC 9457 problem document, when the body is one. */
function problemDetail(body: unknown): string | null {
  if (typeof body !== "object" || body === null || !("detail" in body)) return null;
  return typeof body.detail === "string" ? body.detail : null;
}

/** A detail as a sentence: capital, full stop. */
function sentence(detail: string): string {
  const text = detail.charAt(0).toUpperCase() + detail.slice(1);
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

async function getJson<T>(path: string, signal: AbortSignal | undefined, admitted: (status: number) => boolean): Promise<T> {
  const deadline = AbortSignal.timeout(DEADLINE_MS);
  let response: Response;
  try {
    response = await fetch(path, {
      signal: signal ? AbortSignal.any([signal, deadline]) : deadline,
      headers: { Accept: "application/json" },
    });
  } catch (why) {
    if (signal?.aborted) throw why;
    throw new ApiError(0, deadline.aborted ? "The service did not answer within 15 s." : "The service cannot be reached.");
  }
  const body: unknown = await response.json().catch(() => null);
  if (!admitted(response.status)) {
    const detail = problemDetail(body);
    throw new ApiError(response.status, detail ? sentence(detail) : `The service answered with status ${response.status}.`);
  }
  // The service's contract tests hold these types; the page does not check them a second time.
  return body as T;
}

const ok = (status: number): boolean => status >= 200 && status < 300;

function get<T>(path: string, query: Record<string, string> = {}, signal?: AbortSignal): Promise<T> {
  const text = new URLSearchParams(query).toString();
  return getJson<T>(`/api/v1/${path}${text ? `?${text}` : ""}`, signal, ok);
}

const server = (id: string): string => `servers/${encodeURIComponent(id)}`;

/** A span of time, as texts that the API reads: RFC 3339, `now`, or relative (`-1h`). */
export interface Span {
  from: string;
  to: string;
}

/** The endpoints that the page reads. */
export const api = {
  servers: (signal?: AbortSignal) => get<ServerPage>("servers", { limit: "10000" }, signal),
  server: (id: string, signal?: AbortSignal) => get<ServerDetail>(server(id), {}, signal),
  samples: (id: string, span: Span, signal?: AbortSignal) => get<Samples>(`${server(id)}/samples`, { ...span }, signal),
  stats: (id: string, window: string, signal?: AbortSignal) => get<Stats>(`${server(id)}/stats`, { window }, signal),
  stability: (id: string, span: Span, signal?: AbortSignal) =>
    get<StabilityBody>(`${server(id)}/stability`, { ...span }, signal),
  evidence: (id: string, signal?: AbortSignal) => get<EvidenceBody>(`${server(id)}/evidence`, {}, signal),
  verdict: (signal?: AbortSignal) => get<Verdict>("verdict", {}, signal),
  local: (signal?: AbortSignal) => get<LocalClock>("local", {}, signal),
  events: (query: Record<string, string>, signal?: AbortSignal) => get<EventsBody>("events", query, signal),
  config: (signal?: AbortSignal) => get<ShownConfig>("config", {}, signal),
  /** A failing service answers 503 with the same body. */
  health: (signal?: AbortSignal) => getJson<Health>("/health", signal, (status) => ok(status) || status === 503),
};
