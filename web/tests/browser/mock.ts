/** A mock of the service: the built page, and default responses that a test can replace, by method and path. For
 * states that a real service reaches only slowly, or must not reach.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Role } from "../../src/api/types";
import * as canned from "./canned";
import { serveFile } from "./files";

/** A response: by default status 200. With the body `undefined` it has no body. */
export interface Reply {
  status?: number;
  body?: unknown;
  headers?: Record<string, string>;
}

/** A request. */
export interface Asked {
  method: string;
  path: string;
  body: unknown;
  ifMatch: string | undefined;
}

export type Handler = (asked: Asked) => Reply | Promise<Reply>;

export interface Mock {
  url: string;
  /** Replaces a response, such as that of `GET /api/v1/alerts`. */
  on: (what: string, handler: Handler | unknown) => void;
  /** Requests other than GET, and those that a test selects. */
  writes: Asked[];
  /** Sends an event to every open stream. */
  send: (event: string) => void;
  /** Freezes the mock: connections stay open, but nothing is sent. */
  freeze: (frozen: boolean) => void;
  /** Restores the default responses. */
  reset: (role?: Role | null) => void;
  stop: () => Promise<void>;
}

/** An RFC 9457 problem. */
export const problem = (status: number, detail: string, more: object = {}): Reply => ({ status, body: { type: "about:blank", title: "", status, detail, ...more } });

const CANNED: Record<string, () => unknown> = {
  "GET /api/v1/servers": canned.servers, "GET /api/v1/verdict": canned.verdict, "GET /health": canned.health, "GET /api/v1/local": canned.clock, "GET /api/v1/local/history": canned.clockHistory,
  "GET /api/v1/events": () => ({ from: canned.ago(3600), to: canned.ago(0), events: [] }),
  "GET /api/v1/history": () => ({ from: canned.ago(3600), to: canned.ago(0), left_out: 0, series: [] }),
  "GET /api/v1/config": () => canned.shown, "GET /api/v1/config/file": () => canned.file(), "GET /api/v1/config/schema": () => canned.schema,
  "GET /api/v1/version": () => ({ version: "0.1.0", vantage: "ams-1", fleet_hub: false, fleet_agent: false }), "POST /api/v1/config/check": () => canned.check(), "PUT /api/v1/config/file": () => canned.check(), "GET /api/v1/audit": canned.audit,
  "GET /api/v1/alerts": canned.alerts, "GET /api/v1/rules": canned.rules, "POST /api/v1/rules/check": () => ({ valid: true, faults: [] }),
  "GET /api/v1/silences": canned.silences, "POST /api/v1/silences": () => ({}), "GET /api/v1/notifiers": canned.notifiers, "GET /api/v1/servers/wild/sheet": canned.sheet, "GET /api/v1/reports": canned.reports,
  "GET /api/v1/known-servers": canned.known, "POST /api/v1/test": () => canned.tested(), "POST /api/v1/servers": () => canned.check(), "POST /api/v1/session/setup": canned.setUpDone,
};

export async function startMock(): Promise<Mock> {
  const handlers = new Map<string, Handler>();
  const streams = new Set<ServerResponse>();
  const writes: Asked[] = [];
  const held: (() => void)[] = [];
  let frozen = false;
  const reset = (role: Role | null = null): void => {
    handlers.clear();
    writes.length = 0;
    for (const [what, make] of Object.entries(CANNED)) handlers.set(what, () => ({ body: make() }));
    handlers.set("GET /api/v1/session", () => ({ body: canned.sessionOf(role) }));
  };
  reset();
  const serve = (request: IncomingMessage, response: ServerResponse): void => {
    const path = new URL(request.url ?? "/", "http://mock").pathname;
    if (frozen) held.push(() => serve(request, response));
    else if (path === "/api/v1/stream") stream(response, streams, () => frozen);
    else if (request.method !== "GET" || !serveFile(path, response)) void answer(request, response, path, handlers, writes);
  };
  const server = createServer(serve);
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    on: (what, handler) => { handlers.set(what, typeof handler === "function" ? handler as Handler : () => ({ body: handler })); },
    writes,
    send: (event) => { for (const open of streams) open.write(`event: ${event}\ndata: {}\n\n`); },
    freeze: (now) => {
      frozen = now;
      for (const go of frozen ? [] : held.splice(0)) go();
    },
    reset,
    stop: () => new Promise((closed) => {
      server.close(() => closed());
      server.closeAllConnections();
    }),
  };
}

function stream(response: ServerResponse, streams: Set<ServerResponse>, isFrozen: () => boolean): void {
  response.writeHead(200, { "Content-Type": "text/event-stream" });
  response.write("event: hello\ndata: {}\n\n");
  streams.add(response);
  const beat = setInterval(() => { if (!isFrozen()) response.write("event: beat\ndata: {}\n\n"); }, 1000);
  response.on("close", () => { clearInterval(beat); streams.delete(response); });
}

async function answer(request: IncomingMessage, response: ServerResponse, path: string, handlers: Map<string, Handler>, writes: Asked[]): Promise<void> {
  const asked: Asked = { method: request.method ?? "GET", path, body: await bodyOf(request), ifMatch: request.headers["if-match"] };
  if (asked.method !== "GET") writes.push(asked);
  const handler = handlers.get(`${asked.method} ${path}`);
  const reply = handler ? await handler(asked) : problem(404, `there is nothing at ${path}`);
  response.writeHead(reply.status ?? 200, { "Content-Type": "application/json", "Cache-Control": "no-store", ...reply.headers });
  response.end(reply.body === undefined ? "" : JSON.stringify(reply.body));
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  let text = "";
  for await (const chunk of request) text += String(chunk);
  return text ? JSON.parse(text) : undefined;
}
