/**
 * Prints how long the page of a running service takes in Chromium: `node page-times.mjs URL PID`. The service is stopped
 * and continued by its PID, to see how soon the page says that it is out of date. Called by `make bench-page`.
 *
 * CHROMIUM names another browser, ROUNDS another number of runs.
 */
import { performance } from "node:perf_hooks";
import { setTimeout as pause } from "node:timers/promises";
import { chromium } from "playwright-core";

const [url, pid] = process.argv.slice(2);
const ROUNDS = Number(process.env.ROUNDS ?? 5);
const LOOK = { viewport: { width: 1440, height: 900 } };

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
try {
  const server = (await (await fetch(`${url}/api/v1/servers?limit=1`)).json()).servers[0].id;
  // A browser starts its renderer with the first page.
  await loaded("#/service", () => document.querySelector("main h1, main h2") !== null);
  const rows = [
    ["first chart: one server, an hour", 0.5, () => marked(`#/server/${encodeURIComponent(server)}`)],
    ["first chart: one server, 90 days", null, () => marked(`#/server/${encodeURIComponent(server)}?span=90d`)],
    ["overview of 1,000 servers: rows drawn, filter answers", 1, interactive],
    ["heat map: 64 servers, 90 days", 1, () => loaded("#/compare?span=90d", () => document.querySelectorAll(".scene a rect").length >= 64)],
    ["stale after the service has fallen silent", 3, stale],
  ];
  console.log(`${"the page in Chromium, in seconds".padEnd(56)} ${"median".padStart(7)} ${"worst".padStart(7)} ${"goal".padStart(6)}`);
  for (const [what, goal, measure] of rows) {
    const times = [];
    for (let round = 0; round < ROUNDS; round += 1) times.push(await measure());
    times.sort((a, b) => a - b);
    const show = (seconds) => seconds.toFixed(2).padStart(7);
    console.log(`${what.padEnd(56)} ${show(times[ROUNDS >> 1])} ${show(times[ROUNDS - 1])} ${(goal === null ? "" : String(goal)).padStart(6)}`);
  }
} finally {
  await browser.close();
}

/** Opens a page in a new context, without a cache. */
async function opened(hash, wait) {
  const context = await browser.newContext(LOOK);
  try {
    const page = await context.newPage();
    const begun = performance.now();
    await page.goto(`${url}/${hash}`, { waitUntil: "commit" });
    return await wait(page, begun);
  } finally {
    await context.close();
  }
}

function since(begun) {
  return (performance.now() - begun) / 1000;
}

/** Waits until `condition` is true in the page; checks it in every frame. */
function loaded(hash, condition) {
  return opened(hash, async (page, begun) => {
    await page.waitForFunction(condition, undefined, { polling: "raf", timeout: 60_000 });
    return since(begun);
  });
}

/** The time of the page's performance mark since the start of navigation. */
function marked(hash) {
  return opened(hash, async (page) => {
    await page.waitForFunction(() => performance.getEntriesByName("first-chart").length > 0, undefined, { polling: "raf", timeout: 60_000 });
    return await page.evaluate(() => performance.getEntriesByName("first-chart")[0].startTime / 1000);
  });
}

/** Waits for rows, and for the result of a filter. */
function interactive() {
  return opened("#/", async (page, begun) => {
    await page.waitForFunction(() => document.querySelector("table.servers tbody tr a") !== null, undefined, { polling: "raf", timeout: 60_000 });
    await page.evaluate(() => {
      const box = document.querySelector("main .search input");
      box.value = "server-00777";
      box.dispatchEvent(new Event("input", { bubbles: true }));
    });
    await page.waitForFunction(() => {
      const names = [...document.querySelectorAll("table.servers tbody .c-name")].map((cell) => cell.textContent);
      return names.length === 1 && names[0] === "server-00777";
    }, undefined, { polling: "raf", timeout: 60_000 });
    return since(begun);
  });
}

/** Stops the process, so that its sockets stay open and nothing is sent. */
function stale() {
  return opened("#/", async (page) => {
    await page.waitForFunction(() => document.querySelector(".link-state .tone-good") !== null, undefined, { timeout: 60_000 });
    await pause(1000);
    process.kill(Number(pid), "SIGSTOP");
    const begun = performance.now();
    try {
      await page.waitForFunction(() => document.querySelector(".link-state .tone-good") === null, undefined, { polling: "raf", timeout: 60_000 });
      return since(begun);
    } finally {
      process.kill(Number(pid), "SIGCONT");
      await pause(1500);
    }
  });
}
