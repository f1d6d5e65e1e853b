// Writes every generated file below grafana/ and prometheus/. Needs Node alone.
//
//   node grafana/generate/generate.mjs           writes
//   node grafana/generate/generate.mjs --check   says which committed files are not current, and fails

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { dashboard, SOURCES } from './dashboard.mjs';
import { grafanaRules, prometheusRules, recordingRules } from './rules.mjs';
import overview from './boards/overview.mjs';
import server from './boards/server.mjs';
import { toYaml } from './yaml.mjs';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const NOTICE = '# Made by grafana/generate; `make dashboards` updates it.\n';

function files() {
  const boards = Object.keys(SOURCES).flatMap((source) =>
    [overview, server].map((board) => [
      `grafana/dashboards/${source}/${board.id}.json`,
      `${JSON.stringify(dashboard(board, source), null, 2)}\n`,
    ]),
  );
  const alerts = Object.keys(SOURCES).map((source) => [
    `grafana/provisioning/alerting/${source}.yaml`,
    NOTICE + toYaml(grafanaRules(source)),
  ]);
  return new Map([
    ...boards,
    ...alerts,
    ['prometheus/ntp-monitor.alerts.yaml', NOTICE + toYaml(prometheusRules())],
    ['prometheus/ntp-monitor.recording.yaml', NOTICE + toYaml(recordingRules())],
  ]);
}

function current(path) {
  try {
    return readFileSync(join(ROOT, path), 'utf8');
  } catch {
    return undefined;
  }
}

const isCheck = process.argv.includes('--check');
const outdated = [...files()].filter(([path, text]) => current(path) !== text);
for (const [path, text] of outdated) {
  if (isCheck) {
    console.error(`${path} is not current: make dashboards`);
  } else {
    mkdirSync(dirname(join(ROOT, path)), { recursive: true });
    writeFileSync(join(ROOT, path), text);
    console.log(path);
  }
}
process.exitCode = isCheck && outdated.length > 0 ? 1 : 0;
