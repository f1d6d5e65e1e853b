/** What the service answers about who may do what, and about its configuration. */
import type { Json } from "./types";

export type Role = "read" | "operate" | "admin";

export interface Session {
  authenticated: boolean;
  name: string | null;
  role: Role | null;
  /** Whether the page may be read without a token. */
  reading_is_open: boolean;
  /** The one-time link of the first start. */
  setup_link?: "waiting" | "expired" | null;
}

/** The configuration file, secrets masked as `********`. */
export interface ConfigFile {
  path: string | null;
  format: string;
  text: string;
  etag: string;
  editable: boolean;
  why_not: string | null;
  /** Where servers are added when this file cannot be edited. */
  adds_to?: string | null;
}

export interface Fault {
  /** Key path, such as `server[2].poll_interval`. */
  path: string;
  /** Counted from 1. */
  line: number | null;
  message: string;
}

export interface ConfigCheck {
  valid: boolean;
  faults: Fault[];
  warnings: string[];
  /** A unified diff against the file as it is. */
  diff: string;
  changes: ConfigChanges;
}

export interface ConfigChanges {
  /** Names of servers. */
  added: string[];
  changed: string[];
  removed: string[];
  /** Tables of the file. */
  sections: string[];
  /** What waits for a restart. */
  needs_restart: string[];
}

/** The keys of a `[[server]]` to set; `null` removes one. */
export type ServerKeys = Record<string, Json>;

/** JSON Schema 2020-12, as far as the service uses it. */
export interface Schema {
  type?: string | string[];
  description?: string;
  default?: Json;
  /** Says which default follows from other values. */
  "x-default"?: string;
  examples?: Json[];
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema;
  additionalProperties?: Schema | boolean;
  oneOf?: Schema[];
  const?: Json;
  enum?: Json[];
  minimum?: number;
  maximum?: number;
  /** A secret. */
  writeOnly?: boolean;
}

export interface AuditEntry {
  time: string;
  who: string;
  role: string;
  peer: string;
  action: string;
  target: string;
  outcome: string;
}

export interface AuditBody {
  entries: AuditEntry[];
}
