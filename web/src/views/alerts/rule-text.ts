/** A rule as a form and as a table of the configuration file. Pure. */
import type { Rule } from "../../api/types";

/** The keys of `[[alert]]` in the form, as texts; an empty text means not set. */
export interface RuleTexts {
  name: string;
  expr: string;
  for: string;
  keep_firing_for: string;
  severity: string;
  servers: string;
  notify: string;
  summary: string;
}

export const NEW_RULE: RuleTexts = {
  name: "", expr: "", for: "5m", keep_firing_for: "", severity: "warning", servers: "", notify: "", summary: "",
};

const LISTS: readonly (keyof RuleTexts)[] = ["servers", "notify"];

export function textsOf(rule: Rule): RuleTexts {
  return {
    name: rule.name, expr: rule.expr, for: rule.for, keep_firing_for: rule.keep_firing_for, severity: rule.severity,
    servers: rule.servers.join(", "), notify: (rule.notify ?? []).join(", "), summary: rule.summary,
  };
}

/** The name and the keys that differ from the built-in rule; the others keep their built-in values. */
export function changed(begin: RuleTexts, now: RuleTexts): RuleTexts {
  const entries = Object.entries(now).map(([key, text]) => [key, key === "name" || text !== begin[key as keyof RuleTexts] ? text : ""]);
  return Object.fromEntries(entries) as unknown as RuleTexts;
}

/** The rule in the form of the API; empty keys are left out. */
export function ruleOf(texts: RuleTexts): Partial<Rule> {
  const entries = Object.entries(texts)
    .map(([key, text]): [string, string] => [key, text.trim()])
    .filter(([, text]) => text !== "")
    .map(([key, text]) => [key, LISTS.includes(key as keyof RuleTexts) ? listOf(text) : text]);
  return Object.fromEntries(entries) as Partial<Rule>;
}

const listOf = (text: string): string[] => text.split(",").map((one) => one.trim()).filter(Boolean);

/** A basic string of TOML, which has the same escapes as JSON. */
const quoted = (text: string): string => JSON.stringify(text).replaceAll("\u007f", "\\u007f");

/** The rule as a table of the file. */
export function ruleToml(texts: RuleTexts): string {
  const lines = Object.entries(ruleOf(texts)).map(([key, value]) =>
    `${key} = ${Array.isArray(value) ? `[${value.map((one) => quoted(String(one))).join(", ")}]` : quoted(String(value))}`);
  return ["[[alert]]", ...lines].join("\n");
}

/**
 * A TOML file with the rule: in the table of the same name, the keys of the form are replaced; its other keys and
 * comments stay. Without such a table, one is added at the end.
 */
export function putRule(file: string, texts: RuleTexts): string {
  const lines = file.split("\n");
  const isHeader = (line: string | undefined): boolean => line !== undefined && /^\s*\[/.test(line);
  for (let at = 0; at < lines.length; at += 1) {
    if (!/^\s*\[\[\s*alert\s*\]\]/.test(lines[at] ?? "")) continue;
    let end = at + 1;
    while (end < lines.length && !isHeader(lines[end])) end += 1;
    const body = lines.slice(at + 1, end);
    if (body.some((line) => nameOf(line) === texts.name)) {
      return [...lines.slice(0, at), ...replaced(body, texts), ...lines.slice(end)].join("\n");
    }
  }
  return `${file.trimEnd()}\n\n${ruleToml(texts)}\n`.trimStart();
}

function nameOf(line: string): string | null {
  const found = /^\s*name\s*=\s*(?:"((?:[^"\\]|\\.)*)"|'([^']*)')/.exec(line);
  return found ? found[1] ?? found[2] ?? "" : null;
}

function replaced(body: readonly string[], texts: RuleTexts): string[] {
  const keyOf = (line: string): string => /^\s*([A-Za-z_]+)\s*=/.exec(line)?.[1] ?? "";
  const kept = body.filter((line) => line.trim() !== "" && !(keyOf(line) in texts));
  const space = body.slice(body.findLastIndex((line) => line.trim() !== "") + 1);
  return [...ruleToml(texts).split("\n"), ...kept, ...space];
}
