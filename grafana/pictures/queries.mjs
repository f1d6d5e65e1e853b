/** Asks Prometheus what Grafana would ask it for a dashboard: variables, then panels and annotations. */

/** The server that the dashboard *Server* shows, which begins with one. */
const ONE_SERVER = "lossy";
const ANNOTATION_STEP_S = 60;

/**
 * Everything that is needed to draw a dashboard.
 *
 * @param {object} dashboard the committed JSON
 * @param {string} prometheus its address
 * @param {{ from_s: number, to_s: number, step_s: number }} time what is shown
 */
export async function dataOf(dashboard, prometheus, time) {
  const ask = (path, parameters) => asked(prometheus, path, parameters);
  const values = await variables(dashboard, ask);
  const fill = filler(values, time);
  const range = (step_s) => ({ start: time.from_s, end: time.to_s, step: step_s });
  const answer = async (target) => ({
    refId: target.refId,
    legend: target.legendFormat,
    isTable: target.format === "table",
    result: target.instant
      ? await ask("query", { query: fill(target.expr), time: time.to_s })
      : await ask("query_range", { query: fill(target.expr), ...range(time.step_s) }),
  });
  const panels = await Promise.all(dashboard.panels.map(async (panel) => ({
    panel, answers: await Promise.all((panel.targets ?? []).map(answer)),
  })));
  const shown = dashboard.annotations.list.filter(({ enable }) => enable);
  const annotations = await Promise.all(shown.map(async ({ name, iconColor, expr }) => ({
    name, color: iconColor, step_s: ANNOTATION_STEP_S,
    result: await ask("query_range", { query: fill(expr), ...range(ANNOTATION_STEP_S) }),
  })));
  const texts = Object.fromEntries(Object.entries(values).map(([name, { chosen }]) => [name, chosen.join(" + ")]));
  return { title: dashboard.title, panels, annotations, texts, time };
}

async function asked(prometheus, path, parameters) {
  const answer = await fetch(`${prometheus}/api/v1/${path}`, { method: "POST", body: new URLSearchParams(parameters) });
  const said = await answer.json();
  if (said.status !== "success") throw new Error(`${said.error}\n  ${parameters.query ?? path}`);
  return said.data.result ?? said.data;
}

/** By name: the values that are chosen, and whether they stand for all. */
async function variables(dashboard, ask) {
  const values = {};
  for (const variable of dashboard.templating.list.filter(({ type }) => type === "query")) {
    const { name, multi, includeAll, allValue } = variable;
    if (includeAll && allValue !== undefined) {
      values[name] = { chosen: ["All"], raw: allValue, regex: allValue };
      continue;
    }
    const found = await labelValues(filler(values, {})(variable.query.query), ask);
    if (found.length === 0) throw new Error(`no values for $${name}`);
    const isOne = !multi || !includeAll;
    const chosen = isOne ? [found.includes(ONE_SERVER) ? ONE_SERVER : found[0]] : found;
    values[name] = { chosen: isOne ? chosen : ["All"], raw: chosen[0], regex: alternatives(chosen) };
  }
  return values;
}

async function labelValues(definition, ask) {
  const [, series, label] = /^label_values\((.*), *(\w+)\)$/.exec(definition) ?? [];
  if (!series) throw new Error(`not known how to list ${definition}`);
  const found = await ask("series", { "match[]": series });
  return [...new Set(found.map((labels) => labels[label]))].filter(Boolean).sort();
}

/** Values in a regular expression within quotes of PromQL, as Grafana writes them. */
function alternatives(values) {
  const escaped = values.map((value) => value.replace(/[\\^$*+?.()|[\]{}]/g, "\\\\$&"));
  return escaped.length === 1 ? escaped[0] : `(${escaped.join("|")})`;
}

function filler(values, { from_s, to_s, step_s }) {
  const macros = {
    __range: `${to_s - from_s}s`, __interval: `${step_s}s`, __rate_interval: `${4 * step_s}s`,
  };
  return (query) => query.replace(/\$(?:\{(\w+)(?::(\w+))?\}|(\w+))/g, (whole, braced, format, plain) => {
    const name = braced ?? plain;
    if (macros[name]) return macros[name];
    if (!values[name]) throw new Error(`a variable is not known: ${whole}`);
    return format === "raw" ? values[name].raw : values[name].regex;
  });
}
