/** The table of servers: order and filter are in the address of the page, the rows come from `arrange`. */
import { useMemo, useRef } from "preact/hooks";
import type { Condition, ServerRow } from "../../api/types";
import { downloadCsv } from "../../charts/download";
import { Badge, Downloads, Empty, Panel, Select } from "../../components/bits";
import { CONDITIONS } from "../../format/words";
import { href } from "../../state/address";
import { monitorNowMs } from "../../state/live";
import { unit } from "../../state/prefs";
import { route, setQuery } from "../../state/route";
import { uptime, useUptime } from "../../state/uptime";
import { arrange, tagsOf, type Line, type SortKey, type Tally, type TableOptions } from "./arrange";
import { ServerLine } from "./row";
import { useVisible } from "./window";

/** The height of a line in pixels; the style sheet holds rows to it. */
const LINE = 40;

const COLUMNS: readonly { key: SortKey | null; text: string; name: string; hint?: string }[] = [
  { key: "state", text: "State", name: "state" },
  { key: "name", text: "Server", name: "name" },
  { key: "offset", text: "Offset", name: "offset", hint: "Plus: the server is ahead of this host. Sorted by size." },
  { key: null, text: "Last polls", name: "spark", hint: "Shape of the last 30 offsets, each on its own scale" },
  { key: null, text: "90 days", name: "uptime", hint: "Polls answered on each of the last 90 days (UTC)" },
  { key: "delay", text: "Delay", name: "delay", hint: "Round trip" },
  { key: "jitter", text: "Jitter", name: "jitter", hint: "Over the last 8 polls (RFC 5905)" },
  { key: "reach", text: "Reach", name: "reach", hint: "The last 8 polls, oldest first" },
  { key: "stratum", text: "Stratum", name: "stratum" },
  { key: "refid", text: "Ref. id", name: "refid", hint: "Where the server takes its time from" },
  { key: "score", text: "Score", name: "score", hint: "Scored like the NTP Pool: up to 20" },
  { key: "seen", text: "Last seen", name: "seen" },
];

const TALLIES: readonly Tally[] = ["ok", "wrong", "silent", "unjudged"];
const IS: Record<Tally, string> = { ok: "OK", wrong: "wrong", silent: "unreachable or failing", unjudged: "not judged" };

/** Titles of folded groups, from the address. */
const foldsOf = (query: URLSearchParams): string[] => (query.get("fold") ?? "").split(",").filter(Boolean).map(decodeURIComponent);

function toggleFold(title: string): void {
  const held = foldsOf(route.value.query);
  const next = held.includes(title) ? held.filter((one) => one !== title) : [...held, title];
  setQuery({ fold: next.map(encodeURIComponent).join(",") || null });
}

function optionsOf(query: URLSearchParams): TableOptions {
  const sort = query.get("sort") ?? "state";
  const key = sort.replace(/^-/, "");
  const known = COLUMNS.some((column) => column.key === key);
  const state = query.get("state") ?? "";
  return {
    text: query.get("q") ?? "",
    state: state in CONDITIONS ? (state as Condition) : "",
    is: TALLIES.find((one) => one === query.get("is")) ?? "",
    folded: foldsOf(query),
    group: query.get("group") ?? "",
    sort: known ? (key as SortKey) : "state",
    descending: known && sort.startsWith("-"),
  };
}

function csv(lines: readonly Line[]): void {
  const rows = lines.flatMap((line) => (line.kind === "server" ? [line.row] : []));
  downloadCsv(
    "ntp-monitor servers",
    ["id", "address", "state", "class", "offset_s", "delay_s", "jitter_s", "root_distance_s", "reach", "stratum", "refid", "score", "last_seen", "sentence"],
    rows.map((row) => [row.id, row.address, row.state, row.class, row.offset_s, row.delay_s, row.jitter_s,
      row.root_distance_s, row.reach, row.stratum, row.refid, row.score, row.last_seen, row.sentence]),
  );
}

export function ServerTable({ rows }: { rows: readonly ServerRow[] }) {
  const chosen = optionsOf(route.value.query);
  const lines = useMemo(() => arrange(rows, chosen), [rows, JSON.stringify(chosen)]);
  const shown = lines.reduce((sum, line) => sum + Number(line.kind === "server"), 0);
  return (
    <Panel title="Servers" tools={<><Toolbar rows={rows} chosen={chosen} /><Downloads of="the servers" csv={() => csv(lines)} /></>}>
      <p class="visually-hidden" role="status">{shown} of {rows.length} servers shown</p>
      {lines.length === 0
        ? <Empty>No server matches. <button type="button" class="link" onClick={() => setQuery({ q: null, state: null, is: null })}>Clear the filter</button></Empty>
        : <Lines lines={lines} chosen={chosen} />}
    </Panel>
  );
}

function Toolbar({ rows, chosen }: { rows: readonly ServerRow[]; chosen: TableOptions }) {
  const states = (Object.keys(CONDITIONS) as Condition[]).map((value) => {
    const count = rows.filter((row) => row.state === value).length;
    return { value, text: `${CONDITIONS[value].label} (${count})` };
  });
  const tags = tagsOf(rows);
  return (
    <>
      {chosen.is && <button type="button" onClick={() => setQuery({ is: null })}>Only {IS[chosen.is]} <span aria-hidden="true">✕</span><span class="visually-hidden">, show all</span></button>}
      <label class="search">
        <span class="visually-hidden">Filter servers</span>
        <input type="search" placeholder="Name, address or tag" value={chosen.text}
          onInput={(event) => setQuery({ q: event.currentTarget.value || null })} />
      </label>
      <Select label="State" value={chosen.state} onChange={(state) => setQuery({ state })}
        options={[{ value: "", text: `All (${rows.length})` }, ...states]} />
      {tags.length > 0 && (
        <Select label="Group by" value={chosen.group} onChange={(group) => setQuery({ group, fold: null })}
          options={[{ value: "", text: "Nothing" }, ...tags.map((tag) => ({ value: tag, text: tag }))]} />
      )}
    </>
  );
}

function Lines({ lines, chosen }: { lines: readonly Line[]; chosen: TableOptions }) {
  const body = useRef<HTMLTableSectionElement>(null);
  const { first, end } = useVisible(body, lines.length, LINE);
  // Ages are in whole seconds; with many lines they are updated only with new data.
  const nowMs = monitorNowMs.value;
  const seen = lines.slice(first, end);
  useUptime(seen.flatMap((line) => (line.kind === "server" ? [line.row.id] : [])));
  return (
    <div class="table-box">
      <table class="servers" aria-rowcount={lines.length + 1}>
        <thead>
          <tr>{COLUMNS.map((column) => <Heading key={column.name} column={column} chosen={chosen} />)}</tr>
        </thead>
        <tbody ref={body}>
          {first > 0 && <Spacer height={first * LINE} />}
          {seen.map((line, index) => line.kind === "group"
            ? <GroupLine key={`group ${line.title}`} tag={chosen.group} line={line} />
            : <ServerLine key={line.row.id} row={line.row} unit={unit.value} nowMs={nowMs} index={first + index + 2} days={uptime.value.get(line.row.id)} />)}
          {end < lines.length && <Spacer height={(lines.length - end) * LINE} />}
        </tbody>
      </table>
    </div>
  );
}

function Heading({ column, chosen }: { column: (typeof COLUMNS)[number]; chosen: TableOptions }) {
  const { key, text, name, hint } = column;
  if (key === null) return <th scope="col" class={`c-${name}`} title={hint}>{text}</th>;
  const active = chosen.sort === key;
  const next = active && !chosen.descending ? `-${key}` : key;
  return (
    <th scope="col" class={`c-${name}`} aria-sort={active ? (chosen.descending ? "descending" : "ascending") : "none"} title={hint}>
      <button type="button" class="sort" onClick={() => setQuery({ sort: next === "state" ? null : next })}>
        {text}<span aria-hidden="true" class="arrow">{active ? (chosen.descending ? "▾" : "▴") : ""}</span>
      </button>
    </th>
  );
}

function GroupLine({ tag, line }: { tag: string; line: Extract<Line, { kind: "group" }> }) {
  return (
    <tr class="group">
      <th scope="rowgroup" colSpan={COLUMNS.length}>
        <button type="button" class="fold" aria-expanded={!line.folded} onClick={() => toggleFold(line.title)}>
          <span aria-hidden="true">{line.folded ? "▸" : "▾"}</span> {tag}: {line.title} <span class="muted">({line.count})</span>
        </button>
        {line.states.map((state) => <Badge key={state.label} tone={state.tone}>{state.count} {state.label}</Badge>)}
        <a class="muted" href={href("compare", "", { tag: `${tag}:${line.title}` })}>Compare</a>
      </th>
    </tr>
  );
}

function Spacer({ height }: { height: number }) {
  return <tr aria-hidden="true" class="spacer"><td colSpan={COLUMNS.length} style={{ height: `${height}px` }} /></tr>;
}
