/** The demo and the Prometheus that scrapes it: on free ports of loopback, in a directory that goes with them. */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

/** Seconds between two scrapes, also the least step of a query. */
export const SCRAPE_S = 5;
const START_WITHIN_MS = 60_000;

/**
 * Starts both, hands the address of Prometheus to `job`, and ends both, even if the job fails.
 *
 * @param {{ monitor: string, prometheus: string }} programs
 * @param {(prometheus: string) => Promise<void>} job
 */
export async function withBoth(programs, job) {
  const dir = mkdtempSync(join(tmpdir(), "ntp-monitor-grafana-"));
  const children = [];
  const start = (program, ...args) => {
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "ignore"] });
    children.push(child);
    return child;
  };
  const endNow = () => children.forEach((child) => child.kill("SIGKILL"));
  const interrupted = () => process.exit(130);
  process.once("exit", endNow).once("SIGINT", interrupted).once("SIGTERM", interrupted);
  try {
    const demo = start(programs.monitor, "demo", "--listen", "127.0.0.1:0", "--dir", join(dir, "demo"));
    const target = await saidAddress(demo);
    const port = await freePort();
    const config = join(dir, "prometheus.json");
    writeFileSync(config, JSON.stringify({
      global: { scrape_interval: `${SCRAPE_S}s` },
      scrape_configs: [{ job_name: "ntp-monitor", static_configs: [{ targets: [target] }] }],
    }));
    const prometheus = start(
      programs.prometheus, `--config.file=${config}`, `--storage.tsdb.path=${join(dir, "tsdb")}`,
      `--web.listen-address=127.0.0.1:${port}`,
    );
    prometheus.stdout.resume();
    const address = `http://127.0.0.1:${port}`;
    await answers(`${address}/-/ready`, prometheus);
    await job(address);
  } finally {
    await Promise.all(children.map(ended));
    process.off("exit", endNow).off("SIGINT", interrupted).off("SIGTERM", interrupted);
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Ends a process that may have ended or never begun. */
function ended(child) {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return undefined;
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  return gone;
}

/** `host:port` of the page that the demo prints once it listens. */
function saidAddress(demo) {
  return new Promise((found, failed) => {
    let said = "";
    demo.stdout.setEncoding("utf8").on("data", (piece) => {
      said += piece;
      const match = /http:\/\/(127\.0\.0\.1:\d+)/.exec(said);
      if (match) found(match[1]);
    });
    demo.once("error", failed);
    demo.once("exit", (code) => failed(new Error(`the demo ended with ${code}: ${said}`)));
  });
}

function freePort() {
  return new Promise((found, failed) => {
    const server = createServer().once("error", failed);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => found(port));
    });
  });
}

async function answers(url, child) {
  let problem;
  child.once("error", (why) => { problem = why; });
  for (const until = Date.now() + START_WITHIN_MS; Date.now() < until; await pause(200)) {
    if (problem) throw problem;
    if (child.exitCode !== null) throw new Error(`Prometheus ended with ${child.exitCode}`);
    const answer = await fetch(url).catch(() => undefined);
    if (answer?.ok) return;
  }
  throw new Error(`${url} does not answer`);
}
