/** Histograms, and bars that are stacked and lie, as the dashboards have them. */
import {
  buildHistogram, type DataFrame, type Field, FieldType, getFieldDisplayName, getFieldSeriesColor,
} from "@grafana/data";
import { Text, textWidth, ValueAxis } from "./axes";
import type { Drawing } from "./kinds";

const BELOW = 24;

export function Histogram({ panel, data, theme, width, height }: Drawing) {
  const bins = buildHistogram(data, panel.options);
  if (!bins) return <div>No data</div>;
  const [from, to, counts] = [bins.xMin.values, bins.xMax.values, bins.counts];
  const [low, high] = [from[0], to[to.length - 1]];
  const most = Math.max(...counts.flatMap(({ values }) => values));
  const plot = { left: 34, top: 6, width: width - 46, height: height - 6 - BELOW };
  const x = (value: number) => plot.left + ((value - low) / (high - low)) * plot.width;
  const { lineWidth, fillOpacity } = counts[0].config.custom;
  return (
    <svg {...{ width, height }}>
      <ValueAxis {...{ plot, theme }} low={0} high={most * 1.05} unit="short" />
      <ValueAxis {...{ plot, low, high, theme }} unit={bins.xMin.config.unit ?? "none"} isBelow />
      {counts.map((field, n) => field.values.map((count: number, bin: number) => {
        const tall = (count / (most * 1.05)) * plot.height;
        const color = seriesColor(field, theme);
        return (
          <rect key={`${n} ${bin}`} x={x(from[bin]) + 1} width={Math.max(1, x(to[bin]) - x(from[bin]) - 2)} height={tall}
            y={plot.top + plot.height - tall} fill={color} fillOpacity={fillOpacity / 100} stroke={color} strokeWidth={lineWidth} />
        );
      }))}
    </svg>
  );
}

const seriesColor = (field: Field, theme: Drawing["theme"]) => getFieldSeriesColor(field, theme).color;

/** Positive values are stacked to the right, negative ones to the left, in the order of the fields. */
function stacked(fields: Field[], row: number) {
  const ends = { right: 0, left: 0 };
  return fields.flatMap((field) => {
    const value: number | null = field.values[row];
    if (!value) return [];
    const side = value > 0 ? "right" : "left";
    const from = ends[side];
    ends[side] += value;
    return [{ field, from: Math.min(from, ends[side]), to: Math.max(from, ends[side]) }];
  });
}

export function BarChart({ panel, data, theme, width, height }: Drawing) {
  const { xField, barWidth, orientation, stacking } = panel.options;
  if (orientation !== "horizontal" || stacking !== "normal") throw new Error(`${panel.title}: such bars cannot be drawn`);
  const frame: DataFrame = data[0];
  const names = frame.fields.find((field) => getFieldDisplayName(field, frame) === xField)!.values as string[];
  const numbers = frame.fields.filter(({ type }) => type === FieldType.number);
  const rows = names.map((name, row) => ({ name, parts: stacked(numbers, row) }));
  const all = rows.flatMap(({ parts }) => parts.flatMap(({ from, to }) => [from, to]));
  const margin = (Math.max(...all) - Math.min(...all)) * 0.05;
  const [low, high] = [Math.min(0, ...all) - margin, Math.max(0, ...all) + margin];
  const left = Math.max(...names.map((name) => textWidth(name))) + 10;
  const plot = { left, top: 6, width: width - left - 30, height: height - 6 - BELOW };
  const x = (value: number) => plot.left + ((value - low) / (high - low)) * plot.width;
  const pitch = plot.height / rows.length;
  return (
    <svg {...{ width, height }}>
      <ValueAxis {...{ plot, low, high, theme }} unit={numbers[0].config.unit ?? "none"} isBelow />
      {rows.map(({ name, parts }, row) => {
        const middle = plot.top + (row + 0.5) * pitch;
        return (
          <g key={name}>
            <Text x={plot.left - 6} y={middle} anchor="end" theme={theme}>{name}</Text>
            {parts.map(({ field, from, to }, n) => {
              const color = seriesColor(field, theme);
              const { fillOpacity, lineWidth } = field.config.custom;
              return (
                <rect key={n} x={x(from)} width={x(to) - x(from)} y={middle - (barWidth * pitch) / 2} height={barWidth * pitch}
                  fill={color} fillOpacity={fillOpacity / 100} stroke={color} strokeWidth={lineWidth} />
              );
            })}
          </g>
        );
      })}
    </svg>
  );
}
