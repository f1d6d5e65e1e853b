// Converts a board and a data source to the JSON that Grafana imports.

import * as flux from './flux.mjs';
import * as prom from './prometheus.mjs';
import { EVENTS } from './events.mjs';
import { KINDS } from './kinds.mjs';

/** The data sources: their names in Grafana, and the source of their queries. */
export const SOURCES = { influxdb: { name: 'InfluxDB', language: flux }, prometheus: { name: 'Prometheus', language: prom } };

const GRID_WIDTH = 24;
const DATASOURCE = '${datasource}';

const letter = (i) => String.fromCharCode('A'.charCodeAt(0) + i);

function targets(panel, source) {
  const queries = panel.queries.map((query, i) => ({ refId: letter(i), ...query }));
  if (source === 'prometheus') {
    return queries.map((query) => prom.target(query.refId, { legend: query.legend, ...query.prometheus }));
  }
  const withFlux = queries.filter((query) => query.influxdb !== undefined);
  return withFlux.map((query) => flux.target(query.refId, { query: query.influxdb }));
}

/** Flux has no legends: the names come from the tags that a query keeps. */
function names(panel, source) {
  const isTable = ['table', 'barchart'].includes(panel.kind);
  if (source === 'prometheus' || isTable) return [];
  return panel.queries.map((query, i) => ({
    matcher: { id: 'byFrameRefID', options: query.refId ?? letter(i) },
    properties: [{
      id: 'displayName',
      value: (query.fluxLegend ?? query.legend).replace(/\{\{(\w+)\}\}/g, '${__field.labels.$1}'),
    }],
  }));
}

function defined(object) {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));
}

function panelJson(panel, source, id, gridPos) {
  const { options, custom } = KINDS[panel.kind];
  const replaced = (overrides) => JSON.parse(JSON.stringify(overrides).replaceAll('${source}', source));
  const transformations = source === 'prometheus' ? panel.prometheusTransformations : panel.fluxTransformations;
  return {
    id,
    type: panel.kind,
    title: panel.title,
    description: panel.description,
    datasource: { type: source, uid: DATASOURCE },
    gridPos,
    targets: targets(panel, source),
    fieldConfig: {
      defaults: defined({
        color: { mode: panel.kind === 'timeseries' ? 'palette-classic' : 'thresholds' },
        custom: custom ? { ...custom, ...panel.custom } : undefined,
        decimals: panel.decimals,
        mappings: panel.mappings ?? [],
        max: panel.max,
        min: panel.min,
        thresholds: panel.thresholds,
        unit: panel.unit,
      }),
      overrides: [...names(panel, source), ...replaced(panel.overrides ?? [])],
    },
    options: { ...options, ...panel.options },
    transformations: transformations ?? [],
  };
}

/** Places the panels from left to right, and begins a new line when one does not fit. */
function place(panels, top) {
  let [x, y, height] = [0, top, 0];
  const places = panels.map(({ w, h }) => {
    if (x + w > GRID_WIDTH) [x, y, height] = [0, y + height, 0];
    const place = { x, y, w, h };
    [x, height] = [x + w, Math.max(height, h)];
    return place;
  });
  return { places, bottom: y + height };
}

function layOut(rows, source) {
  let [id, y] = [1, 0];
  return rows.flatMap(({ title, repeat, panels }) => {
    const row = defined({
      id: id++, type: 'row', title, collapsed: false, gridPos: { x: 0, y, w: GRID_WIDTH, h: 1 }, panels: [], repeat,
      datasource: repeat ? { type: source, uid: DATASOURCE } : undefined,
    });
    const { places, bottom } = place(panels, y + 1);
    y = bottom;
    return [row, ...panels.map((panel, i) => panelJson(panel, source, id++, places[i]))];
  });
}

const DEFAULTS = { refresh: 2, sort: 1, hide: 0, multi: false, includeAll: false, skipUrlSync: false, regex: '', options: [] };

function variable(model, source) {
  const all = { selected: true, text: ['All'], value: ['$__all'] };
  const current = model.includeAll ? (model.multi ? all : { selected: true, text: 'All', value: '$__all' }) : {};
  return { ...DEFAULTS, current, datasource: { type: source, uid: DATASOURCE }, ...model };
}

function variables(board, source) {
  const { name, language } = SOURCES[source];
  // A board that repeats its panels begins with one server: with all of them it would be as long as their list.
  const begun = (model) => (model.name === 'server' && board.beginsWithOne ? { ...model, includeAll: false } : model);
  const datasource = {
    ...DEFAULTS, sort: 0, type: 'datasource', name: 'datasource', label: 'Data source', query: source, current: {},
    refresh: 1, description: `A data source of type ${name}`,
  };
  return [datasource, ...language.variables().map((model) => variable(begun(model), source))];
}

function annotations(source) {
  const { language } = SOURCES[source];
  return EVENTS.map((event) => ({
    datasource: { type: source, uid: DATASOURCE },
    enable: true,
    hide: false,
    iconColor: event.color,
    name: event.name,
    ...language.annotation(event[source]),
  }));
}

/** The dashboard of a board for a data source. */
export function dashboard(board, source) {
  return {
    uid: `ntp-${board.id}-${source}`,
    title: `${board.title} (${SOURCES[source].name})`,
    description: board.description,
    tags: ['ntp', 'ntp-monitor'],
    schemaVersion: 38,
    version: 1,
    editable: true,
    graphTooltip: 1,
    refresh: '1m',
    time: { from: 'now-6h', to: 'now' },
    timezone: 'browser',
    timepicker: {},
    annotations: { list: annotations(source) },
    links: [{
      asDropdown: false, icon: 'external link', includeVars: true, keepTime: true, tags: ['ntp-monitor'],
      targetBlank: false, title: 'NTP', tooltip: 'The other dashboards', type: 'dashboards', url: '',
    }],
    templating: { list: variables(board, source) },
    panels: layOut(board.rows, source),
  };
}
