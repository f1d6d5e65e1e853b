/** Axes of the panels that are drawn here: ticks at round values, labels in the unit of the panel. */
import { dateTimeFormat, formattedValueToString, type GrafanaTheme2, getValueFormat } from "@grafana/data";
import type { ReactNode } from "react";
import type { Dashboard } from "./data";

export const FONT_PX = 12;
const ROUND = [1, 2, 5, 10];
const TIMES_S = [5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21_600];

/** The part of a panel within its axes. */
export interface Plot {
  left: number;
  top: number;
  width: number;
  height: number;
}

/** The least round step that makes at most `most` of `span`. */
export function roundStep(span: number, most: number): number {
  const least = span / most || 1;
  const power = 10 ** Math.floor(Math.log10(least));
  return power * ROUND.find((step) => power * step >= least * (1 - 1e-9))!;
}

export function ticks(low: number, high: number, step: number): number[] {
  const first = Math.ceil(low / step - 1e-9);
  const count = Math.max(0, Math.floor(high / step + 1e-9) - first + 1);
  return Array.from({ length: count }, (_, n) => (first + n) * step);
}

/** Labels of ticks, with as many digits as tell them apart. */
export function labels(values: number[], unit: string): string[] {
  const format = getValueFormat(unit);
  for (let decimals = 0; ; decimals++) {
    const texts = values.map((value) => formattedValueToString(format(value, decimals)));
    if (new Set(texts).size === values.length || decimals === 4) return texts;
  }
}

export function textWidth(text: string, size = FONT_PX): number {
  const pen = document.createElement("canvas").getContext("2d")!;
  pen.font = `${size}px Inter`;
  return pen.measureText(text).width;
}

export function Text({ theme, anchor = "middle", ...at }: {
  x: number; y: number; theme: GrafanaTheme2; anchor?: "start" | "middle" | "end"; children: ReactNode;
}) {
  return <text {...at} fill={theme.colors.text.primary} fontSize={FONT_PX} textAnchor={anchor} dominantBaseline="middle" />;
}

/** Time below a plot, and its grid. */
export function TimeAxis({ plot, dashboard: { time: { from_s, to_s } }, theme }: {
  plot: Plot; dashboard: Dashboard; theme: GrafanaTheme2;
}) {
  const least = (to_s - from_s) / Math.max(1, Math.floor(plot.width / 70));
  const step = TIMES_S.find((time) => time >= least) ?? 86_400;
  const x = (at_s: number) => plot.left + ((at_s - from_s) / (to_s - from_s)) * plot.width;
  const format = step < 60 ? "HH:mm:ss" : "HH:mm";
  const bottom = plot.top + plot.height;
  return (
    <g>
      {ticks(from_s, to_s, step).map((at_s) => (
        <g key={at_s}>
          <line x1={x(at_s)} x2={x(at_s)} y1={plot.top} y2={bottom} stroke="rgba(240, 250, 255, 0.09)" />
          {x(at_s) > plot.left + 15 && x(at_s) < plot.left + plot.width - 15 && (
            <Text x={x(at_s)} y={bottom + 13} theme={theme}>{dateTimeFormat(at_s * 1000, { format, timeZone: "utc" })}</Text>
          )}
        </g>
      ))}
    </g>
  );
}

/** Where the ticks of an upright axis stand. */
export function upright(low: number, high: number, height: number): number[] {
  return ticks(low, high, roundStep(high - low, Math.max(2, height / 40)));
}

/** Values left of a plot (or below one whose bars lie), and their grid. */
export function ValueAxis({ plot, low, high, unit, theme, isBelow = false }: {
  plot: Plot; low: number; high: number; unit: string; theme: GrafanaTheme2; isBelow?: boolean;
}) {
  const values = isBelow ? ticks(low, high, roundStep(high - low, Math.max(2, plot.width / 90))) : upright(low, high, plot.height);
  const shown = labels(values, unit);
  const bottom = plot.top + plot.height;
  return (
    <g>
      {values.map((value, n) => {
        const share = (value - low) / (high - low);
        const [x, y] = [plot.left + share * plot.width, bottom - share * plot.height];
        const line = isBelow
          ? { x1: x, x2: x, y1: plot.top, y2: bottom }
          : { x1: plot.left, x2: plot.left + plot.width, y1: y, y2: y };
        return (
          <g key={value}>
            <line {...line} stroke="rgba(240, 250, 255, 0.09)" />
            {isBelow
              ? <Text x={x} y={bottom + 13} theme={theme}>{shown[n]}</Text>
              : <Text x={plot.left - 6} y={y} anchor="end" theme={theme}>{shown[n]}</Text>}
          </g>
        );
      })}
    </g>
  );
}
