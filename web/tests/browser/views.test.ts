/** Every view against the demo: live data, the wrong server marked as wrong, no errors, no foreign requests, accessible. */
import type { Browser, BrowserContextOptions } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { accessibilityFaults, DESKTOP, excessWidth, launch, open, PHONE, screenshot, type Watched } from "./browser";
import { startDemo, type Demo } from "./demo";
import { startFront, type Front } from "./front";

let demo: Demo;
let front: Front;
let browser: Browser;
let page: string;

beforeAll(async () => {
  demo = await startDemo();
  front = await startFront(demo.url);
  // A binary that was built without the page serves a plain one: the page under test is then put in front of it.
  page = (await (await fetch(demo.url)).text()).includes('id="app"') ? demo.url : front.url;
  browser = await launch();
}, 60_000);

afterAll(async () => {
  await browser?.close();
  await front?.stop();
  await demo?.stop();
});

function opened(hash: string, options: BrowserContextOptions = DESKTOP): Promise<Watched> {
  return open(browser, `${page}/${hash}`, options);
}

describe("overview", () => {
  test("the wrong server is named in the verdict and marked in chart and table", async () => {
    const { page, faults } = await opened("#/");
    await page.locator('.verdict[data-state="server_wrong"]').waitFor({ timeout: 30_000 });
    expect(await page.locator(".verdict h1").innerText()).toMatch(/wrong/);
    await page.locator(".scene text", { hasText: "✕ ahead" }).waitFor();
    expect(await page.locator(".scene text", { hasText: "Disagree with the majority" }).count()).toBe(1);
    const row = page.locator("table.servers tbody tr", { hasText: "ahead" });
    expect(await row.innerText()).toMatch(/Wrong[\s\S]*\+\d+(\.\d)? ms/);
    // The outlier does not flatten the others: each interval is wide enough to be visible.
    const widths = await page.locator(".scene rect.fill-good").evaluateAll((bars) => bars.map((bar) => bar.getBoundingClientRect().width));
    expect(Math.min(...widths)).toBeGreaterThan(60);
    expect(await page.locator(".note", { hasText: "logarithmic beyond" }).count()).toBe(1);
    expect(faults).toEqual([]);
  });

  test("the first chart is drawn quickly, and its time is printed", async () => {
    const { page } = await opened("#/");
    await page.locator(".scene rect").first().waitFor();
    const times = await page.evaluate(() => ({
      chart_ms: Math.round(performance.getEntriesByName("first-chart")[0]?.startTime ?? Number.NaN),
      bytes: performance.getEntriesByType("resource").reduce((sum, entry) => sum + (entry as PerformanceResourceTiming).transferSize, 0),
    }));
    expect(times.chart_ms).toBeGreaterThan(0);
    console.log(`first chart ${times.chart_ms} ms after the address was opened; ${times.bytes} bytes came over the wire`);
  });

  test("figures move without a reload", async () => {
    const { page } = await opened("#/");
    const cell = page.locator("table.servers tbody tr", { hasText: "good-1" }).locator(".c-spark path");
    const before = await cell.getAttribute("d");
    await expect.poll(() => cell.getAttribute("d"), { timeout: 20_000 }).not.toBe(before);
  });

  test("filter, order and groups are in the address", async () => {
    const { page } = await opened("#/");
    await page.getByRole("searchbox").fill("good");
    await expect.poll(() => page.locator("table.servers tbody tr").count()).toBe(3);
    await page.getByRole("button", { name: "Server", exact: true }).click();
    await page.getByRole("button", { name: "Server", exact: true }).click();
    await page.getByLabel("Group by").selectOption("group");
    const address = page.url();
    expect(address).toContain("q=good");
    await page.goto("about:blank");
    await page.goto(address);
    const names = page.locator("table.servers tbody tr .c-name");
    await expect.poll(() => names.allInnerTexts()).toEqual(["good-3", "good-2", "good-1"]);
    expect(await page.locator("tr.group").innerText()).toContain("group: demo");
  });

  test("a chart is downloaded as PNG and as CSV", async () => {
    const { page, faults } = await opened("#/");
    for (const [name, ending] of [["PNG", ".png"], ["CSV", ".csv"]] as const) {
      const download = page.waitForEvent("download");
      await page.getByRole("button", { name: `Download the intervals as ${name}` }).click();
      expect((await download).suggestedFilename()).toMatch(new RegExp(`^correctness-intervals.*\\${ending}$`));
    }
    expect(faults).toEqual([]);
  });
});

describe("server", () => {
  test("history, distribution and stability are drawn, and a drag zooms all charts", async () => {
    const { page, faults } = await opened("#/server/ahead");
    await page.locator('.server-head[data-state="wrong"]').waitFor({ timeout: 30_000 });
    for (const title of ["Offset", "Delay", "Jitter", "Loss", "Offset against delay", "Allan deviation", "Time deviation"]) {
      await page.locator(`section[aria-label="${title}"] canvas`).waitFor({ timeout: 20_000 });
    }
    await page.locator('section[aria-label="Events"]', { hasText: "ahead is wrong" }).waitFor();
    await page.locator('section[aria-label="Distribution"] .scene rect.fill-accent').first().waitFor();
    const over = page.locator('section[aria-label="Offset"] .u-over');
    const box = await over.boundingBox();
    if (!box) throw new Error("the chart has no size");
    await page.mouse.move(box.x + box.width * 0.5, box.y + 40);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.9, box.y + 60, { steps: 5 });
    await page.mouse.up();
    await expect.poll(() => page.url()).toMatch(/from=\d+&to=\d+/);
    expect(faults).toEqual([]);
  });

  test("a refused reply is explained in words", async () => {
    const { page, faults } = await opened("#/server/spoofed");
    const kind = page.locator(".packet-kind").first();
    await kind.waitFor({ timeout: 30_000 });
    expect(await kind.innerText()).toContain("its origin field is not the cookie that was sent");
    // They share one line, which stays open while others arrive.
    expect(await page.locator(".packet-kind").count()).toBe(1);
    await kind.locator("summary").first().click();
    const packet = kind.locator(".packet").first();
    await packet.locator("summary").click();
    expect(await packet.locator(".checks .failed").innerText()).toContain("Echoes the random cookie of our request");
    // Forged replies are counted, and cause an event and an alert.
    await page.locator('section[aria-label="Events"]', { hasText: "answer none of our requests" }).waitFor({ timeout: 30_000 });
    expect(Number(await page.locator(".server-head .facts button.link").innerText())).toBeGreaterThan(0);
    await page.locator(".server-head", { hasText: "arrive in the name of spoofed" }).waitFor({ timeout: 30_000 });
    expect(faults).toEqual([]);
  });

  test("an unknown server is reported as not configured", async () => {
    const { page } = await opened("#/server/nobody");
    await page.getByText("There is no server “nobody”").waitFor();
  });
});

describe("other views", () => {
  test("host clock, service and configuration show the running service", async () => {
    const { page, faults } = await opened("#/clock");
    await page.getByText(/This clock is right within/).waitFor({ timeout: 30_000 });
    for (const title of ["Estimate and bound", "Frequency correction", "Error estimated by the kernel"]) {
      await page.locator(`section[aria-label="${title}"] canvas`).waitFor({ timeout: 30_000 });
    }
    await page.getByRole("button", { name: "1y", exact: true }).click();
    await expect.poll(() => page.url()).toContain("#/clock?span=1y");
    const download = page.waitForEvent("download");
    await page.getByRole("button", { name: /^Download Estimate and bound of .* as CSV$/ }).click();
    expect((await download).suggestedFilename()).toMatch(/^estimate-and-bound-of-.*\.csv$/);
    await page.getByRole("link", { name: /Service/ }).click();
    await page.locator('section[aria-label="Reasons"]', { hasText: "unsynchronised" }).waitFor({ timeout: 30_000 });
    await page.locator('section[aria-label="Outputs"]', { hasText: "store" }).waitFor();
    await page.getByRole("link", { name: "Configuration" }).click();
    await page.getByRole("link", { name: "In effect" }).click();
    await page.locator("summary", { hasText: "good-1" }).waitFor();
    await page.getByRole("searchbox").fill("poll_interval");
    await page.locator("td", { hasText: "600ms" }).first().waitFor();
    expect(faults).toEqual([]);
  });

  test("every control is reached by the keyboard", async () => {
    const { page } = await opened("#/");
    await page.locator("table.servers").waitFor();
    await page.keyboard.press("Tab");
    expect(await page.evaluate(() => document.activeElement?.textContent)).toBe("Skip to content");
    await page.keyboard.press("Enter");
    expect(await page.evaluate(() => document.activeElement?.id)).toBe("main");
  });
});

describe("looks", () => {
  const LOOKS = [
    { name: "light", options: { ...DESKTOP, colorScheme: "light" as const } },
    { name: "dark", options: { ...DESKTOP, colorScheme: "dark" as const } },
    { name: "phone", options: { ...PHONE, colorScheme: "light" as const } },
  ];
  const VIEWS = { overview: "#/", compare: "#/compare", server: "#/server/drifting", evidence: "#/server/spoofed", clock: "#/clock", service: "#/service", config: "#/config", values: "#/config/values" };

  for (const look of LOOKS) {
    test(`axe finds no serious fault in ${look.name}, and nothing is wider than the screen`, async () => {
      const found: string[] = [];
      for (const [view, hash] of Object.entries(VIEWS)) {
        const { page, faults } = await opened(hash, look.options);
        await page.locator("main h1, main .verdict").first().waitFor({ timeout: 30_000 });
        if (view === "evidence") {
          await page.locator(".packet-kind > summary").first().click({ timeout: 30_000 });
          await page.locator(".packet .packet > summary").first().click({ timeout: 30_000 });
        }
        if (view === "clock") await page.locator(".plot canvas").first().waitFor({ timeout: 30_000 });
        await expect.poll(() => page.locator(".loading").count(), { timeout: 20_000 }).toBe(0);
        await screenshot(page, `${view}-${look.name}`);
        found.push(...(await accessibilityFaults(page)).map((fault) => `${view}: ${fault}`), ...faults);
        const excess = await excessWidth(page);
        if (excess > 0) found.push(`${view}: ${excess} px wider than the screen`);
      }
      expect(found).toEqual([]);
    });
  }
});
