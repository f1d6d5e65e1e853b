import { describe, expect, test } from "vitest";
import type { ServerRow } from "../../src/api/types";
import { reachBits } from "../../src/components/reach";
import { href, keepVantage, parseRoute } from "../../src/state/address";
import { arrange, tagsOf, visible, type TableOptions } from "../../src/views/overview/arrange";
import { barPaths, uptimeWords } from "../../src/charts/uptime";
import { heatOf, runsOf } from "../../src/charts/heat";
import type { HistorySeries } from "../../src/api/types";
import { whySilent } from "../../src/format/why";
import { found } from "../../src/state/search";
import { asQuery, pan, windowOf, zoom } from "../../src/state/span";
import { chosenOf, idsText, meant } from "../../src/views/compare/choice";
import { authenticity, expiry } from "../../src/views/server/authenticity";
import { actionWords } from "../../src/views/config/audit-words";

const row = (name: string, more: Partial<ServerRow> = {}): ServerRow =>
  ({ id: name, name, address: null, tags: {}, state: "ok", offset_s: 0, refid: null, reach: "377", last_seen: null, ...more }) as ServerRow;
const WISH: TableOptions = { text: "", state: "", is: "", folded: [], group: "", sort: "state", descending: false };
const names = (rows: ServerRow[], chosen: Partial<TableOptions>): string[] =>
  arrange(rows, { ...WISH, ...chosen }).map((line) => (line.kind === "server" ? line.row.name : `[${line.title}]`));

describe("the table", () => {
  test("begins with wrong servers", () => {
    const rows = [row("a"), row("b", { state: "failing" }), row("c", { state: "wrong" }), row("d", { state: "unreachable" })];
    expect(names(rows, {})).toEqual(["c", "d", "b", "a"]);
  });

  test("offsets are sorted by size, unknown ones last in both directions", () => {
    const rows = [row("none", { offset_s: null }), row("minus", { offset_s: -2 }), row("plus", { offset_s: 1 })];
    expect(names(rows, { sort: "offset" })).toEqual(["plus", "minus", "none"]);
    expect(names(rows, { sort: "offset", descending: true })).toEqual(["minus", "plus", "none"]);
  });

  test("numbers in names are sorted by value", () => {
    expect(names([row("host-10"), row("host-9")], { sort: "name" })).toEqual(["host-9", "host-10"]);
  });

  test("the filter searches names, addresses, references and tags", () => {
    const rows = [row("a", { address: "192.0.2.1:123" }), row("b", { refid: "GPS" }), row("c", { tags: { site: "Ams" } }), row("d")];
    expect([names(rows, { text: "192" }), names(rows, { text: "gps" }), names(rows, { text: "site:ams" })]).toEqual([["a"], ["b"], ["c"]]);
    expect(names(rows, { state: "wrong" })).toEqual([]);
  });

  test("groups have the value of their tag, and servers without it have a group too", () => {
    const rows = [row("a", { tags: { site: "x" } }), row("b"), row("c", { tags: { site: "x" } })];
    expect(names(rows, { group: "site" })).toEqual(["[(no tag)]", "b", "[x]", "a", "c"]);
    expect(tagsOf(rows)).toEqual(["site"]);
  });

  test("only the visible part of a long list is rendered", () => {
    const { first, end } = visible(1000, 40, 20_000, 20_900);
    expect(first).toBeLessThanOrEqual(500);
    expect(end).toBeGreaterThanOrEqual(523);
    expect(end - first).toBeLessThan(60);
    expect(visible(1000, 40, -500, 400).first).toBe(0);
    expect(visible(10, 40, 90_000, 91_000)).toEqual({ first: 10, end: 10 });
  });
});

test("the reach register is read oldest first", () => {
  expect(reachBits("001")).toEqual([false, false, false, false, false, false, false, true]);
  expect(reachBits("nonsense").some(Boolean)).toBe(false);
});

describe("the time span", () => {
  const NOW = 1_800_000_000;
  const of = (query: string) => windowOf(new URLSearchParams(query), NOW);

  test("is an hour by default", () => {
    expect(of("")).toEqual({ from_s: NOW - 3600, to_s: NOW, span: "1h" });
    expect(of("span=7d").from_s).toBe(NOW - 604_800);
    expect(of("from=10&to=20")).toEqual({ from_s: 10, to_s: 20, span: null });
  });

  test("is an hour if the address is invalid", () => {
    for (const query of ["span=century", "span=999y", "from=20&to=10", "from=a&to=b", "span=-1h"]) {
      expect(of(query).span).toBe("1h");
    }
  });

  test("is never moved beyond now or made too short", () => {
    expect(pan(of(""), 0.5, NOW).to_s).toBe(NOW);
    expect(pan(of(""), -0.5, NOW).to_s).toBe(NOW - 1800);
    let window = of("");
    for (let n = 0; n < 30; n += 1) window = zoom(window, 0.5, NOW);
    expect(window.to_s - window.from_s).toBe(10);
    expect(zoom(of("span=1h"), 2, NOW)).toMatchObject({ to_s: NOW, from_s: NOW - 7200 });
  });

  test("is read back from the address unchanged", () => {
    const window = { from_s: 1000, to_s: 2000, span: null };
    const query = new URLSearchParams(Object.entries(asQuery(window)).filter((entry): entry is [string, string] => entry[1] !== null));
    expect(windowOf(query, NOW)).toEqual(window);
  });
});

describe("routes", () => {
  test("any server name is read back from the address unchanged", () => {
    for (const id of ["time.example.net", "pool@[2001:db8::1]:123", "a/b?c#d%", "ü"]) {
      expect(parseRoute(href("server", id, { span: "1h" }))).toMatchObject({ view: "server", id });
    }
  });

  test("an unknown view is not found", () => {
    expect(["#/", "", "#/clock", "#/nothing", "#/clock/x"].map((hash) => parseRoute(hash).view))
      .toEqual(["overview", "overview", "clock", "nowhere", "nowhere"]);
  });

  test("a broken escape is kept unchanged", () => {
    expect(parseRoute("#/server/%E0%A4%A").id).toBe("%E0%A4%A");
  });
});

test("a folded group shows its states and no server", () => {
  const rows = [row("a", { tags: { site: "x" } }), row("b", { state: "wrong", tags: { site: "x" } }), row("c", { tags: { site: "y" } })];
  const lines = arrange(rows, { ...WISH, group: "site", folded: ["x"] });
  expect(lines.map((line) => (line.kind === "server" ? line.row.name : line.title))).toEqual(["x", "y", "c"]);
  const group = lines[0];
  expect(group?.kind === "group" && group.states.map((state) => state.count)).toEqual([1, 1]);
});

test("a silent server shows a cause, an answering one does not", () => {
  const silent = (outcome: string, reason = ""): string | null => whySilent(row("a", { state: "unreachable", outcome, reason }));
  expect(silent("timeout")).toBe("timeout");
  expect(silent("fault", "no route to host (os error 113)")).toBe("no route");
  expect(whySilent(row("a", { outcome: "sample", reason: "" }))).toBeNull();
});

test("a search needs every word and prefers matches at the beginning", () => {
  const place = (text: string, more = "") => ({ kind: "Server" as const, text, more, to: "#" });
  const places = [place("old-ams"), place("ams-1", "192.0.2.1"), place("ber-1", "site:ams")];
  expect(found(places, "ams").map((one) => one.text)).toEqual(["ams-1", "old-ams", "ber-1"]);
  expect(found(places, "1 192").map((one) => one.text)).toEqual(["ams-1"]);
  expect(found(places, "nobody")).toEqual([]);
});

test("the compared servers are in the address, with any name", () => {
  const ids = ["a,b", "c d@[::1]:123"];
  const chosen = chosenOf(new URLSearchParams({ servers: idsText(ids) ?? "", of: "tdev" }));
  expect([chosen.ids, chosen.of]).toEqual([ids, "tdev"]);
  expect(chosenOf(new URLSearchParams("of=colour")).of).toBe("offset");
  const rows = [row("a", { tags: { site: "x:y" } }), row("b")];
  expect(meant(rows, { ids: [], tag: "site:x:y" })).toEqual(["a"]);
  expect(meant(rows, { ids: [], tag: "" })).toEqual(["a", "b"]);
});

describe("the heat map", () => {
  const series = (offsets: (number | null)[], samples = offsets.map((value) => Number(value !== null))): HistorySeries => ({
    id: "a", name: "a", address: null, began: null, step_s: 60, poll_s: 60, time: offsets.map((_, n) => 1000 + 60 * n),
    polls: offsets.map(() => 1), samples, offset_s: offsets, root_distance_s: offsets.map(() => 1e-3),
  });

  test("distinguishes offsets within the bound, outside of it, and no answer", () => {
    const cells = series([1e-4, -2e-3, null]);
    expect([0, 1, 2].map((place) => heatOf(cells, place))).toEqual(["within", "outside", "silent"]);
    expect(heatOf({ ...series([1e-4]), polls: [10], samples: [7] }, 0)).toBe("lossy");
  });

  test("equal neighbours are one bar, and a pause has none", () => {
    const runs = runsOf(series([1e-4, 1e-4, -2e-3, -2e-3]));
    expect(runs.map((run) => [run.heat, run.from_s, run.to_s])).toEqual([["within", 970, 1090], ["outside", 1090, 1210]]);
    const paused = runsOf({ ...series([1e-4, 1e-4]), time: [1000, 9000] });
    expect(paused).toHaveLength(2);
  });

  test("single polls count from their time on, at the interval that they had", () => {
    const polls = (...time: number[]) => runsOf({ ...series(time.map(() => 1e-4)), step_s: null, poll_s: 512, time });
    const spans = (...time: number[]) => polls(...time).map((run) => [run.from_s, run.to_s]);
    expect(spans(1000, 1001, 1003, 1007, 1519)).toEqual([[1000, 1017], [1519, 2031]]);
    expect(spans(1000, 1001, 1002, 9000, 9001)).toEqual([[1000, 1004.5], [9000, 9513]]);
  });
});

test("the bar of a day shows its loss, and a day without polls is not green", () => {
  const days = [null, 1, 0.95, 0.2];
  expect(barPaths(days).map(([role]) => role)).toEqual(["line", "good", "warn", "bad"]);
  expect(uptimeWords(days)).toContain("on 3 of the last 4 days; 2 below 99 %");
});

test("the audit log describes actions in words", () => {
  expect(actionWords({ action: "PUT /api/v1/config/file", target: "/api/v1/config/file: changed ams-1" })).toBe("Changed the configuration file: changed ams-1");
  expect(actionWords({ action: "DELETE /api/v1/servers/{id}", target: "/api/v1/servers/ams%201" })).toBe("Removed the server ams 1");
  expect(actionWords({ action: "wrong tokens", target: "" })).toBe("wrong tokens");
});

test("the vantage stays in the address of every view until a link names another", () => {
  expect(keepVantage("#/server/a?span=1h", "ams")).toBe("#/server/a?span=1h&vantage=ams");
  expect(keepVantage("#/?vantage=", "ams")).toBe("#/?vantage=");
  expect(keepVantage("#/fleet", "ams")).toBe("#/fleet");
  expect(keepVantage("#/compare", null)).toBe("#/compare");
});

describe("authentication", () => {
  test("is that of the last poll", () => {
    const label = (cookies: number, more: Partial<ServerRow>) => authenticity({ cookies }, row("a", more)).label;
    expect(label(8, { outcome: "sample", authentication: "nts" })).toBe("Authenticated");
    expect(label(8, { outcome: "rejected", authentication: "none" })).toBe("Not authenticated");
    expect(label(7, { outcome: "timeout", authentication: "nts" })).toBe("Not authenticated");
    expect(label(0, { outcome: "fault", authentication: null })).toBe("No keys");
  });

  test("the expiry of a certificate is judged relative to its lifetime", () => {
    const of = (days: number) => expiry({ not_before: "2026-01-01T00:00:00Z", not_after: "2026-04-01T00:00:00Z", days_left: days });
    expect([30, 18, 1.9, -3.5].map((days) => of(days).tone)).toEqual(["good", "warn", "bad", "bad"]);
    expect([30.7, 1.5, -3.5].map((days) => of(days).label)).toEqual(["30 days left", "36 hours left", "expired 3 days ago"]);
  });
});
