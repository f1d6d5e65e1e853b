/** Members of a fleet, blamed servers with and without NTS, and the first requests of a view. */
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { FleetAgent, Verdict, Version } from "../../src/api/types";
import { accessibilityFaults, launch, open, PHONE, screenshot } from "./browser";
import * as canned from "./canned";
import { problem, startMock, type Mock } from "./mock";

let mock: Mock;
let browser: Browser;

beforeAll(async () => {
  mock = await startMock();
  browser = await launch();
}, 60_000);

beforeEach(() => mock.reset());

afterAll(async () => {
  await browser?.close();
  await mock?.stop();
});

const version = (more: Partial<Version>): Version => ({
  name: "ntp-monitor", version: "0.1.0", api: "v1", vantage: "lon", started: canned.ago(60), fleet_hub: false, fleet_agent: false, ...more,
});

test("an agent has a tab for its fleet and sends no requests for hubs only", async () => {
  const agent: FleetAgent = {
    as_of: canned.ago(0), name: "lon", connected: true, hub_heard_s_ago: 2, reason: null, planned: true, plan_error: null, refusals: [], waiting: 5, dropped: 0, foreign: 0,
  };
  mock.on("GET /api/v1/version", version({ fleet_agent: true }));
  mock.on("GET /api/v1/fleet/agent", agent);
  const { page, faults } = await open(browser, `${mock.url}/`, PHONE);
  await page.getByRole("link", { name: "Fleet", exact: true }).click();
  await page.getByText("Connected; a hub was heard 2 s ago.").waitFor();
  await page.getByText("5 samples wait until a hub has stored them").waitFor();
  await screenshot(page, "agent-light");
  expect(await accessibilityFaults(page)).toEqual([]);
  expect(faults).toEqual([]);
});

test("a hub without servers links to its fleet", async () => {
  mock.on("GET /api/v1/version", version({ fleet_hub: true }));
  mock.on("GET /api/v1/servers", { ...canned.servers(), total: 0, servers: [] });
  mock.on("GET /api/v1/fleet/verdict", () => problem(503, "nothing yet"));
  const { page } = await open(browser, `${mock.url}/`);
  await page.getByRole("heading", { name: "This is the hub of a fleet" }).waitFor();
  expect(await page.getByText("Add your first server").count()).toBe(0);
  expect(await accessibilityFaults(page)).toEqual([]);
  await page.locator("main").getByRole("link", { name: "Fleet" }).click();
  await page.getByRole("heading", { name: "Fleet", exact: true }).waitFor();
});

test("the authentication of blamed servers is shown without alarm", async () => {
  const blamed = (server: string, authentication: "nts" | "none"): Verdict["servers"][number] => ({
    server, address: null, class: "falseticker", gap_s: 0.079, size_s: 0.08, rate_ppm: null, since: canned.ago(600), kind: "constant", blamed: true,
    proven: true, confidence: 0.99, bad_share: null, period_s: null, authentication, sentence: `${server} is wrong.`,
  });
  for (const [servers, says] of [
    [[blamed("wild", "none")], "wild: plain NTP"],
    [[blamed("wild", "nts"), blamed("odd", "none"), blamed("far", "none")], "wild: authenticated by NTS; odd, far: plain NTP"],
  ] as const) {
    mock.on("GET /api/v1/verdict", { ...canned.verdict(), servers: [...servers] });
    const { page } = await open(browser, `${mock.url}/`);
    await page.getByText(says, { exact: true }).waitFor();
    await screenshot(page, `accused-${servers.length}-light`);
  }
});

test("a server's history is read before the large list of all servers", async () => {
  const { page } = await open(browser, "about:blank");
  const asked: string[] = [];
  page.on("request", (request) => { asked.push(new URL(request.url()).pathname); });
  mock.on("GET /api/v1/servers/wild", () => problem(503, "made up"));
  await page.goto(`${mock.url}/#/server/wild`);
  await page.locator(".vantage", { hasText: "mock" }).waitFor();
  expect(asked.indexOf("/api/v1/history")).toBeGreaterThan(0);
  expect(asked.indexOf("/api/v1/servers")).toBeGreaterThan(asked.indexOf("/api/v1/history"));
  expect(asked.filter((path) => path === "/api/v1/servers").length).toBe(1);
});
