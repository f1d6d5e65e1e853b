// The health of the monitor and the clock that it measures against.

import * as flux from '../flux.mjs';
import * as prom from '../prometheus.mjs';
import { HEALTHS, LEGEND_IN_LINES, PLAIN, SUCCESS, steps } from '../kinds.mjs';

const { pipe, each, keep } = flux;

/** The newest value of a field of `ntp_health`. */
function latest(field) {
  return pipe(flux.ofVantage('ntp_health', field), 'last()', keep());
}

function overTime(measurement, field, stages = []) {
  return pipe(flux.ofVantage(measurement, field), each(), stages, keep());
}

const ANY = steps([null, 'green'], [1, 'orange']);

export const monitor = [
  {
    kind: 'stat', title: 'Health', w: 4, h: 5, unit: 'none', thresholds: PLAIN, mappings: HEALTHS,
    description: 'The health of the monitor; its reasons are at /health of the monitor.',
    queries: [{
      legend: 'health',
      prometheus: { expr: prom.healthCode(), instant: true },
      influxdb: pipe(flux.ofVantage('ntp_health', 'status'), 'last()', flux.healthCode, keep()),
    }],
  },
  {
    kind: 'stat', title: 'Uptime', w: 4, h: 5, unit: 's', thresholds: steps([null, 'orange'], [3600, 'green']),
    description: 'How long the monitor has been running; under an hour, its hourly figures are not complete.',
    queries: [{
      legend: 'uptime',
      prometheus: { expr: `time() - ${prom.ofVantage('start_timestamp_seconds')}`, instant: true },
      influxdb: latest('uptime_s'),
    }],
  },
  {
    kind: 'stat', title: 'Query success, 24 h', w: 4, h: 5, unit: 'percentunit', thresholds: SUCCESS,
    description: 'The share of the polls of the chosen servers in the last 24 hours that gave an offset.',
    queries: [{
      legend: 'success',
      prometheus: { expr: `avg(${prom.ofServers('success_ratio', 'window="24h"')})`, instant: true },
      influxdb: pipe(flux.ofServers('ntp_sample', 'success', 'range(start: -24h)'), 'group()', 'mean()',
        'keep(columns: ["_value"])'),
    }],
  },
  {
    kind: 'stat', title: 'Restarts of parts', w: 4, h: 5, unit: 'none', thresholds: ANY,
    description: 'How often a part of the monitor (a prober, an output) was restarted since the monitor started.',
    queries: [{
      legend: 'restarts',
      prometheus: { expr: prom.ofVantage('child_restarts_total'), instant: true },
      influxdb: latest('restarts'),
    }],
  },
  {
    kind: 'stat', title: 'Lost for outputs', w: 4, h: 5, unit: 'none', thresholds: ANY,
    description: 'Entries that an output (store, CSV, InfluxDB) lost since the monitor started, because its queue was full.',
    queries: [{
      legend: 'lost',
      prometheus: { expr: `sum(${prom.ofVantage('sink_dropped_total')})`, instant: true },
      influxdb: latest('sink_dropped'),
    }],
  },
  {
    kind: 'stat', title: 'Log records lost', w: 4, h: 5, unit: 'none', thresholds: ANY,
    description: 'Log records that were dropped because the log could not keep up, since the monitor started.',
    queries: [{
      legend: 'lost',
      prometheus: { expr: prom.ofVantage('log_dropped_total'), instant: true },
      influxdb: latest('log_dropped'),
    }],
  },
  {
    kind: 'timeseries', title: 'Lag of the outputs', w: 8, h: 8, unit: 's', min: 0,
    thresholds: steps([null, 'green'], [600, 'red']), options: { legend: LEGEND_IN_LINES },
    description: 'The age of the oldest entry that an output has not written yet; of the slowest one with InfluxDB.',
    queries: [{
      legend: '{{sink}}',
      prometheus: { expr: prom.ofVantage('sink_lag_seconds') },
      influxdb: overTime('ntp_health', 'sink_lag_s'),
      fluxLegend: 'slowest output',
    }],
  },
  {
    kind: 'timeseries', title: 'Waiting for outputs', w: 8, h: 8, unit: 'none', min: 0, thresholds: PLAIN,
    options: { legend: LEGEND_IN_LINES },
    description: 'Entries that wait for an output, in its queue or being written; for all outputs together with InfluxDB.',
    queries: [{
      legend: '{{sink}}',
      prometheus: { expr: prom.ofVantage('sink_waiting') },
      influxdb: overTime('ntp_health', 'sink_waiting'),
      fluxLegend: 'all outputs',
    }],
  },
  {
    kind: 'timeseries', title: 'Own clock: estimate and bound', w: 8, h: 8, unit: 's', thresholds: PLAIN,
    description:
      'The estimated offset of true time against the clock of this host (positive: this clock is slow), and the bound ' +
      'within which it holds if the majority of the servers is right.',
    queries: [
      {
        legend: 'estimate',
        prometheus: { expr: prom.ofVantage('local_offset_seconds') },
        influxdb: overTime('ntp_verdict', 'local_estimate_s'),
      },
      {
        legend: 'bound',
        prometheus: { expr: prom.ofVantage('local_bound_seconds') },
        influxdb: overTime('ntp_verdict', 'local_bound_s'),
      },
    ],
  },
  {
    kind: 'timeseries', title: 'Kernel: frequency correction', w: 12, h: 7, unit: 'ppm', thresholds: PLAIN,
    description: 'The correction that the kernel applies to this clock. Positive: it speeds the clock up.',
    queries: [{
      legend: 'correction',
      prometheus: { expr: `1e6 * ${prom.ofVantage('kernel_frequency_correction_ratio')}` },
      influxdb: overTime('ntp_local', 'frequency_ppm'),
    }],
  },
  {
    kind: 'timeseries', title: 'Kernel: errors', w: 12, h: 7, unit: 's', min: 0, thresholds: PLAIN,
    description:
      'Bound and estimate of the error of the clock, by the kernel. 16 s means that no daemon disciplines the clock.',
    queries: [
      {
        legend: 'bound',
        prometheus: { expr: prom.ofVantage('kernel_max_error_seconds') },
        influxdb: overTime('ntp_local', 'max_error_s'),
      },
      {
        legend: 'estimate',
        prometheus: { expr: prom.ofVantage('kernel_estimated_error_seconds') },
        influxdb: overTime('ntp_local', 'est_error_s'),
      },
    ],
  },
];
