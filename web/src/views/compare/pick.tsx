/** The choice of servers to compare: all, those with a tag, or single ones. */
import { useState } from "preact/hooks";
import type { ServerRow } from "../../api/types";
import { Badge, Panel, Select } from "../../components/bits";
import { stateWords } from "../../format/words";
import { setQuery } from "../../state/route";
import { idsText, tagChoices, type Chosen } from "./choice";

const MOST = 40;

export function Pick({ rows, chosen, ids }: { rows: readonly ServerRow[]; chosen: Chosen; ids: readonly string[] }) {
  const [text, setText] = useState("");
  const [open, setOpen] = useState(false);
  const tags = tagChoices(rows);
  const wanted = text.trim().toLowerCase();
  const hits = rows.filter((row) => `${row.id} ${row.address ?? ""}`.toLowerCase().includes(wanted));
  const toggle = (id: string, on: boolean): void => {
    const next = on ? [...chosen.ids, id] : chosen.ids.filter((one) => one !== id);
    setQuery({ servers: idsText(next), tag: null });
  };
  return (
    <Panel title="Servers" tools={(
      <>
        {tags.length > 0 && (
          <Select label="With the tag" value={chosen.ids.length > 0 ? "" : chosen.tag} onChange={(tag) => setQuery({ tag: tag || null, servers: null })}
            options={[{ value: "", text: `Any (${rows.length})` }, ...tags]} />
        )}
        <button type="button" aria-expanded={open} onClick={() => setOpen(!open)}>Choose servers …</button>
      </>
    )}>
      {chosen.ids.length === 0
        ? <p class="note">{chosen.tag ? `All ${ids.length} servers with ${chosen.tag}.` : `All ${ids.length} servers.`}</p>
        : (
          <p class="chips">
            {chosen.ids.map((id) => (
              <button key={id} type="button" class="small" onClick={() => toggle(id, false)} aria-label={`Leave out ${id}`}>{id} ✕</button>
            ))}
            <button type="button" class="link" onClick={() => setQuery({ servers: null })}>All servers</button>
          </p>
        )}
      {open && (
        <div class="pick">
          <label class="search"><span class="visually-hidden">Filter the servers to choose from</span>
            <input type="search" placeholder="Name or address" value={text} onInput={(event) => setText(event.currentTarget.value)} /></label>
          <ul>
            {hits.slice(0, MOST).map((row) => (
              <li key={row.id}>
                <label><input type="checkbox" checked={chosen.ids.includes(row.id)} onChange={(event) => toggle(row.id, event.currentTarget.checked)} /> {row.id}</label>
                <Badge tone={stateWords(row).tone}>{stateWords(row).label}</Badge>
              </li>
            ))}
          </ul>
          {hits.length > MOST && <p class="muted">{hits.length - MOST} more: filter by name.</p>}
        </div>
      )}
    </Panel>
  );
}
