/**
 * One request to the service, with a deadline and a way to cancel it. Every failure is an `ApiError` whose message
 * tells the user what to do. The browser caches by the entity tags that the service sends.
 */

const DEADLINE_MS = 15_000;

/** Why a request failed. */
export class ApiError extends Error {
  /** The HTTP status; 0 if the service could not be reached. */
  readonly status: number;
  /** The body of the response, usually an RFC 9457 problem document. */
  readonly body: unknown;
  /** Seconds to wait before the next attempt, if the service states them. */
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
  /** The entity tag of the resource to change. The service rejects the request if it has changed since. */
  ifMatch?: string | null | undefined;
  signal?: AbortSignal | undefined;
  /** The statuses that count as success; 2xx by default. */
  admitted?: (status: number) => boolean;
  deadline_ms?: number;
}

export interface Answer<T> {
  body: T;
  etag: string | null;
}

export const ok = (status: number): boolean => status >= 200 && status < 300;

/** Turns a detail into a sentence with a capital and a full stop. */
function sentence(detail: string): string {
  const text = detail.charAt(0).toUpperCase() + detail.slice(1);
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

/** The text of a problem document, or the status if there is none. */
function refusal(status: number, body: unknown): string {
  const detail = typeof body === "object" && body !== null && "detail" in body ? body.detail : null;
  return typeof detail === "string" && detail !== "" ? sentence(detail) : `The service answered with status ${status}.`;
}

const underWay = new Set<Promise<unknown>>();

/** Resolves when every current request has ended, successfully or not. */
export async function answered(): Promise<void> {
  await Promise.allSettled([...underWay]);
}

/** Sends a request and returns the body with its entity tag. */
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
  // The service's contract tests check these types; the page does not check them again.
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
