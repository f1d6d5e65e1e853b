/** Numbers for people: durations in a suitable unit, offsets always with a sign. Pure. */

export type Unit = "auto" | "s" | "ms" | "µs";

const FACTORS: readonly (readonly [string, number])[] = [["s", 1], ["ms", 1e-3], ["µs", 1e-6], ["ns", 1e-9]];
const NONE = "–";
const MINUS = "−";

/** The most readable unit for `seconds`. */
export function unitOf(seconds: number, chosen: Unit = "auto"): { name: string; factor: number } {
  const size = Math.abs(seconds);
  const found = chosen === "auto"
    ? FACTORS.find(([, factor]) => size >= factor * 0.9995) ?? (size === 0 ? FACTORS[2] : FACTORS[3])
    : FACTORS.find(([name]) => name === chosen);
  const [name, factor] = found ?? ["s", 1];
  return { name, factor };
}

/** Three significant digits, without an exponent. */
export function threeDigits(value: number): string {
  if (value === 0) return "0";
  const size = Math.abs(value);
  const digits = size >= 100 ? 0 : size >= 10 ? 1 : 2;
  const text = size < 0.005 ? size.toPrecision(1) : size.toFixed(digits);
  const plain = text.includes("e") ? "0" : text;
  return value < 0 && Number(plain) !== 0 ? MINUS + plain : plain;
}

/** A duration, such as `81.2 µs`. */
export function duration(seconds: number | null | undefined, chosen: Unit = "auto"): string {
  if (seconds == null || !Number.isFinite(seconds)) return NONE;
  const { name, factor } = unitOf(seconds, chosen);
  return `${threeDigits(seconds / factor)} ${name}`;
}

/** An offset, such as `+81.2 µs`, always with a sign. Plus: the server is ahead of this host. */
export function offset(seconds: number | null | undefined, chosen: Unit = "auto"): string {
  const text = duration(seconds, chosen);
  return seconds != null && Number.isFinite(seconds) && seconds > 0 ? `+${text}` : text;
}

/** A tick of an axis, with as few digits as possible. */
export function tick(seconds: number, signed: boolean, chosen: Unit = "auto"): string {
  if (seconds === 0) return "0";
  const { name, factor } = unitOf(seconds, chosen);
  const text = plainDigits(Number(Math.abs(seconds / factor).toPrecision(4)));
  return `${seconds < 0 ? MINUS : signed ? "+" : ""}${text} ${name}`;
}

/** A number without an exponent. */
function plainDigits(value: number): string {
  const text = String(value);
  return text.includes("e") ? value.toFixed(9).replace(/0+$/, "") : text;
}

const MOST_DECIMALS = 9;

/** The ticks of one axis: all in the same unit, with enough decimals to differ from their neighbours. */
export function ticks(seconds: readonly number[], signed: boolean, chosen: Unit = "auto"): string[] {
  const largest = Math.max(0, ...seconds.map(Math.abs));
  const { name, factor } = unitOf(largest, chosen);
  const values = seconds.map((value) => value / factor);
  const step = Math.abs((values[1] ?? 0) - (values[0] ?? 0)) || Math.abs(values[0] ?? 0) || 1;
  let decimals = 0;
  const told = (value: number): boolean => Math.abs(value - Number(value.toFixed(decimals))) < step * 1e-3;
  while (decimals < MOST_DECIMALS && !values.every(told)) decimals += 1;
  return values.map((value) => {
    const text = Math.abs(value).toFixed(decimals);
    if (Number(text) === 0) return `0 ${name}`;
    return `${value < 0 ? MINUS : signed ? "+" : ""}${text} ${name}`;
  });
}

/** A share, such as `99.2 %`. Never rounds a loss away: `< 0.1 %`, `> 99.9 %`. */
export function percent(ratio: number | null | undefined): string {
  if (ratio == null) return NONE;
  if (ratio > 0 && ratio < 0.001) return "< 0.1 %";
  if (ratio < 1 && ratio > 0.999) return "> 99.9 %";
  const value = ratio * 100;
  return `${Number.isInteger(value) ? value : value.toFixed(1)} %`;
}

/** A count with thin gaps: `12 345`. */
export function count(value: number | null | undefined): string {
  return value == null ? NONE : Math.round(value).toString().replace(/\B(?=(\d{3})+$)/g, "\u202f");
}

/** A plain number with this many decimals. */
export function plain(value: number | null | undefined, decimals: number): string {
  return value == null ? NONE : value.toFixed(decimals).replace("-", MINUS);
}

/** Parts per million, with the sign. */
export function ppm(value: number | null | undefined): string {
  if (value == null) return NONE;
  return `${value > 0 ? "+" : ""}${threeDigits(value)} ppm`;
}
