/** Transformations, and the configuration of fields with its overrides: Grafana's own, which the application sets up. */
import {
  applyFieldOverrides, type DataFrame, displayNameOverrideProcessor, FieldConfigOptionsRegistry,
  identityOverrideProcessor, locationUtil, numberOverrideProcessor, standardTransformers, standardTransformersRegistry,
  thresholdsOverrideProcessor, transformDataFrame, unitOverrideProcessor, valueMappingsOverrideProcessor,
  type GrafanaTheme2,
} from "@grafana/data";
import type { Panel } from "./data";

const PROCESS = {
  unit: unitOverrideProcessor,
  min: numberOverrideProcessor,
  max: numberOverrideProcessor,
  decimals: numberOverrideProcessor,
  displayName: displayNameOverrideProcessor,
  color: identityOverrideProcessor,
  thresholds: thresholdsOverrideProcessor,
  mappings: valueMappingsOverrideProcessor,
  links: identityOverrideProcessor,
};

function item(path: string, process: any, isCustom: boolean): any {
  return { id: isCustom ? `custom.${path}` : path, path, name: path, isCustom, process, shouldApply: () => true };
}

/** Known properties: the usual ones, and of the panel's own those that it or an override sets. */
function registry({ defaults, overrides }: any): FieldConfigOptionsRegistry {
  const overridden = overrides.flatMap(({ properties }: any) => properties.map(({ id }: any) => id));
  const custom = [
    ...Object.keys(defaults.custom ?? {}),
    ...overridden.filter((id: string) => id.startsWith("custom.")).map((id: string) => id.slice("custom.".length)),
  ];
  return new FieldConfigOptionsRegistry(() => [
    ...Object.entries(PROCESS).map(([path, process]) => item(path, process, false)),
    ...[...new Set(custom)].map((path) => item(path, identityOverrideProcessor, true)),
  ]);
}

export function setUp(): void {
  // Some stand there under two names.
  const transformers = new Map(Object.values(standardTransformers).map((it: any) => [it.id, it]));
  standardTransformersRegistry.setInit(() => [...transformers.values()].map((transformation: any) => (
    { id: transformation.id, name: transformation.name, transformation, editor: () => null }
  )) as any);
  locationUtil.initialize({
    config: { appSubUrl: "", appUrl: "" } as any,
    getTimeRangeForUrl: () => ({ from: "now-1h", to: "now" }),
    getVariablesUrlParams: () => ({}),
  });
}

/** The frames as a panel gets them. */
export async function configured(panel: Panel, frames: DataFrame[], fill: Fill, theme: GrafanaTheme2): Promise<DataFrame[]> {
  const transformed = await new Promise<DataFrame[]>((done, failed) => {
    transformDataFrame(panel.transformations ?? [], frames, { interpolate: fill })
      .subscribe({ next: done, error: failed });
  });
  return applyFieldOverrides({
    data: transformed,
    fieldConfig: panel.fieldConfig,
    fieldConfigRegistry: registry(panel.fieldConfig),
    replaceVariables: fill,
    theme,
    timeZone: "utc",
  });
}

export type Fill = (text: string) => string;

/** Replaces the variables of a dashboard in titles; what is not known stays. */
export function filler(texts: Record<string, string>): Fill {
  return (text) => text.replace(/\$\{?(\w+)\}?/g, (whole, name) => texts[name] ?? whole);
}
