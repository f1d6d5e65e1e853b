// The table of servers: one row for each series, the columns the same for both data sources.

import * as flux from '../flux.mjs';
import * as prom from '../prometheus.mjs';
import { LEAPS, SIGNED_OFFSET, STANDINGS, STANDING_STEPS, SUCCESS, steps } from '../kinds.mjs';

const DAY = 'range(start: -24h)';

/** Removes the name of the metric, because rows that differ in a column other than their figures are not merged. */
const named = (expr) => `max by (server, address) (${expr})`;

// Name of the column, its query for Prometheus, its name in the row that Flux makes, and how it is shown.
const COLUMNS = [
  ['Standing', `8 * (${prom.ofServers('reach')} == bool 0) + 4 * ${prom.ofServers('falseticker')} + 2 * ` +
    `${prom.ofServers('blamed')} + (1 - ${prom.ofServers('truechimer')} - ${prom.ofServers('falseticker')})`,
  'standing', { mappings: STANDINGS, thresholds: STANDING_STEPS, coloured: true }],
  ['Offset', prom.ofServers('offset_seconds'), 'offset_s', { unit: 's', thresholds: SIGNED_OFFSET, coloured: true }],
  ['Root distance', prom.ofServers('root_distance_seconds'), 'root_distance_s',
    { unit: 's', thresholds: steps([null, 'green'], [0.5, 'orange'], [1.5, 'red']), coloured: true }],
  ['Delay', prom.ofServers('delay_seconds'), 'delay_s', { unit: 's' }],
  ['Jitter', prom.ofServers('jitter_seconds'), 'jitter_s', { unit: 's' }],
  ['Stratum', prom.ofServers('stratum'), 'stratum', {}],
  ['Leap', prom.ofServers('leap'), 'leap', { mappings: LEAPS, coloured: true, thresholds: steps([null, 'green']) }],
  ['Score', prom.ofServers('score'), 'score',
    { thresholds: steps([null, 'red'], [10, 'green']), coloured: true, decimals: 1 }],
  ['Success 24 h', prom.ofServers('success_ratio', 'window="24h"'), 'success_24h',
    { unit: 'percentunit', thresholds: SUCCESS, coloured: true }],
];

function override([title, , , { unit = 'none', thresholds, mappings, coloured, decimals }]) {
  const properties = [
    { id: 'unit', value: unit },
    ...(decimals === undefined ? [] : [{ id: 'decimals', value: decimals }]),
    ...(thresholds ? [{ id: 'thresholds', value: thresholds }] : []),
    ...(mappings ? [{ id: 'mappings', value: mappings }] : []),
    ...(coloured ? [{ id: 'custom.cellOptions', value: { type: 'color-text' } }] : []),
  ];
  return { matcher: { id: 'byName', options: title }, properties };
}

const letter = (i) => String.fromCharCode('A'.charCodeAt(0) + i);

function fluxTable() {
  const said = flux.pipe(
    flux.ofServers('ntp_sample', ['offset_s', 'root_distance_s', 'delay_s', 'stratum', 'leap']),
    'last()',
    'toFloat()',
  );
  const success = flux.pipe(
    flux.ofServers('ntp_sample', 'success', DAY), 'mean()', 'set(key: "_field", value: "success_24h")',
  );
  const judged = flux.pipe(flux.ofServers('ntp_stats', ['jitter_s', 'score']), 'last()', 'toFloat()');
  const standing = flux.pipe(flux.standing(), 'last()', 'set(key: "_field", value: "standing")');
  const renamed = COLUMNS.map(([title, , field]) => `${field}: "${title}"`).join(', ');
  return [
    `said = ${said}`,
    `success = ${success}`,
    `judged = ${judged}`,
    `standing = ${standing}`,
    flux.pipe(
      'union(tables: [said, success, judged, standing])',
      'keep(columns: ["_field", "_value", "server", "address"])',
      'group()',
      'pivot(rowKey: ["server", "address"], columnKey: ["_field"], valueColumn: "_value")',
      `rename(columns: {server: "Server", address: "Address", ${renamed}})`,
    ),
  ].join('\n\n');
}

const query = fluxTable();

export const serverTable = {
  kind: 'table', title: 'Servers: last figures', w: 24, h: 11, unit: 'none', thresholds: steps([null, 'text']),
  description:
    'What is known of each server now. Offset: positive when the server is ahead of this host. Root distance: the true ' +
    'offset is within offset ± this if the server is right. Score: of the NTP Pool, above 10 is good. A server that is ' +
    'no longer configured stays as long as it is within the time shown.',
  options: { sortBy: [{ desc: false, displayName: 'Server' }] },
  overrides: [
    {
      matcher: { id: 'byName', options: 'Server' },
      properties: [{ id: 'custom.minWidth', value: 130 }, {
        id: 'links',
        value: [{
          title: 'Open the server',
          url: '/d/ntp-server-${source}?var-server=${__value.raw}&var-datasource=${datasource}' +
            '&${vantage:queryparam}&${__url_time_range}',
          targetBlank: false,
        }],
      }],
    },
    ...COLUMNS.map(override),
  ],
  queries: COLUMNS.map(([title, expr], i) => ({
    refId: letter(i), legend: title, prometheus: { expr: named(expr), table: true }, influxdb: i === 0 ? query : undefined,
  })),
  prometheusTransformations: [
    { id: 'merge', options: {} },
    {
      id: 'organize',
      options: {
        excludeByName: { Time: true },
        indexByName: Object.fromEntries([['server', 0], ['address', 1], ...COLUMNS.map((_, i) => [`Value #${letter(i)}`, i + 2])]),
        renameByName: Object.fromEntries([
          ['server', 'Server'], ['address', 'Address'], ...COLUMNS.map(([title], i) => [`Value #${letter(i)}`, title]),
        ]),
      },
    },
  ],
  fluxTransformations: [
    {
      id: 'organize',
      options: {
        excludeByName: {},
        indexByName: Object.fromEntries(['Server', 'Address', ...COLUMNS.map(([title]) => title)].map((n, i) => [n, i])),
        renameByName: {},
      },
    },
  ],
};
