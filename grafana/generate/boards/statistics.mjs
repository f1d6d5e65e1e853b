// Stability and statistics of one server.

import * as flux from '../flux.mjs';
import * as prom from '../prometheus.mjs';
import { PLAIN, SIGNED_OFFSET, steps } from '../kinds.mjs';

const { pipe, each, keep } = flux;
const ADDRESS = '{{address}}';
const POSITIVE = 'Positive: the server is ahead of this host.';
const HOUR = `${prom.ofServers('offset_seconds')}[1h]`;

/** A figure of the hour before, from PromQL and from `ntp_stats`. */
function hourly(name, expr, field, stages = []) {
  return {
    legend: `${name} ${ADDRESS}`,
    prometheus: { expr },
    influxdb: pipe(flux.ofServers('ntp_stats', field), each(), stages, keep('address')),
  };
}

const stability = [
  {
    kind: 'timeseries', title: 'Jitter and standard deviation', w: 8, h: 8, unit: 's', min: 0, thresholds: PLAIN,
    description:
      'Jitter: root mean square of the differences between the last eight offsets (RFC 5905). Standard deviation: of ' +
      'the offsets of the hour before. Both without sign; lower is better.',
    queries: [
      hourly('jitter', prom.ofServers('jitter_seconds'), 'jitter_s'),
      hourly('stddev', `stddev_over_time(${HOUR})`, 'offset_stddev_s'),
    ],
  },
  {
    // In seconds squared a good server has 1e-10, which an axis would show as zero.
    kind: 'timeseries', title: 'Variance of the offset, 1 h (µs²)', w: 8, h: 8, unit: 'short', min: 0,
    thresholds: PLAIN,
    description: 'The variance of the offsets of the hour before, in microseconds squared; lower is better.',
    queries: [
      hourly('variance', `1e12 * stdvar_over_time(${HOUR})`, 'offset_stddev_s', [flux.value('r._value * r._value * 1000000000000.0')]),
    ],
  },
  {
    kind: 'bargauge', title: 'Time deviation (TDEV) by averaging time', w: 8, h: 8, unit: 's', min: 0,
    thresholds: steps([null, 'green'], [0.001, 'yellow'], [0.01, 'orange'], [0.1, 'red']),
    options: { text: { titleSize: 14, valueSize: 18 } },
    description:
      'TDEV over the time shown, for averaging times of 1 min to 1 h: how much the average offset of such a stretch ' +
      'wanders from one stretch to the next. Falls with the averaging time while noise of the path rules, rises when ' +
      'a clock wanders. Windows do not overlap, and at least three are needed; the monitor\'s own page and `replay` ' +
      'have the overlapping estimate with its confidence.',
    queries: [['1m', '2m'], ['5m', '10m'], ['15m', '30m'], ['1h', '2h']].map(([tau, twice]) => ({
      legend: `${tau} ${ADDRESS}`,
      prometheus: { expr: prom.tdev(tau, twice), instant: true },
      influxdb: flux.tdev(tau),
    })),
  },
];

const distribution = [
  {
    kind: 'timeseries', title: 'Mean, median and percentiles, 1 h', w: 12, h: 10, unit: 's', thresholds: SIGNED_OFFSET,
    description: `Offsets of the hour before. Mean and median that part mean outliers on one side. ${POSITIVE}`,
    queries: [
      hourly('mean', `avg_over_time(${HOUR})`, 'offset_mean_s'),
      hourly('median', `quantile_over_time(0.5, ${HOUR})`, 'offset_median_s'),
      hourly('p5', `quantile_over_time(0.05, ${HOUR})`, 'offset_p5_s'),
      hourly('p95', `quantile_over_time(0.95, ${HOUR})`, 'offset_p95_s'),
    ],
  },
  {
    kind: 'histogram', title: 'Offset: histogram', w: 6, h: 10, unit: 's', thresholds: PLAIN,
    description: `How often which offset was seen in the time shown. ${POSITIVE}`,
    queries: [{
      legend: ADDRESS,
      prometheus: { expr: prom.ofServers('offset_seconds') },
      influxdb: pipe(flux.ofServers('ntp_sample', 'offset_s'), each('last'), keep('address')),
    }],
  },
  {
    kind: 'heatmap', title: 'Offset: heat map', w: 6, h: 10, unit: 's', thresholds: PLAIN,
    description: `How often which offset was seen, over time. ${POSITIVE}`,
    queries: [{
      legend: ADDRESS,
      prometheus: { expr: prom.ofServers('offset_seconds') },
      influxdb: pipe(flux.ofServers('ntp_sample', 'offset_s'), each('last'), keep('address')),
    }],
  },
];

export const statistics = [...stability, ...distribution];
