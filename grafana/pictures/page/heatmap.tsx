/** How often which value was seen when: cells of equal size, coloured by their count. */
import { FieldType } from "@grafana/data";
import * as schemes from "d3-scale-chromatic";
import { labels, roundStep, Text, textWidth, TimeAxis, upright, ValueAxis } from "./axes";
import type { Drawing } from "./kinds";

/** Room for the axis of time and the legend. */
const [BELOW, LEGEND] = [24, 26];

export function Heatmap({ panel, data, dashboard, theme, width, height }: Drawing) {
  const { calculation: { xBuckets, yBuckets }, cellGap, color, legend } = panel.options;
  const { from_s, to_s } = dashboard.time;
  const points = data.flatMap(({ fields }) => {
    const valuesOf = (type: FieldType) => fields.find((field) => field.type === type)!.values;
    const [times, numbers] = [valuesOf(FieldType.time), valuesOf(FieldType.number)];
    return times.map((at, n) => ({ at_s: at / 1000, value: numbers[n] as number })).filter(({ value }) => value !== null);
  });
  const values = points.map(({ value }) => value);
  const [least, greatest] = [Math.min(...values), Math.max(...values)];
  const size = roundStep(greatest - least || Math.abs(greatest) || 1, Number(yBuckets.value));
  const low = Math.floor(least / size) * size;
  const rows = Math.floor((greatest - low) / size + 1e-9) + 1;
  const columns = Number(xBuckets.value);
  const counts = new Map<string, number>();
  for (const { at_s, value } of points) {
    const column = Math.min(columns - 1, Math.floor(((at_s - from_s) / (to_s - from_s)) * columns));
    const cell = `${column} ${Math.floor((value - low) / size + 1e-9)}`;
    counts.set(cell, (counts.get(cell) ?? 0) + 1);
  }
  const most = Math.max(...counts.values());
  const unit = panel.fieldConfig.defaults.unit;
  const high = low + rows * size;
  const tall = height - 6 - BELOW - (legend.show ? LEGEND : 0);
  const left = 12 + Math.max(...labels(upright(low, high, tall), unit).map((text) => textWidth(text)));
  const plot = { left, top: 6, width: width - left - 8, height: tall };
  const [cellWidth, cellHeight] = [plot.width / columns, plot.height / rows];
  const shade = (share: number) => (schemes as any)[`interpolate${color.scheme}`](color.reverse ? 1 - share : share);
  return (
    <svg {...{ width, height }}>
      <TimeAxis {...{ plot, dashboard, theme }} />
      <ValueAxis {...{ plot, low, high, unit, theme }} />
      {[...counts].map(([cell, count]) => {
        const [column, row] = cell.split(" ").map(Number);
        return (
          <rect key={cell} x={plot.left + column * cellWidth} y={plot.top + plot.height - (row + 1) * cellHeight}
            width={Math.max(1, cellWidth - cellGap)} height={Math.max(1, cellHeight - cellGap)} fill={shade(count / most)} />
        );
      })}
      {legend.show && <Scale {...{ shade, most, theme }} x={plot.left} y={height - LEGEND + 4} />}
    </svg>
  );
}

function Scale({ shade, most, theme, x, y }: {
  shade: (share: number) => string; most: number; theme: Drawing["theme"]; x: number; y: number;
}) {
  const [steps, wide] = [40, 4];
  return (
    <g>
      {Array.from({ length: steps }, (_, n) => (
        <rect key={n} x={x + n * wide} y={y} width={wide} height={7} fill={shade(n / (steps - 1))} />
      ))}
      <Text x={x} y={y + 16} anchor="start" theme={theme}>0</Text>
      <Text x={x + steps * wide} y={y + 16} anchor="end" theme={theme}>{most}</Text>
    </g>
  );
}
