/**
 * The time span that a view with charts shows. The address has `span=24h` for a span that ends now, or `from` and `to`
 * in Unix seconds after a zoom or a pan. Pure.
 */
import { parseSpan } from "../format/time";

export const SPANS = ["5m", "15m", "1h", "6h", "24h", "7d", "30d", "90d", "1y"] as const;
const SHORTEST_S = 10;
const LONGEST_S = 10 * 365.25 * 86_400;

export interface Window {
  from_s: number;
  to_s: number;
  /** The name of a span that ends now. */
  span: string | null;
}

export function windowOf(query: URLSearchParams, now_s: number): Window {
  const [from, to] = [Number(query.get("from")), Number(query.get("to"))];
  if (query.has("from") && query.has("to") && from > 0 && to > from) return { from_s: from, to_s: to, span: null };
  const text = query.get("span") ?? "1h";
  const seconds = parseSpan(text);
  const span = seconds === null || seconds > LONGEST_S ? "1h" : text;
  return { from_s: now_s - (parseSpan(span) ?? 3600), to_s: now_s, span };
}

/** Moves by a part of its length; not beyond now. */
export function pan(window: Window, part: number, now_s: number): Window {
  const length = window.to_s - window.from_s;
  const to_s = Math.min(now_s, window.to_s + part * length);
  return { from_s: to_s - length, to_s, span: null };
}

/** Makes the span `factor` times as long around its middle. */
export function zoom(window: Window, factor: number, now_s: number): Window {
  const length = Math.min(LONGEST_S, Math.max(SHORTEST_S, (window.to_s - window.from_s) * factor));
  const to_s = Math.min(now_s, (window.from_s + window.to_s + length) / 2);
  return { from_s: to_s - length, to_s, span: null };
}

/** A key that distinguishes spans. The key of a span that ends now does not change with time. */
export const spanKey = (window: Window): string => window.span ?? `${window.from_s} ${window.to_s}`;

/** The span in the form of the API. */
export function asTexts(window: Window): { from: string; to: string } {
  const text = (seconds: number): string => new Date(seconds * 1000).toISOString();
  return { from: text(window.from_s), to: text(window.to_s) };
}

/** The span in the form of the address. */
export function asQuery(window: Window): Record<string, string | null> {
  if (window.span !== null) return { span: window.span, from: null, to: null };
  return { span: null, from: window.from_s.toFixed(0), to: window.to_s.toFixed(0) };
}
