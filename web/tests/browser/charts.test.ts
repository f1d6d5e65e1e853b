/** Charts at any span, the comparison, and links of the overview, with the mock. */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import type { EventEntry, HistoryBody, HistorySeries } from "../../src/api/types";
import { DESKTOP, launch, open, PHONE } from "./browser";
import { ago, row, servers } from "./canned";
import { startMock, type Asked, type Mock } from "./mock";

let mock: Mock;
let browser: Browser;
/** The queries of `GET /api/v1/…`, by path. */
let asked: { path: string; query: URLSearchParams }[] = [];

beforeAll(async () => {
  mock = await startMock();
  browser = await launch();
});

beforeEach(() => {
  mock.reset();
  mock.on("GET /api/v1/history", () => ({ body: history(["wild"]) }));
  mock.on("GET /api/v1/servers/wild", detail());
  mock.on("GET /api/v1/servers/wild/evidence", { evidence: [] });
  mock.on("GET /api/v1/servers/wild/stability", { series: [] });
  mock.on("GET /api/v1/servers/wild/stats", { from: ago(3600), to: ago(0), series: [] });
});

afterAll(async () => {
  await browser?.close();
  await mock?.stop();
});

/** An hour of polls, 30 s apart. */
function series(id: string, more: Partial<HistorySeries> = {}): HistorySeries {
  const now = Date.now() / 1000;
  const places = Array.from({ length: 120 }, (_, n) => n);
  return {
    id, name: id, address: null, began: ago(7200), step_s: null, poll_s: 30, time: places.map((n) => now - 3600 + 30 * n),
    polls: places.map(() => 1), samples: places.map(() => 1), offset_s: places.map((n) => 1e-4 * Math.sin(n / 9)),
    offset_min_s: places.map(() => -1e-4), offset_max_s: places.map(() => 1e-4), root_distance_s: places.map(() => 1e-3),
    delay_s: places.map((n) => 1e-3 + 1e-5 * n), delay_min_s: places.map(() => 1e-3), delay_max_s: places.map(() => 2e-3),
    jitter_s: places.map(() => 2e-5), score: places.map(() => 20), ...more,
  };
}

const history = (ids: string[]): HistoryBody => ({ from: ago(3600), to: ago(0), left_out: 0, series: ids.map((id) => series(id)) });

const detail = () => ({
  as_of: ago(0), name: "wild", tags: {}, series: servers().servers.filter((one) => one.id === "wild"),
  settings: {
    host: "192.0.2.9", port: 123, own: false, poll_interval_s: 30, timeout_s: 1, engine: "kernel", family: "any", addresses: "first",
    samples_per_poll: 1, offset_warning_s: 0.025, offset_critical_s: 0.1,
  },
});

const event = (id: number, began: number, ended: number | null, more: Partial<EventEntry> = {}): EventEntry => ({
  id, kind: "lossy", server: "wild", address: null, start: ago(began), end: ended === null ? null : ago(ended), detail: "", sentence: "wild is lossy.", ...more,
});

async function opened(hash: string, options = DESKTOP) {
  asked = [];
  const watched = await open(browser, `${mock.url}/icon.svg`, options);
  watched.page.on("request", (request) => {
    const url = new URL(request.url());
    if (url.pathname.startsWith("/api/v1/")) asked.push({ path: url.pathname, query: url.searchParams });
  });
  await watched.page.goto(`${mock.url}/${hash}`);
  return watched;
}

const queries = (path: string): URLSearchParams[] => asked.filter((one) => one.path === path).map((one) => one.query);

const pixels = (page: Page, title: string): Promise<string> =>
  page.locator(`section[aria-label="${title}"] canvas`).evaluate((canvas: HTMLCanvasElement) => canvas.toDataURL());

describe("a server", () => {
  test("the protocol sheet shows known, unknown and varying traits", async () => {
    const { page } = await opened("#/server/wild");
    const facts = page.locator('section[aria-label="Protocol sheet"] dl.facts');
    await facts.waitFor();
    const texts = await facts.locator("div").allTextContents();
    expect(texts[0]).toContain("NTP version 3not known yet");
    expect(texts[1]).toContain("Precision 2^-20 s (954 ns)");
    expect(texts[2]).toContain("Hop limit of repliesvaries differs from reply to reply");
  });

  test("events that arrive after the data are drawn, even if they began before the span", async () => {
    let release: () => void = () => undefined;
    const later = new Promise<void>((done) => { release = done; });
    mock.on("GET /api/v1/events", async ({ path }: Asked) => {
      await later;
      return { body: { from: ago(3600), to: ago(0), events: path ? [event(1, 90_000, null), event(2, 1200, 1200, { kind: "refid" })] : [] } };
    });
    const { page, faults } = await opened(`#/server/wild?from=${Math.floor(Date.now() / 1000) - 3600}&to=${Math.floor(Date.now() / 1000)}`);
    await page.locator('section[aria-label="Offset"] canvas').waitFor();
    const before = await pixels(page, "Offset");
    release();
    await page.locator('section[aria-label="Events"] .events li').first().waitFor();
    await expect.poll(() => pixels(page, "Offset")).not.toBe(before);
    expect(faults.filter((fault) => !fault.includes("favicon"))).toEqual([]);
  });

  test("every panel shows the same span, and Back undoes a zoom", async () => {
    const { page } = await opened("#/server/wild?span=6h");
    const over = page.locator('section[aria-label="Offset"] .u-over');
    await over.waitFor();
    const box = await vi.waitUntil(() => over.boundingBox(), { timeout: 10_000 });
    await page.mouse.move(box.x + box.width * 0.4, box.y + 60);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.8, box.y + 80, { steps: 4 });
    await page.mouse.up();
    await expect.poll(() => page.url()).toMatch(/from=\d+&to=\d+/);
    const [from, to] = ["from", "to"].map((key) => Number(new URLSearchParams(page.url().split("?")[1]).get(key)));
    for (const path of ["history", "servers/wild/stats", "servers/wild/stability", "events"]) {
      await expect.poll(() => Date.parse(queries(`/api/v1/${path}`).at(-1)?.get("from") ?? "") / 1000, { message: path }).toBe(from);
      expect(Date.parse(queries(`/api/v1/${path}`).at(-1)?.get("to") ?? "") / 1000).toBe(to);
    }
    await page.goBack();
    await expect.poll(() => page.url()).toContain("span=6h");
  });

  test("both ends of the span can be typed in the chosen time zone", async () => {
    const { page } = await opened("#/server/wild");
    await page.getByLabel("Time zone").selectOption("Asia/Tokyo");
    await page.getByRole("button", { name: "From … to …" }).click();
    await page.getByLabel("From", { exact: true }).fill("2026-11-20T09:00:00");
    await page.getByLabel("to", { exact: true }).fill("2026-11-20T21:00:00");
    await page.getByRole("button", { name: "Show", exact: true }).click();
    const utc = (text: string): number => Date.parse(text) / 1000;
    await expect.poll(() => page.url()).toContain(`from=${utc("2026-11-20T00:00:00Z")}&to=${utc("2026-11-20T12:00:00Z")}`);
    await page.getByText("2026-11-20 09:00:00 to 2026-11-20 21:00:00 Asia/Tokyo").waitFor();
  });

  test("a copied link contains both ends of the span", async () => {
    const { page } = await opened("#/server/wild?span=6h&fit=bound");
    await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
    await page.getByRole("button", { name: "Copy link" }).click();
    await page.getByText("The link is copied").waitFor();
    const query = new URLSearchParams((await page.evaluate(() => navigator.clipboard.readText())).split("?")[1]);
    expect([Number(query.get("to")) - Number(query.get("from")), query.get("span"), query.get("fit")]).toEqual([6 * 3600, null, "bound"]);
  });

  test("the settings are those of the server", async () => {
    mock.reset("admin");
    mock.on("GET /api/v1/history", () => ({ body: history(["wild"]) }));
    mock.on("GET /api/v1/servers/wild", detail());
    const { page } = await opened("#/server/wild");
    await page.getByRole("link", { name: "Settings" }).click();
    await page.getByRole("dialog", { name: "Change wild" }).waitFor();
  });
});

describe("the comparison", () => {
  test("servers with a tag are drawn as lines and rows; a click opens that server at that time", async () => {
    mock.on("GET /api/v1/history", () => ({ body: history(["ams-1", "ams-2", "ams-3"]) }));
    const { page, faults } = await opened("#/compare?tag=site:ams&of=delay");
    await page.locator('section[aria-label="Delay"] canvas').waitFor();
    const lines = queries("/api/v1/history").find((query) => query.get("of") === "delay");
    expect(lines?.getAll("id")).toEqual(["ams-1", "ams-2", "ams-3", "wild"]);
    expect(await page.locator('section[aria-label="Delay"] .u-series').count()).toBe(4);
    const bars = page.locator(".scene a rect");
    await bars.first().waitFor();
    expect(faults.filter((fault) => !fault.includes("favicon"))).toEqual([]);
    await bars.first().click();
    await expect.poll(() => page.url()).toMatch(/#\/server\/ams-1\?from=\d+&to=\d+/);
  });

  test("the heat map does not wait for the list of servers", async () => {
    let answer = (): void => undefined;
    const held = new Promise<void>((open) => { answer = open; });
    mock.on("GET /api/v1/servers", async () => { await held; return { body: servers() }; });
    const { page } = await opened("#/compare?tag=site:ams");
    await page.locator(".scene a rect").first().waitFor();
    const [heat] = queries("/api/v1/history");
    expect([heat?.getAll("id"), heat?.get("tag"), queries("/api/v1/history").length]).toEqual([[], "site:ams", 1]);
    answer();
    await page.locator('section[aria-label="Offset"] canvas').waitFor();
  });

  test("single servers can be chosen, and the choice is in the address", async () => {
    const { page } = await opened("#/compare");
    await page.getByRole("button", { name: "Choose servers …" }).click();
    await page.getByRole("checkbox", { name: "ams-2" }).check();
    await page.getByRole("checkbox", { name: "wild" }).check();
    await expect.poll(() => page.url()).toContain("servers=ams-2%2Cwild");
    await expect.poll(() => queries("/api/v1/history").at(-1)?.getAll("id")).toEqual(["ams-2", "wild"]);
    await page.getByRole("button", { name: "Leave out ams-2" }).click();
    await expect.poll(() => page.url()).toContain("servers=wild");
  });
});

describe("the overview", () => {
  test("tiles count right, wrong and silent servers, and link to them", async () => {
    const rows = [...servers().servers, row("mute", { state: "unreachable", outcome: "timeout", offset_s: null, reach: "0" })];
    mock.on("GET /api/v1/servers", { ...servers(), total: rows.length, servers: rows });
    const { page } = await opened("#/");
    const tiles = page.getByRole("navigation", { name: "At a glance" });
    await expect.poll(() => tiles.innerText()).toMatch(/3\s+OK[\s\S]*1\s+wrong[\s\S]*0\s+not judged[\s\S]*1\s+unreachable/);
    await tiles.getByText("unreachable").click();
    await expect.poll(() => page.locator("table.servers tbody tr").count()).toBe(1);
    expect(await page.locator("table.servers tbody tr").innerText()).toMatch(/timeout/);
  });

  test("a whole row is a link, and a folded group shows its states", async () => {
    const { page } = await opened("#/?group=site");
    const group = page.locator("tr.group", { hasText: "site: ams" });
    await group.getByRole("button").click();
    await expect.poll(() => page.locator("table.servers tbody tr:not(.group)").count()).toBe(0);
    expect(await group.innerText()).toMatch(/1 Wrong[\s\S]*3 OK/);
    await group.getByRole("button").click();
    await page.locator("table.servers tbody tr", { hasText: "wild" }).locator(".c-delay").click({ force: true });
    await expect.poll(() => page.url()).toContain("#/server/wild");
    await page.goBack();
    await page.locator("table.servers tbody tr", { hasText: "ams-1" }).locator(".c-reach [title]").click();
    await expect.poll(() => page.url()).toContain("#/server/ams-1");
  });

  test("Ctrl-K finds a server by a part of its name", async () => {
    const { page } = await opened("#/alerts");
    await page.locator("main h1, main h2").first().waitFor();
    await page.keyboard.press("Control+k");
    await page.getByRole("combobox", { name: /Search/ }).fill("wil");
    await page.getByRole("option", { name: /^Server wild/ }).waitFor();
    await page.keyboard.press("Enter");
    await expect.poll(() => page.url()).toContain("#/server/wild");
  });

  test("outdated data is marked at once and not green", async () => {
    const own = await startMock();
    const { page } = await open(browser, `${own.url}/`);
    await page.locator(".verdict").waitFor();
    const colour = (): Promise<string> => page.locator(".badge-good").first().evaluate((badge) => getComputedStyle(badge).color);
    const [live, idle] = [await colour(), await page.evaluate(() => {
      const probe = document.body.appendChild(document.createElement("i"));
      probe.style.color = "var(--idle)";
      return getComputedStyle(probe).color;
    })];
    expect(live).not.toBe(idle);
    await own.stop();
    await page.getByText("This page is out of date").waitFor();
    expect(await colour()).toBe(idle);
    expect(await page.locator(".link-state .tone-good").count()).toBe(0);
  });
});

test("the page is marked as outdated while the service is silent", async () => {
  const own = await startMock();
  const { page } = await open(browser, `${own.url}/`);
  await page.locator(".link-state .tone-good").waitFor();
  own.freeze(true);
  await page.getByText("This page is out of date. The service has stopped sending.").waitFor();
  expect(await page.locator("main.is-stale").count()).toBe(1);
  expect(await page.locator(".link-state .tone-good").count()).toBe(0);
  own.freeze(false);
  await page.locator(".link-state .tone-good").waitFor();
  expect(await page.getByText("This page is out of date").count()).toBe(0);
  await own.stop();
});

describe("signing in", () => {
  test("a wrong token at sign-in is not reported as an expired session", async () => {
    mock.on("POST /api/v1/session", () => ({ status: 401, body: { title: "", status: 401, detail: "this token is not known" } }));
    const { page } = await opened("#/");
    await page.getByRole("banner").getByRole("button", { name: "Sign in" }).click();
    await page.getByLabel("Token").fill("no such token");
    await page.getByRole("dialog").getByRole("button", { name: "Sign in" }).click();
    await page.getByText("This token is not known.").waitFor();
    expect(await page.getByText("no longer signed in").count()).toBe(0);
  });
});

test("on a phone each row of the alert history is a card that begins with the summary", async () => {
  const { page } = await opened("#/alerts/history", PHONE);
  const line = page.locator(".stacks tbody tr").first();
  await line.waitFor();
  const box = await line.boundingBox();
  expect(box && box.width <= 390 && box.height < 120).toBe(true);
  const [what, rule] = [await line.locator(".words").boundingBox(), await line.locator("td").nth(3).boundingBox()];
  expect((what?.y ?? 0) < (rule?.y ?? 0)).toBe(true);
  expect((rule?.x ?? 999) < 390).toBe(true);
});
