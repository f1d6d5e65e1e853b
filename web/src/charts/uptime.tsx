/** Ninety days as ninety bars. The height of a bar is the share of answered polls; its colour is red, amber or green. */
import type { Days } from "../state/uptime";
import { percent } from "../format/units";

const STEP = 1.25;
const HEIGHT = 20;
type Role = "good" | "warn" | "bad" | "line";

/** The share of answered polls from which a day is green. */
const GOOD = 0.99;
const FAIR = 0.9;

const roleOf = (ratio: number | null): Role => (ratio === null ? "line" : ratio >= GOOD ? "good" : ratio >= FAIR ? "warn" : "bad");

/** A path for each colour. Pure. */
export function barPaths(days: Days): [Role, string][] {
  const paths = new Map<Role, string>();
  days.forEach((ratio, day) => {
    const role = roleOf(ratio);
    const tall = ratio === null ? 3 : 6 + (HEIGHT - 6) * ratio;
    const bar = `M${(day * STEP).toFixed(2)} ${(HEIGHT - tall).toFixed(1)}h${STEP}v${tall.toFixed(1)}h-${STEP}z`;
    paths.set(role, (paths.get(role) ?? "") + bar);
  });
  return [...paths];
}

/** In words: the number of polled days, and the share of answered polls over all. Pure. */
export function uptimeWords(days: Days): string {
  const known = days.filter((ratio): ratio is number => ratio !== null);
  if (known.length === 0) return "Not polled in the last 90 days";
  const mean = known.reduce((sum, ratio) => sum + ratio, 0) / known.length;
  const poor = known.filter((ratio) => ratio < GOOD).length;
  return `${percent(mean)} answered on ${known.length} of the last ${days.length} days; ${poor} below 99 %`;
}

export function UptimeBars({ days }: { days: Days | undefined }) {
  if (!days) return <span class="muted">…</span>;
  const words = uptimeWords(days);
  return (
    <span title={words}>
      <svg class="uptime" width={days.length * STEP} height={HEIGHT} aria-hidden="true">
        {barPaths(days).map(([role, path]) => <path key={role} class={`fill-${role}`} d={path} />)}
      </svg>
      <span class="visually-hidden">{words}</span>
    </span>
  );
}
