/** The keys of the configuration in words, from the schema. Pure. */
import type { Json } from "../../api/types";
import type { Schema } from "../../api/types";

export interface KeyDoc {
  /** Such as `server[].poll_interval`. */
  path: string;
  key: string;
  kind: string;
  /** The default; `null` if the key is required or has no default. */
  usual: string | null;
  needed: boolean;
  secret: boolean;
  help: string;
  choices: { value: string; help: string }[];
  examples: string[];
}

/** Every key of the configuration, in the order of the schema. */
export function keyDocs(schema: Schema, path = ""): KeyDoc[] {
  const table = schema.items ?? schema;
  return Object.entries(table.properties ?? {}).flatMap(([key, inner]) => {
    const full = path ? `${path}.${key}` : key;
    const own = inner.properties || inner.items?.properties ? [] : [docOf(key, full, inner, table)];
    return [...own, ...keyDocs(inner, inner.items ? `${full}[]` : full)];
  });
}

export function docOf(key: string, path: string, schema: Schema, table: Schema): KeyDoc {
  return {
    path,
    key,
    kind: kindOf(schema),
    usual: schema["x-default"] ?? (schema.default === undefined ? null : written(schema.default)),
    needed: table.required?.includes(key) ?? false,
    secret: schema.writeOnly === true,
    help: schema.description ?? "",
    choices: choicesOf(schema),
    examples: (schema.examples ?? []).map(written),
  };
}

/** A value for a form: texts without quotes, other values as JSON. */
export function written(value: Json): string {
  if (typeof value === "string") return value;
  const empty = typeof value === "object" && value !== null && Object.keys(value).length === 0;
  return empty ? "none" : JSON.stringify(value);
}

export function choicesOf(schema: Schema): { value: string; help: string }[] {
  if (schema.oneOf) {
    return schema.oneOf.filter((one) => one.const !== undefined)
      .map((one) => ({ value: written(one.const ?? null), help: one.description ?? "" }));
  }
  return (schema.enum ?? []).map((value) => ({ value: written(value), help: "" }));
}

export function typeOf(schema: Schema): string {
  return Array.isArray(schema.type) ? schema.type[0] ?? "" : schema.type ?? "";
}

function kindOf(schema: Schema): string {
  const choices = choicesOf(schema);
  if (choices.length > 0) return `one of ${choices.map((choice) => choice.value).join(", ")}`;
  const { minimum: low, maximum: high } = schema;
  const range = low !== undefined && high !== undefined ? `, ${low} to ${high}` : low !== undefined ? `, at least ${low}` : "";
  switch (typeOf(schema)) {
    case "boolean": return "true or false";
    case "integer": return `whole number${range}`;
    case "number": return `number${range}`;
    case "array": return "list";
    case "object": return "table of texts";
    default: return "text";
  }
}

/**
 * The key on a line of a TOML file (counted from 0), with the table above it: `["server", "poll_interval"]`. On the
 * header of a table, the table; `[]` where there is none.
 */
export function pathAt(text: string, line: number): string[] {
  const lines = text.split("\n").slice(0, line + 1);
  const table = lines.map((one) => HEADER.exec(one)?.[1]).findLast((name) => name !== undefined) ?? "";
  const key = /^\s*([A-Za-z0-9_."-]+)\s*=/.exec(lines.at(-1) ?? "")?.[1] ?? "";
  return [...names(table), ...names(key)];
}

const HEADER = /^\s*\[{1,2}\s*([A-Za-z0-9_-][A-Za-z0-9_."-]*)\s*\]{1,2}\s*(?:#.*)?$/;

function names(dotted: string): string[] {
  return dotted === "" ? [] : dotted.split(".").map((name) => name.trim().replace(/^"|"$/g, ""));
}

/** The schema at a path of `pathAt`, and that of the enclosing table. */
export function schemaAt(root: Schema, path: readonly string[]): { schema: Schema; table: Schema } | null {
  let table: Schema = root;
  let schema: Schema = root;
  for (const key of path) {
    table = schema.items ?? schema;
    const more = typeof table.additionalProperties === "object" ? table.additionalProperties : undefined;
    const next = table.properties?.[key] ?? more;
    if (!next) return null;
    schema = next;
  }
  return { schema, table };
}
