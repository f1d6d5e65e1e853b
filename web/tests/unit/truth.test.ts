import { describe, expect, test } from "vitest";
import type { LocalVerdict, ServerRow, Verdict } from "../../src/api/types";
import { intervalChart } from "../../src/charts/intervals";
import { opinion } from "../../src/format/opinion";
import { stateWords, verdictWords } from "../../src/format/words";

const MAJORITY = { low_s: -0.001, high_s: 0.001, members: 3, of: 3, independent: 3 };
const LOCAL: LocalVerdict = {
  estimate_s: 2e-6, bound_s: 0.001, at_least_s: 0, sign: "none", kind: null, rate_ppm: null, since: null, distrust: null,
};
const verdict = (more: Partial<Verdict> = {}, local: Partial<LocalVerdict> = {}): Verdict => ({
  as_of: "2026-11-01T00:00:00Z", state: "consistent", since: null, confidence: 1, servers: [], majority: MAJORITY, reason: "", assumption: "",
  independence: null, sentence: "", ...more, local: { ...LOCAL, ...local },
});
const row = (more: Partial<ServerRow> = {}): ServerRow => ({
  id: "a", name: "a", state: "ok", class: "truechimer", outcome: "sample", reason: "", blamed: false, kind: null, gap_s: null,
  interval: { low_s: -0.001, high_s: 0.001 }, sentence: "", offset_s: 0, root_distance_s: 0.001, ...more,
}) as ServerRow;

describe("this host's clock", () => {
  test("is not right without a majority", () => {
    for (const said of [
      opinion(verdict({ majority: null, state: "undecidable" }, { bound_s: null }), "auto"),
      opinion(verdict({}, { bound_s: null }), "auto"),
      opinion(verdict({ state: "undecidable" }), "auto"),
    ]) {
      expect(said.tone).toBe("idle");
      expect(said.sentence).not.toContain("right within");
    }
  });

  test("is right within estimate and bound", () => {
    expect(opinion(verdict(), "auto")).toEqual({ sentence: "This clock is right within 1.00 ms, if the majority is right.", tone: "good" });
  });

  test("is called probably wrong if the error is inferred", () => {
    const said = opinion(verdict({ state: "local_wrong" }, { sign: "slow", estimate_s: 0.004 }), "auto");
    expect(said.tone).toBe("bad");
    expect(said.sentence).toContain("probably behind by about 4.00 ms");
    expect(opinion(verdict({ state: "local_wrong" }, { sign: "fast", at_least_s: 0.1 }), "auto").sentence).toContain("ahead by at least 100 ms");
  });
});

describe("a server", () => {
  test("is OK only if a majority agrees with it", () => {
    expect(stateWords(row())).toMatchObject({ label: "OK", tone: "good" });
    for (const one of [row({ class: "unknown" }), row({ state: "unjudged", class: "unknown" })]) {
      expect(stateWords(one)).toMatchObject({ label: "Not judged", tone: "idle" });
    }
    expect(stateWords(row({ state: "wrong", class: "unknown" })).label).toBe("Probably wrong");
    expect(stateWords(row({ state: "wrong", class: "falseticker" })).label).toBe("Wrong");
  });

  test("that answers without giving time is not called silent", () => {
    const silent = (outcome: string, reason = ""): string => stateWords(row({ state: "unreachable", outcome, reason })).label;
    expect([silent("timeout"), silent("refused"), silent("kiss", "RATE"), silent("kiss", "DENY"), silent("unsynchronised")])
      .toEqual(["Unreachable", "Port closed", "Rate-limited", "Denies service", "Unsynchronised"]);
  });

  test("that is not judged is drawn separately from agreeing ones", () => {
    const rows = [row(), row({ id: "b", class: "unknown" }), row({ id: "c", class: "falseticker" })];
    const titles = (majority: typeof MAJORITY | null): string[] => intervalChart(rows, majority, 900, 24, "auto").scene.marks
      .flatMap((mark) => (mark.kind === "text" && mark.bold ? [mark.text] : []));
    expect(titles(MAJORITY)).toEqual(["Disagree with the majority", "Agree with the majority", "Not judged"]);
  });
});

describe("the verdict", () => {
  const dead = (more: Partial<ServerRow> = {}): ServerRow => row({ state: "unreachable", class: "unknown", blamed: true, kind: "unreachable", ...more });

  test("is bad when no server gives the time", () => {
    for (const state of ["undecidable", "path", "consistent"] as const) {
      expect(verdictWords(verdict({ state }), [dead(), dead()])).toEqual({ label: "No server gives the time", tone: "bad" });
    }
  });

  test("is not green while one of four servers may be wrong", () => {
    const majority = (members: number, of: number) => verdict({ majority: { low_s: -1e-3, high_s: 1e-3, members, of, independent: of } });
    expect(verdictWords(majority(3, 4), [row()])).toEqual({ label: "Most servers agree", tone: "idle" });
    expect(verdictWords(majority(999, 1000), [row()]).tone).toBe("good");
  });

  test("does not blame the path if servers do not answer", () => {
    expect(verdictWords(verdict({ state: "path" }), [dead(), row()])).toEqual({ label: "A server gives no time", tone: "warn" });
    expect(verdictWords(verdict({ state: "path" }), [row({ blamed: true, kind: "congestion" }), row()]).label).toBe("The path is to blame");
    expect(verdictWords(verdict(), [row()])).toEqual({ label: "Consistent", tone: "good" });
  });
});
