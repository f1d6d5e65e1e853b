/** Alerts, rules, silences, notifiers and reports, in every state that the API can return. */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { DESKTOP, launch, open, type Watched } from "./browser";
import { alert, alerts, past, replayed, reports } from "./canned";
import { problem, startMock, type Asked, type Mock } from "./mock";

let mock: Mock;
let browser: Browser;
let watched: Watched | undefined;

beforeAll(async () => {
  mock = await startMock();
  browser = await launch();
});

afterAll(async () => {
  await browser?.close();
  await mock?.stop();
});

beforeEach(() => mock.reset("admin"));

async function opened(hash: string): Promise<Page> {
  watched = await open(browser, `${mock.url}/${hash}`, DESKTOP);
  return watched.page;
}

const faults = (): string[] => (watched?.faults ?? []).filter((fault) => !fault.includes("Failed to load resource"));
const dialog = (page: Page) => page.getByRole("dialog");

describe("now", () => {
  test("alerts are grouped by rule, worst first, with value and age", async () => {
    const page = await opened("#/alerts");
    const panels = page.locator("main section.panel");
    await panels.first().waitFor();
    expect(await panels.locator("h2").allInnerTexts()).toEqual(["High offset", "Failing queries", "Falseticker"]);
    const first = await panels.first().innerText();
    for (const part of ["Critical", "wild is 80 ms ahead", "(1 h 30 min)", "ams-2 is 51 ms ahead", "Pending"]) expect(first).toContain(part);
    expect(await panels.nth(1).innerText()).toContain("Not notified, because the monitor is blind explains it.");
    expect(await panels.nth(2).innerText()).toContain("Silenced by silence 1");
    expect(faults()).toEqual([]);
  });

  test("firing alerts are counted in navigation, title and icon, and updated by an event", async () => {
    mock.on("GET /api/v1/alerts", { active: [], history: [] });
    const page = await opened("#/");
    await page.locator(".verdict").waitFor();
    expect(await page.title()).toBe("Overview – ntp-monitor");
    mock.on("GET /api/v1/alerts", { active: [alert("1"), alert("2", { server: "ams-2" })], history: [] });
    mock.send("alert");
    await page.locator(".firing-bad", { hasText: "2" }).waitFor({ timeout: 8000 });
    await expect.poll(() => page.title()).toBe("(2) Overview – ntp-monitor");
    expect(await page.locator('link[rel="icon"]').getAttribute("href")).toBe("./icon-bad.svg");
    mock.on("GET /api/v1/alerts", { active: [], history: [] });
    mock.send("alert");
    await expect.poll(() => page.locator('link[rel="icon"]').getAttribute("href")).toBe("./icon.svg");
    expect(faults()).toEqual([]);
  });

  test("a firing alert is silenced with a comment and an end", async () => {
    const page = await opened("#/alerts");
    await page.getByRole("button", { name: "Silence high-offset of wild" }).click();
    expect(await dialog(page).getByRole("button", { name: "Silence for 2h" }).isDisabled()).toBe(true);
    await dialog(page).getByLabel(/Comment/).fill("New antenna");
    await dialog(page).getByRole("button", { name: "8h", exact: true }).click();
    await dialog(page).getByRole("button", { name: "Silence for 8h" }).click();
    await page.getByText("Silence for 8h.").waitFor();
    expect(mock.writes).toMatchObject([{ path: "/api/v1/silences", body: { alert: "high-offset", servers: ["wild"], comment: "New antenna", for: "8h" } }]);
    expect(faults()).toEqual([]);
  });

  test("no alerts and unreadable alerts look different", async () => {
    mock.on("GET /api/v1/alerts", { active: [], history: [] });
    const page = await opened("#/alerts");
    await page.getByText("No alert is pending or firing.").waitFor();
    await page.close();
    mock.on("GET /api/v1/alerts", () => problem(503, "the store cannot be read: made up"));
    const other = await opened("#/alerts");
    await other.getByText("The store cannot be read: made up.").waitFor();
    mock.on("GET /api/v1/alerts", alerts());
    await other.getByRole("button", { name: "Try again" }).click();
    await other.getByText("wild is 80 ms ahead").waitFor();
  });

  test("a script in a summary is shown as text, and a javascript: address is not a link", async () => {
    const evil = `<img src=x onerror="document.title='run'">`;
    mock.on("GET /api/v1/alerts", { active: [alert("1", { summary: evil, alert: evil, server: evil, runbook_url: "javascript:alert(1)" })], history: [] });
    const page = await opened("#/alerts");
    await page.locator(".alert-summary", { hasText: "<img src=x" }).waitFor();
    expect(await page.getByRole("link", { name: "What to do" }).count()).toBe(0);
    expect(await page.title()).toContain("Alerts");
    expect(faults()).toEqual([]);
  });
});

test("the history is filtered by the address", async () => {
  const page = await opened("#/alerts/history?rule=stratum-change");
  await page.locator(".alert-table tbody tr").first().waitFor();
  expect(await page.locator(".alert-table tbody tr").allInnerTexts()).toEqual([expect.stringContaining("ams-1 went from stratum 1 to 2")]);
  await page.getByLabel("Rule").selectOption("");
  await expect.poll(() => page.locator(".alert-table tbody tr").count()).toBe(2);
  await page.getByRole("searchbox").fill("nothing like it");
  await page.getByText("No alert matches.").waitFor();
  expect(faults()).toEqual([]);
});

test("a silence can be ended early", async () => {
  mock.on("DELETE /api/v1/silences/1", () => ({ status: 204 }));
  const page = await opened("#/alerts/silences");
  await page.getByText("To come").waitFor();
  await page.getByText("A maintenance window of the configuration").waitFor();
  expect(await page.getByRole("button", { name: /^End now/ }).count()).toBe(2);
  await page.getByRole("button", { name: "End now: New antenna on Tuesday" }).click();
  await page.getByText("The silence has ended.").waitFor();
  expect(mock.writes).toMatchObject([{ method: "DELETE", path: "/api/v1/silences/1" }]);
  expect(faults()).toEqual([]);
});

describe("rules", () => {
  test("each rule shows expression and state, and the variables are documented", async () => {
    const page = await opened("#/alerts/rules");
    await page.getByText("abs_offset_ms > 50 && provable").first().waitFor();
    await page.getByText("Variables for rules").click();
    await page.getByText("Plus: the server is ahead of this host.").first().waitFor();
    expect(await page.locator(".alert-off").innerText()).toContain("Switched off");
  });

  test("an expression is checked while typed, and replayed over the past", async () => {
    mock.on("POST /api/v1/rules/check", ({ body }: Asked) =>
      ({ body: JSON.stringify(body).includes("offset_mss") ? { valid: false, faults: [{ path: "expr", message: "1:1: there is no variable offset_mss; did you mean offset_ms?" }] } : { valid: true, faults: [] } }));
    mock.on("POST /api/v1/rules/replay", replayed(
      Array.from({ length: 9 }, (_, n) => past(600_000 - n * 60_000, 9000, { server: n % 3 === 0 ? "ams-1" : "wild", severity: n % 2 ? "critical" : "warning" })),
    ));
    const page = await opened("#/alerts/rules?new=1");
    await page.getByLabel("Expression").fill("offset_mss > 1.0");
    await page.getByText("there is no variable offset_mss").waitFor();
    await page.getByLabel("Expression").fill("offset_ms > 1.0");
    await page.getByText("The rule is valid.").waitFor();
    await page.getByRole("button", { name: "Replay" }).click();
    await page.getByText("It would have fired 9 times, over 90\u202f000 samples; 18 messages would have been sent.").waitFor();
    expect(await page.locator('.scene[aria-label="When the rule would have fired"] rect').count()).toBe(9);
    expect(faults()).toEqual([]);
  });

  test("a rule is added to the draft of the file, whose other lines stay", async () => {
    const page = await opened("#/alerts/rules?rule=office");
    await page.getByLabel("Expression").fill('offset_ms > 7.0 && name != "x"');
    await page.getByRole("button", { name: "Put into the file …" }).click();
    const text = await page.getByRole("textbox", { name: "The configuration file" }).inputValue();
    expect(text).toContain("# The clocks of the office.");
    expect(text).toContain('[[alert]]\nname = "office"\nexpr = "offset_ms > 7.0 && name != \\"x\\""');
    // The cursor is at the new rule, which is in view.
    const line = await page.getByRole("textbox", { name: "The configuration file" }).evaluate((box: HTMLTextAreaElement) =>
      box.value.slice(box.selectionStart).split("\n").slice(0, 2).join("|"));
    expect(line).toContain("[[alert]]");
    await page.getByText("It is valid, but not applied yet.").waitFor();
    expect(faults()).toEqual([]);
  });
});

test("a failing notifier shows the reason, and a test shows its result", async () => {
  mock.on("POST /api/v1/notifiers/ops/test", { delivered: true, detail: "200 OK" });
  mock.on("POST /api/v1/notifiers/mail/test", { delivered: false, detail: "connection refused by mail.example.net:587" });
  const page = await opened("#/alerts/notifiers");
  await page.locator(".notifier-error", { hasText: "connection refused" }).waitFor();
  await page.getByRole("button", { name: "Send a test to ops" }).click();
  await page.getByText("The test message was accepted: 200 OK").waitFor();
  await page.getByRole("button", { name: "Send a test to mail" }).click();
  await page.locator(".form-error", { hasText: "connection refused" }).waitFor();
  expect(faults()).toEqual([]);
});

test("an undelivered report shows the missing receivers and the reason", async () => {
  const under_way = {
    due: "2026-11-23T08:00:00Z", missing: ["mail"], attempts: 2, failing_since: "2026-11-23T08:00:01Z",
    last_error: "mail: 451 come back later", next_attempt: "2026-11-23T08:03:00Z",
  };
  mock.on("GET /api/v1/reports", { ...reports(), under_way });
  const page = await opened("#/reports");
  const said = page.locator(".form-error");
  await said.waitFor();
  expect(await said.innerText()).toBe("The report of 2026-11-23 08:00:00 has not reached mail: mail: 451 come back later. The next attempt is made at 2026-11-23 08:03:00.");
  expect(faults()).toEqual([]);
});

test("reports are listed, opened in a new tab, and created", async () => {
  mock.on("POST /api/v1/reports", { id: "new" });
  const page = await opened("#/reports");
  expect(await page.getByRole("link", { name: "Report of 2026-11-23 08:00:00" }).getAttribute("href")).toBe("api/v1/reports/report-20261123T080000Z");
  await page.getByRole("button", { name: "day", exact: true }).click();
  await page.getByRole("button", { name: "Make a report" }).click();
  await page.getByText("The report is ready.").waitFor();
  expect(mock.writes).toMatchObject([{ path: "/api/v1/reports", body: { since: "24h" } }]);
  expect(faults()).toEqual([]);
});
