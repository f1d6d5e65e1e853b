/** The page that draws a dashboard: bundled from page/, opened in Chromium without any network. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { build } from "esbuild";
import { chromium } from "playwright-core";

const HERE = import.meta.dirname;
const ORIGIN = "http://dashboard.invalid/";
const WIDTH = 1400;
const DRAWN_WITHIN_MS = 60_000;

/**
 * Opens the browser for `job`, which gets a function that draws the data of a dashboard and returns a PNG file.
 *
 * @param {(draw: (data: object) => Promise<Buffer>) => Promise<void>} job
 */
export async function withPage(job) {
  const script = await bundle();
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"],
  });
  try {
    await job((data) => drawn(browser, script, data));
  } finally {
    await browser.close();
  }
}

async function bundle() {
  const { outputFiles } = await build({
    entryPoints: [join(HERE, "page/index.tsx")],
    bundle: true,
    write: false,
    outdir: "/",
    format: "iife",
    minify: true,
    jsx: "automatic",
    loader: { ".woff2": "dataurl", ".woff": "empty", ".ttf": "empty", ".svg": "dataurl" },
    define: { "process.env.NODE_ENV": '"production"', global: "window" },
    logLevel: "error",
  });
  const [script, style] = [".js", ".css"].map((end) => outputFiles.find(({ path }) => path.endsWith(end))?.text ?? "");
  return { script, style };
}

async function drawn(browser, { script, style }, data) {
  const page = await browser.newPage({ viewport: { width: WIDTH, height: 900 }, colorScheme: "dark" });
  try {
    const problems = [];
    page.on("pageerror", (why) => problems.push(String(why.stack ?? why)));
    page.on("console", (line) => line.type() === "error" && problems.push(line.text()));
    await page.route("**", (route) => route.fulfill(resource(new URL(route.request().url()), { script, style })));
    await page.addInitScript((given) => { window.dashboard = given; }, data);
    await page.goto(ORIGIN);
    const isDone = () => page.evaluate(() => window.isDrawn);
    for (const until = Date.now() + DRAWN_WITHIN_MS; problems.length === 0 && !await isDone(); await pause(100)) {
      if (Date.now() > until) problems.push("it is not drawn in time");
    }
    if (problems.length > 0) throw new Error(`the page fails:\n${problems.join("\n")}`);
    return await page.screenshot({ fullPage: true });
  } finally {
    await page.close();
  }
}

/** What the page asks for: itself, its script, and icons. */
function resource({ pathname }, { script, style }) {
  const icon = /^\/public\/(img\/icons\/[\w/-]+\.svg)$/.exec(pathname);
  if (icon) {
    const file = join(HERE, "node_modules/@grafana/ui/dist/public", icon[1]);
    return { contentType: "image/svg+xml", body: readFileSync(file) };
  }
  if (pathname === "/script.js") return { contentType: "text/javascript", body: script };
  const head = `<!doctype html><meta charset="utf-8"><style>${style}</style>`;
  const body = `${head}<div id="root"></div><script src="/script.js"></script>`;
  return pathname === "/" ? { contentType: "text/html", body } : { status: 404, body: "" };
}
