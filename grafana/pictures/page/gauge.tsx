/** A gauge: an arc filled up to the value, thresholds around it, the value in the middle. */
import { formattedValueToString, getActiveThreshold, type GrafanaTheme2 } from "@grafana/data";
import { textWidth } from "./axes";

/** Where the arc begins, and how far it goes, in turns clockwise from the left. */
const [BEGIN, SWEEP] = [-0.1, 0.7];

function arc(x: number, y: number, radius: number, from: number, to: number): string {
  const point = (share: number) => {
    const angle = 2 * Math.PI * (0.5 + BEGIN + share * SWEEP);
    return `${x + radius * Math.cos(angle)} ${y + radius * Math.sin(angle)}`;
  };
  const isLarge = (to - from) * SWEEP > 0.5 ? 1 : 0;
  return `M${point(from)} A${radius} ${radius} 0 ${isLarge} 1 ${point(to)}`;
}

export function Gauge({ value, field, width, height, theme, showThresholdMarkers }: {
  value: any; field: any; width: number; height: number; theme: GrafanaTheme2; showThresholdMarkers: boolean;
}) {
  const title = value.title ? 16 : 0;
  const size = Math.min(width, (height - title) * 1.2);
  const [x, y, radius] = [width / 2, size * 0.48, size * 0.36];
  const thick = size * 0.12;
  const { min, max, thresholds: { steps } } = field;
  const share = (at: number) => Math.min(1, Math.max(0, (at - min) / (max - min)));
  const text = formattedValueToString(value);
  const font = Math.min(thick * 1.6, (26 * (radius * 1.3)) / textWidth(text, 26));
  const bounds = [...steps.map((step: any) => share(step.value)), 1];
  return (
    <svg {...{ width, height }}>
      <g fill="none" strokeWidth={thick}>
        <path d={arc(x, y, radius, 0, 1)} stroke={theme.colors.background.secondary} />
        {share(value.numeric) > 0 && (
          <path d={arc(x, y, radius, 0, share(value.numeric))}
            stroke={value.color ?? theme.visualization.getColorByName(getActiveThreshold(value.numeric, steps).color)} />
        )}
        {showThresholdMarkers && steps.map((step: any, n: number) => bounds[n + 1] > bounds[n] && (
          <path key={n} d={arc(x, y, radius + thick * 0.75, bounds[n], bounds[n + 1])} strokeWidth={thick / 4}
            stroke={theme.visualization.getColorByName(step.color)} />
        ))}
      </g>
      <text x={x} y={y + font * 0.35} fontSize={font} fontWeight={500} textAnchor="middle" fill={value.color}>{text}</text>
      {value.title && (
        <text x={x} y={height - 4} fontSize={12} textAnchor="middle" fill={theme.colors.text.primary}>{value.title}</text>
      )}
    </svg>
  );
}
