// The dashboard *Overview*: every server of one vantage, and the verdict.

import * as flux from '../flux.mjs';
import * as prom from '../prometheus.mjs';
import {
  HEALTHS, LEGEND_IN_LINES, PLAIN, SIGNED_OFFSET, STANDINGS, STANDING_STEPS, SUCCESS, VERDICTS, steps,
} from '../kinds.mjs';
import { serverTable } from './table.mjs';

const { pipe, each, keep } = flux;
const SERIES = '{{server}} {{address}}';
const POSITIVE = 'Positive: the server is ahead of this host.';

const now = [
  {
    kind: 'stat', title: 'Verdict', w: 5, h: 4, unit: 'none', thresholds: PLAIN, mappings: VERDICTS,
    description:
      'Who is wrong, by the majority of the servers: consistent, undecidable (too few servers, or no majority), path ' +
      '(a route changed, a queue, or no answers), server wrong, own clock wrong. What is wrong can be proven by the error ' +
      'ranges or inferred from movements; the sentence of the verdict says which.',
    queries: [{
      legend: 'verdict',
      prometheus: { expr: prom.verdictCode(), instant: true },
      influxdb: pipe(flux.ofVantage('ntp_verdict', 'state'), 'last()', flux.verdictCode, keep()),
    }],
  },
  {
    kind: 'stat', title: 'Own clock: estimate', w: 4, h: 4, unit: 's', thresholds: SIGNED_OFFSET,
    description:
      'The estimated offset of true time against the clock of this host, as the servers that are not proven wrong see ' +
      'it. Positive: this clock is slow.',
    queries: [{
      legend: 'estimate',
      prometheus: { expr: prom.ofVantage('local_offset_seconds'), instant: true },
      influxdb: pipe(flux.ofVantage('ntp_verdict', 'local_estimate_s'), 'last()', keep()),
    }],
  },
  {
    kind: 'stat', title: 'Own clock: proven error', w: 4, h: 4, unit: 's',
    thresholds: steps([null, 'blue'], [1e-9, 'orange'], [0.1, 'red']),
    description:
      'The clock of this host is wrong by at least this much, if the majority of the servers is right. Zero when ' +
      'nothing is proven, which does not mean that the clock is right. A magnitude: it has no sign.',
    queries: [{
      legend: 'at least',
      prometheus: { expr: prom.ofVantage('local_error_at_least_seconds'), instant: true },
      influxdb: pipe(flux.ofVantage('ntp_verdict', 'local_at_least_s'), 'last()', keep()),
    }],
  },
  {
    kind: 'stat', title: 'Accused servers', w: 3, h: 4, unit: 'none', thresholds: steps([null, 'blue'], [1, 'red']),
    description: 'How many servers, or the paths to them, the verdict blames. Zero does not mean that all are right.',
    queries: [{
      legend: 'accused',
      prometheus: { expr: `sum(${prom.ofVantage('blamed')})`, instant: true },
      influxdb: pipe(flux.ofVantage('ntp_verdict', 'blamed_count'), 'last()', keep()),
    }],
  },
  {
    kind: 'stat', title: 'Query success, 24 h', w: 4, h: 4, unit: 'percentunit', thresholds: SUCCESS,
    description: 'The share of the polls of the chosen servers in the last 24 hours that gave an offset.',
    queries: [{
      legend: 'success',
      prometheus: { expr: `avg(${prom.ofServers('success_ratio', 'window="24h"')})`, instant: true },
      influxdb: pipe(flux.ofServers('ntp_sample', 'success', 'range(start: -24h)'), 'group()', 'mean()',
        'keep(columns: ["_value"])'),
    }],
  },
  {
    kind: 'stat', title: 'Monitor', w: 4, h: 4, unit: 'none', thresholds: PLAIN, mappings: HEALTHS,
    description: 'The health of the monitor itself; its reasons are at /health of the monitor.',
    queries: [{
      legend: 'health',
      prometheus: { expr: prom.healthCode(), instant: true },
      influxdb: pipe(flux.ofVantage('ntp_health', 'status'), 'last()', flux.healthCode, keep()),
    }],
  },
];

const ends = prom.intervalEnds();
const interval = {
  kind: 'barchart', title: 'Intervals: where each server says that true time is', w: 12, h: 10, unit: 's',
  thresholds: PLAIN,
  description:
    'Each bar is offset ± root distance: if the claim of the server holds, the true offset is inside. Bars that overlap ' +
    'can all be right; a bar that does not overlap the majority is proven wrong. Positive: ahead of this host.',
  options: { xField: 'server' },
  // The part between zero and the interval is transparent; the rest is stacked on it, away from zero.
  overrides: [
    hidden('to the interval'), colour('above zero', 'blue'), colour('below zero', 'blue'),
  ],
  queries: [
    intervalPart('A', 'to the interval', `clamp_min(${ends.low}, 0) + clamp_max(${ends.high}, 0)`),
    intervalPart('B', 'above zero', `clamp_min(${ends.high}, 0) - clamp_min(${ends.low}, 0)`),
    intervalPart('C', 'below zero', `clamp_max(${ends.low}, 0) - clamp_max(${ends.high}, 0)`),
  ],
  prometheusTransformations: [
    { id: 'joinByField', options: { byField: 'server', mode: 'outer' } },
    { id: 'sortBy', options: { fields: {}, sort: [{ field: 'server' }] } },
    { id: 'filterFieldsByName', options: { include: { names: ['server', 'Value #A', 'Value #B', 'Value #C'] } } },
    {
      id: 'organize',
      options: {
        excludeByName: {},
        indexByName: {},
        renameByName: { 'Value #A': 'to the interval', 'Value #B': 'above zero', 'Value #C': 'below zero' },
      },
    },
  ],
};

function intervalPart(refId, name, expr) {
  const only = { A: intervalTable() };
  return { refId, legend: name, prometheus: { expr: `sum by (server) (${expr})`, table: true }, influxdb: only[refId] };
}

function intervalTable() {
  const servers = pipe(
    flux.ofServers('ntp_sample', ['offset_s', 'root_distance_s']),
    'last()',
    flux.pivot,
    'map(fn: (r) => ({server: r.server, low: r.offset_s - r.root_distance_s, high: r.offset_s + r.root_distance_s}))',
  );
  const majority = pipe(
    flux.ofVantage('ntp_verdict', ['majority_low_s', 'majority_high_s']),
    'last()',
    flux.pivot,
    'map(fn: (r) => ({server: "the majority", low: r.majority_low_s, high: r.majority_high_s}))',
  );
  const above = 'clamp = (x) => if x > 0.0 then x else 0.0';
  const parts = [
    'server: r.server',
    '"to the interval": clamp(x: r.low) - clamp(x: -r.high)',
    '"above zero": clamp(x: r.high) - clamp(x: r.low)',
    '"below zero": clamp(x: -r.high) - clamp(x: -r.low)',
  ];
  const union = pipe('union(tables: [servers, majority])', 'group()', `map(fn: (r) => ({${parts.join(', ')}}))`);
  return [above, `servers = ${servers}`, `majority = ${majority}`, union].join('\n\n');
}

function named(name, ...properties) {
  return {
    matcher: { id: 'byName', options: name },
    properties: properties.map(([id, value]) => ({ id, value })),
  };
}

function hidden(name) {
  return named(name, ['color', { fixedColor: 'transparent', mode: 'fixed' }], ['custom.fillOpacity', 0],
    ['custom.lineWidth', 0]);
}

function colour(name, fixedColor) {
  return named(name, ['color', { fixedColor, mode: 'fixed' }]);
}

const servers = [
  {
    kind: 'stat', title: 'Servers', w: 12, h: 10, unit: 'none', thresholds: STANDING_STEPS, mappings: STANDINGS,
    options: { justifyMode: 'center', textMode: 'value_and_name' },
    description:
      'The class of each server (the worst of its addresses): truechimer (its interval meets the majority), unknown ' +
      '(shown as not judged: no majority to compare with), suspected without proof or its path disturbed, falseticker ' +
      '(proven wrong), unreachable (none of the last eight polls ' +
      'brought an offset).',
    queries: [{
      legend: '{{server}}',
      prometheus: { expr: `sort_desc(${prom.standing()})`, instant: true },
      influxdb: pipe(flux.standing(), 'last()', 'group(columns: ["server"])', 'max()', keep('server')),
    }],
  },
  interval,
  {
    kind: 'timeseries', title: 'Offset', w: 12, h: 9, unit: 's', thresholds: SIGNED_OFFSET,
    options: { legend: LEGEND_IN_LINES },
    description: `The clock offset of each server (theta of RFC 5905). ${POSITIVE}`,
    queries: [{
      legend: SERIES,
      prometheus: { expr: prom.ofServers('offset_seconds') },
      influxdb: pipe(flux.ofServers('ntp_sample', 'offset_s'), each(), keep('server', 'address')),
    }],
  },
  {
    kind: 'timeseries', title: 'Delay', w: 12, h: 9, unit: 's', min: 0, thresholds: PLAIN,
    options: { legend: LEGEND_IN_LINES },
    description: 'The round-trip delay of each server without its processing time (delta of RFC 5905); never negative.',
    queries: [{
      legend: SERIES,
      prometheus: { expr: prom.ofServers('delay_seconds') },
      influxdb: pipe(flux.ofServers('ntp_sample', 'delay_s'), each(), keep('server', 'address')),
    }],
  },
  {
    kind: 'state-timeline', title: 'Verdict over time', w: 24, h: 4, unit: 'none', thresholds: PLAIN,
    mappings: VERDICTS,
    description: 'The verdict as it was at each moment; see the panel Verdict for what the words mean.',
    queries: [{
      legend: 'verdict',
      prometheus: { expr: prom.verdictCode() },
      influxdb: pipe(flux.ofVantage('ntp_verdict', 'state'), each('last'), flux.verdictCode, keep()),
    }],
  },
  {
    kind: 'state-timeline', title: 'Servers over time', w: 24, h: 9, unit: 'none', mappings: STANDINGS,
    // Of several steps the legend would show the numbers, instead of the standings.
    thresholds: PLAIN,
    description: 'The class of each server as it was at each moment; see the panel Servers for what the words mean.',
    queries: [{
      legend: '{{server}}',
      prometheus: { expr: prom.standing() },
      influxdb: pipe(flux.standing(), 'group(columns: ["server"])', each('max'), keep('server')),
    }],
  },
  {
    kind: 'timeseries', title: 'Success rate, 1 h', w: 12, h: 9, unit: 'percentunit', min: 0, max: 1,
    thresholds: SUCCESS, options: { legend: LEGEND_IN_LINES },
    description: 'The share of the polls of each server in the hour before that gave an offset.',
    queries: [{
      legend: SERIES,
      prometheus: { expr: prom.ofServers('success_ratio', 'window="1h"') },
      influxdb: pipe(flux.ofServers('ntp_stats', 'loss'), each('last'), flux.value('1.0 - r._value'),
        keep('server', 'address')),
    }],
  },
  {
    kind: 'bargauge', title: 'Success rate, 24 h', w: 12, h: 9, unit: 'percentunit', min: 0, max: 1,
    thresholds: SUCCESS,
    description: 'The share of the polls of each server in the last 24 hours that gave an offset.',
    queries: [{
      legend: '{{server}}',
      prometheus: { expr: `sort(avg by (server) (${prom.ofServers('success_ratio', 'window="24h"')}))`, instant: true },
      influxdb: pipe(flux.ofServers('ntp_sample', 'success', 'range(start: -24h)'), 'group(columns: ["server"])',
        'mean()', 'keep(columns: ["_value", "server"])'),
    }],
  },
  serverTable,
];

export default {
  id: 'overview',
  title: 'NTP: overview',
  description: 'Every watched time server, the verdict on who is wrong, and the clock of the monitoring host.',
  rows: [{ title: 'Now', panels: now }, { title: 'Servers', panels: servers }],
};
