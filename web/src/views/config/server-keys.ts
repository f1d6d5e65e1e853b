/** The keys of a server as a form: texts in, changed keys out. Pure. */
import type { Json } from "../../api/types";
import type { Fault, Schema, ServerKeys } from "../../api/types";
import { typeOf } from "./schema";

/** Texts by key; an empty text means not set. */
export type Texts = Record<string, string>;

/** A server of the effective configuration. */
export interface Configured {
  name: string;
  address: string;
  paused: boolean;
  tags: Record<string, string>;
  /** The source of its table. */
  source: string;
  /** The keys that are set for this server, as texts. */
  own: Texts;
  /** Its defaults, as texts. */
  inherited: Texts;
}

type Table = { [key: string]: Json };
const isTable = (value: Json | undefined): value is Table => typeof value === "object" && value !== null && !Array.isArray(value);

/** The servers of `GET /config`. A value without a source comes from `[defaults]` or the program. */
export function serversOf(values: Json, sources: Json): Configured[] {
  const [root, from] = [isTable(values) ? values : {}, isTable(sources) ? sources : {}];
  const list = Array.isArray(root["server"]) ? root["server"] : [];
  return list.filter(isTable).map((server, index) => {
    const source = (key: string): string => String(from[`server[${index}].${key}`] ?? "");
    const isOwn = (key: string): boolean => source(key) !== "";
    const texts = Object.entries(server).map(([key, value]): [string, string] => [key, textOf(value)]);
    return {
      name: textOf(server["name"] ?? ""),
      address: textOf(server["address"] ?? ""),
      paused: server["paused"] === true,
      tags: isTable(server["tags"]) ? Object.fromEntries(Object.entries(server["tags"]).map(([tag, value]) => [tag, String(value)])) : {},
      source: source("address"),
      // Tags have a source each.
      own: Object.fromEntries(texts.filter(([key, text]) => (key === "tags" ? text !== "" : isOwn(key)))),
      inherited: Object.fromEntries(texts.filter(([key]) => key !== "tags" && !isOwn(key))),
    };
  });
}

/** The defaults of a server: the values of `[defaults]`. */
export function defaultsOf(values: Json): Texts {
  const defaults = isTable(values) ? values["defaults"] : undefined;
  return isTable(defaults) ? Object.fromEntries(Object.entries(defaults).map(([key, value]) => [key, textOf(value)])) : {};
}

/** A value as the text of a field; each tag is a line. */
export function textOf(value: Json): string {
  if (value === null) return "";
  if (isTable(value)) return Object.entries(value).map(([key, inner]) => `${key} = ${String(inner)}`).join("\n");
  if (Array.isArray(value)) return value.map(String).join(", ");
  return String(value);
}

/** Converts a text to the type in the schema. An invalid number stays text, and the service reports the error. */
export function jsonOf(text: string, schema: Schema): Json {
  const trimmed = text.trim();
  switch (typeOf(schema)) {
    case "integer":
    case "number": return trimmed !== "" && Number.isFinite(Number(trimmed)) ? Number(trimmed) : trimmed;
    case "boolean": return trimmed === "true";
    case "object": return tagsOf(trimmed);
    case "array": return trimmed.split(",").map((one) => one.trim()).filter(Boolean);
    default: return trimmed;
  }
}

function tagsOf(text: string): Table {
  const pairs = text.split("\n").map((line) => line.trim()).filter(Boolean).map((line): [string, string] => {
    const at = line.indexOf("=");
    return at < 0 ? [line, ""] : [line.slice(0, at).trim(), line.slice(at + 1).trim()];
  });
  return Object.fromEntries(pairs);
}

/** The keys to send: changed ones, and `null` for removed ones. */
export function changedKeys(before: Texts, after: Texts, properties: Record<string, Schema>): ServerKeys {
  const keys: ServerKeys = {};
  for (const [key, schema] of Object.entries(properties)) {
    const [old, now] = [(before[key] ?? "").trim(), (after[key] ?? "").trim()];
    if (old !== now) keys[key] = now === "" ? null : jsonOf(now, schema);
  }
  return keys;
}

/** Faults by key; faults without a field are under the empty key. */
export function faultsByKey(body: unknown, properties: Record<string, Schema>): Texts {
  const faults = typeof body === "object" && body !== null && "faults" in body && Array.isArray(body.faults) ? body.faults as Fault[] : [];
  const found: Texts = {};
  for (const { path, message } of faults) {
    const key = path.split(".").find((step) => step in properties) ?? "";
    found[key] = found[key] ? `${found[key]} ${message}` : message;
  }
  return found;
}
