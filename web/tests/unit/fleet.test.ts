import { expect, test } from "vitest";
import type { FleetCell, FleetVerdict } from "../../src/api/types";
import { arrange, chosenOf, toneOf, worstFirst } from "../../src/views/fleet/arrange";

const cell = (vantage: string, server: string, address: string | null, offset_s: number | null): FleetCell => ({
  vantage, server, address, offset_s, root_distance_s: 0.01, delay_s: 0.001, loss: 0, authentication: "none", outcome: offset_s === null ? "timeout" : "sample",
  last_poll: "2026-01-01T00:00:00Z",
});

const verdict = (part: Partial<FleetVerdict>): FleetVerdict => ({
  as_of: "", since: null, until: null, state: "consistent", servers: [], vantages: [], paths: [], alternatives: [], assumption: "", sentence: "",
  confidence: 1, ...part,
});

test("an address is one row even if vantages use different names", () => {
  const { vantages, rows } = arrange([
    cell("ber", "a", "192.0.2.1:123", 0), cell("ams", "b", "192.0.2.1:123", 0), cell("lon", "b", "192.0.2.1:123", 0),
    cell("ams", "c", null, null),
  ]);
  expect(vantages).toEqual(["ams", "ber", "lon"]);
  expect(rows.map((row) => [row.name, row.cells.size])).toEqual([["b", 3], ["c", 1]]);
});

test("cells that the verdict names are bad", () => {
  const seen = cell("ams", "a", "192.0.2.1:123", 0);
  expect(toneOf(seen, verdict({}))).toBe("good");
  expect(toneOf(seen, verdict({ paths: [{ vantage: "ams", server: "*" }] }))).toBe("bad");
  expect(toneOf(seen, verdict({ paths: [{ vantage: "ber", server: "*" }] }))).toBe("good");
  expect(toneOf(cell("ams", "a", null, 0.02), verdict({}))).toBe("warn");
  expect(toneOf(cell("ams", "a", null, null), verdict({}))).toBe("idle");
});

test("the chart shows the requested server, or a wrong one, or the first", () => {
  const { rows } = arrange([cell("ams", "a", "192.0.2.1:123", 0), cell("ams", "b", "192.0.2.2:123", 0), cell("ams", "c", "192.0.2.3:123", 0)]);
  const wrong = verdict({ servers: [{ server: "b", kind: "step", gap_s: null, size_s: null, bound_s: null, proven: false, wrong_from: 3, seen_from: 3 }] });
  expect(chosenOf(rows, "192.0.2.3:123", wrong)?.name).toBe("c");
  expect(chosenOf(rows, null, wrong)?.name).toBe("b");
  expect(chosenOf(rows, "gone", verdict({}))?.name).toBe("a");
  expect(chosenOf([], null, wrong)).toBeUndefined();
});

test("in a large fleet bad rows come first, without cells of a wrong vantage", () => {
  const { vantages, rows } = arrange([
    cell("ams", "a", "192.0.2.1:123", 0), cell("ams", "b", "192.0.2.2:123", null), cell("ams", "c", "192.0.2.3:123", 0.02),
    cell("lon", "a", "192.0.2.1:123", 0.5), cell("lon", "b", "192.0.2.2:123", 0.5), cell("lon", "c", "192.0.2.3:123", 0.5),
  ]);
  const lon = { vantage: "lon", kind: "step", gap_s: null, size_s: null, bound_s: null, proven: false } as const;
  expect(worstFirst(rows, vantages, verdict({ vantages: [lon] })).map((row) => row.name)).toEqual(["c", "b", "a"]);
});
