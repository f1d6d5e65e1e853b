import { describe, expect, test } from "vitest";
import type { Alert } from "../../src/api/types";
import { lanes, type Stretch } from "../../src/charts/lanes";
import { hunks, merge, unified } from "../../src/format/lines";
import { href, parseRoute } from "../../src/state/address";
import { changed, putRule, ruleOf, ruleToml, type RuleTexts } from "../../src/views/alerts/rule-text";
import { filtered, grouped, notifierState, selectorText, standing, valueText } from "../../src/views/alerts/words";
import { keyDocs, pathAt, schemaAt } from "../../src/views/config/schema";
import { changedKeys, faultsByKey, serversOf, jsonOf } from "../../src/views/config/server-keys";
import { FILE_TEXT, notifier, past, schema, shown } from "../browser/canned";

describe("two texts", () => {
  test("differ only in the changed lines", () => {
    expect(hunks("a\nb\nc", "a\nB\nc")).toEqual([{ at: 1, removed: ["b"], added: ["B"] }]);
    expect(hunks("a\nb\nc\nd", "a\nc\nd\ne")).toEqual([{ at: 1, removed: ["b"], added: [] }, { at: 4, removed: [], added: ["e"] }]);
    expect(hunks("same\n", "same\n")).toEqual([]);
    expect(unified("a\nb\nc", "a\nB\nc", 1)).toBe("@@ line 2 @@\n a\n-b\n+B\n c");
  });

  test("of great length are compared quickly, as one change", () => {
    const before = Array.from({ length: 5000 }, (_, n) => `a${n}`).join("\n");
    expect(hunks(before, before.replaceAll("a", "b"))).toHaveLength(1);
  });

  test("are merged if changes touch different lines, otherwise left to the user", () => {
    const base = "a\nb\nc\nd\ne";
    expect(merge(base, "A\nb\nc\nd\ne", "a\nb\nc\nd\nE\nf")).toBe("A\nb\nc\nd\nE\nf");
    expect(merge(base, base, "x")).toBe("x");
    expect(merge(base, "a\nX\nc\nd\ne", "a\nY\nc\nd\ne")).toBeNull();
    // Neighbouring lines belong together, like a key and its table.
    expect(merge(base, "a\nX\nc\nd\ne", "a\nb\nY\nd\ne")).toBeNull();
  });
});

describe("the schema", () => {
  test("finds the key of a line, in tables, arrays of tables and below", () => {
    const at = (words: string): string => pathAt(FILE_TEXT, FILE_TEXT.split("\n").findIndex((line) => line.includes(words))).join(".");
    expect([at("# The"), at("[defaults]"), at("32s"), at("site"), at("paused")])
      .toEqual(["", "defaults", "server.poll_interval", "server.tags.site", "server.paused"]);
    expect(pathAt('list = [\n  ["a"],\n]\nx = 1', 3)).toEqual(["x"]);
  });

  test("describes keys in arrays and free keys, and returns none for unknown keys", () => {
    expect(schemaAt(schema, ["server", "poll_interval"])?.schema.default).toBe("64s");
    expect(schemaAt(schema, ["server", "tags", "site"])?.schema.type).toBe("string");
    expect(schemaAt(schema, ["server", "nonsense"])).toBeNull();
    const docs = keyDocs(schema);
    expect(docs.find((doc) => doc.path === "server[].samples_per_poll")?.kind).toBe("whole number, 1 to 8");
    expect(docs.find((doc) => doc.path === "influxdb.token")?.secret).toBe(true);
    expect(docs.find((doc) => doc.path === "server[].address")?.needed).toBe(true);
  });
});

describe("a server's keys", () => {
  const properties = schema.properties?.["server"]?.items?.properties ?? {};

  test("are its own or inherited", () => {
    const [first, second] = serversOf(shown.values, shown["sources"] ?? {});
    expect(first?.own).toMatchObject({ address: "192.0.2.1", poll_interval: "32s", tags: "site = ams" });
    expect(first?.inherited).toMatchObject({ engine: "kernel", own: "false" });
    expect(second?.paused).toBe(true);
  });

  test("are sent if changed, with the right type, and null if removed", () => {
    const before = { address: "a", poll_interval: "32s", tags: "x = 1" };
    expect(changedKeys(before, { ...before }, properties)).toEqual({});
    expect(changedKeys(before, { address: "a", poll_interval: " ", tags: "x = 1\ny = a = b", own: "true", samples_per_poll: "4" }, properties))
      .toEqual({ poll_interval: null, tags: { x: "1", y: "a = b" }, own: true, samples_per_poll: 4 });
    expect(jsonOf("four", { type: "integer" })).toBe("four");
  });

  test("show their faults", () => {
    const body = { faults: [{ path: "server[2].own", line: 3, message: "no." }, { path: "http.listen", line: 1, message: "bad." }] };
    expect(faultsByKey(body, properties)).toEqual({ own: "no.", "": "bad." });
    expect(faultsByKey("nonsense", properties)).toEqual({});
  });
});

describe("a rule", () => {
  const texts: RuleTexts = { name: "x", expr: 'a > 1.0 && b == "c"', for: "", keep_firing_for: "", severity: "warning", servers: "a, b", notify: "", summary: "" };

  test("is written without unset keys, and no text breaks out of its quotes", () => {
    expect(ruleOf(texts)).toEqual({ name: "x", expr: 'a > 1.0 && b == "c"', severity: "warning", servers: ["a", "b"] });
    expect(ruleToml({ ...texts, summary: 'end"\n[[server]]' })).toContain('summary = "end\\"\\n[[server]]"');
  });

  test("that is built in is written with its changed keys only", () => {
    expect(ruleToml(changed(texts, { ...texts, for: "1h" }))).toBe('[[alert]]\nname = "x"\nfor = "1h"');
  });

  test("replaces the keys of the rule with the same name, whose other keys stay", () => {
    const file = '[log]\nlevel = "info"\n\n[[alert]]\nname = "x"\nexpr = "old"\nrunbook_url = "http://r" # read me\n\n[[alert]]\nname = "y"\n';
    const put = putRule(file, texts);
    expect(put).toContain('[[alert]]\nname = "x"\nexpr = "a > 1.0');
    expect(put).toContain('runbook_url = "http://r" # read me\n\n[[alert]]\nname = "y"');
    expect(put).not.toContain("old");
    expect(putRule('a = 1\n', texts)).toBe(`a = 1\n\n${ruleToml(texts)}\n`);
  });
});

describe("alerts", () => {
  const alert = (more: Partial<Alert>): Alert => ({ alert: "a", severity: "warning", state: "firing", server: null, ...more }) as Alert;

  test("are grouped by rule: firing first, then the worst", () => {
    const groups = grouped([
      alert({ alert: "waits", severity: "critical", state: "pending" }), alert({ alert: "fires" }),
      alert({ alert: "burns", severity: "critical", server: "b-10" }), alert({ alert: "burns", severity: "critical", server: "b-9" }),
    ]);
    expect(groups.map((group) => group.alert)).toEqual(["burns", "fires", "waits"]);
    expect(groups[0]?.alerts.map((one) => one.server)).toEqual(["b-9", "b-10"]);
  });

  test("show values and selectors as text", () => {
    expect([valueText(80.12345, "ms"), valueText(-1e-7), valueText(null, "ms")]).toEqual(["80.12 ms", "−1e-7", "–"]);
    expect([selectorText([]), selectorText(["a", "site:b"])]).toEqual(["all", "a, site:b"]);
  });
});

test("a silence is in the future, active, or over", () => {
  const at = (starts_at: string, ends_at: string) =>
    standing({ id: 1, alert: null, servers: [], comment: "", created_by: "a", starts_at, ends_at }, Date.parse("2026-11-23T12:00:00Z"));
  const [before, after, later] = ["2026-11-23T11:00:00Z", "2026-11-23T13:00:00Z", "2026-11-23T14:00:00Z"];
  expect([at(after, later), at(before, after), at(before, before)]).toEqual(["to come", "active", "over"]);
});

test("a notifier is failing, working, or unused", () => {
  const label = (more: object): string => notifierState(notifier("n", more)).label;
  expect([label({}), label({ last_success: "2026-11-23T11:00:00Z" }), label({ last_success: "2026-11-23T11:00:00Z", failing: true })])
    .toEqual(["Not used yet", "OK", "Failing"]);
});

test("the history is filtered by rule and words, newest first", () => {
  const one = (alert: string, started_at: string, server: string | null = null) => past(0, 0, { alert, started_at, server, summary: "" });
  const all = [one("a", "2026-11-01"), one("b", "2026-11-02", "ams"), one("a", "2026-11-03", "fra")];
  expect(filtered(all, "a", "").map((one) => one.started_at)).toEqual(["2026-11-03", "2026-11-01"]);
  expect(filtered(all, "", "AMS")).toHaveLength(1);
});

describe("lanes", () => {
  const one = (lane: string, from_s: number, to_s: number | null): Stretch => ({ lane, from_s, to_s, role: "bad", hint: lane });
  const GRID = { from_s: 1_800_000_000, to_s: 1_800_604_800, width: 900, zone: "UTC", most: 2 };

  test("have a visible bar for each time span, within the shown time", () => {
    const { scene } = lanes([one("a", GRID.from_s - 500, GRID.from_s + 1), one("a", GRID.to_s - 10, null)], GRID);
    const bars = scene.marks.filter((mark) => mark.kind === "rect");
    expect(bars).toHaveLength(2);
    for (const bar of bars) {
      expect(bar.w).toBeGreaterThanOrEqual(3);
      expect(bar.x + bar.w).toBeLessThanOrEqual(GRID.width);
    }
  });

  test("beyond the limit are counted, and the fullest are drawn", () => {
    const { scene, left } = lanes([one("a", GRID.from_s, null), one("b", GRID.from_s, null), one("c", GRID.from_s, null), one("c", GRID.to_s, null)], GRID);
    expect(left).toBe(1);
    expect(scene.marks.filter((mark) => mark.kind === "text" && mark.x === 0).map((mark) => (mark.kind === "text" ? mark.text : ""))).toEqual(["c", "a"]);
  });
});

test("only known parts of views have addresses", () => {
  expect(parseRoute(href("alerts", "history", { server: "a" }))).toMatchObject({ view: "alerts", id: "history" });
  expect(["#/alerts/nonsense", "#/config/file/x", "#/clock/history"].map((hash) => parseRoute(hash).view)).toEqual(["nowhere", "nowhere", "nowhere"]);
});

