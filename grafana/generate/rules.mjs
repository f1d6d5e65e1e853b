// The alerts as rule files: for Prometheus, and for Grafana's provisioning with either data source.

import { ALERTS } from './alerts.mjs';
import { SOURCES } from './dashboard.mjs';
import { target } from './flux.mjs';

/** The identifiers that the provisioned data sources have (grafana/provisioning/datasources). */
const UID = { influxdb: 'ntp-influxdb', prometheus: 'ntp-prometheus' };
const LOOK_BACK_S = 3600;

function limit({ above, below }) {
  return above === undefined ? ['<', 'lt', below] : ['>', 'gt', above];
}

function texts({ summary, description }, value) {
  return { summary, description: description.replaceAll('VALUE', value) };
}

/** Rules that Prometheus evaluates. */
export function prometheusRules() {
  const rules = ALERTS.map((alert) => {
    const [operator, , bound] = limit(alert);
    const value = /\bor\b/.test(alert.prometheus) ? `(${alert.prometheus})` : alert.prometheus;
    return {
      alert: alert.name,
      expr: `${value} ${operator} ${bound}`,
      for: alert.for,
      labels: { severity: alert.severity },
      annotations: texts(alert, '{{ printf "%.3f" .Value }}'),
    };
  });
  return { groups: [{ name: 'ntp-monitor', interval: '30s', rules }] };
}

/** Recorded figures for frequent queries, long time spans and other dashboards. */
export function recordingRules() {
  const offset = 'ntp_monitor_offset_seconds';
  const rules = [
    { record: 'instance:ntp_monitor_up:ratio', expr: 'avg by (instance, job) (ntp_monitor_up)' },
    { record: 'instance_server:ntp_monitor_offset_seconds:median1h', expr: `quantile_over_time(0.5, ${offset}[1h])` },
    { record: 'instance_server:ntp_monitor_offset_seconds:abs_max1h', expr: `max_over_time(abs(${offset})[1h:1m])` },
    { record: 'instance_server:ntp_monitor_offset_seconds:stddev1h', expr: `stddev_over_time(${offset}[1h])` },
    { record: 'instance_server:ntp_monitor_delay_seconds:min1h', expr: 'min_over_time(ntp_monitor_delay_seconds[1h])' },
  ];
  return { groups: [{ name: 'ntp-monitor-figures', interval: '1m', rules }] };
}

function query(alert, source) {
  const model =
    source === 'prometheus'
      ? { editorMode: 'code', expr: alert.prometheus, instant: true, range: false, refId: 'A' }
      : { query: target('A', { query: alert.influxdb }).query, refId: 'A' };
  return {
    refId: 'A',
    relativeTimeRange: { from: alert.lookBack ?? LOOK_BACK_S, to: 0 },
    datasourceUid: UID[source],
    model: { ...model, intervalMs: 60000, maxDataPoints: 100 },
  };
}

function expression(refId, model) {
  return {
    refId,
    relativeTimeRange: { from: 0, to: 0 },
    datasourceUid: '__expr__',
    model: { ...model, datasource: { type: '__expr__', uid: '__expr__' }, refId },
  };
}

function grafanaRule(alert, source) {
  const [, comparison, bound] = limit(alert);
  return {
    uid: `${alert.name.toLowerCase()}-${source}`,
    title: alert.name,
    condition: 'C',
    for: alert.for,
    noDataState: alert.noData ?? 'OK',
    execErrState: 'Error',
    isPaused: false,
    labels: { severity: alert.severity },
    annotations: texts(alert, '{{ printf "%.3f" .Values.B.Value }}'),
    data: [
      query(alert, source),
      expression('B', { type: 'reduce', expression: 'A', reducer: 'last', settings: { mode: 'dropNN' } }),
      expression('C', {
        type: 'threshold', expression: 'B', conditions: [{ evaluator: { type: comparison, params: [bound] } }],
      }),
    ],
  };
}

/** Rules that Grafana evaluates, in the form of its provisioning. */
export function grafanaRules(source) {
  const rules = ALERTS.map((alert) => grafanaRule(alert, source));
  const group = { orgId: 1, name: `ntp-monitor (${SOURCES[source].name})`, folder: 'NTP', interval: '1m', rules };
  return { apiVersion: 1, groups: [group] };
}
