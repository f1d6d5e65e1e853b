import { describe, expect, test } from "vitest";
import type { ClockPoint, HistorySeries, LocalHistory, LocalVerdict, ServerRow } from "../../src/api/types";
import { timeTicks } from "../../src/charts/axes";
import { columnsOf, pointOf } from "../../src/charts/clock";
import { csvText } from "../../src/charts/download";
import { histogramScene } from "../../src/charts/histogram";
import { lossOf, recorded, trackOf } from "../../src/charts/history";
import { axisSentence, intervalChart } from "../../src/charts/intervals";
import { niceAbove, scaleFor } from "../../src/charts/scale";
import { sparkPath } from "../../src/charts/sparkline";

const around = (middle: number, half: number) => ({ low_s: middle - half, high_s: middle + half });

describe("the axis of intervals", () => {
  const good = [around(30e-6, 150e-6), around(20e-6, 140e-6), around(40e-6, 160e-6)];

  test("is linear if all intervals are similar", () => {
    expect(scaleFor(good, around(30e-6, 140e-6)).kind).toBe("linear");
  });

  test("is partly logarithmic with an outlier, and the other intervals stay visible", () => {
    const scale = scaleFor([...good, around(0.08, 150e-6)], around(30e-6, 140e-6));
    expect(scale.kind).toBe("symlog");
    expect(scale.place(170e-6) - scale.place(-110e-6)).toBeGreaterThan(0.15);
    expect(scale.place(0.08)).toBeLessThan(1);
    expect(scale.ticks).toContain(0);
  });

  test("keeps the order of offsets", () => {
    const scale = scaleFor([...good, around(0.08, 150e-6), around(-4, 1e-3)], null);
    const places = [-4, -1e-3, -1e-4, 0, 1e-6, 1e-4, 1e-3, 0.08].map(scale.place);
    expect([...places].sort((a, b) => a - b)).toEqual(places);
    expect(places.every((place) => place >= 0 && place <= 1)).toBe(true);
  });

  test("is centred on the majority if this clock is far off, and still shows zero", () => {
    const scale = scaleFor([around(3, 1e-4), around(3.00002, 1e-4)], around(3, 9e-5));
    expect(scale.centre_s).toBeCloseTo(3);
    expect(scale.place(0)).toBeGreaterThan(0);
    expect(scale.place(3 + 1e-4) - scale.place(3 - 1e-4)).toBeGreaterThan(0.1);
  });

  test("works without intervals, and with intervals of zero width", () => {
    expect(Number.isFinite(scaleFor([], null).place(0))).toBe(true);
    expect(Number.isFinite(scaleFor([around(0, 0)], null).place(0))).toBe(true);
  });

  test("steps are 1, 2 or 5", () => {
    expect([0.0003, 0.0011, 0.6, 5].map(niceAbove)).toEqual([0.0005, 0.002, 1, 5]);
    expect(niceAbove(0)).toBeGreaterThan(0);
  });
});

function row(id: string, middle: number, falseticker = false): ServerRow {
  return {
    id, name: id, interval: around(middle, 150e-6), offset_s: middle, root_distance_s: 150e-6,
    class: falseticker ? "falseticker" : "truechimer", gap_s: falseticker ? Math.abs(middle) : null, sentence: "",
  } as ServerRow;
}

describe("the interval chart", () => {
  const majority = { ...around(0, 140e-6), members: 3, of: 4, independent: 4 };

  test("lists wrong servers first under their own heading, worst first", () => {
    const { scene, scale } = intervalChart([row("a", 0), row("off", 0.01, true), row("liar", 0.08, true)], majority, 900, 24, "auto");
    const texts = scene.marks.flatMap((mark) => (mark.kind === "text" ? [mark.text] : []));
    expect(texts.filter((text) => /majority|✕|^a$/.test(text)))
      .toEqual(["Disagree with the majority", "✕ liar", "✕ off", "Agree with the majority", "a"]);
    expect(axisSentence(scale)).toContain("logarithmic beyond");
  });

  test("never leaves out a wrong server, and states how many others it leaves out", () => {
    const many = [...Array.from({ length: 50 }, (_, n) => row(`s${n}`, 0)), row("liar", 0.08, true)];
    const { scene, hidden } = intervalChart(many, majority, 900, 10, "auto");
    expect(hidden).toBe(41);
    expect(scene.marks.some((mark) => mark.kind === "text" && mark.text === "✕ liar")).toBe(true);
  });

  test("shows some agreeing servers even if many are wrong", () => {
    const many = [row("good", 0), ...Array.from({ length: 50 }, (_, n) => row(`liar${n}`, 0.08, true))];
    const { scene } = intervalChart(many, majority, 900, 10, "auto");
    expect(scene.marks.some((mark) => mark.kind === "text" && mark.text === "good")).toBe(true);
  });

  test("a single stray poll is neither green nor red until the verdict decides", () => {
    const { scene } = intervalChart([row("strays", 0.005)], majority, 900, 24, "auto");
    const bars = scene.marks.filter((mark) => mark.kind === "rect" && mark.role !== "majority");
    expect(bars.map((mark) => mark.role)).toEqual(["idle"]);
  });

  test("counts servers without an offset", () => {
    expect(intervalChart([{ ...row("a", 0), interval: null }], null, 900, 24, "auto").absent).toBe(1);
  });
});

const START = Date.parse("2026-11-22T00:00:00Z");
/** Polls of a server at seconds of that day, with their offsets. */
function polls(points: readonly (readonly [second: number, offset_s: number | null])[], more: Partial<HistorySeries> = {}): HistorySeries {
  return {
    id: "a", name: "a", address: null, began: new Date(START).toISOString(), step_s: null, poll_s: 1,
    time: points.map(([second]) => START / 1000 + second), polls: points.map(() => 1),
    samples: points.map(([, offset_s]) => Number(offset_s !== null)), offset_s: points.map(([, offset_s]) => offset_s),
    root_distance_s: points.map(([, offset_s]) => (offset_s === null ? null : 2e-3)), ...more,
  };
}

describe("history", () => {
  test("no line is drawn across a pause of the monitor", () => {
    const { offset, time_s } = trackOf(polls([0, 1, 2, 3, 4, 100, 101, 102].map((second) => [second, 1e-3] as const)));
    expect(offset.filter((value) => value === null)).toHaveLength(1);
    expect(offset[5]).toBeNull();
    expect([...time_s].sort((a, b) => a - b)).toEqual(time_s);
  });

  test("the line continues for a lossy server, and breaks for an unreachable one", () => {
    const lossy = Array.from({ length: 60 }, (_, n) => [n, n % 3 === 0 ? 1e-3 : null] as const);
    expect(trackOf(polls(lossy)).offset).not.toContain(null);
    const silent = [...lossy, ...Array.from({ length: 20 }, (_, n) => [60 + n, null] as const), [80, 1e-3] as const];
    expect(trackOf(polls(silent)).offset.filter((value) => value === null)).toHaveLength(1);
  });

  test("neighbouring steps are joined, and an unanswered step breaks the line", () => {
    const steps = (seconds: number[]): HistorySeries => polls(seconds.map((second) => [second, 1e-3] as const), { step_s: 300 });
    expect(trackOf(steps([0, 300, 600])).offset).not.toContain(null);
    expect(trackOf(steps([0, 300, 900])).offset.filter((value) => value === null)).toHaveLength(1);
    expect(trackOf({ ...steps([0, 300, 1500]), poll_s: 256 }).offset).not.toContain(null);
  });

  test("the bound is the offset ± the root distance", () => {
    const { boundLow, boundHigh } = trackOf(polls([[0, 1e-3], [1, null]]));
    expect(boundLow).toEqual([-1e-3, undefined]);
    expect(boundHigh).toEqual([3e-3, undefined]);
  });

  test("loss is a share of polls in steps of at least five", () => {
    const { ratio, step_s } = lossOf(polls([[0, null], [1, 1], [2, 1], [3, 1], [500, null]]), 1);
    expect(step_s).toBe(5);
    expect(ratio).toEqual([0.25, 1]);
    const hours = polls([[0, 1e-3]], { step_s: 3600, polls: [10], samples: [7] });
    expect(lossOf(hours, 64).ratio[0]).toBeCloseTo(0.3);
  });

  test("short data is drawn from its beginning, long data over the whole span", () => {
    const [from_s, to_s] = [START / 1000, START / 1000 + 600];
    expect(recorded([from_s + 580, from_s + 590], from_s, to_s).from_s).toBe(from_s + 580);
    expect(recorded([from_s + 30], from_s, to_s).from_s).toBe(from_s);
  });
});

describe("the host clock", () => {
  const at = (minute: number, estimate_s: number | null = 1e-4): ClockPoint => pointOf({
    as_of: new Date(START + minute * 60_000).toISOString(), kernel: null, daemon: null, distrust: null, leap: { list: null, path: null, fault: null, findings: [] },
    verdict: { estimate_s, bound_s: estimate_s === null ? null : 1e-3 } as LocalVerdict,
  });
  const history = (points: ClockPoint[], step_s: number | null = null): LocalHistory =>
    ({ from: new Date(START).toISOString(), to: new Date(START + 3_600_000).toISOString(), step_s, points });

  test("a reading is a point with the edges of its bound; unknown values stay unknown", () => {
    expect(at(0).low_s).toBeCloseTo(-9e-4);
    expect(at(0).high_s).toBeCloseTo(1.1e-3);
    expect(at(0, null)).toMatchObject({ low_s: null, high_s: null, frequency_ppm: null, max_error_s: null });
  });

  test("readings continue after the recorded points, without duplicates", () => {
    const { time_s } = columnsOf(history([at(0), at(1)]), [at(0.5), at(1), at(1.1)]);
    expect(time_s.map((time) => time - START / 1000)).toEqual([0, 60, 66]);
    expect(columnsOf(history([]), [at(3)]).estimate).toEqual([1e-4]);
    expect(columnsOf(history([at(0)], 300), [at(3)]).time_s).toHaveLength(1);
  });

  test("no line is drawn across hours in which nothing was recorded", () => {
    expect(columnsOf(history([at(0), at(1), at(50)]), []).estimate).toEqual([1e-4, 1e-4, null, 1e-4]);
    expect(columnsOf(history([at(0), at(50)], 3600), []).estimate).toHaveLength(2);
  });
});

test("a time axis shows the date once", () => {
  const at = START / 1000 - 600;
  expect(timeTicks([at, at + 600, at + 1200], 600, "UTC")).toEqual(["23:50\n2026-11-21", "00:00\n2026-11-22", "00:10"]);
});

test("a sparkline breaks at lost polls and draws a single point as a dot", () => {
  const path = sparkPath([1, 2, null, 3]);
  expect(path.match(/M/g)).toHaveLength(2);
  expect(path.match(/h0/g)).toHaveLength(2);
  expect(sparkPath([null, null])).toBe("");
  expect(sparkPath([5, 5])).not.toContain("NaN");
});

test("a histogram of equal offsets is still drawn", () => {
  const { marks } = histogramScene({ from_s: 0.08, bin_s: 0, counts: [7], below: 0, above: 0 }, 600);
  expect(JSON.stringify(marks)).not.toContain("null");
});

describe("CSV", () => {
  test("quotes cells that need it", () => {
    expect(csvText(["a", "b"], [['say "x", y', null], [1.5e-7, "plain"]])).toBe('a,b\r\n"say ""x"", y",\r\n1.5e-7,plain\r\n');
  });

  test("defuses cells that a spreadsheet would run", () => {
    expect(csvText(["name"], [["=cmd()"], ["@x"], [-3]])).toBe("name\r\n'=cmd()\r\n'@x\r\n-3\r\n");
  });
});
