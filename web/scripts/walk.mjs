/**
 * Walks the first minute as a new user does, with a stopwatch, and keeps a picture of each step: a start without any
 * configuration, the printed link, the first servers, the verdict. Then it finds out when a server was wrong last week, and
 * shares that. The servers are those of `ntp-monitor demo`, with a simulated history.
 *
 *   npm run walk            after a build of the program (debug) and of the page
 *
 * NTP_MONITOR_BIN names another program, CHROMIUM another browser, SCREENSHOTS another directory.
 */
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { chromium } from "playwright-core";

const ROOT = resolve(import.meta.dirname, "../..");
const BINARY = resolve(process.env.NTP_MONITOR_BIN ?? join(ROOT, "target/debug/ntp-monitor"));
const PICTURES = resolve(process.env.SCREENSHOTS ?? join(ROOT, "target/screenshots"));
const LOOKS = {
  "wide-light": { viewport: { width: 1440, height: 900 }, colorScheme: "light" },
  "wide-dark": { viewport: { width: 1440, height: 900 }, colorScheme: "dark" },
  "phone-light": { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2, colorScheme: "light" },
  "phone-dark": { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2, colorScheme: "dark" },
};

mkdirSync(PICTURES, { recursive: true });
const home = mkdtempSync(join(tmpdir(), "ntp-monitor-walk-"));
const children = [];
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
try {
  const playground = await printed(["demo", "--history", "10d", "--listen", "127.0.0.1:0", "--dir", join(home, "demo")], /Ctrl-C ends it/, { PATH: process.env.PATH });
  const servers = ["good-1", "good-2", "good-3", "ahead"].map((name) => new RegExp(`${name} +(\\S+:\\d+)`).exec(playground)[1]);
  const demo = /Page: +(\S+)/.exec(playground)[1];
  for (const [name, look] of Object.entries(LOOKS)) {
    await walk(name, look, servers);
    await lastWeek(name, look, demo);
  }
} finally {
  await browser.close();
  for (const child of children) child.kill("SIGTERM");
  await Promise.all(children.map((child) => new Promise((gone) => (child.exitCode === null ? child.once("exit", gone) : gone()))));
  rmSync(home, { recursive: true, force: true });
}

async function walk(name, look, servers) {
  const mine = join(home, name);
  const begun = performance.now();
  const step = (what) => console.log(`${name.padEnd(12)} ${((performance.now() - begun) / 1000).toFixed(1).padStart(6)} s  ${what}`);
  const said = await printed([], /#\/\?setup=\w+/, { HOME: mine, NTP_MONITOR__HTTP__LISTEN: "127.0.0.1:0" });
  const link = /http:\S+setup=\w+/.exec(said)[0];
  step("the program has printed its link");
  const context = await browser.newContext(look);
  const page = await context.newPage();
  const picture = (part) => page.screenshot({ path: join(PICTURES, `walk-${part}-${name}.png`), fullPage: true });
  await page.goto(link);
  await page.getByRole("button", { name: "I have kept it" }).waitFor();
  await picture("1-welcome");
  await page.getByRole("button", { name: "I have kept it" }).click();
  step("the administrator has a token");
  for (const [index, address] of servers.entries()) {
    const adding = performance.now();
    // The speed of a practised typist.
    await page.getByLabel("Address").pressSequentially(address, { delay: 80 });
    if (index === 0) {
      await page.getByRole("button", { name: "Test now", exact: true }).first().click();
      await page.locator(".test-result").waitFor();
      await picture("2-test");
      step("the first server has been tested");
    }
    await page.getByRole("button", { name: "Add", exact: true }).first().click();
    await page.locator("table.servers .c-name", { hasText: address }).waitFor();
    step(`${address} is in the list, ${((performance.now() - adding) / 1000).toFixed(1)} s after its first letter`);
    if (index === 0) await picture("3-one-server");
  }
  await page.locator(".verdict h1", { hasText: "4 servers" }).waitFor({ timeout: 60_000 });
  step(`first look: ${await page.locator(".verdict h1").innerText()}`);
  await page.locator('.verdict:not([data-state="undecidable"])').waitFor({ timeout: 120_000 });
  step(`verdict: ${await page.locator(".verdict h1").innerText()}`);
  await picture("4-verdict");
  await page.locator('.verdict[data-state="server_wrong"]').waitFor({ timeout: 120_000 });
  step(`named: ${await page.locator(".verdict h1").innerText()}`);
  await picture("4-named");
  console.log(readFileSync(join(mine, ".config/ntp-monitor/servers.toml"), "utf8").replace(/^/gm, "    "));
  await context.close();
}

/** Finds when a server was wrong last week, with a second to read before each click. */
async function lastWeek(name, look, demo) {
  const context = await browser.newContext({ ...look, permissions: ["clipboard-read", "clipboard-write"] });
  const page = await context.newPage();
  const picture = (part) => page.screenshot({ path: join(PICTURES, `walk-${part}-${name}.png`) });
  let clicks = 0;
  const click = async (target) => {
    await target.waitFor();
    await page.waitForTimeout(1000);
    await target.click();
    clicks += 1;
  };
  let begun = performance.now();
  const step = (what) => {
    console.log(`${name.padEnd(12)} ${((performance.now() - begun) / 1000).toFixed(1).padStart(6)} s  ${what}, ${clicks} clicks`);
    [begun, clicks] = [performance.now(), 0];
  };
  await page.goto(demo);
  await click(page.getByRole("navigation", { name: "Views" }).getByRole("link", { name: "Compare" }));
  await click(page.getByRole("button", { name: "7d", exact: true }));
  await page.locator(".scene a[aria-label^=good-2] .fill-bad").first().waitFor();
  await picture("5-last-week");
  await click(page.locator(".scene a[aria-label^=good-2] .fill-bad").first());
  await page.locator("section[aria-label=Offset] canvas").waitFor();
  await picture("6-found");
  step(`found: good-2 was wrong, shown from ${await page.locator(".time-controls > .muted").first().innerText()}`);
  await click(page.getByRole("button", { name: "Copy link" }));
  await page.getByText("The link is copied").waitFor();
  const link = await page.evaluate(() => navigator.clipboard.readText());
  step(`shared: ${link}`);
  const other = await context.newPage();
  await other.goto(link);
  await other.locator("section[aria-label=Offset] canvas").waitFor();
  await context.close();
}

/** Starts the program, and returns its output once it contains `pattern`. */
function printed(args, pattern, env) {
  const child = spawn(BINARY, args, { env, cwd: home, stdio: ["ignore", "pipe", "pipe"] });
  children.push(child);
  return new Promise((found, failed) => {
    let said = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (piece) => {
        said = (said + piece).slice(-20_000);
        if (pattern.test(said)) found(said);
      });
    }
    child.once("exit", (code) => failed(new Error(`the program ended with ${code}: ${said}`)));
  });
}
