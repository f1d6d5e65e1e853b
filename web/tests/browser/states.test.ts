/** States that the demo does not have: a thousand servers, no server, a failing or missing service, hostile names. */
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import type { ServerPage, ServerRow } from "../../src/api/types";
import { launch, open, PHONE, screenshot } from "./browser";
import { startDemo, type Demo } from "./demo";
import { startFront, type Front } from "./front";

/** Ignores failed requests for the history of invented servers. */
const isOfPage = (fault: string): boolean => !fault.includes("/api/v1/history?");

const SERVERS = "/api/v1/servers";
const CLOCK_HISTORY = "/api/v1/local/history";
let demo: Demo;
let front: Front;
let browser: Browser;
let real: ServerPage;

beforeAll(async () => {
  demo = await startDemo();
  front = await startFront(demo.url);
  browser = await launch();
  await vi.waitUntil(async () => {
    real = (await (await fetch(`${demo.url}${SERVERS}`)).json()) as ServerPage;
    return real.servers.filter((row) => row.offset_s !== null).length > 4;
  }, { timeout: 20_000, interval: 200 });
}, 60_000);

afterAll(async () => {
  await browser?.close();
  await front?.stop();
  await demo?.stop();
});

function page(servers: ServerRow[]): ServerPage {
  return { ...real, total: servers.length, servers };
}

test("of a thousand servers only the visible rows are rendered", async () => {
  const some = real.servers;
  const thousand = Array.from({ length: 1000 }, (_, n): ServerRow => {
    const like = some[n % some.length];
    if (!like) throw new Error("the demo has no server");
    return { ...like, id: `host-${n}`, name: `host-${n}`, tags: { site: `dc-${n % 7}` } };
  });
  front.answers.set(SERVERS, page(thousand));
  const { page: tab, faults } = await open(browser, `${front.url}/#/?sort=name&group=site`);
  await tab.locator("table.servers tbody tr").first().waitFor();
  expect(await tab.locator("table.servers tbody tr").count()).toBeLessThan(120);
  expect(await tab.locator("table.servers").getAttribute("aria-rowcount")).toBe("1008");
  await tab.evaluate(() => scrollTo(0, document.body.scrollHeight));
  await tab.locator("table.servers tbody tr", { hasText: "host-993" }).waitFor();
  await screenshot(tab, "thousand-light", false);
  expect(faults.filter(isOfPage)).toEqual([]);
  front.answers.clear();
});

test("a monitor without servers says what to do", async () => {
  front.answers.set(SERVERS, page([]));
  const { page: tab } = await open(browser, `${front.url}/`);
  await tab.getByRole("heading", { name: "Add your first server" }).waitFor();
  await screenshot(tab, "empty-light");
  front.answers.clear();
});

test("a failing service is shown with its reason until it recovers", async () => {
  front.answers.set(SERVERS, 503);
  const { page: tab } = await open(browser, `${front.url}/`);
  await tab.getByText("The store cannot be read: made up.").waitFor();
  await screenshot(tab, "failure-light");
  front.answers.clear();
  await tab.getByRole("button", { name: "Try again" }).click();
  await tab.locator(".verdict").waitFor();
  front.answers.set(SERVERS, 503);
  await tab.getByText("This page is out of date").waitFor({ timeout: 30_000 });
  await screenshot(tab, "stale-light");
  front.answers.clear();
});

test("an unreadable clock history shows an error and recovers", async () => {
  front.answers.set(CLOCK_HISTORY, 503);
  const { page: tab } = await open(browser, `${front.url}/#/clock`);
  await tab.getByText("The history cannot be shown.").waitFor();
  await tab.locator('section[aria-label="Kernel"]').waitFor();
  await screenshot(tab, "clock-failure-light");
  front.answers.clear();
  await tab.getByRole("button", { name: "Try again" }).click();
  await tab.locator('section[aria-label="Estimate and bound"] canvas').waitFor({ timeout: 20_000 });
});

test("a script in a name is shown as text", async () => {
  const first = real.servers[0];
  if (!first) throw new Error("the demo has no server");
  const name = `<img src=x onerror="document.title='run'">`;
  front.answers.set(SERVERS, page([{ ...first, id: name, name, refid: "<b>", tags: { "<i>": "<u>" }, sentence: name }]));
  const { page: tab, faults } = await open(browser, `${front.url}/`, PHONE);
  await tab.locator("table.servers .c-name", { hasText: "<img src=x" }).waitFor();
  expect(await tab.title()).toContain("Overview");
  expect(faults.filter(isOfPage)).toEqual([]);
  front.answers.clear();
});
