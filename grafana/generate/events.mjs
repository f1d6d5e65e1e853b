// The events that are marked on every time line: those that both data sources have.

import * as flux from './flux.mjs';
import * as prom from './prometheus.mjs';

const { pipe } = flux;

/** Rows with the texts of an event. */
function texts(title, text, tags) {
  return `map(fn: (r) => ({time: r._time, title: ${title}, text: ${text}, tags: ${tags}}))`;
}

/** Times at which a field of a server differs from the previous poll. */
function changes(field, title) {
  return pipe(
    flux.ofServers('ntp_sample', field),
    'difference()',
    'filter(fn: (r) => r._value != 0)',
    'group()',
    texts(`"${title}"`, 'r.server + " " + r.address + ": " + (if r._value > 0 then "+" else "") + string(v: r._value)',
      'r.server'),
  );
}

/** The start of a state: a state that lasts for days must not cover every time line. */
function began(series, condition) {
  return `${series} ${condition} unless ${series} offset 1m ${condition}`;
}

/** The same of ones and zeros. */
const BEGAN = ['difference()', 'filter(fn: (r) => r._value > 0.5)'];

const VERDICT = [
  'pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")',
  'map(fn: (r) => ({r with code: if r.state == "consistent" then 0 else if r.state == "local_wrong" then 4 else ' +
    'if r.state == "server_wrong" then 3 else if r.state == "path" then 2 else 1}))',
  'difference(columns: ["code"])',
  'filter(fn: (r) => r.code != 0)',
  'group()',
];

export const EVENTS = [
  {
    name: 'Verdict',
    color: 'red',
    prometheus: {
      expr: `changes((${prom.verdictCode()})[2m:15s]) > 0`,
      title: 'The verdict changed', text: 'See the time line of the verdict', tags: 'instance',
    },
    influxdb: {
      query: pipe(flux.ofVantage('ntp_verdict', ['state', 'sentence']), VERDICT, texts('r.state', 'r.sentence', '"verdict"')),
    },
  },
  {
    name: 'Proven wrong',
    color: 'orange',
    prometheus: {
      expr: began(prom.ofServers('falseticker'), '== 1'),
      title: 'Proven wrong', text: '{{server}} {{address}}', tags: 'server',
    },
    influxdb: {
      query: pipe(
        flux.ofServers('ntp_stats', 'class'),
        flux.value('if r._value == "falseticker" then 1.0 else 0.0'),
        BEGAN,
        'group()',
        texts('"Proven wrong"', 'r.server + " " + r.address', 'r.server'),
      ),
    },
  },
  {
    name: 'Stratum',
    color: 'blue',
    prometheus: {
      expr: `changes(${prom.ofServers('stratum')}[2m]) > 0`,
      title: 'The stratum changed', text: '{{server}} {{address}}', tags: 'server',
    },
    influxdb: { query: changes('stratum', 'The stratum changed') },
  },
  {
    name: 'Leap',
    color: 'purple',
    prometheus: {
      expr: `changes(${prom.ofServers('leap')}[2m]) > 0`,
      title: 'The leap indicator changed', text: '{{server}} {{address}}', tags: 'server',
    },
    influxdb: { query: changes('leap', 'The leap indicator changed') },
  },
  {
    name: 'Loss',
    color: 'yellow',
    prometheus: {
      expr: began(prom.ofServers('consecutive_failures'), '>= 3'),
      title: 'Polls fail', text: '{{server}} {{address}}', tags: 'server',
    },
    influxdb: {
      query: pipe(
        flux.ofServers('ntp_sample', 'success'),
        'toFloat()',
        'map(fn: (r) => ({r with _value: 1.0 - r._value}))',
        'movingAverage(n: 3)',
        flux.value('if r._value > 0.99 then 1.0 else 0.0'),
        BEGAN,
        'group()',
        'map(fn: (r) => ({time: r._time, title: "Polls fail", text: r.server, tags: r.server}))',
      ),
    },
  },
  {
    name: 'Start of the monitor',
    color: 'green',
    prometheus: {
      expr: `changes(${prom.ofVantage('start_timestamp_seconds')}[2m]) > 0`,
      title: 'The monitor started', text: '{{instance}}', tags: 'instance',
    },
    influxdb: {
      query: pipe(
        flux.ofVantage('ntp_health', 'uptime_s'),
        'difference()',
        'filter(fn: (r) => r._value < 0.0)',
        'group()',
        texts('"The monitor started"', 'r.vantage', '"monitor"'),
      ),
    },
  },
];
