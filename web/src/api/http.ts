/**
 * One request to the service: with a deadline, withdrawable, and every failure an `ApiError` whose message a person can
 * act on. Caching is the browser's: the service sends entity tags.
 */

const DEADLINE_MS = 15_000;

/** Why an answer is missing. */
export class ApiError extends Error {
  /** The HTTP status; 0 when the service was not reached. */
  readonly status: number;
  /** What the service sent: an RFC 9457 problem document, mostly. */
  readonly body: unknown;
  /** Seconds to wait before another attempt, when the service names them. */
  readonly retryAfter_s: number | null;

  constructor(status: number, message: string, body: unknown = null, retryAfter_s: number | null = null) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.body = body;
    this.retryAfter_s = retryAfter_s;
  }
}

export interface Ask {
  method?: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  query?: Record<string, string> | [string, string][];
  /** Sent as JSON. */
  body?: unknown;
  /** The entity tag of what is to be changed: the service refuses when it is another one by now. */
  ifMatch?: string | null | undefined;
  signal?: AbortSignal | undefined;
  /** Which statuses are answers; 2xx unless told. */
  admitted?: (status: number) => boolean;
  deadline_ms?: number;
}

export interface Answer<T> {
  body: T;
  etag: string | null;
}

export const ok = (status: number): boolean => status >= 200 && status < 300;

/** A detail as a sentence: capital, full stop. */
function sentence(detail: string): string {
  const text = detail.charAt(0).toUpperCase() + detail.slice(1);
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

/** What a problem document says, or the status where there is none. */
function refusal(status: number, body: unknown): string {
  const detail = typeof body === "object" && body !== null && "detail" in body ? body.detail : null;
  return typeof detail === "string" && detail !== "" ? sentence(detail) : `The service answered with status ${status}.`;
}

const underWay = new Set<Promise<unknown>>();

/** When every request that is under way now has ended, well or not. */
export async function answered(): Promise<void> {
  await Promise.allSettled([...underWay]);
}

/** Asks, and gives the body with its entity tag. */
export function ask<T>(path: string, options: Ask = {}): Promise<Answer<T>> {
  const asked = request<T>(path, options);
  underWay.add(asked);
  const over = (): void => { underWay.delete(asked); };
  asked.then(over, over);
  return asked;
}

async function request<T>(path: string, options: Ask): Promise<Answer<T>> {
  const deadline_ms = options.deadline_ms ?? DEADLINE_MS;
  const deadline = AbortSignal.timeout(deadline_ms);
  const response = await send(path, options, deadline).catch((why: unknown) => {
    if (options.signal?.aborted) throw why;
    const late = `The service did not answer within ${deadline_ms / 1000} s.`;
    throw new ApiError(0, deadline.aborted ? late : "The service cannot be reached.");
  });
  const body: unknown = await response.json().catch(() => null);
  if (!(options.admitted ?? ok)(response.status)) {
    const wait_s = Number(response.headers.get("Retry-After"));
    throw new ApiError(response.status, refusal(response.status, body), body, wait_s > 0 ? wait_s : null);
  }
  // The service's contract tests hold these types; the page does not check them a second time.
  return { body: body as T, etag: response.headers.get("ETag") };
}

function send(path: string, options: Ask, deadline: AbortSignal): Promise<Response> {
  const query = new URLSearchParams(options.query).toString();
  const headers: Record<string, string> = { Accept: "application/json" };
  if (options.body !== undefined) headers["Content-Type"] = "application/json";
  if (options.ifMatch) headers["If-Match"] = options.ifMatch;
  return fetch(`${path}${query ? `?${query}` : ""}`, {
    method: options.method ?? "GET",
    headers,
    signal: options.signal ? AbortSignal.any([options.signal, deadline]) : deadline,
    ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
  });
}
