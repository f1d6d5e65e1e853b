/** What Prometheus answered, as the frames that Grafana's data source makes of it. */
import { type DataFrame, type Field, FieldType, renderLegendFormat } from "@grafana/data";

export interface Series {
  metric: Record<string, string>;
  value?: [number, string];
  values?: [number, string][];
}

export interface Answer {
  refId: string;
  legend: string;
  isTable: boolean;
  result: Series[];
}

export interface Mark {
  name: string;
  color: string;
  step_s: number;
  result: Series[];
}

export interface Panel {
  id: number;
  type: string;
  title: string;
  description?: string;
  gridPos: { x: number; y: number; w: number; h: number };
  fieldConfig: any;
  options: any;
  transformations?: any[];
}

export interface Dashboard {
  title: string;
  panels: { panel: Panel; answers: Answer[] }[];
  annotations: Mark[];
  texts: Record<string, string>;
  time: { from_s: number; to_s: number; step_s: number };
}

const number = (text: string) => (text === "+Inf" ? Infinity : text === "-Inf" ? -Infinity : Number(text));

function field(name: string, type: FieldType, values: unknown[], more: Partial<Field> = {}): Field {
  return { name, type, values, config: {}, ...more };
}

function ofSeries({ metric, value, values }: Series, { refId, legend }: Answer, step_s: number): DataFrame {
  const points = values ?? (value ? [value] : []);
  const times = points.map(([at_s]) => at_s * 1000);
  const numbers = points.map(([, text]) => number(text)).map((it) => (Number.isFinite(it) ? it : null));
  const displayNameFromDS = renderLegendFormat(legend, metric);
  return {
    refId,
    length: points.length,
    fields: [
      field("Time", FieldType.time, times, { config: { interval: step_s * 1000 } }),
      field("Value", FieldType.number, numbers, { labels: metric, config: { displayNameFromDS } }),
    ],
  };
}

/** One frame of an answer: a row for each series, a column for each label. */
function ofTable({ refId, result }: Answer, isOnly: boolean): DataFrame {
  const labels = [...new Set(result.flatMap(({ metric }) => Object.keys(metric)))].sort();
  return {
    refId,
    length: result.length,
    fields: [
      field("Time", FieldType.time, result.map(({ value }) => value![0] * 1000)),
      ...labels.map((label) => field(label, FieldType.string, result.map(({ metric }) => metric[label] ?? ""))),
      field(isOnly ? "Value" : `Value #${refId}`, FieldType.number, result.map(({ value }) => number(value![1]))),
    ],
  };
}

export function frames(answers: Answer[], step_s: number): DataFrame[] {
  return answers.flatMap((answer) => (
    answer.isTable
      ? [ofTable(answer, answers.length === 1)]
      : answer.result.map((series) => ofSeries(series, answer, step_s))
  ));
}

/** Stretches in which an annotation holds: its points, joined while no step lies between them without one. */
export function stretches({ step_s, result }: Mark): [number, number][] {
  return result.flatMap(({ values }) => {
    const found: [number, number][] = [];
    for (const [at_s, text] of values ?? []) {
      const last = found.at(-1);
      if (number(text) === 0) continue;
      if (last && at_s - last[1] <= step_s) last[1] = at_s;
      else found.push([at_s, at_s]);
    }
    return found;
  });
}
