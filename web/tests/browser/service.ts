/** A service with a configuration file of its own, which can be stopped and started again over the same data. */
import { spawn, type ChildProcess } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BINARY, ended } from "./demo";

const STARTS_WITHIN_MS = 20_000;

export interface Service {
  url: string;
  /** The configuration file as it is now. */
  file: () => Promise<string>;
  restart: () => Promise<void>;
  stop: () => Promise<void>;
}

/** Tokens by role; each is named after its role. */
export const TOKENS = { read: "token-of-a-reader", operate: "token-of-an-operator", admin: "token-of-an-administrator" };

/** `rest` follows the sections that every service needs. */
export async function startService(rest: string): Promise<Service> {
  const dir = await mkdtemp(join(tmpdir(), "ntp-monitor-page-"));
  const path = join(dir, "ntp-monitor.toml");
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const tokens = Object.entries(TOKENS).map(([role, token]) =>
    `[[http.tokens]]\nname = "${role}"\nrole = "${role}"\nsha256 = "${createHash("sha256").update(token).digest("hex")}"\n`);
  const own = `# Kept by hand.\n[monitor]\nvantage = "bench"\ndata_dir = "${dir}"\n\n[http]\nlisten = "127.0.0.1:${port}"\n\n${tokens.join("\n")}`;
  await writeFile(path, `${own}\n${rest}`);
  let child = await started(path, url);
  return {
    url,
    file: () => readFile(path, "utf8"),
    restart: async () => {
      await ended(child);
      child = await started(path, url);
    },
    stop: async () => {
      await ended(child);
      await rm(dir, { recursive: true, force: true });
    },
  };
}

async function started(path: string, url: string): Promise<ChildProcess> {
  const child = spawn(BINARY, ["run", "--config", path], { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr?.on("data", (chunk: Buffer) => { said = (said + chunk.toString()).slice(-4000); });
  const late = Date.now() + STARTS_WITHIN_MS;
  while (Date.now() < late && child.exitCode === null) {
    const ready = await fetch(`${url}/ready`).then(() => true, () => false);
    if (ready) return child;
    await new Promise((tick) => setTimeout(tick, 50));
  }
  await ended(child);
  throw new Error(`the service did not start; it said: ${said}`);
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((listening) => probe.listen(0, "127.0.0.1", listening));
  const { port } = probe.address() as AddressInfo;
  await new Promise((closed) => probe.close(closed));
  return port;
}
