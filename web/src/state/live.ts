/**
 * The picture that every view shares: servers, verdict, health. The service's event stream says when something is new,
 * the picture is then read again, at most so often; without a stream it is read at intervals. So a lost event costs a
 * moment and never correctness.
 */
import { computed, signal } from "@preact/signals";
import { api, ApiError } from "../api/client";
import type { Health, ServerPage, Verdict } from "../api/types";
import { learnSession } from "./session";

export interface Picture {
  servers: ServerPage;
  verdict: Verdict;
  health: Health;
}

/** How the page hears of news. */
export type Link = "connecting" | "stream" | "polling" | "lost";

export const picture = signal<Picture | null>(null);
export const failure = signal<Error | null>(null);
export const streaming = signal(false);
/** Advances once a second, for ages. */
export const nowMs = signal(Date.now());
/** The host clock of the monitor when the picture was taken, minus that of this browser, in milliseconds. */
const skewMs = signal(0);

export const link = computed<Link>(() => {
  if (failure.value) return "lost";
  if (!picture.value) return "connecting";
  return streaming.value ? "stream" : "polling";
});

/** Now by the clock of the monitor: a browser whose clock is wrong must not show ages that are. */
export const monitorNowMs = computed(() => nowMs.value + skewMs.value);

const EVENTS = ["sample", "verdict", "alert", "health", "message"];
const listeners = new Map<string, () => void>();
/** Missing while the page may not be read. */
let source: EventSource | undefined;
let following = false;
const POLL_MS = 5000;
const RETRY_MS = 3000;
/** With more servers each picture costs more, so it is taken less often. */
const restMs = (servers: number): number => Math.min(10_000, 1000 + 4 * servers);

let due: ReturnType<typeof setTimeout> | undefined;
let reading = false;
let restUntil = 0;

async function read(): Promise<void> {
  reading = true;
  try {
    const [servers, verdict, health] = await Promise.all([api.servers(), api.verdict(), api.health()]);
    if (!source) return;
    picture.value = { servers, verdict, health };
    failure.value = null;
    skewMs.value = skew(servers);
    restUntil = Date.now() + restMs(servers.servers.length);
  } catch (why) {
    if (!source) return;
    failure.value = why instanceof Error ? why : new Error(String(why));
    restUntil = Date.now() + RETRY_MS;
    if (why instanceof ApiError && why.status === 401) await learnSession();
  } finally {
    reading = false;
  }
  if (source) schedule(streaming.value && !failure.value ? 4 * POLL_MS : POLL_MS);
}

/** Only a skew too large for the age of a snapshot is the browser's. */
function skew(servers: ServerPage): number {
  const difference = Date.parse(servers.as_of) - Date.now();
  return Math.abs(difference) > 30_000 ? difference : 0;
}

function schedule(inMs: number): void {
  clearTimeout(due);
  due = setTimeout(() => {
    if (document.hidden) schedule(inMs);
    else void read();
  }, inMs);
}

/** Something is new: read as soon as the last reading has rested. */
export function refresh(): void {
  if (!reading) schedule(Math.max(0, restUntil - Date.now()));
}

function listen(): void {
  const opened = new EventSource("api/v1/stream");
  source = opened;
  opened.addEventListener("open", () => {
    streaming.value = true;
  });
  opened.addEventListener("error", () => {
    streaming.value = false;
    // The browser tries again by itself, unless the service refused; then polling goes on.
    if (opened.readyState === EventSource.CLOSED) setTimeout(() => { if (source === opened) listen(); }, 60_000);
  });
  for (const name of EVENTS) {
    opened.addEventListener(name, () => {
      listeners.get(name)?.();
      refresh();
    });
  }
}

/** Calls `heard` at each event of that name, besides reading the picture again. */
export function onEvent(name: string, heard: () => void): void {
  listeners.set(name, heard);
}

/** Subscribes to the service, and subscribes again after the user has signed in. */
export function follow(): void {
  leave();
  if (!following) {
    setInterval(() => {
      nowMs.value = Date.now();
    }, 1000);
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden && source) refresh();
    });
  }
  following = true;
  void read();
  listen();
}

/** Stops following, and forgets what was read: the reader has signed out of a page that is not open. */
export function leave(): void {
  clearTimeout(due);
  source?.close();
  source = undefined;
  streaming.value = false;
  picture.value = null;
  failure.value = null;
}
