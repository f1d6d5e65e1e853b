/**
 * A stand-in for the service in front of it: serves the built page with a strict Content-Security-Policy, passes
 * everything else on, and answers some paths with made-up bodies. For what the demo cannot show: a thousand servers, an
 * empty monitor, an unreachable one.
 */
import { createReadStream, existsSync } from "node:fs";
import { createServer, request, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, normalize, resolve } from "node:path";

const DIST = resolve("dist");
const TYPES: Record<string, string> = {
  ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml",
};
const POLICY = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'";

export interface Front {
  url: string;
  /** Bodies in place of the service's, by path; a number is an error status. */
  answers: Map<string, unknown>;
  stop: () => Promise<void>;
}

export async function startFront(service: string): Promise<Front> {
  const answers = new Map<string, unknown>();
  const server = createServer((asked, response) => {
    const path = new URL(asked.url ?? "/", service).pathname;
    if (answers.has(path)) invent(answers.get(path), response);
    else if (!serveFile(path, response)) pass(service, asked, response);
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const { port } = server.address() as AddressInfo;
  const stop = (): Promise<void> => new Promise((closed) => {
    server.close(() => closed());
    server.closeAllConnections();
  });
  return { url: `http://127.0.0.1:${port}`, answers, stop };
}

function invent(answer: unknown, response: ServerResponse): void {
  if (typeof answer === "number") {
    response.writeHead(answer, { "Content-Type": "application/problem+json" });
    response.end(JSON.stringify({ title: "Made up", status: answer, detail: "the store cannot be read: made up" }));
    return;
  }
  response.writeHead(200, { "Content-Type": "application/json" });
  response.end(JSON.stringify(answer));
}

function serveFile(path: string, response: ServerResponse): boolean {
  const file = join(DIST, normalize(path === "/" ? "/index.html" : path));
  const type = TYPES[extname(file)];
  if (!type || !file.startsWith(DIST) || !existsSync(file)) return false;
  response.writeHead(200, { "Content-Type": type, "Content-Security-Policy": POLICY });
  createReadStream(file).pipe(response);
  return true;
}

function pass(service: string, asked: IncomingMessage, response: ServerResponse): void {
  const onward = request(new URL(asked.url ?? "/", service), { method: asked.method ?? "GET", headers: asked.headers }, (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(response);
  });
  onward.on("error", () => response.destroy());
  response.on("close", () => onward.destroy());
  asked.pipe(onward);
}
