// PromQL of the panels. A series belongs to the vantage whose scrape it came with: `$instance` (hidden) holds the
// instances of the chosen vantage, so no query names a host.

const PREFIX = 'ntp_monitor_';

function metric(name, matchers) {
  return `${PREFIX}${name}{${['instance=~"$instance"', ...matchers].join(', ')}}`;
}

/** A metric of the chosen servers. */
export function ofServers(name, ...matchers) {
  return metric(name, ['server=~"$server"', ...matchers]);
}

/** A metric of the chosen vantage. */
export function ofVantage(name, ...matchers) {
  return metric(name, matchers);
}

/** 0 consistent, 1 undecidable, 2 path, 3 server wrong, 4 own clock wrong: the codes of `flux.verdictCode`. */
export function verdictCode() {
  const weighted = ['undecidable', 'path', 'server_wrong', 'local_wrong'].map(
    (state, i) => `${i + 1} * ${ofVantage('verdict', `state="${state}"`)}`,
  );
  return weighted.join(' + ignoring (state) ');
}

/** 0 ok, 1 degraded, 2 failing. */
export function healthCode() {
  const [degraded, failing] = ['degraded', 'failing'].map((status) => ofVantage('health', `status="${status}"`));
  return `${degraded} + ignoring (status) 2 * ${failing}`;
}

/** The standing of each server in bits: 1 unknown, 2 accused, 4 falseticker, 8 unreachable; 0 is a truechimer. */
export function standing() {
  const [unknown, accused] = [`1 - ${ofServers('truechimer')} - ${ofServers('falseticker')}`, ofServers('blamed')];
  const bits = [unknown, `2 * ${accused}`, `4 * ${ofServers('falseticker')}`, `8 * (${ofServers('reach')} == bool 0)`];
  return `max by (server) (${bits.join(' + ')})`;
}

/** The ends of each server's interval and, as one more "server", of the majority. */
export function intervalEnds() {
  const majority = (end) => `label_replace(${ofVantage(`majority_${end}_seconds`)}, "server", "the majority", "", "")`;
  const end = (sign) => `${ofServers('offset_seconds')} ${sign} ${ofServers('root_distance_seconds')}`;
  return { low: `(${end('-')} or ${majority('low')})`, high: `(${end('+')} or ${majority('high')})` };
}

/** Time deviation over windows of `tau`, not overlapping (NIST SP 1065 §5.2.8 on averaged phase). */
export function tdev(tau, twice) {
  const x = ofServers('offset_seconds');
  const mean = (offset) => `avg_over_time(${x}[${tau}]${offset})`;
  const second = `${mean('')} - 2 * ${mean(` offset ${tau}`)} + ${mean(` offset ${twice}`)}`;
  return `sqrt(avg_over_time(((${second}) ^ 2)[$__range:${tau}]) / 6)`;
}

/** A query of a panel in Grafana's JSON. */
export function target(refId, { expr, legend, instant = false, table = false }) {
  return {
    datasource: { type: 'prometheus', uid: '${datasource}' },
    editorMode: 'code',
    exemplar: false,
    expr,
    format: table ? 'table' : 'time_series',
    instant: instant || table,
    legendFormat: legend ?? '__auto',
    range: !(instant || table),
    refId,
  };
}

function query(name, label, definition, more) {
  return { type: 'query', name, label, query: { query: definition, refId: 'variable' }, ...more };
}

/** The variables between the data source and the servers, which are the last. */
export function variables() {
  return [
    query('vantage', 'Vantage', `label_values(${PREFIX}build_info, vantage)`, {
      description: 'Where the monitor looks from',
    }),
    query('instance', 'Instance', `label_values(${PREFIX}build_info{vantage=~"$vantage"}, instance)`, {
      hide: 2,
      multi: true,
      includeAll: true,
    }),
    query('tag', 'Tag', 'label_names()', {
      description: 'A configured tag by which the servers are narrowed down',
      regex: '/^(?<value>tag_(?<text>.+))$/',
      includeAll: true,
      allValue: 'server',
    }),
    query('tag_value', 'Value of the tag', `label_values(${PREFIX}server_info{instance=~"$instance"}, \${tag:raw})`, {
      includeAll: true,
      multi: true,
      allValue: '.*',
    }),
    query(
      'server',
      'Server',
      `label_values(${PREFIX}server_info{instance=~"$instance", \${tag:raw}=~"$tag_value"}, server)`,
      { description: 'The configured servers, narrowed down by the tag', includeAll: true, multi: true },
    ),
  ];
}

/** Annotations, in Grafana's fields for this data source. */
export function annotation({ expr, title, text, tags }) {
  return { expr, titleFormat: title, textFormat: text, tagKeys: tags, step: '60s', useValueForTime: false };
}
