/**
 * Makes docs/images/grafana-*.png: the panels of the committed dashboards of Prometheus, each drawn from its own JSON
 * with what its own queries find in a Prometheus that scrapes `ntp-monitor demo`. No Grafana is needed; its libraries
 * draw what they can, the files in page/ the rest.
 *
 *   npm run pictures                       after a debug build of the program
 *   MINUTES=20 npm run pictures            with a longer history (default: 12 minutes)
 *
 * NTP_MONITOR_BIN, PROMETHEUS and CHROMIUM name other programs, OUT another directory; PROMETHEUS_URL takes a Prometheus
 * that scrapes a demo already.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { decode, encode } from "../../web/scripts/png.mjs";
import { withPage } from "./page.mjs";
import { SCRAPE_S, withBoth } from "./processes.mjs";
import { dataOf } from "./queries.mjs";

const ROOT = resolve(import.meta.dirname, "../..");
const IMAGES = resolve(process.env.OUT ?? join(ROOT, "docs/images"));
const MINUTES = Number(process.env.MINUTES ?? 12);
/** No picture may be heavier. */
const MOST_BYTES = 400_000;
const PROGRAMS = {
  monitor: resolve(process.env.NTP_MONITOR_BIN ?? join(ROOT, "target/debug/ntp-monitor")),
  prometheus: process.env.PROMETHEUS ?? "/usr/bin/prometheus",
};

if (!(MINUTES > 1)) throw new Error("MINUTES must be above 1");
if (process.env.PROMETHEUS_URL) {
  await pictures(process.env.PROMETHEUS_URL);
} else {
  await withBoth(PROGRAMS, async (prometheus) => {
    console.log(`a demo runs, and a Prometheus at ${prometheus}, for ${MINUTES} minutes`);
    await pause(MINUTES * 60_000);
    await pictures(prometheus);
  });
}

async function pictures(prometheus) {
  const to_s = Math.floor(Date.now() / 1000 / SCRAPE_S) * SCRAPE_S;
  // Without the first minute, in which the verdict settles.
  const time = { from_s: to_s - Math.round((MINUTES - 1) * 60), to_s, step_s: SCRAPE_S };
  mkdirSync(IMAGES, { recursive: true });
  await withPage(async (draw) => {
    for (const name of ["overview", "server"]) {
      const file = join(ROOT, `grafana/dashboards/prometheus/${name}.json`);
      const data = await dataOf(JSON.parse(readFileSync(file, "utf8")), prometheus, time);
      const picture = encode(decode(await draw(data)));
      if (picture.length > MOST_BYTES) throw new Error(`grafana-${name}.png takes ${picture.length} bytes`);
      writeFileSync(join(IMAGES, `grafana-${name}.png`), picture);
      console.log(`docs/images/grafana-${name}.png ${picture.length}`);
    }
  });
}
