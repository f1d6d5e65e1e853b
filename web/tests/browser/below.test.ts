/** The page below a path of a reverse proxy that serves no other path. */
import { expect, test } from "vitest";
import { launch, open } from "./browser";
import { startDemo } from "./demo";
import { startFront } from "./front";

test("the page works below a path: assets, API, event stream and links", async () => {
  const demo = await startDemo();
  const front = await startFront(demo.url, "/a/ntp");
  const browser = await launch();
  try {
    const { page, faults } = await open(browser, `${front.url}/`);
    const asked: string[] = [];
    page.on("request", (request) => asked.push(new URL(request.url()).pathname));
    await page.locator("table.servers tbody tr").first().waitFor();
    await page.reload();
    await page.locator("table.servers tbody tr").first().waitFor();
    expect(asked.filter((path) => !path.startsWith("/a/ntp/"))).toEqual([]);
    expect(asked).toContain("/a/ntp/api/v1/stream");
    await page.goto(`${front.url}/#/service`);
    await page.getByRole("heading", { level: 2 }).first().waitFor();
    expect(faults).toEqual([]);
  } finally {
    await browser.close();
    await front.stop();
    await demo.stop();
  }
}, 60_000);
