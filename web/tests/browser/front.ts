/**
 * A stand-in for the service in front of it: serves the built page with a strict Content-Security-Policy, passes
 * everything else on, and answers some paths with made-up bodies. For what the demo cannot show: a thousand servers, an
 * empty monitor, an unreachable one.
 */
import { createServer, request, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { serveFile } from "./files";

export interface Front {
  url: string;
  /** Bodies in place of the service's, by path; a number is an error status. */
  answers: Map<string, unknown>;
  stop: () => Promise<void>;
}

/** Below a path other than the root, nothing else is answered, and the path is removed before a request is passed on. */
export async function startFront(service: string, below = ""): Promise<Front> {
  const answers = new Map<string, unknown>();
  const server = createServer((asked, response) => {
    if (!asked.url?.startsWith(`${below}/`)) {
      response.writeHead(404).end();
      return;
    }
    asked.url = asked.url.slice(below.length);
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
  return { url: `http://127.0.0.1:${port}${below}`, answers, stop };
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

function pass(service: string, asked: IncomingMessage, response: ServerResponse): void {
  const onward = request(new URL(asked.url ?? "/", service), { method: asked.method ?? "GET", headers: asked.headers }, (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(response);
  });
  onward.on("error", () => response.destroy());
  response.on("close", () => onward.destroy());
  asked.pipe(onward);
}
