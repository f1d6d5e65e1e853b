/** The effective configuration, read-only: each value with its source. The service masks secrets. */
import { useState } from "preact/hooks";
import { api } from "../../api/client";
import type { Json } from "../../api/types";
import { Empty, Failure, Loading, Panel } from "../../components/bits";
import { groupBy } from "../../format/group";
import { useResource } from "../../state/resource";

interface Entry {
  path: string;
  value: string;
  source: string;
}

/** Every value with its key path, in the notation of configuration faults. Pure. */
export function flatten(value: Json, path = ""): [string, string][] {
  if (Array.isArray(value)) {
    if (value.length === 0) return [[path, "none"]];
    const plain = value.every((item) => typeof item !== "object" || item === null);
    return plain ? [[path, value.map(String).join(", ")]] : value.flatMap((item, index) => flatten(item, `${path}[${index}]`));
  }
  if (typeof value === "object" && value !== null) {
    return Object.entries(value).flatMap(([key, inner]) => flatten(inner, path ? `${path}.${key}` : key));
  }
  return [[path, value === null ? "–" : String(value)]];
}

export function ValuesPart() {
  const { data, error, retry } = useResource("config", api.config, 60_000);
  return (
    <>
      {error && !data && <Failure what="The configuration" error={error} retry={retry} />}
      {!data && !error && <Loading what="the configuration" />}
      {data && <Values entries={entries(data.values, data["sources"] ?? {})} />}
    </>
  );
}

/** A server's value without a source is the default of all servers. */
const isOfServer = /^server\[\d+\]\./;

function entries(values: Json, sources: Json): Entry[] {
  const known = typeof sources === "object" && sources !== null && !Array.isArray(sources) ? sources : {};
  const source = (path: string): string => String(known[path] ?? (isOfServer.test(path) ? "[defaults]" : ""));
  return flatten(values).map(([path, value]) => ({ path, value, source: source(path) }));
}

interface Section {
  title: string;
  /** Whether the section is open at first; long lists are not. */
  open: boolean;
  entries: Entry[];
}

/** Entries by table of the file; a server's table has its name. Pure. */
export function sections(entries: readonly Entry[]): Section[] {
  return [...groupBy(entries, (entry) => entry.path.split(".")[0] ?? "")].map(([table, held]) => {
    const name = ["name", "address"].map((key) => held.find((entry) => entry.path === `${table}.${key}`)).find(Boolean);
    return { title: name ? `${table} ${name.value}` : table, open: !table.includes("["), entries: held };
  });
}

function Values({ entries: all }: { entries: Entry[] }) {
  const [text, setText] = useState("");
  const wanted = text.trim().toLowerCase();
  const shown = all.filter((entry) => !wanted || `${entry.path} ${entry.value}`.toLowerCase().includes(wanted));
  return (
    <Panel title="Values in effect" note="The values that the file, the environment and the defaults give together."
      tools={(
        <label class="search">
          <span class="visually-hidden">Filter values</span>
          <input type="search" placeholder="Filter by key or value" value={text} onInput={(event) => setText(event.currentTarget.value)} />
        </label>
      )}>
      {shown.length === 0 && <Empty>No value matches.</Empty>}
      {sections(shown).map((section) => (
        <details class="section" key={`${section.title} ${wanted !== ""}`} open={section.open || wanted !== ""}>
          <summary>{section.title}</summary>
          <Table entries={section.entries} />
        </details>
      ))}
    </Panel>
  );
}

function Table({ entries: shown }: { entries: Entry[] }) {
  return (
    <table class="plain config">
      <thead><tr><th scope="col">Key</th><th scope="col">Value</th><th scope="col">From</th></tr></thead>
      <tbody>
        {shown.map((entry) => (
          <tr key={entry.path}>
            <th scope="row"><code>{entry.path.split(".").slice(1).join(".") || entry.path}</code></th>
            <td>{entry.value}</td>
            <td class="muted" title={entry.source}>{entry.source.split("/").at(-1)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
