/** Changes of the configuration and permissions, in every state that the API can return. */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { DESKTOP, launch, open, type Watched } from "./browser";
import { check, file, FILE_TEXT, schema, sessionOf, shown } from "./canned";
import { problem, startMock, type Mock } from "./mock";

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

/** Faults, without the browser's own message about a failed request. */
const faults = (): string[] => (watched?.faults ?? []).filter((fault) => !fault.includes("Failed to load resource"));
const editor = (page: Page) => page.getByRole("textbox", { name: "The configuration file" });
const edit = (page: Page, text = FILE_TEXT.replace("32s", "16s")) => editor(page).fill(text);
const dialog = (page: Page) => page.getByRole("dialog");

describe("the file", () => {
  test("a fault is shown at its line while typing, and nothing can be applied", async () => {
    mock.on("POST /api/v1/config/check", check({ valid: false, faults: [{ path: "server[0].poll_interval", line: 12, message: "must be at least 16s" }] }));
    const page = await opened("#/config/file");
    await edit(page, FILE_TEXT.replace("32s", "1s"));
    await page.locator(".gutter .bad-line", { hasText: "12" }).waitFor();
    expect(await page.locator(".line-fault").innerText()).toContain("at least 16s");
    expect(await page.getByRole("list", { name: "Faults" }).innerText()).toContain("server[0].poll_interval");
    expect(await page.getByRole("button", { name: /Review and apply/ }).isDisabled()).toBe(true);
    await page.getByRole("button", { name: "line 12" }).click();
    expect(await editor(page).evaluate((box: HTMLTextAreaElement) => box.value.slice(0, box.selectionStart).split("\n").length)).toBe(12);
    expect(faults()).toEqual([]);
  });

  test("the difference is shown before a change is applied with the entity tag that was read", async () => {
    mock.on("PUT /api/v1/config/file", () => {
      mock.on("GET /api/v1/config/file", file(FILE_TEXT.replace("32s", "16s"), '"v2"'));
      return { body: check({ changes: { added: [], changed: ["ams-1"], removed: [], sections: [], needs_restart: ["http.listen"] } }), headers: { ETag: '"v2"' } };
    });
    const page = await opened("#/config/file");
    await edit(page);
    await page.getByRole("button", { name: /Review and apply/ }).click();
    await dialog(page).getByText("Servers changed: ams-1").waitFor();
    expect(await dialog(page).locator(".diff-added").innerText()).toContain('+poll_interval = "16s"');
    expect(mock.writes.filter((write) => write.method === "PUT")).toEqual([]);
    await dialog(page).getByRole("button", { name: "Apply", exact: true }).click();
    await page.getByText("Takes effect after a restart only: http.listen").waitFor();
    const put = mock.writes.find((write) => write.method === "PUT");
    expect(put).toMatchObject({ path: "/api/v1/config/file", ifMatch: '"v1"', body: { text: FILE_TEXT.replace("32s", "16s") } });
    await page.getByText("No changes.").waitFor();
    expect(faults()).toEqual([]);
  });

  test("a concurrent change is shown, and merged if it touches other lines", async () => {
    const theirs = FILE_TEXT.replace('"64s"', '"128s"');
    mock.on("PUT /api/v1/config/file", () => {
      mock.on("GET /api/v1/config/file", file(theirs, '"v2"'));
      return problem(412, "the file was changed");
    });
    const page = await opened("#/config/file");
    await edit(page);
    await page.getByRole("button", { name: /Review and apply/ }).click();
    await dialog(page).getByRole("button", { name: "Apply", exact: true }).click();
    await page.getByRole("heading", { name: "The file was changed in the meantime" }).waitFor();
    expect(await dialog(page).locator(".diff-added").innerText()).toContain('poll_interval = "128s"');
    await page.getByRole("button", { name: "Merge both changes" }).click();
    expect(await editor(page).inputValue()).toBe(theirs.replace("32s", "16s"));
    mock.on("PUT /api/v1/config/file", check());
    await page.getByRole("button", { name: /Review and apply/ }).click();
    await dialog(page).getByRole("button", { name: "Apply", exact: true }).click();
    await page.getByText("Applied.").waitFor();
    expect(mock.writes.filter((write) => write.method === "PUT").map((write) => write.ifMatch)).toEqual(['"v1"', '"v2"']);
    expect(faults()).toEqual([]);
  });

  test("the user must choose between changes of the same line", async () => {
    const theirs = FILE_TEXT.replace("32s", "99s");
    mock.on("PUT /api/v1/config/file", () => {
      mock.on("GET /api/v1/config/file", file(theirs, '"v2"'));
      return problem(412, "the file was changed");
    });
    const page = await opened("#/config/file");
    await edit(page);
    await page.getByRole("button", { name: /Review and apply/ }).click();
    await dialog(page).getByRole("button", { name: "Apply", exact: true }).click();
    await page.getByText("Both changes affect the same lines").waitFor();
    await page.getByRole("button", { name: "Discard my change and reload" }).click();
    expect(await editor(page).inputValue()).toBe(theirs);
  });

  test("the help shows the key at the cursor, and finds others", async () => {
    const page = await opened("#/config/file");
    await editor(page).evaluate((box: HTMLTextAreaElement) => {
      box.focus();
      box.setSelectionRange(box.value.indexOf("32s"), box.value.indexOf("32s"));
    });
    await page.keyboard.press("ArrowRight");
    await page.getByText("Time between two polls").waitFor();
    await page.getByPlaceholder("Search for a key").fill("samples");
    await page.getByText("whole number, 1 to 8").waitFor();
  });

  test("an unfinished change is kept while another view is open", async () => {
    const page = await opened("#/config/file");
    await edit(page);
    await page.getByRole("link", { name: "Host clock" }).click();
    await page.getByRole("link", { name: "Configuration" }).click();
    await page.getByRole("link", { name: "File (not applied)" }).click();
    expect(await editor(page).inputValue()).toContain("16s");
  });

  test("a file that cannot be edited shows the reason", async () => {
    mock.on("GET /api/v1/config/file", { ...file(), editable: false, why_not: "it is on a read-only file system" });
    const page = await opened("#/config/file");
    await page.getByText("It cannot be changed here: it is on a read-only file system.").waitFor();
    expect(await editor(page).getAttribute("readonly")).not.toBeNull();
  });
});

describe("servers", () => {
  test("a change sends only the changed keys", async () => {
    mock.on("PATCH /api/v1/servers/ams-1", {});
    const page = await opened("#/config");
    await page.getByRole("button", { name: "Change ams-1" }).click();
    expect(await dialog(page).getByLabel("Poll interval").inputValue()).toBe("32s");
    expect(await dialog(page).getByLabel("Engine").inputValue()).toBe("");
    await dialog(page).getByLabel("Poll interval").fill("");
    await dialog(page).getByLabel("Tags").fill("site = fra\nrack = 7");
    await dialog(page).getByRole("list", { name: "What will change" }).getByText("not set").waitFor();
    await dialog(page).getByRole("button", { name: "Apply" }).click();
    await page.getByText("ams-1 is changed.").waitFor();
    expect(mock.writes).toMatchObject([{ method: "PATCH", ifMatch: '"v1"', body: { poll_interval: null, tags: { site: "fra", rack: "7" } } }]);
    expect(faults()).toEqual([]);
  });

  test("an error is shown at its field, and the input is kept", async () => {
    mock.on("POST /api/v1/servers", () => problem(422, "the configuration is not valid", { faults: [{ path: "server[2].poll_interval", line: null, message: "must be at least 16s" }] }));
    const page = await opened("#/config");
    await page.getByRole("button", { name: "Add a server" }).click();
    await dialog(page).getByLabel(/Address/).fill("192.0.2.3");
    await dialog(page).getByLabel("Poll interval").fill("1s");
    await dialog(page).getByRole("button", { name: "Add", exact: true }).click();
    await dialog(page).locator(".field-bad", { hasText: "must be at least 16s" }).waitFor();
    expect(await dialog(page).getByLabel(/Address/).inputValue()).toBe("192.0.2.3");
    expect(mock.writes).toMatchObject([{ body: { address: "192.0.2.3", poll_interval: "1s" } }]);
    expect(faults()).toEqual([]);
  });

  test("a server is paused, resumed, and removed after a confirmation", async () => {
    for (const what of ["POST /api/v1/servers/ams-1/pause", "POST /api/v1/servers/wild/resume"]) mock.on(what, {});
    mock.on("DELETE /api/v1/servers/wild", () => ({ status: 204 }));
    const page = await opened("#/config");
    await page.getByRole("button", { name: "Pause ams-1" }).click();
    await page.getByText("ams-1 is no longer polled.").waitFor();
    await page.getByRole("button", { name: "Resume wild" }).click();
    await page.getByText("wild is polled again.").waitFor();
    await page.getByRole("button", { name: "Remove wild" }).click();
    await dialog(page).getByRole("button", { name: "Remove" }).click();
    await page.getByText("wild is removed.").waitFor();
    expect(mock.writes.map((write) => `${write.method} ${write.path}`)).toEqual([
      "POST /api/v1/servers/ams-1/pause", "POST /api/v1/servers/wild/resume", "DELETE /api/v1/servers/wild",
    ]);
    expect(faults()).toEqual([]);
  });

  test("a concurrent change is shown, and a retry uses the new file", async () => {
    mock.on("PATCH /api/v1/servers/ams-1", ({ ifMatch }: { ifMatch?: string }) => (ifMatch === '"v1"' ? problem(412, "the file was changed") : { body: {} }));
    const page = await opened("#/config");
    await page.getByRole("button", { name: "Change ams-1" }).click();
    mock.on("GET /api/v1/config/file", file(FILE_TEXT.replace("wild", "tame"), '"v2"'));
    await dialog(page).getByLabel("Poll interval").fill("64s");
    await dialog(page).getByRole("button", { name: "Apply" }).click();
    await dialog(page).getByText("The configuration was changed in the meantime").waitFor();
    expect(await dialog(page).locator(".diff-added").innerText()).toContain("tame");
    await dialog(page).getByRole("button", { name: "Apply" }).click();
    await page.getByText("ams-1 is changed.").waitFor();
    expect(faults()).toEqual([]);
  });
});

describe("permissions", () => {
  test("an unknown user is asked for a token, and the action continues after sign-in", async () => {
    mock.reset(null);
    mock.on("POST /api/v1/session", ({ body }: { body: { token: string } }) => {
      if (body.token !== "right") return problem(401, "the token is unknown");
      mock.on("GET /api/v1/session", sessionOf("admin"));
      return { body: { name: "alice", role: "admin" } };
    });
    const page = await opened("#/config/file");
    await page.getByText("Reading and changing the file needs a token with the role “admin”.").waitFor();
    await page.getByRole("main").getByRole("button", { name: "Sign in" }).click();
    await dialog(page).getByLabel(/Token/).fill("wrong");
    await page.keyboard.press("Enter");
    await dialog(page).getByText("The token is unknown.").waitFor();
    await dialog(page).getByLabel(/Token/).fill("right");
    await page.keyboard.press("Enter");
    await editor(page).waitFor();
    await page.getByText("alice (admin)").waitFor();
    expect(faults()).toEqual([]);
  });

  test("a missing role is named at the locked action", async () => {
    mock.reset("operate");
    const page = await opened("#/config");
    const button = page.getByRole("button", { name: "Pause ams-1" });
    await button.waitFor();
    expect(await button.getAttribute("aria-disabled")).toBe("true");
    await button.click({ force: true });
    await page.getByRole("status").getByText("alice may only “operate”").waitFor();
    expect(mock.writes).toEqual([]);
    await page.getByRole("link", { name: "Audit log" }).click();
    await page.getByText(/Reading the audit log needs the role “admin”/).waitFor();
  });

  test("a page that needs a token shows nothing before sign-in and after sign-out", async () => {
    let inside = false;
    const session = () => ({ body: { ...sessionOf(inside ? "read" : null), reading_is_open: false } });
    mock.on("GET /api/v1/session", session);
    mock.on("POST /api/v1/session", () => { inside = true; return { body: {} }; });
    mock.on("DELETE /api/v1/session", () => { inside = false; return { status: 204 }; });
    const page = await opened("#/");
    await page.getByText("Sign in to see this monitor").waitFor();
    expect(await page.locator(".verdict").count()).toBe(0);
    await page.getByLabel(/Token/).fill("right");
    await page.getByRole("main").getByRole("button", { name: "Sign in" }).click();
    await page.locator(".verdict").waitFor();
    await page.getByText("Live").waitFor();
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByText("Sign in to see this monitor").waitFor();
    expect(await page.locator(".verdict").count()).toBe(0);
    expect(watched?.faults).toEqual([]);
  });

  test("signing in again after a session expired keeps the input", async () => {
    mock.on("PUT /api/v1/config/file", () => {
      mock.on("GET /api/v1/session", sessionOf(null));
      return problem(401, "the session is over");
    });
    mock.on("POST /api/v1/session", () => {
      mock.on("GET /api/v1/session", sessionOf("admin"));
      return { body: {} };
    });
    const page = await opened("#/config/file");
    await edit(page);
    await page.getByRole("button", { name: /Review and apply/ }).click();
    await dialog(page).getByRole("button", { name: "Apply", exact: true }).click();
    await page.getByText("You are no longer signed in").waitFor();
    await page.getByLabel(/Token/).fill("right");
    await page.keyboard.press("Enter");
    await editor(page).waitFor();
    expect(await editor(page).inputValue()).toContain("16s");
    expect(faults()).toEqual([]);
  });
});

test("an empty field shows the default, and backticks in the help are code", async () => {
  const values = structuredClone(shown.values) as { defaults: { poll_interval: string } };
  values.defaults.poll_interval = "128s";
  mock.on("GET /api/v1/config", { ...shown, values });
  const documented = structuredClone(schema);
  const address = documented.properties?.["server"]?.items?.properties?.["address"];
  if (address) address.description = "A name or an address, such as `[2001:db8::1]`.";
  mock.on("GET /api/v1/config/schema", documented);
  const page = await opened("#/config");
  await page.getByRole("button", { name: "Add a server" }).click();
  expect(await dialog(page).getByLabel("Poll interval").getAttribute("placeholder")).toBe("128s");
  expect(await dialog(page).locator(".field-help code", { hasText: "[2001:db8::1]" }).count()).toBe(1);
  expect(await dialog(page).innerText()).not.toContain("`");
});
