/** The service under test: `ntp-monitor demo` on a free port, with a temporary data directory. */
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

export interface Demo {
  url: string;
  stop: () => Promise<void>;
}

export const BINARY = resolve(process.env["NTP_MONITOR_BIN"] ?? "../target/debug/ntp-monitor");
const STARTS_WITHIN_MS = 20_000;

export async function startDemo(): Promise<Demo> {
  const dir = await mkdtemp(join(tmpdir(), "ntp-monitor-page-"));
  const child = spawn(BINARY, ["demo", "--listen", "127.0.0.1:0", "--dir", dir, "--poll", "600ms"], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const stop = async (): Promise<void> => {
    await ended(child);
    await rm(dir, { recursive: true, force: true });
  };
  try {
    return { url: await address(child), stop };
  } catch (why) {
    await stop();
    throw why;
  }
}

/** The address that the service prints once it listens. */
function address(child: ChildProcess): Promise<string> {
  return new Promise((found, failed) => {
    let said = "";
    const late = setTimeout(() => failed(new Error(`the demo printed no address; it said: ${said}`)), STARTS_WITHIN_MS);
    const hear = (chunk: Buffer): void => {
      said += chunk.toString();
      const match = /http:\/\/127\.0\.0\.1:\d+/.exec(said);
      if (!match) return;
      clearTimeout(late);
      found(match[0]);
    };
    child.stdout?.on("data", hear);
    // Read the log too; otherwise the pipe would fill up.
    child.stderr?.on("data", (chunk: Buffer) => { said += chunk.toString().slice(0, 2000); });
    child.once("error", (why) => { clearTimeout(late); failed(why); });
    child.once("exit", (code) => { clearTimeout(late); failed(new Error(`the demo ended with ${code}; it said: ${said}`)); });
  });
}

/** Ends a child process, by force if necessary. */
export async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const gone = new Promise<void>((done) => child.once("exit", () => done()));
  child.kill("SIGTERM");
  const late = setTimeout(() => child.kill("SIGKILL"), 8000);
  await gone;
  clearTimeout(late);
}
