/**
 * The data that all views share (the picture): servers, verdict, health. When the event stream reports a change, the
 * picture is read again, at a limited rate; without a stream it is read at intervals. So a lost event only delays an
 * update.
 */
import { computed, effect, signal } from "@preact/signals";
import { api, ApiError } from "../api/client";
import { answered } from "../api/http";
import type { Health, ServerPage, Verdict } from "../api/types";
import { route, vantage } from "./route";
import { learnSession } from "./session";

export interface Picture {
  servers: ServerPage;
  verdict: Verdict;
  health: Health;
}

/** How the page receives updates. `lost`: the shown data may be out of date. */
export type Link = "connecting" | "stream" | "polling" | "lost";

export const picture = signal<Picture | null>(null);
export const failure = signal<Error | null>(null);
export const streaming = signal(false);
/** Advances once a second, for ages. */
export const nowMs = signal(Date.now());
/** The clock of the monitoring host when the picture was read, minus that of this browser, in milliseconds. */
const skewMs = signal(0);

export const link = computed<Link>(() => {
  if (failure.value) return "lost";
  if (!picture.value) return "connecting";
  return streaming.value ? "stream" : "polling";
});

/** The current time by the clock of the monitor, so that a wrong browser clock does not cause wrong ages. */
export const monitorNowMs = computed(() => nowMs.value + skewMs.value);

const EVENTS = ["hello", "beat", "sample", "verdict", "alert", "health", "message"];
/** Events that report no change. */
const QUIET = ["hello", "beat"];
const listeners = new Map<string, () => void>();
/** `undefined` while reading needs a token. */
let source: EventSource | undefined;
let following = false;
const POLL_MS = 5000;
const RETRY_MS = 2000;
/** The service sends an event at least every second. After this much silence, the stream has ended unnoticed. */
const SILENCE_MS = 2200;
/** How often the silence is checked. */
const LISTEN_MS = 200;
/** A timer that is late by this much shows that the page was suspended. */
const STALL_MS = 1000;
/** How long the picture waits for the requests of a view. */
const YIELD_MS = 1000;
/** The time limit of a response after the end of the stream. */
const SUSPECT_MS = 2000;
/** With more servers each picture costs more, so it is read less often. */
const restMs = (servers: number): number => Math.min(10_000, 1000 + 4 * servers);

let due: ReturnType<typeof setTimeout> | undefined;
let reading = false;
let restUntil = 0;
/** When the last event arrived, by the browser's clock. */
let heardMs = 0;

/** `suspect`: the stream has just ended, so a slow response counts as none. */
async function read(suspect = false): Promise<void> {
  reading = true;
  // The view of a server does not need the picture, which is large with many servers.
  if (!picture.peek() && route.peek().view === "server") await Promise.race([answered(), pause(YIELD_MS)]);
  const late = suspect ? AbortSignal.timeout(SUSPECT_MS) : undefined;
  try {
    const [servers, verdict, health] = await Promise.all([api.servers(late), api.verdict(late), api.health(late)]);
    if (!source) return;
    picture.value = { servers, verdict, health };
    failure.value = null;
    skewMs.value = skew(servers);
    restUntil = Date.now() + restMs(servers.servers.length);
  } catch (why) {
    if (!source) return;
    failure.value = late?.aborted ? new Error("The service does not answer.") : why instanceof Error ? why : new Error(String(why));
    restUntil = Date.now() + RETRY_MS;
    if (why instanceof ApiError && why.status === 401) await learnSession();
  } finally {
    reading = false;
  }
  if (source) schedule(failure.value ? RETRY_MS : streaming.value ? 4 * POLL_MS : POLL_MS);
}

const pause = (ms: number): Promise<void> => new Promise((over) => setTimeout(over, ms));

/** A difference that the age of a snapshot explains is not attributed to the browser's clock. */
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

/** Reads the picture again, not sooner than the minimum interval after the last reading. */
export function refresh(): void {
  if (!reading) schedule(Math.max(0, restUntil - Date.now()));
}

function listen(): void {
  const opened = new EventSource("api/v1/stream");
  source = opened;
  opened.addEventListener("open", () => heard());
  opened.addEventListener("error", () => {
    ended();
    // The browser reconnects by itself, unless the service rejected the request; then polling continues.
    if (opened.readyState === EventSource.CLOSED) setTimeout(() => { if (source === opened) listen(); }, 60_000);
  });
  for (const name of EVENTS) {
    opened.addEventListener(name, () => {
      heard();
      listeners.get(name)?.();
      if (!QUIET.includes(name)) refresh();
    });
  }
}

function heard(): void {
  heardMs = Date.now();
  if (streaming.value) return;
  streaming.value = true;
  // Events without a stream were missed.
  refresh();
}

/** Handles the end of the stream: the data is read again, or marked as out of date. */
function ended(): void {
  if (!streaming.value) return;
  streaming.value = false;
  clearTimeout(due);
  if (!document.hidden) void read(true);
}

/** Handles a silent stream, which may still be open: the data is marked as out of date until the service has answered. */
function fellSilent(): void {
  failure.value = new Error("The service has stopped sending.");
  ended();
}

/** Calls `heard` at each event of this name, in addition to reading the picture again. */
export function onEvent(name: string, heard: () => void): void {
  listeners.set(name, heard);
}

/** Subscribes to the service, and subscribes again after the user has signed in. */
export function follow(): void {
  leave();
  if (!following) {
    setInterval(() => { nowMs.value = Date.now(); }, 1000);
    let listenedMs = Date.now();
    setInterval(() => {
      // While the browser was busy or asleep, events could not be delivered.
      if (Date.now() - listenedMs > STALL_MS) heardMs = Date.now();
      listenedMs = Date.now();
      if (streaming.value && !document.hidden && Date.now() - heardMs > SILENCE_MS) fellSilent();
    }, LISTEN_MS);
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden && source) refresh();
    });
  }
  following = true;
  void read();
  listen();
}

/** Another vantage has other servers. */
effect(() => {
  void vantage.value;
  if (!source) return;
  picture.value = null;
  void read();
});

/** Unsubscribes and drops the data, after the user has signed out of a page that needs a token. */
export function leave(): void {
  clearTimeout(due);
  source?.close();
  source = undefined;
  streaming.value = false;
  picture.value = null;
  failure.value = null;
}
