/** The panel types that Grafana's libraries draw, given what each panel of the application gives them. */
import {
  type DataFrame, dateTime, type FieldDisplay, getDisplayValueAlignmentFactors, getFieldDisplayValues,
  type GrafanaTheme2, type TimeRange, VizOrientation,
} from "@grafana/data";
import { BarGauge, BigValue, Table, TimeSeries, VizRepeater } from "@grafana/ui";
import type { ComponentType } from "react";
import { annotate } from "./annotations";
import { BarChart, Histogram } from "./bars";
import type { Dashboard, Panel } from "./data";
import type { Fill } from "./fields";
import { Gauge } from "./gauge";
import { Heatmap } from "./heatmap";
import { Timeline } from "./timeline";

export interface Drawing {
  panel: Panel;
  data: DataFrame[];
  dashboard: Dashboard;
  theme: GrafanaTheme2;
  fill: Fill;
  width: number;
  height: number;
}

function range({ time: { from_s, to_s } }: Dashboard): TimeRange {
  const [from, to] = [dateTime(from_s * 1000), dateTime(to_s * 1000)];
  return { from, to, raw: { from, to } };
}

function Lines({ panel, data, dashboard, theme, width, height }: Drawing) {
  return (
    <TimeSeries
      frames={data} timeRange={range(dashboard)} timeZone="utc" legend={panel.options.legend} structureRev={1}
      options={panel.options} {...{ width, height }}
    >
      {(builder) => {
        annotate(builder, dashboard.annotations, theme);
        return null;
      }}
    </TimeSeries>
  );
}

function values({ panel, data, fill, theme }: Drawing): FieldDisplay[] {
  const { reduceOptions } = panel.options;
  return getFieldDisplayValues({ data, fieldConfig: panel.fieldConfig, reduceOptions, replaceVariables: fill, theme });
}

/** One after another of the reduced values; a single one goes without its name. */
function repeated(render: ComponentType<any>, { isNameKept = false, spacing = 8, autoGrid = true } = {}) {
  const Render = render;
  return (drawing: Drawing) => {
    const { panel, data, width, height, theme } = drawing;
    return (
      <VizRepeater
        getValues={() => values(drawing)} source={data} orientation={panel.options.orientation ?? VizOrientation.Auto}
        itemSpacing={spacing} {...{ width, height, autoGrid }}
        minVizHeight={panel.options.minVizHeight} minVizWidth={panel.options.minVizWidth}
        getAlignmentFactors={getDisplayValueAlignmentFactors}
        renderValue={({ value: { display, field, view, colIndex }, count, width, height, orientation, alignmentFactors }: any) => {
          const value = count === 1 && !isNameKept ? { ...display, title: undefined } : display;
          const processor = view?.getFieldDisplayProcessor(colIndex);
          return (
            <Render
              {...panel.options} display={processor}
              {...{ value, field, count, width, height, orientation, alignmentFactors, theme }}
            />
          );
        }}
      />
    );
  };
}

function Rows({ panel, data, width, height }: Drawing) {
  return <Table data={data[0]} {...{ width, height }} initialSortBy={panel.options.sortBy} showTypeIcons={false} />;
}

const Stat = (given: any) => <BigValue {...given} />;

const Bar = (given: any) => (
  <BarGauge {...given} valueDisplayMode={given.valueMode} lcdCellWidth={12} />
);

/** By type, as it stands in the JSON. */
export const KINDS: Record<string, ComponentType<Drawing>> = {
  timeseries: Lines,
  stat: repeated(Stat, { isNameKept: true, spacing: 3 }),
  gauge: repeated(Gauge),
  bargauge: repeated(Bar, { autoGrid: false }),
  table: Rows,
  "state-timeline": Timeline,
  heatmap: Heatmap,
  histogram: Histogram,
  barchart: BarChart,
};
