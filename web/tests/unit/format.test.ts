import { describe, expect, test } from "vitest";
import { ago, instant, inZone, parseSpan, span, zoned } from "../../src/format/time";
import { count, duration, offset, percent, tick, ticks } from "../../src/format/units";
import { sentences } from "../../src/format/words";

describe("durations and offsets", () => {
  test("have a suitable unit", () => {
    expect([3e-9, 81.24e-6, 0.0800331, 1.5, 0].map((value) => duration(value)))
      .toEqual(["3.00 ns", "81.2 µs", "80.0 ms", "1.50 s", "0 µs"]);
  });

  test("use the chosen unit without losing small values", () => {
    expect(duration(81.24e-6, "ms")).toBe("0.08 ms");
    expect(duration(2e-9, "ms")).toBe("0.000002 ms");
    expect(duration(1500, "µs")).toBe("1500000000 µs");
  });

  test("an offset always has a sign", () => {
    expect([80e-6, -80e-6, 0].map((value) => offset(value))).toEqual(["+80.0 µs", "−80.0 µs", "0 µs"]);
  });

  test("an unknown value is a dash", () => {
    expect([duration(null), offset(undefined), duration(Number.NaN), percent(null), count(null)]).toEqual(["–", "–", "–", "–", "–"]);
  });

  test("a value just below a unit is not shown as 1000 of the smaller unit", () => {
    expect(duration(0.00099999)).toBe("1.00 ms");
  });

  test("ticks have no more digits than they need", () => {
    expect([tick(0, true), tick(2e-4, true), tick(-0.02, true), tick(1.5e-3, false)]).toEqual(["0", "+200 µs", "−20 ms", "1.5 ms"]);
  });
});

describe("the ticks of an axis", () => {
  test("have one unit and enough decimals to differ", () => {
    expect(ticks([0, 5e-4, 1e-3, 1.5e-3], true)).toEqual(["0 ms", "+0.5 ms", "+1.0 ms", "+1.5 ms"]);
    expect(ticks([0.08, 0.0801, 0.0802], true)).toEqual(["+80.0 ms", "+80.1 ms", "+80.2 ms"]);
    expect(ticks([0.080001, 0.0800012], false)).toEqual(["80.0010 ms", "80.0012 ms"]);
  });

  test("use the chosen unit", () => {
    expect(ticks([-2e-6, 0, 2e-6], true, "ms")).toEqual(["−0.002 ms", "0 ms", "+0.002 ms"]);
    expect(ticks([1, 2], false, "ms")).toEqual(["1000 ms", "2000 ms"]);
  });
});

describe("times in a zone", () => {
  test("a local time is converted to the right instant, in summer and winter", () => {
    expect(zoned("2026-07-01T12:00", "Europe/Berlin")).toBe(Date.parse("2026-07-01T10:00:00Z"));
    expect(zoned("2026-01-01T00:30:15", "America/New_York")).toBe(Date.parse("2026-01-01T05:30:15Z"));
    expect(zoned("soon", "UTC")).toBeNull();
  });

  test("sentences of the service use the zone too", () => {
    const sentence = "a is wrong since 2026-11-29 01:10 UTC, seen 2026-11-29 01:10:05Z.";
    expect(inZone(sentence, "Europe/Berlin")).toBe("a is wrong since 2026-11-29 02:10 Europe/Berlin, seen 2026-11-29 02:10:05 Europe/Berlin.");
    expect(inZone(sentence, "UTC")).toBe(sentence);
  });
});

test("a share never rounds a loss away", () => {
  expect([0, 0.0004, 0.5, 0.9996, 1].map(percent)).toEqual(["0 %", "< 0.1 %", "50 %", "> 99.9 %", "100 %"]);
});

describe("times", () => {
  test("are shown in the time zone of the user", () => {
    expect(instant("2026-11-22T23:39:42.067Z", "UTC")).toBe("2026-11-22 23:39:42");
    expect(instant("2026-11-22T23:39:42.067Z", "Asia/Tokyo")).toBe("2026-11-23 08:39:42");
    expect(instant("no time", "UTC")).toBe("–");
  });

  test("spans have two units at most", () => {
    expect([0.4, 42, 200, 3600, 11_100, 187_200].map(span)).toEqual(["0 s", "42 s", "3 min", "1 h", "3 h 5 min", "2 d 4 h"]);
  });

  test("an age is never negative, and never is never", () => {
    expect(ago("2026-11-22T00:00:10Z", Date.parse("2026-11-22T00:00:00Z"))).toBe("0 s ago");
    expect(ago(null, 0)).toBe("never");
  });

  test("spans in the address are parsed strictly", () => {
    expect([parseSpan("1h"), parseSpan("7d"), parseSpan("h"), parseSpan("1w"), parseSpan("-1h")]).toEqual([3600, 604_800, null, null, null]);
  });
});

test("a verdict of several sentences states their common part once, at the end", () => {
  expect(sentences("a is wrong by at least 79.7 ms since 02:04 UTC (constant): 5 of 7 agree. So it is. b is wrong. So it is."))
    .toEqual(["a is wrong by at least 79.7 ms since 02:04 UTC (constant): 5 of 7 agree.", "b is wrong.", "So it is."]);
});
