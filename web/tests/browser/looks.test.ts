/** The look of the views that change something: no faults by axe, no overflow, and saved screenshots. */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { accessibilityFaults, DESKTOP, excessWidth, launch, open, PHONE, screenshot } from "./browser";
import { ago, check, clock, clockEvents, clockHistory, FILE_TEXT, noServers, past, replayed, servers, sessionOf } from "./canned";
import { startMock, type Mock } from "./mock";

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

interface Look {
  hash: string;
  /** Changes the responses of the mock. */
  given?: () => void;
  /** Actions before the screenshot. */
  act?: (page: Page) => Promise<void>;
}

/** Waits for the three charts of the host clock. */
const charted = (page: Page): Promise<void> => page.locator(".chart-grid .plot canvas").nth(2).waitFor();

const LOOKS: Record<string, Look> = {
  "clock-history": { hash: "#/clock?span=6h", given: () => mock.on("GET /api/v1/events", clockEvents()), act: charted },
  "clock-year": {
    hash: "#/clock?span=1y",
    given: () => mock.on("GET /api/v1/local/history", {
      ...clockHistory(), step_s: 259_200,
      points: clockHistory().points.map((point, n) => ({
        ...point, time: ago(31_104_000 - 259_200 * n), frequency_min_ppm: -4 + n / 60, frequency_max_ppm: -2 + n / 80,
      })),
    }),
    act: charted,
  },
  "clock-none": {
    hash: "#/clock",
    given: () => {
      const unknown = { estimate_s: null, bound_s: null };
      mock.on("GET /api/v1/local/history", { ...clockHistory(), points: [] });
      mock.on("GET /api/v1/local", { ...clock(), kernel: null, verdict: { ...clock().verdict, ...unknown } });
    },
  },
  "alerts": { hash: "#/alerts" },
  "alerts-none": { hash: "#/alerts", given: () => mock.on("GET /api/v1/alerts", { active: [], history: [] }) },
  "alerts-silence": { hash: "#/alerts", act: async (page) => page.getByRole("button", { name: "Silence high-offset of wild" }).click() },
  "alerts-history": { hash: "#/alerts/history" },
  "silences": { hash: "#/alerts/silences" },
  "rules": { hash: "#/alerts/rules", act: async (page) => page.getByText("Variables for rules").click() },
  "rule-editor": {
    hash: "#/alerts/rules?rule=office",
    given: () => {
      mock.on("POST /api/v1/rules/replay", replayed(Array.from({ length: 7 }, (_, n) => past(590_000 - n * 70_000, 9000, {
        server: n % 3 === 0 ? "ams-1" : "a-server-with-a-long-name.example.net", severity: n % 2 ? "critical" : "warning",
      }))));
      mock.on("POST /api/v1/rules/check", { valid: false, faults: ["1:1: there is no variable offset_mss; did you mean offset_ms?"] });
    },
    act: async (page) => {
      await page.getByRole("button", { name: "Replay" }).click();
      await page.locator(".scene").waitFor();
      await page.locator(".faults").first().waitFor();
    },
  },
  "notifiers": { hash: "#/alerts/notifiers" },
  "reports": { hash: "#/reports" },
  "config-servers": { hash: "#/config" },
  "config-server": { hash: "#/config", act: async (page) => {
    await page.getByRole("button", { name: "Change ams-1" }).click();
    await page.getByRole("dialog").getByLabel("Poll interval").fill("128s");
    await page.getByText("More settings").click();
  } },
  "config-file": {
    hash: "#/config/file",
    given: () => mock.on("POST /api/v1/config/check", check({ valid: false, faults: [{ path: "server[0].poll_interval", line: 12, message: "1s is too short: at least 16s, or 100ms for a server that is your own" }] })),
    act: async (page) => {
      const box = page.getByRole("textbox", { name: "The configuration file" });
      await box.fill(FILE_TEXT.replace("32s", "1s"));
      await page.locator(".bad-line").waitFor();
      await box.evaluate((area: HTMLTextAreaElement) => area.setSelectionRange(area.value.indexOf('1s"'), area.value.indexOf('1s"')));
      await box.click({ position: { x: 60, y: 12 * 19.5 - 8 } });
    },
  },
  "config-review": { hash: "#/config/file", act: async (page) => {
    await page.getByRole("textbox", { name: "The configuration file" }).fill(FILE_TEXT.replace("32s", "16s"));
    await page.getByRole("button", { name: /Review and apply/ }).click({ timeout: 10_000 });
  } },
  "config-values": { hash: "#/config/values" },
  "config-audit": { hash: "#/config/audit" },
  "stranger": { hash: "#/config", given: () => mock.on("GET /api/v1/session", sessionOf(null)), act: async (page) => page.getByRole("banner").getByRole("button", { name: "Sign in" }).click() },
  "first": {
    hash: "#/", given: () => mock.on("GET /api/v1/servers", noServers()),
    act: async (page) => {
      await page.getByText("192.0.2.123").waitFor();
      await page.getByLabel("Address").fill("192.0.2.1");
      await page.getByRole("button", { name: "Test now", exact: true }).first().click();
      await page.locator(".test-result").waitFor();
    },
  },
  "first-stranger": { hash: "#/", given: () => {
    mock.on("GET /api/v1/servers", noServers());
    mock.on("GET /api/v1/session", { ...sessionOf(null), setup_link: "waiting" });
  } },
  "first-welcome": { hash: "#/?setup=c0de", given: () => mock.on("GET /api/v1/servers", noServers()), act: async (page) => page.getByRole("dialog").waitFor() },
  "first-of-few": { hash: "#/", given: () => mock.on("GET /api/v1/servers", { ...servers(), total: 1, servers: servers().servers.slice(0, 1) }) },
  "gate": { hash: "#/", given: () => mock.on("GET /api/v1/session", { ...sessionOf(null), reading_is_open: false }) },
};

const SCREENS = [
  { name: "light", options: { ...DESKTOP, colorScheme: "light" as const } },
  { name: "dark", options: { ...DESKTOP, colorScheme: "dark" as const } },
  { name: "phone", options: { ...PHONE, colorScheme: "light" as const } },
];

for (const screen of SCREENS) {
  test(`axe finds no serious fault in ${screen.name}, and nothing is wider than the screen`, async () => {
    const found: string[] = [];
    for (const [view, look] of Object.entries(LOOKS)) {
      mock.reset("admin");
      look.given?.();
      const { page, faults } = await open(browser, `${mock.url}/${look.hash}`, screen.options);
      await page.locator("main h1").first().waitFor();
      await expect.poll(() => page.locator(".loading").count()).toBe(0);
      await look.act?.(page);
      await screenshot(page, `${view}-${screen.name}`, !(await page.getByRole("dialog").count()));
      found.push(...(await accessibilityFaults(page)).map((fault) => `${view}: ${fault}`), ...faults.map((fault) => `${view}: ${fault}`));
      const excess = await excessWidth(page);
      if (excess > 0) found.push(`${view}: ${excess} px wider than the screen`);
    }
    expect(found).toEqual([]);
  });
}
