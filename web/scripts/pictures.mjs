/**
 * Makes the pictures of the documentation, docs/images/page-*.png, from `ntp-monitor demo` in Chromium.
 *
 *   npm run pictures                       after a build of the program (debug) and of the page
 *   MINUTES=20 npm run pictures            with a longer history (default: 12 minutes, as alerts need ten)
 *
 * NTP_MONITOR_BIN names another program, CHROMIUM another browser; DEMO_URL and DEMO_DIR take a demo that runs already,
 * begun with the token below.
 */
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";
import { decode, encode } from "./png.mjs";

const ROOT = resolve(import.meta.dirname, "../..");
const IMAGES = join(ROOT, "docs/images");
const BINARY = resolve(process.env.NTP_MONITOR_BIN ?? join(ROOT, "target/debug/ntp-monitor"));
const MINUTES = Number(process.env.MINUTES ?? 12);
/** Maximum size of a picture. */
const MOST_BYTES = 150_000;
const TOKEN = "for-pictures-only-0123456789";
const DESKTOP = { viewport: { width: 1280, height: 900 }, deviceScaleFactor: 1.5 };
const TALL = { viewport: { width: 1280, height: 1400 }, deviceScaleFactor: 1 };
const PHONE = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 };

/** Charts are drawn shortly after their data arrived; the event stream never ends. */
const settled = () => pause(3000);

const dir = process.env.DEMO_DIR ?? mkdtempSync(join(tmpdir(), "ntp-monitor-pictures-"));
const own = process.env.DEMO_URL ? undefined : spawn(
  BINARY, ["demo", "--listen", "127.0.0.1:0", "--dir", dir, "--token", TOKEN], { stdio: ["ignore", "pipe", "ignore"] },
);
try {
  const url = own ? await address(own) : process.env.DEMO_URL;
  if (own) {
    console.log(`a demo runs at ${url} for ${MINUTES} minutes`);
    await pause(MINUTES * 60_000);
  }
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
  try {
    await pictures(browser, url);
    await firstMinute(browser, url);
  } finally {
    await browser.close();
  }
} finally {
  if (own) {
    own.kill("SIGTERM");
    await new Promise((gone) => (own.exitCode === null && own.signalCode === null ? own.once("exit", gone) : gone()));
    rmSync(dir, { recursive: true, force: true });
  }
}

async function pictures(browser, url) {
  // Leave out the first minute, in which the verdict settles.
  const now = Math.floor(Date.now() / 1000);
  const span = `from=${now - Math.round(Math.max(MINUTES - 1, 0.25) * 60)}&to=${now}`;
  const row = (page) => page.locator("table.servers tbody tr").first().waitFor();
  await shoot(browser, "overview", `${url}/#/`, { ready: row });
  await shoot(browser, "overview-dark", `${url}/#/`, { ready: row, look: { colorScheme: "dark" } });
  await shoot(browser, "servers", `${url}/#/?sort=offset`, { ready: async (page) => {
    await row(page);
    await page.locator("table.servers").evaluate((table) => scrollTo(0, table.getBoundingClientRect().top - 90));
  } });
  await shoot(browser, "overview-phone", `${url}/#/`, { ready: row, look: PHONE });
  await shoot(browser, "server", `${url}/#/server/drifting?${span}`, { look: TALL });
  await shoot(browser, "compare", `${url}/#/compare?${span}&centred=1`, { ready: async (page) => {
    await page.locator(".scene a rect").first().waitFor();
    await settled();
  }, look: TALL });
  await shoot(browser, "evidence", `${url}/#/server/spoofed?${span}`, { ready: async (page) => {
    await page.locator(".packet-kind > summary").first().click();
    await page.locator(".packet .packet > summary").first().click();
    await page.locator(".packet-kind").first().evaluate((kind) => scrollTo(0, kind.getBoundingClientRect().top + scrollY - 120));
  } });
  // The view draws from the moment at which it is opened.
  await shoot(browser, "clock", `${url}/#/clock`, { ready: () => pause(40_000) });
  await shoot(browser, "service", `${url}/#/service`);
  await shoot(browser, "alerts", `${url}/#/alerts`, { enter: true });
  await shoot(browser, "rules", `${url}/#/alerts/rules`, { enter: true });
  await shoot(browser, "configuration", `${url}/#/config/file`, { enter: true });
  await shoot(browser, "report", report(), { look: TALL });
}

/** A service without a configuration, in which a server of the demo was tested. */
async function firstMinute(browser, url) {
  const env = { HOME: join(dir, "first"), NTP_MONITOR__HTTP__LISTEN: "127.0.0.1:0" };
  const service = spawn(BINARY, [], { env, stdio: ["ignore", "ignore", "pipe"] });
  try {
    const link = await said(service, service.stderr, /http:\/\/\S+setup=\w+/);
    const { servers } = await (await fetch(`${url}/api/v1/servers`)).json();
    const { address } = servers.find((row) => row.name === "good-1");
    await shoot(browser, "first", link, { ready: async (page) => {
      await page.getByRole("button", { name: "I have kept it" }).click();
      await page.getByLabel("Address").fill(address);
      await page.getByRole("button", { name: "Test now", exact: true }).first().click();
      await page.locator(".test-result").waitFor();
    } });
  } finally {
    service.kill("SIGTERM");
    await new Promise((gone) => (service.exitCode === null ? service.once("exit", gone) : gone()));
  }
}

function report() {
  const out = join(dir, "report.html");
  const made = spawnSync(BINARY, ["report", "--store", join(dir, "ntp-monitor.db"), "--output", out], { encoding: "utf8" });
  if (made.status !== 0) throw new Error(made.stderr);
  return pathToFileURL(out).href;
}

/** The visible part of `look`, once it is `ready`; `enter` signs in first. */
async function shoot(browser, name, at, { ready = settled, look = {}, enter = false } = {}) {
  const context = await browser.newContext({ colorScheme: "light", ...DESKTOP, ...look });
  try {
    const page = await context.newPage();
    if (enter) await signIn(context, new URL(at).origin);
    await page.goto(at);
    await ready(page);
    const picture = encode(decode(await page.screenshot()));
    if (picture.length > MOST_BYTES) throw new Error(`page-${name}.png takes ${picture.length} bytes`);
    writeFileSync(join(IMAGES, `page-${name}.png`), picture);
    console.log(`docs/images/page-${name}.png ${picture.length}`);
  } finally {
    await context.close();
  }
}

/** Signs in like the page: exchanges the token for a cookie. */
async function signIn(context, origin) {
  const answer = await context.request.post(`${origin}/api/v1/session`, { data: { token: TOKEN }, headers: { origin } });
  if (!answer.ok()) throw new Error(`cannot sign in: ${answer.status()} ${await answer.text()}`);
}

/** The address that the demo prints once it listens. */
function address(demo) {
  return said(demo, demo.stdout, /http:\/\/127\.0\.0\.1:\d+/);
}

/** The first output of a program that matches. */
function said(program, stream, pattern) {
  return new Promise((found, failed) => {
    let text = "";
    stream.setEncoding("utf8").on("data", (piece) => {
      text += piece;
      const match = pattern.exec(text);
      if (match) found(match[0]);
    });
    program.once("error", failed);
    program.once("exit", (code) => failed(new Error(`the program ended with ${code}: ${text}`)));
  });
}
