/** The first start: the one-time link, a server test, the first server, servers that the host knows. */
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { DESKTOP, launch, open, PHONE } from "./browser";
import { noServers, row, sessionOf, setUpDone, servers, tested } from "./canned";
import { problem, startMock, type Mock } from "./mock";

let mock: Mock;
let browser: Browser;

beforeAll(async () => {
  mock = await startMock();
  browser = await launch();
});

afterAll(async () => {
  await browser?.close();
  await mock?.stop();
});

beforeEach(() => {
  mock.reset("admin");
  mock.on("GET /api/v1/servers", noServers());
});

const posts = (path: string): unknown[] => mock.writes.filter((asked) => asked.method === "POST" && asked.path === path).map((asked) => asked.body);

test("the one-time link makes an administrator, whose token is shown once", async () => {
  mock.on("GET /api/v1/session", () => ({ body: posts("/api/v1/session/setup").length > 0 ? sessionOf("admin") : { ...sessionOf(null), setup_link: "waiting" } }));
  const { page, faults } = await open(browser, `${mock.url}/#/?setup=c0de`);
  const dialog = page.getByRole("dialog", { name: "You are the administrator" });
  await dialog.waitFor();
  expect(page.url()).not.toContain("c0de");
  expect(posts("/api/v1/session/setup")).toEqual([{ code: "c0de" }]);
  expect(await dialog.getByLabel("Your token").inputValue()).toBe(setUpDone().token);
  await dialog.getByText("/home/alice/.config/ntp-monitor/servers.toml").waitFor();
  await dialog.getByRole("button", { name: "I have kept it" }).click();
  await page.getByLabel("Address").waitFor();
  expect(await page.content()).not.toContain(setUpDone().token);
  expect(faults).toEqual([]);
});

test("the page says where the link is, or that it has expired", async () => {
  for (const [setup_link, words] of [["waiting", "Open the link that ntp-monitor printed"], ["expired", "Restart it to get another one"]]) {
    mock.on("GET /api/v1/session", { ...sessionOf(null), setup_link });
    const { page } = await open(browser, `${mock.url}/`);
    await page.getByText(words ?? "").waitFor();
    expect(await page.getByLabel("Address").count()).toBe(0);
  }
});

test("a used link is reported as used", async () => {
  mock.on("GET /api/v1/session", { ...sessionOf(null), setup_link: null });
  mock.on("POST /api/v1/session/setup", () => problem(401, "this link is not valid: it was already used, or is from an earlier start"));
  const { page } = await open(browser, `${mock.url}/#/?setup=c0de`);
  await page.getByText("This link is not valid: it was already used").waitFor();
  await page.getByRole("button", { name: "Sign in with a token" }).click();
  await page.getByRole("dialog", { name: "Sign in" }).waitFor();
});

test("a server is tested, added, and shown", async () => {
  const { page, faults } = await open(browser, `${mock.url}/`);
  await page.getByLabel("Address").fill("192.0.2.1");
  await page.getByRole("button", { name: "Test now", exact: true }).first().click();
  await page.getByText("192.0.2.1 answers: +300 µs ± 12.0 ms from this host's clock, round trip 9.00 ms, stratum 1 (GPS).").waitFor();
  expect(posts("/api/v1/test")).toEqual([{ address: "192.0.2.1" }]);
  await page.getByText("What you add is written to").waitFor();
  mock.on("POST /api/v1/servers", () => {
    mock.on("GET /api/v1/servers", { ...servers(), total: 1, servers: servers().servers.slice(0, 1) });
    return { status: 201, body: {} };
  });
  await page.getByRole("button", { name: "Add", exact: true }).first().click();
  await page.locator("table.servers .c-name", { hasText: "ams-1" }).waitFor();
  expect(posts("/api/v1/servers")).toEqual([{ address: "192.0.2.1" }]);
  await page.getByRole("heading", { name: "Add another server" }).waitFor();
  expect(faults).toEqual([]);
});

test("servers that the host knows are added at once, a pool with a long interval", async () => {
  const { page } = await open(browser, `${mock.url}/`, DESKTOP);
  await page.getByText("from /run/chrony-dhcp/eth0.sources").waitFor();
  await page.getByRole("button", { name: "Add all 2" }).click();
  await page.getByText("2 servers are added.").waitFor();
  expect(posts("/api/v1/servers")).toEqual([{ address: "192.0.2.123" }, { address: "2.debian.pool.ntp.org", addresses: "all", poll_interval: "15m" }]);
});

test("failed test, wrong address and read-only file show the reason", async () => {
  mock.on("POST /api/v1/test", tested({ outcome: "timeout", offset_s: null, root_distance_s: null }));
  mock.on("POST /api/v1/servers", () => problem(422, "\"a b\" is not a host name"));
  const { page } = await open(browser, `${mock.url}/`);
  const address = page.getByLabel("Address");
  await address.fill("192.0.2.1");
  await page.getByRole("button", { name: "Test now", exact: true }).first().click();
  await page.getByText("192.0.2.1 gives no time. Timeout.").waitFor();
  await address.fill("a b");
  await page.getByRole("button", { name: "Add", exact: true }).first().click();
  await page.locator(".field-fault", { hasText: "is not a host name" }).waitFor();
  mock.on("POST /api/v1/servers", () => problem(409, "the file cannot be written: read-only file system"));
  await page.getByRole("button", { name: "Add", exact: true }).first().click();
  await page.getByRole("alert").getByText("read-only file system").waitFor();
});

test("a long name is truncated, and its whole row is a link", async () => {
  mock.on("GET /api/v1/servers", { ...servers(), total: 1, servers: [row("a-server-with-a-long-name.example.net")] });
  const { page } = await open(browser, `${mock.url}/`, PHONE);
  const name = await page.locator("table.servers .c-name a").boundingBox();
  const offset = await page.locator("table.servers tbody .c-offset").boundingBox();
  expect((name?.x ?? 0) + (name?.width ?? 0)).toBeLessThanOrEqual(offset?.x ?? 0);
  // The area of the link covers the cell.
  await page.locator("table.servers tbody .c-offset").click({ force: true });
  await page.waitForURL(/#\/server\/a-server-with-a-long-name/);
});
