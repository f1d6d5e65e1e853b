// The dashboard *Server*: all data of one server, repeated for each chosen server, and the health of the monitor.

import * as flux from '../flux.mjs';
import * as prom from '../prometheus.mjs';
import {
  LEAPS, LEGEND_IN_LINES, PLAIN, SIGNED_OFFSET, STANDINGS, STANDING_STEPS, SUCCESS, steps,
} from '../kinds.mjs';
import { monitor } from './monitor.mjs';
import { statistics } from './statistics.mjs';

const { pipe, each, keep } = flux;
const POSITIVE = 'Positive: the server is ahead of this host.';
const ADDRESS = '{{address}}';

/** A panel with the newest value of one metric and field. */
function latest(kind, title, metric, [measurement, field], more) {
  return {
    kind, title, w: 3, h: 5, unit: 'none', thresholds: PLAIN,
    queries: [{
      legend: ADDRESS,
      prometheus: { expr: prom.ofServers(metric), instant: true },
      influxdb: pipe(flux.ofServers(measurement, field), 'last()', keep('address')),
    }],
    ...more,
  };
}

const ROOT_DISTANCE = steps([null, 'green'], [0.5, 'orange'], [1.5, 'red']);

const gauges = [
  {
    kind: 'stat', title: 'Standing', w: 3, h: 5, unit: 'none', thresholds: STANDING_STEPS, mappings: STANDINGS,
    description:
      'Truechimer: its interval meets the majority. Unknown: nothing to compare. Path accused: a route delays one ' +
      'direction. Falseticker: proven wrong. Unreachable: none of the last eight polls brought an offset.',
    queries: [{
      legend: '{{server}}',
      prometheus: { expr: prom.standing(), instant: true },
      influxdb: pipe(flux.standing(), 'last()', 'group(columns: ["server"])', 'max()', keep('server')),
    }],
  },
  latest('gauge', 'Offset', 'offset_seconds', ['ntp_sample', 'offset_s'], {
    w: 4, unit: 's', min: -0.15, max: 0.15, thresholds: SIGNED_OFFSET,
    description: `The newest offset (theta of RFC 5905) against the limits of 25 ms and 100 ms. ${POSITIVE}`,
  }),
  latest('gauge', 'Root distance', 'root_distance_seconds', ['ntp_sample', 'root_distance_s'], {
    w: 4, unit: 's', min: 0, max: 2, thresholds: ROOT_DISTANCE,
    description:
      'The bound: the true offset is within offset ± this if the claim of the server holds. chrony does not use a ' +
      'server above 3 s.',
  }),
  latest('gauge', 'Delay', 'delay_seconds', ['ntp_sample', 'delay_s'], {
    unit: 's', min: 0, max: 1, thresholds: steps([null, 'green'], [0.3, 'yellow'], [0.6, 'orange']),
    description: 'The newest round-trip delay (delta of RFC 5905). Half of it bounds what an uneven path can hide.',
  }),
  {
    kind: 'gauge', title: 'Reach', w: 3, h: 5, unit: 'percentunit', min: 0, max: 1, thresholds: SUCCESS,
    description: 'The share of the last eight polls that gave an offset.',
    queries: [{
      legend: ADDRESS,
      prometheus: { expr: prom.ofServers('reach_ratio'), instant: true },
      influxdb: pipe(
        flux.ofServers('ntp_sample', 'success'), 'tail(n: 8)', 'mean()', 'keep(columns: ["_value", "address"])',
      ),
    }],
  },
  latest('stat', 'Stratum', 'stratum', ['ntp_sample', 'stratum'], {
    w: 2, thresholds: steps([null, 'green'], [8, 'orange'], [16, 'red']),
    description: 'The distance of the server to a reference clock: 1 has one, 2 to 15 are that many steps away.',
  }),
  latest('stat', 'Leap', 'leap', ['ntp_sample', 'leap'], {
    mappings: LEAPS,
    description: 'What the server announces for the end of the day: no leap second, one to insert, one to delete; or ' +
      'that it is not synchronised.',
  }),
  latest('stat', 'Score', 'score', ['ntp_stats', 'score'], {
    w: 2, decimals: 1, thresholds: steps([null, 'red'], [10, 'green']),
    description: 'The score of the NTP Pool, about −100 to 20: the pool hands out servers above 10.',
  }),
];

/** The outermost end of the intervals of all addresses. The fill ends at a line that is found by its name. */
function bound(sign, outermost) {
  const end = `${prom.ofServers('offset_seconds')} ${sign} ${prom.ofServers('root_distance_seconds')}`;
  return {
    prometheus: { expr: `${outermost}(${end})` },
    influxdb: pipe(
      flux.ofServers('ntp_sample', ['offset_s', 'root_distance_s']),
      each(),
      flux.pivot,
      flux.value(`r.offset_s ${sign} r.root_distance_s`),
      'group(columns: ["_time"])',
      `${outermost}()`,
      'group()',
      keep(),
      'sort(columns: ["_time"])',
    ),
  };
}

function line(refId, properties) {
  const ofFrame = ([id, value]) => ({ id, value });
  return { matcher: { id: 'byFrameRefID', options: refId }, properties: properties.map(ofFrame) };
}

const offset = [
  {
    kind: 'timeseries', title: 'Offset within its bound', w: 16, h: 9, unit: 's', thresholds: SIGNED_OFFSET,
    description:
      'The clock offset, and offset ± root distance (of all its addresses, the outermost): true time is within the ' +
      `band if the claim of the server holds. ` +
      POSITIVE,
    overrides: [
      line('C', [['custom.fillBelowTo', 'lower'], ['custom.lineWidth', 0], ['custom.fillOpacity', 15]]),
      line('B', [['custom.lineWidth', 0]]),
      line('A', [['custom.lineWidth', 2]]),
    ],
    queries: [
      {
        refId: 'A', legend: `offset ${ADDRESS}`,
        prometheus: { expr: prom.ofServers('offset_seconds') },
        influxdb: pipe(flux.ofServers('ntp_sample', 'offset_s'), each(), keep('address')),
      },
      { refId: 'B', legend: 'lower', ...bound('-', 'min') },
      { refId: 'C', legend: 'upper', ...bound('+', 'max') },
    ],
  },
  {
    kind: 'timeseries', title: 'Drift over 1 h', w: 8, h: 9, unit: 'ppm', decimals: 3, thresholds: PLAIN,
    description:
      'The trend of the offset in the hour before, in parts per million (1 ppm is 86 ms a day). Positive: the server ' +
      'gains on this host. InfluxDB: the robust trend on low delays (Theil–Sen); Prometheus: least squares.',
    queries: [{
      legend: ADDRESS,
      prometheus: { expr: `1e6 * deriv(${prom.ofServers('offset_seconds')}[1h])` },
      influxdb: pipe(flux.ofServers('ntp_stats', 'drift_ppm'), each(), keep('address')),
    }],
  },
];

/** One line of the delay of the hour before. */
function delayOf(name, expr, field) {
  return {
    legend: `${name} ${ADDRESS}`,
    prometheus: { expr },
    influxdb: pipe(flux.ofServers('ntp_stats', field), each(), keep('address')),
  };
}

const DELAY_HOUR = `${prom.ofServers('delay_seconds')}[1h]`;

const delay = [
  {
    kind: 'timeseries', title: 'Delay', w: 12, h: 10, unit: 's', min: 0, thresholds: PLAIN,
    description:
      'The round-trip delay, and its floor, median and 95th percentile over the hour before. The floor is the path; ' +
      'what is above it are queues. A floor that moves for good is a new route.',
    queries: [
      {
        legend: `delay ${ADDRESS}`,
        prometheus: { expr: prom.ofServers('delay_seconds') },
        influxdb: pipe(flux.ofServers('ntp_sample', 'delay_s'), each(), keep('address')),
      },
      delayOf('floor', `min_over_time(${DELAY_HOUR})`, 'delay_min_s'),
      delayOf('median', `quantile_over_time(0.5, ${DELAY_HOUR})`, 'delay_median_s'),
      delayOf('p95', `quantile_over_time(0.95, ${DELAY_HOUR})`, 'delay_p95_s'),
    ],
  },
  {
    kind: 'heatmap', title: 'Delay: heat map', w: 12, h: 10, unit: 's', thresholds: PLAIN,
    description: 'How often which round-trip delay was seen. A second band is a second route.',
    queries: [{
      legend: ADDRESS,
      prometheus: { expr: prom.ofServers('delay_seconds') },
      influxdb: pipe(flux.ofServers('ntp_sample', 'delay_s'), each('last'), keep('address')),
    }],
  },
];

const health = [
  {
    kind: 'timeseries', title: 'Query success, 1 h', w: 8, h: 7, unit: 'percentunit', min: 0, max: 1,
    thresholds: SUCCESS,
    description: 'The share of the polls in the hour before that gave an offset.',
    queries: [{
      legend: ADDRESS,
      prometheus: { expr: prom.ofServers('success_ratio', 'window="1h"') },
      influxdb: pipe(flux.ofServers('ntp_stats', 'loss'), each('last'), flux.value('1.0 - r._value'), keep('address')),
    }],
  },
  {
    kind: 'timeseries', title: 'Polls in 5 min, by outcome', w: 8, h: 7, unit: 'none', min: 0, thresholds: PLAIN,
    options: { legend: LEGEND_IN_LINES },
    custom: { drawStyle: 'bars', fillOpacity: 70, stacking: { group: 'A', mode: 'normal' } },
    description:
      'How polls ended: sample, timeout, refused, kiss (told to go away), rejected (a reply that fails the checks), ' +
      'unsynchronised, dns, fault (of this host).',
    queries: [{
      legend: '{{outcome}}',
      prometheus: { expr: `sum by (outcome) (increase(${prom.ofServers('polls_total')}[5m])) > 0` },
      influxdb: pipe(
        flux.ofServers('ntp_sample', 'outcome'),
        'map(fn: (r) => ({r with outcome: r._value, _value: 1.0}))',
        'group(columns: ["outcome"])',
        each('sum', '5m'),
        keep('outcome'),
      ),
    }],
  },
  {
    kind: 'timeseries', title: 'What the server says of itself', w: 8, h: 7, unit: 's', min: 0, thresholds: PLAIN,
    description:
      'Root delay and root dispersion as the server states them: how far it is from its reference clock, and how far ' +
      'it may have wandered since it last heard from it. Both are bounds without sign.',
    queries: [
      {
        legend: `root delay ${ADDRESS}`,
        prometheus: { expr: prom.ofServers('root_delay_seconds') },
        influxdb: pipe(flux.ofServers('ntp_sample', 'root_delay_s'), each(), keep('address')),
      },
      {
        legend: `root dispersion ${ADDRESS}`,
        prometheus: { expr: prom.ofServers('root_dispersion_seconds') },
        influxdb: pipe(flux.ofServers('ntp_sample', 'root_dispersion_s'), each(), keep('address')),
      },
    ],
  },
];

export default {
  id: 'server',
  title: 'NTP: server',
  description: 'Offset, delay, stability and statistics of each chosen server, and the health of the monitor.',
  beginsWithOne: true,
  rows: [
    { title: '$server', repeat: 'server', panels: [...gauges, ...offset, ...delay, ...statistics, ...health] },
    { title: 'The monitor', panels: monitor },
  ],
};
