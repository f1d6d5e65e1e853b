// Flux of the panels. The bucket is the data source's own (`v.defaultBucket`), the time is the dashboard's; vantage and
// servers are variables. A query is a list of stages that `pipe` joins.

const RANGE = 'range(start: v.timeRangeStart, stop: v.timeRangeStop)';
const VANTAGE = 'r.vantage == ${vantage:doublequote}';
const SERVERS = 'r.server =~ /^${server:regex}$/';

/** Joins stages. */
export function pipe(...stages) {
  return stages.flat().join('\n  |> ');
}

function from(measurement, fields, where, range) {
  const named = fields.map((field) => `r._field == "${field}"`).join(' or ');
  const what = `r._measurement == "${measurement}" and ${fields.length > 1 ? `(${named})` : named}`;
  return ['from(bucket: v.defaultBucket)', range, `filter(fn: (r) => ${what})`, `filter(fn: (r) => ${where})`];
}

/** Fields of the chosen servers. */
export function ofServers(measurement, fields, range = RANGE) {
  return from(measurement, [fields].flat(), `${VANTAGE} and ${SERVERS}`, range);
}

/** Fields of the chosen vantage. */
export function ofVantage(measurement, fields) {
  return from(measurement, [fields].flat(), VANTAGE, RANGE);
}

/** Fields of everything, for alert rules. */
export function ofAll(measurement, fields) {
  return from(measurement, [fields].flat(), 'exists r.vantage', RANGE);
}

/** One value for each step of the panel. */
export function each(fn = 'mean', every = 'v.windowPeriod') {
  return `aggregateWindow(every: ${every}, fn: ${fn}, createEmpty: false)`;
}

/** Keeps only these columns besides time and value; the tags among them name the series. */
export function keep(...tags) {
  return `keep(columns: ${JSON.stringify(['_time', '_value', ...tags]).replaceAll(',', ', ')})`;
}

/** Replaces the value. */
export function value(expression) {
  return `map(fn: (r) => ({r with _value: ${expression}}))`;
}

/** Joins the fields of one moment into one row. */
export const pivot = 'pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")';

function coded(codes, otherwise) {
  const choice = codes.map(([name, code]) => `if r._value == "${name}" then ${code.toFixed(1)} else `).join('');
  return value(`${choice}${otherwise.toFixed(1)}`);
}

/** 0 consistent, 1 undecidable, 2 path, 3 server wrong, 4 own clock wrong. */
export const verdictCode = coded([['consistent', 0], ['path', 2], ['server_wrong', 3], ['local_wrong', 4]], 1);

/** 0 ok, 1 degraded, 2 failing. */
export const healthCode = coded([['ok', 0], ['degraded', 1]], 2);

/** The standing of each server in bits: 1 unknown, 2 accused, 4 falseticker, 8 unreachable; 0 is a truechimer. */
export function standing() {
  const bits = [
    '(if r.class == "unknown" then 1.0 else 0.0)',
    '(if r.blamed == 1 then 2.0 else 0.0)',
    '(if r.class == "falseticker" then 4.0 else 0.0)',
    '(if r.reach == 0 then 8.0 else 0.0)',
  ];
  return [...ofServers('ntp_stats', ['class', 'blamed', 'reach']), pivot, value(bits.join(' + '))];
}

/** Adds the stages for one fixed averaging time of `tdev`. */
export function tdev(tau) {
  return pipe(
    ofServers('ntp_sample', 'offset_s'),
    each('mean', tau),
    ['difference()', 'difference()', value('r._value * r._value / 6.0'), 'mean()', value('math.sqrt(x: r._value)')],
    'keep(columns: ["_value", "address"])',
  );
}

/** A query of a panel in Grafana's JSON. */
export function target(refId, { query }) {
  const needsMath = query.includes('math.');
  return {
    datasource: { type: 'influxdb', uid: '${datasource}' },
    query: needsMath ? `import "math"\n\n${query}` : query,
    refId,
  };
}

function schema(name, label, call, more) {
  const text = `import "influxdata/influxdb/schema"\n\n${call}`;
  return { type: 'query', name, label, query: text, ...more };
}

const SINCE = 'start: v.timeRangeStart, stop: v.timeRangeStop';
const OWN_KEYS = ['_start', '_stop', '_field', '_measurement', 'vantage', 'server', 'address'];
const predicate = (more) => `predicate: (r) => r._measurement == "ntp_sample"${more}`;

/** The variables between the data source and the servers, which are the last. */
export function variables() {
  const vantage = ` and ${VANTAGE}`;
  const tagged = `${vantage} and r["\${tag:raw}"] =~ /^\${tag_value:regex}$/`;
  const values = (tag, more) =>
    `schema.tagValues(bucket: v.defaultBucket, tag: "${tag}", ${predicate(more)}, ${SINCE})`;
  const keys = `schema.tagKeys(bucket: v.defaultBucket, ${predicate(vantage)}, ${SINCE})`;
  const isOwn = `contains(value: r._value, set: ${JSON.stringify(OWN_KEYS).replaceAll(',', ', ')})`;
  return [
    schema('vantage', 'Vantage', values('vantage', ''), { description: 'Where the monitor looks from' }),
    schema('tag', 'Tag', pipe(keys, `filter(fn: (r) => not ${isOwn})`), {
      description: 'A configured tag by which the servers are narrowed down',
      includeAll: true,
      allValue: 'server',
    }),
    schema('tag_value', 'Value of the tag', values('${tag:raw}', vantage), {
      includeAll: true,
      multi: true,
      allValue: '.*',
    }),
    schema('server', 'Server', values('server', tagged), {
      description: 'The configured servers, narrowed down by the tag',
      includeAll: true,
      multi: true,
    }),
  ];
}

/** Annotations: Grafana reads the columns `title`, `text` and `tags` of one table. */
export function annotation({ query }) {
  return { target: { refId: 'events', query } };
}
