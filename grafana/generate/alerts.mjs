// The alerts, once for both data sources: a value for each server or vantage, and the limit that it must not pass.
// Their texts use `.Labels`, which both Prometheus and Grafana support; `$labels` would be taken for an environment
// variable by Grafana's provisioning. VALUE stands for the value.

import * as flux from './flux.mjs';

const { pipe, keep } = flux;
const SERVER = '{{ .Labels.server }} ({{ .Labels.address }})';

/** The newest value of a field of each server. */
function newest(measurement, field, ...stages) {
  return pipe(flux.ofAll(measurement, field), 'last()', stages, keep('vantage', 'server', 'address'));
}

/** The newest value of a field of each vantage. */
function ofVantage(measurement, field, ...stages) {
  return pipe(flux.ofAll(measurement, field), 'last()', stages, keep('vantage'));
}

const OVERDUE =
  'min by (instance) (time() - last_over_time(ntp_monitor_last_poll_timestamp_seconds[6h])' +
  ' - 3 * last_over_time(ntp_monitor_poll_interval_seconds[6h]))' +
  ' or 1e9 * absent(last_over_time(ntp_monitor_last_poll_timestamp_seconds[6h]))';

export const ALERTS = [
  {
    name: 'NtpOffsetHigh', severity: 'warning', for: '10m', above: 0.05,
    prometheus: 'abs(ntp_monitor_offset_seconds)',
    influxdb: newest('ntp_sample', 'offset_s', flux.value('if r._value < 0.0 then -r._value else r._value')),
    summary: `${SERVER} is more than 50 ms off`,
    description:
      'The offset has been VALUE s for 10 minutes. The server, the path to it or the clock of the monitoring host is ' +
      'wrong; the verdict says which.',
  },
  {
    name: 'NtpQueriesFailing', severity: 'warning', for: '15m', above: 0.25,
    prometheus: '1 - ntp_monitor_success_ratio{window="1h"}',
    influxdb: newest('ntp_stats', 'loss'),
    summary: `${SERVER} often does not answer`,
    description: 'The share of failed polls in the last hour is VALUE (1 is all).',
  },
  {
    name: 'NtpServerUnreachable', severity: 'critical', for: '10m', below: 1,
    prometheus: 'ntp_monitor_reach',
    influxdb: newest('ntp_stats', 'reach', 'toFloat()'),
    summary: `${SERVER} is unreachable`,
    description: 'None of the last eight polls gave an offset.',
  },
  {
    name: 'NtpMonitoringStopped', severity: 'critical', for: '5m', above: 60, noData: 'Alerting',
    prometheus: OVERDUE,
    influxdb: ofVantage('ntp_health', 'uptime_s', flux.value('float(v: int(v: now()) - int(v: r._time)) / 1000000000.0 - 240.0')),
    summary: 'Time servers are no longer monitored',
    description: 'The monitor has stopped or hangs, or its data does not arrive: data is overdue by VALUE s.',
    lookBack: 21600,
  },
  {
    name: 'NtpFalseticker', severity: 'warning', for: '5m', above: 0,
    prometheus: 'ntp_monitor_falseticker',
    influxdb: newest('ntp_stats', 'class', flux.value('if r._value == "falseticker" then 1.0 else 0.0')),
    summary: `${SERVER} is proven wrong`,
    description: 'Its error range does not overlap the range that the majority agrees on. Stop using it.',
  },
  {
    name: 'NtpOwnClockWrong', severity: 'critical', for: '5m', above: 0,
    prometheus: 'ntp_monitor_verdict{state="local_wrong"}',
    influxdb: ofVantage('ntp_verdict', 'state', flux.value('if r._value == "local_wrong" then 1.0 else 0.0')),
    summary: 'The clock of the monitoring host is wrong',
    description: 'The majority of the servers disagrees with it. Ignore alerts about single servers until it is right.',
  },
  {
    name: 'NtpRootDistanceHigh', severity: 'warning', for: '10m', above: 0.5,
    prometheus: 'ntp_monitor_root_distance_seconds',
    influxdb: newest('ntp_sample', 'root_distance_s'),
    summary: `${SERVER} has an error bound of more than 0.5 s`,
    description: 'Its root distance, the bound of its error, is VALUE s.',
  },
  {
    name: 'NtpRootDistanceCritical', severity: 'critical', for: '10m', above: 1.5,
    prometheus: 'ntp_monitor_root_distance_seconds',
    influxdb: newest('ntp_sample', 'root_distance_s'),
    summary: `${SERVER} has an error bound at which clients reject it`,
    description: 'Its root distance, the bound of its error, is VALUE s; clients reject a server at 1.5 s (ntpd) or 3 s (chrony).',
  },
  {
    name: 'NtpLeapAnnounced', severity: 'info', for: '5m', above: 0,
    prometheus: '(ntp_monitor_leap > bool 0) * (ntp_monitor_leap < bool 3)',
    influxdb: newest('ntp_sample', 'leap', flux.value('if r._value == 1 or r._value == 2 then 1.0 else 0.0')),
    summary: `${SERVER} announces a leap second`,
    description: 'Compare with the announcements of the IERS: a leap second that is not announced there is an error of the server.',
  },
  {
    name: 'NtpServerUnsynchronised', severity: 'warning', for: '10m', above: 2,
    prometheus: 'ntp_monitor_leap',
    influxdb: newest('ntp_sample', 'leap', 'toFloat()'),
    summary: `${SERVER} says that it is not synchronised`,
    description: 'Its leap indicator is 3: it answers, but its clock is not synchronised.',
  },
  {
    name: 'NtpOutputLagging', severity: 'warning', for: '5m', above: 600,
    prometheus: 'max by (instance, sink) (ntp_monitor_sink_lag_seconds)',
    influxdb: ofVantage('ntp_health', 'sink_lag_s'),
    summary: 'An output of the monitor does not keep up',
    description: 'The oldest entry that is not written yet is VALUE s old.',
  },
];
