/** Serves the built page like the service, with a strict Content-Security-Policy. */
import { createReadStream, existsSync } from "node:fs";
import type { ServerResponse } from "node:http";
import { extname, join, normalize, resolve } from "node:path";

const DIST = resolve("dist");
const TYPES: Record<string, string> = {
  ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml",
};
const POLICY = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'";

/** Sends the file; returns whether it exists. */
export function serveFile(path: string, response: ServerResponse): boolean {
  const file = join(DIST, normalize(path === "/" ? "/index.html" : path));
  const type = TYPES[extname(file)];
  if (!type || !file.startsWith(DIST) || !existsSync(file)) return false;
  response.writeHead(200, { "Content-Type": type, "Content-Security-Policy": POLICY });
  createReadStream(file).pipe(response);
  return true;
}
