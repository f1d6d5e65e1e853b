/** The page against a service with a configuration file: changes take effect and are kept. */
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { accessibilityFaults, DESKTOP, excessWidth, launch, open, PHONE, screenshot, type Watched } from "./browser";
import { startDemo, type Demo } from "./demo";
import { startFront, type Front } from "./front";
import { startService, TOKENS, type Service } from "./service";

let demo: Demo;
let service: Service;
let front: Front;
let browser: Browser;
let page: string;
/** Addresses of the demo's scripted servers, by name. */
let address: Record<string, string>;

beforeAll(async () => {
  demo = await startDemo();
  const shown = await (await fetch(`${demo.url}/api/v1/config`)).json() as { values: { server: { name: string; address: string }[] } };
  address = Object.fromEntries(shown.values.server.map((one) => [one.name, one.address]));
  const server = (name: string): string => `[[server]]\naddress = "${address[name]}"\nname = "${name}"\nown = true\npoll_interval = "500ms"\n`;
  service = await startService(`${["good-1", "good-2", "good-3", "ahead"].map(server).join("\n")}
[alerting]
startup_grace = "0s"
group_wait = "0s"

[[alert]]
name = "far-off"
expr = "abs_offset_ms > 50"
for = "1s"
severity = "critical"
summary = "{{ server }} is off by {{ offset_ms }} ms"
`);
  front = await startFront(service.url);
  page = (await (await fetch(service.url)).text()).includes('id="app"') ? service.url : front.url;
  browser = await launch();
}, 60_000);

afterAll(async () => {
  await browser?.close();
  await front?.stop();
  await service?.stop();
  await demo?.stop();
});

let watched: Watched;

async function opened(hash: string, role: keyof typeof TOKENS | null = "admin", options: BrowserContextOptions = DESKTOP): Promise<Page> {
  watched = await open(browser, `${page}/${hash}`, options);
  if (role) {
    await watched.page.getByRole("banner").getByRole("button", { name: "Sign in" }).click();
    await watched.page.getByRole("dialog").getByLabel(/Token/).fill(TOKENS[role]);
    await watched.page.keyboard.press("Enter");
    await watched.page.getByRole("button", { name: "Sign out" }).waitFor();
  }
  return watched.page;
}

const dialog = (tab: Page) => tab.getByRole("dialog");
const editor = (tab: Page) => tab.getByRole("textbox", { name: "The configuration file" });

describe("the configuration", () => {
  test("an added server is polled at once and after a restart; comments stay", async () => {
    const tab = await opened("#/config");
    await tab.getByRole("button", { name: "Add a server" }).click();
    await dialog(tab).getByLabel("Address (needed)").fill(address["lossy"] ?? "");
    await dialog(tab).getByLabel("Name").fill("newcomer");
    await dialog(tab).getByLabel("Own").selectOption("true");
    await dialog(tab).getByLabel("Poll interval").fill("500ms");
    await dialog(tab).getByLabel("Tags").fill("site = test");
    await dialog(tab).getByRole("button", { name: "Add", exact: true }).click();
    await tab.getByText("newcomer is added.").waitFor();
    await tab.getByRole("link", { name: "Overview" }).click();
    await tab.locator("table.servers tbody tr", { hasText: "newcomer" }).getByText("OK").waitFor({ timeout: 30_000 });
    expect(await service.file()).toMatch(/^# Kept by hand\.[\s\S]*name = "newcomer"/);
    expect(watched.faults).toEqual([]);
    await service.restart();
    const again = await opened("#/", null);
    await again.locator("table.servers tbody tr", { hasText: "newcomer" }).getByText("OK").waitFor({ timeout: 30_000 });
    expect(watched.faults).toEqual([]);
  });

  test("an edit of the file is checked, reviewed, applied and kept after a restart; secrets stay", async () => {
    const hash = /sha256 = "([0-9a-f]{64})"/.exec(await service.file())?.[1] ?? "none";
    const tab = await opened("#/config/file");
    const text = await editor(tab).inputValue();
    await editor(tab).fill(text.replace('vantage = "bench"', 'vantage = ""'));
    await tab.locator(".faults li").first().waitFor();
    await editor(tab).fill(text.replace('name = "good-3"', 'name = "renamed"'));
    await tab.getByRole("button", { name: /Review and apply/ }).click();
    await dialog(tab).locator(".diff-added", { hasText: 'name = "renamed"' }).waitFor();
    await dialog(tab).getByRole("button", { name: "Apply", exact: true }).click();
    await tab.getByText("Applied.").waitFor();
    await tab.getByRole("link", { name: "Overview" }).click();
    await tab.locator("table.servers tbody tr", { hasText: "renamed" }).waitFor({ timeout: 20_000 });
    expect(await service.file()).toContain(hash);
    expect(watched.faults).toEqual([]);
    await service.restart();
    const again = await opened("#/config");
    await again.getByRole("button", { name: "Change renamed" }).waitFor();
    await again.getByRole("link", { name: "Audit log" }).click();
    await again.getByText("Changed the configuration file").first().waitFor();
    expect(watched.faults).toEqual([]);
  });

  test("a concurrent change is noticed, and both changes are kept", async () => {
    const tab = await opened("#/config/file");
    const text = await editor(tab).inputValue();
    await editor(tab).fill(text.replace('name = "ahead"', 'name = "liar"'));
    await tab.getByText("It is valid, but not applied yet.").waitFor();
    const paused = await fetch(`${service.url}/api/v1/servers/good-1/pause`, { method: "POST", headers: { Authorization: `Bearer ${TOKENS.admin}` } });
    expect(paused.status).toBe(200);
    await tab.getByRole("button", { name: /Review and apply/ }).click();
    await dialog(tab).getByRole("button", { name: "Apply", exact: true }).click();
    await dialog(tab).getByText("paused = true").waitFor();
    await dialog(tab).getByRole("button", { name: "Merge both changes" }).click();
    await tab.getByRole("button", { name: /Review and apply/ }).click();
    await dialog(tab).getByRole("button", { name: "Apply", exact: true }).click();
    await tab.getByText("Applied.").waitFor();
    expect(await service.file()).toMatch(/paused = true[\s\S]*name = "liar"/);
    await tab.getByRole("link", { name: "Servers", exact: true }).click();
    await tab.getByRole("button", { name: "Resume good-1" }).click();
    await tab.getByRole("button", { name: "Pause good-1" }).waitFor();
    // The only fault is the browser's message about the rejected request.
    expect(watched.faults.filter((fault) => !fault.includes("412"))).toEqual([]);
  });

  test("roles are enforced: operate cannot configure, read can do neither", async () => {
    const tab = await opened("#/config", "operate");
    expect(await tab.getByRole("button", { name: "Pause good-2" }).getAttribute("aria-disabled")).toBe("true");
    await tab.getByRole("link", { name: "File" }).click();
    await tab.getByText("Reading and changing the file needs the role “admin”; operate may only “operate”.").waitFor();
    const refused = await tab.evaluate(async () => (await fetch("/api/v1/servers/good-2/pause", { method: "POST" })).status);
    expect(refused).toBe(403);
    await tab.getByRole("button", { name: "Sign out" }).click();
    await tab.getByRole("banner").getByRole("button", { name: "Sign in" }).waitFor();
    expect(await tab.evaluate(async () => (await fetch("/api/v1/config/file")).status)).toBe(401);
    expect(watched.faults.filter((fault) => !fault.includes("Failed to load resource"))).toEqual([]);
  });
});

describe("alerts", () => {
  test("a firing alert is shown everywhere, can be silenced, and stays after a restart", async () => {
    const tab = await opened("#/", "operate");
    await tab.locator(".firing-mark").waitFor({ timeout: 60_000 });
    await expect.poll(() => tab.title()).toMatch(/^\(\d+\) Overview/);
    await tab.getByRole("link", { name: /^Alerts/ }).click();
    await tab.locator(".alert-summary", { hasText: /ahead is off by|liar is off by/ }).first().waitFor();
    await tab.getByRole("button", { name: /^Silence far-off/ }).first().click();
    await dialog(tab).getByLabel(/Comment/).fill("It is the demo's liar");
    await dialog(tab).getByRole("button", { name: "Silence for 2h" }).click();
    await tab.locator(".state-silenced").waitFor({ timeout: 30_000 });
    expect(watched.faults).toEqual([]);
    await service.restart();
    const again = await opened("#/alerts/silences", null);
    await again.getByText("It is the demo's liar").waitFor();
    expect(watched.faults).toEqual([]);
  });

  test("a rule is checked while typed, replayed over recordings, and added to the file", async () => {
    const tab = await opened("#/alerts/rules?new=1");
    await tab.getByLabel("Expression").fill("abs_offset_mss > 10");
    await tab.locator(".rule-verdict .faults").waitFor();
    await tab.getByLabel("Expression").fill("abs_offset_ms > 10");
    await tab.getByText("The rule is valid.").waitFor();
    await tab.getByLabel("Holds for").fill("0s");
    await tab.getByLabel("Name", { exact: true }).fill("ten");
    await tab.getByRole("button", { name: "day", exact: true }).click();
    await tab.getByRole("button", { name: "Replay" }).click();
    await tab.getByText(/It would have fired/).waitFor({ timeout: 60_000 });
    await screenshot(tab, "real-rule-light");
    await tab.getByRole("button", { name: "Put into the file …" }).click();
    await tab.getByText("It is valid, but not applied yet.").waitFor();
    await tab.getByRole("button", { name: "Discard changes" }).click();
    expect(watched.faults).toEqual([]);
  });

  test("a report is created, listed and opened, and has no script", async () => {
    const tab = await opened("#/reports", "operate");
    await tab.getByText("No report has been made yet.").waitFor();
    await tab.getByRole("button", { name: "day", exact: true }).click();
    await tab.getByRole("button", { name: "Make a report" }).click();
    const link = tab.getByRole("link", { name: / to .*\(/ });
    await link.waitFor({ timeout: 60_000 });
    const report = await tab.context().newPage();
    const answer = await report.goto(new URL(await link.getAttribute("href") ?? "", page).href);
    expect(answer?.status()).toBe(200);
    expect(await report.locator("h1").count()).toBeGreaterThan(0);
    expect(watched.faults).toEqual([]);
  });
});

describe("looks", () => {
  const VIEWS = {
    "alerts": "#/alerts", "history": "#/alerts/history", "rules": "#/alerts/rules", "notifiers": "#/alerts/notifiers", "reports": "#/reports",
    "servers": "#/config", "file": "#/config/file", "values": "#/config/values", "audit": "#/config/audit", "service": "#/service",
  };

  const SCREENS: Record<string, BrowserContextOptions> = { light: DESKTOP, dark: { ...DESKTOP, colorScheme: "dark" }, phone: PHONE };

  test("screenshots of the real service are saved, and axe finds no serious fault", async () => {
    const found: string[] = [];
    for (const [name, options] of Object.entries(SCREENS)) {
      const tab = await opened("#/", "admin", options);
      for (const [view, hash] of Object.entries(VIEWS)) {
        await tab.evaluate((to) => { location.hash = to; }, hash);
        await tab.locator("main h1").first().waitFor();
        await expect.poll(() => tab.locator(".loading").count(), { timeout: 20_000 }).toBe(0);
        await screenshot(tab, `real-${view}-${name}`);
        found.push(...(await accessibilityFaults(tab)).map((fault) => `${view} ${name}: ${fault}`));
        const excess = await excessWidth(tab);
        if (excess > 0) found.push(`${view} ${name}: ${excess} px wider than the screen`);
      }
      found.push(...watched.faults);
    }
    expect(found).toEqual([]);
  });
});
