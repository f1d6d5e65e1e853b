/** Help from the schema: about the key at the cursor, and a search over all keys. */
import { useMemo, useState } from "preact/hooks";
import type { Schema } from "../../api/types";
import { Empty, Panel } from "../../components/bits";
import { Prose } from "../../components/prose";
import { docOf, keyDocs, pathAt, schemaAt, type KeyDoc } from "./schema";

export function KeyHelp({ schema, text, line }: { schema: Schema; text: string; line: number }) {
  const path = pathAt(text, line);
  return (
    <Panel title="Help">
      <Here schema={schema} path={path} />
      <AllKeys schema={schema} />
    </Panel>
  );
}

/** The key, or the table with its keys. */
function Here({ schema: root, path }: { schema: Schema; path: readonly string[] }) {
  if (path.length === 0) return <p class="note">Place the cursor on a key to see its description.</p>;
  const found = schemaAt(root, path);
  if (!found) return <p class="note"><code>{path.join(".")}</code> is not a key of the configuration.</p>;
  const { schema, table } = found;
  const inner = schema.items ?? schema;
  if (!inner.properties) return <Doc doc={docOf(path.at(-1) ?? "", path.join("."), schema, table)} />;
  return (
    <div class="doc">
      <p><code class="doc-key">{path.join(".")}</code></p>
      <p><Prose text={schema.description ?? inner.description ?? ""} /></p>
      <p class="muted">Keys: {Object.keys(inner.properties).map((key, index) => <>{index > 0 && ", "}<code key={key}>{key}</code></>)}</p>
    </div>
  );
}

function Doc({ doc }: { doc: KeyDoc }) {
  return (
    <div class="doc">
      <p><code class="doc-key">{doc.path}</code> <span class="muted">{doc.kind}{doc.needed && ", needed"}{doc.secret && ", secret"}</span></p>
      <p><Prose text={doc.help} /></p>
      {doc.choices.some((choice) => choice.help) && (
        <ul>{doc.choices.map((choice) => <li key={choice.value}><code>{choice.value}</code> <Prose text={choice.help} /></li>)}</ul>
      )}
      {doc.usual !== null && <p class="muted">Default: <code>{doc.usual}</code></p>}
      {doc.examples.length > 0 && <p class="muted">Example: <code>{doc.examples.join(", ")}</code></p>}
    </div>
  );
}

const MOST = 12;

function AllKeys({ schema }: { schema: Schema }) {
  const [text, setText] = useState("");
  const all = useMemo(() => keyDocs(schema), [schema]);
  const wanted = text.trim().toLowerCase();
  const found = wanted ? all.filter((doc) => `${doc.path} ${doc.help}`.toLowerCase().includes(wanted)) : [];
  return (
    <div class="all-keys">
      <label class="search">
        <span class="visually-hidden">Search for a key</span>
        <input type="search" placeholder="Search for a key" value={text} onInput={(event) => setText(event.currentTarget.value)} />
      </label>
      {wanted && found.length === 0 && <Empty>No key matches.</Empty>}
      {found.slice(0, MOST).map((doc) => <Doc key={doc.path} doc={doc} />)}
      {found.length > MOST && <p class="muted">{found.length - MOST} more.</p>}
    </div>
  );
}
