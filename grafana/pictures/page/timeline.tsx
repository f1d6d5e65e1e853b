/** States over time: a line of boxes for each series, equal neighbours merged. */
import {
  colorManipulator, type DataFrame, type Field, FieldType, formattedValueToString, getFieldDisplayName, getValueFormat,
  type GrafanaTheme2,
} from "@grafana/data";
import { VizLegend } from "@grafana/ui";
import { Text, textWidth, TimeAxis } from "./axes";
import type { Drawing } from "./kinds";

const [BELOW, LEGEND] = [24, 26];

interface Stretch {
  from_s: number;
  to_s: number;
  value: number;
}

/** A state holds until the next point; a gap of more than two steps ends it. */
function merged(times: number[], values: (number | null)[], step_s: number): Stretch[] {
  const found: Stretch[] = [];
  values.forEach((value, n) => {
    if (value === null) return;
    const at_s = times[n] / 1000;
    const next_s = n + 1 < times.length ? times[n + 1] / 1000 : at_s;
    const to_s = next_s - at_s <= 2 * step_s ? next_s : at_s;
    const last = found.at(-1);
    if (last && last.value === value && last.to_s === at_s) last.to_s = to_s;
    else found.push({ from_s: at_s, to_s, value });
  });
  return found;
}

/** As Grafana 10 has it: steps of thresholds where there are several, otherwise the states that occur. */
function legendItems(fields: Field[], theme: GrafanaTheme2) {
  const { color, thresholds, unit } = fields[0].config;
  if (color?.mode === "thresholds" && thresholds && thresholds.steps.length > 1) {
    const text = (value: number) => formattedValueToString(getValueFormat(unit)(value));
    return thresholds.steps.map((step, n) => ({
      label: n === 0 ? `< ${text(thresholds.steps[1].value)}` : `${text(step.value)}+`,
      color: theme.visualization.getColorByName(step.color), yAxis: 1,
    }));
  }
  const states = new Map(fields.flatMap(({ values, display }) => values.filter((value) => value !== null).map((value) => {
    const shown = display!(value);
    return [shown.text, shown.color] as const;
  })));
  return [...states].map(([label, color]) => ({ label, color, yAxis: 1 }));
}

export function Timeline({ panel, data, dashboard, theme, width, height }: Drawing) {
  const lines = data.map((frame: DataFrame) => {
    const [time, field] = [FieldType.time, FieldType.number].map((type) => frame.fields.find((it) => it.type === type)!);
    const name = getFieldDisplayName(field, frame, data);
    return { name, field, stretches: merged(time.values, field.values, dashboard.time.step_s) };
  });
  const { legend, rowHeight, alignValue } = panel.options;
  const left = Math.max(...lines.map(({ name }) => textWidth(name))) + 12;
  const isLegend = legend.showLegend;
  const plot = { left, top: 4, width: width - left - 8, height: height - 4 - BELOW - (isLegend ? LEGEND : 0) };
  const pitch = plot.height / lines.length;
  return (
    <div>
      <svg width={width} height={height - (isLegend ? LEGEND : 0)}>
        <TimeAxis {...{ plot, dashboard, theme }} />
        {lines.map(({ name, field, stretches }, row) => (
          <g key={name} transform={`translate(0 ${plot.top + (row + (1 - rowHeight) / 2) * pitch})`}>
            <Text x={left - 8} y={(pitch * rowHeight) / 2} anchor="end" theme={theme}>{name}</Text>
            {stretches.map((stretch) => (
              <Box key={stretch.from_s} {...{ stretch, field, plot, dashboard, theme, alignValue }} height={pitch * rowHeight} />
            ))}
          </g>
        ))}
      </svg>
      {isLegend && <VizLegend items={legendItems(lines.map(({ field }) => field), theme)} {...legend} />}
    </div>
  );
}

function Box({ stretch, field, plot, dashboard: { time: { from_s, to_s } }, height, theme, alignValue }: any) {
  const x = (at_s: number) => plot.left + ((at_s - from_s) / (to_s - from_s)) * plot.width;
  const { text, color } = field.display(stretch.value);
  const [left, width] = [x(stretch.from_s), x(stretch.to_s) - x(stretch.from_s)];
  const opacity = field.config.custom.fillOpacity / 100;
  const isFitting = textWidth(text) + 8 < width && height > 13;
  const over = colorManipulator.alpha(color, opacity);
  const at = alignValue === "left" ? { x: left + 4, anchor: "start" as const } : { x: left + width / 2 };
  return (
    <g>
      <rect x={left} width={width} height={height} fill={over} />
      {isFitting && <Text {...at} y={height / 2} theme={theme}>{text}</Text>}
    </g>
  );
}
