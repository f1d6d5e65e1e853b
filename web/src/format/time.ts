/** Instants and ages for people, in the chosen time zone. Pure, except for the cache of formatters. */

const formatters = new Map<string, Intl.DateTimeFormat>();

function formatter(zone: string): Intl.DateTimeFormat {
  let found = formatters.get(zone);
  if (!found) {
    found = new Intl.DateTimeFormat("sv-SE", { timeZone: zone, dateStyle: "short", timeStyle: "medium" });
    formatters.set(zone, found);
  }
  return found;
}

/** `2026-11-22 23:39:42`, in the zone. */
export function instant(time: string | number | null | undefined, zone: string): string {
  if (time == null) return "–";
  const ms = typeof time === "number" ? time : Date.parse(time);
  return Number.isFinite(ms) ? formatter(zone).format(ms) : "–";
}

/** How long: `42 s`, `12 min`, `3 h 5 min`, `2 d 4 h`. */
export function span(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return join(hours, "h", minutes % 60, "min");
  return join(Math.floor(hours / 24), "d", hours % 24, "h");
}

function join(big: number, bigUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${big} ${bigUnit}` : `${big} ${bigUnit} ${small} ${smallUnit}`;
}

/** How long ago: `42 s ago`; `–` when never. */
export function ago(time: string | null | undefined, nowMs: number): string {
  if (time == null) return "never";
  return `${span((nowMs - Date.parse(time)) / 1000)} ago`;
}

const SPAN_S: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400, y: 365.25 * 86_400 };

/** Parses `1h`, `7d` or `1y` into seconds; `null` for other text. */
export function parseSpan(text: string): number | null {
  const match = /^(\d+(?:\.\d+)?)([smhdy])$/.exec(text);
  const unit = SPAN_S[match?.[2] ?? ""];
  return match && unit ? Number(match[1]) * unit : null;
}

/** The instant in milliseconds at which clocks in `zone` show `2026-11-22T23:39`; `null` for other text. */
export function zoned(text: string, zone: string): number | null {
  const wall = Date.parse(`${text}Z`);
  if (!Number.isFinite(wall)) return null;
  const shown = (ms: number): number => Date.parse(`${instant(ms, zone).replace(" ", "T")}Z`);
  // Twice, because the UTC offset at the resulting instant may differ.
  let ms = wall;
  for (let n = 0; n < 2; n += 1) ms += wall - shown(ms);
  return ms;
}

const WITHIN = /\b(\d{4}-\d{2}-\d{2}) (\d{2}:\d{2})(:\d{2})? ?(?:UTC|Z)\b/g;

/** A sentence of the service, with its times in the zone instead of UTC. */
export function inZone(sentence: string, zone: string): string {
  if (zone === "UTC") return sentence;
  return sentence.replace(WITHIN, (_, date: string, minute: string, second?: string) => {
    const text = instant(`${date}T${minute}${second ?? ":00"}Z`, zone);
    return `${second ? text : text.slice(0, 16)} ${zone}`;
  });
}
