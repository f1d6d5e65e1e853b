/** Prints the compressed size of the page, and fails if it exceeds 120 kB. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, gzipSync } from "node:zlib";

const MOST = 120_000;
const DIST = "dist";

const files = readdirSync(DIST, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
let total = 0;
for (const entry of files) {
  const path = join(entry.parentPath, entry.name);
  const body = readFileSync(path);
  const gzip = gzipSync(body, { level: 9 }).length;
  total += gzip;
  console.log(`${String(gzip).padStart(8)} gzip ${String(brotliCompressSync(body).length).padStart(8)} brotli  ${path}`);
}
console.log(`${String(total).padStart(8)} bytes gzip in all, of ${MOST}`);
if (total > MOST) {
  console.error("the page is too heavy");
  process.exit(1);
}
