/** One server as a form built from the schema: common keys first, the others folded. */
import { useState } from "preact/hooks";
import type { ComponentChildren } from "preact";
import { ApiError } from "../../api/client";
import type { Schema, ServerKeys } from "../../api/types";
import { Dialog } from "../../components/dialog";
import { ChoiceField, Field, FormError } from "../../components/fields";
import { Prose } from "../../components/prose";
import { title } from "../../format/words";
import { useAction } from "../../state/action";
import { docOf, typeOf } from "./schema";
import { changedKeys, faultsByKey, type Configured, type Texts } from "./server-keys";

const COMMON = ["address", "name", "tags", "poll_interval", "own"];
/** Keys with a separate button. */
const ELSEWHERE = ["paused"];

export function ServerForm({ server, table, usual, save, onClose, children }: {
  /** `null` for a new server. */
  server: Configured | null;
  /** The schema of `[[server]]`. */
  table: Schema;
  /** The defaults of all servers. */
  usual: Texts;
  /** Sends the keys; throws the error of the service. */
  save: (keys: ServerKeys) => Promise<void>;
  onClose: () => void;
  /** Above the buttons. */
  children?: ComponentChildren;
}) {
  const properties = Object.fromEntries(Object.entries(table.properties ?? {}).filter(([key]) => !ELSEWHERE.includes(key)));
  const before = server?.own ?? {};
  const [texts, setTexts] = useState<Texts>(before);
  const saving = useAction(save);
  const keys = changedKeys(before, texts, properties);
  const faults = saving.error instanceof ApiError ? faultsByKey(saving.error.body, properties) : {};
  const field = (key: string) => (
    <KeyField key={key} name={key} schema={properties[key] ?? {}} table={table} value={texts[key] ?? ""} fault={faults[key]}
      usual={server?.inherited[key] ?? usual[key]} onInput={(value) => setTexts({ ...texts, [key]: value })} />
  );
  const known = Object.keys(properties);
  const rest = known.filter((key) => !COMMON.includes(key));
  const submit = async (): Promise<void> => {
    if (await saving.start(keys)) onClose();
  };
  return (
    <Dialog title={server ? `Change ${server.name}` : "Add a server"} wide onClose={onClose}>
      <form class="form" onSubmit={(event) => { event.preventDefault(); void submit(); }}>
        <div class="form-grid">{COMMON.filter((key) => known.includes(key)).map(field)}</div>
        <details open={rest.some((key) => faults[key] !== undefined) || undefined}>
          <summary>More settings</summary>
          <div class="form-grid">{rest.map(field)}</div>
        </details>
        {server && <Summary keys={keys} before={before} after={texts} />}
        <FormError error={saving.error && Object.keys(faults).length > 0 && !faults[""] ? new Error("The service rejected this; see the fields.") : saving.error} />
        {children}
        <div class="form-buttons">
          <button type="button" onClick={onClose}>Cancel</button>
          <button type="submit" class="act-main" disabled={saving.busy || Object.keys(keys).length === 0}>
            {saving.busy ? "Writing …" : server ? "Apply" : "Add"}
          </button>
        </div>
      </form>
    </Dialog>
  );
}

function KeyField({ name, schema, table, value, fault, usual, onInput }: {
  name: string;
  schema: Schema;
  table: Schema;
  value: string;
  fault: string | undefined;
  /** The value that applies if the field is empty. */
  usual: string | undefined;
  onInput: (value: string) => void;
}) {
  const doc = docOf(name, name, schema, table);
  const holds = usual ?? doc.usual ?? "";
  const label = title(name);
  const choices = typeOf(schema) === "boolean" ? [{ value: "true", help: "" }, { value: "false", help: "" }] : doc.choices;
  if (choices.length > 0) {
    const unset = { value: "", text: holds ? `default (${spoken(holds)})` : "not set" };
    return <ChoiceField label={label} help={<Prose text={doc.help} />} value={value} onChange={onInput}
      options={[unset, ...choices.map((choice) => ({ value: choice.value, text: spoken(choice.value) }))]} />;
  }
  const isTags = typeOf(schema) === "object";
  const help = <Prose text={isTags ? `${doc.help} One per line: site = ams.` : doc.help} />;
  return <Field label={label} help={help} value={value} fault={fault} onInput={onInput} mono required={doc.needed} lines={isTags ? 2 : 1}
    placeholder={isTags ? undefined : holds || (doc.examples[0] ? `such as ${doc.examples[0]}` : undefined)} />;
}

const spoken = (value: string): string => (value === "true" ? "yes" : value === "false" ? "no" : value);

/** A summary of the changes before they are written. */
function Summary({ keys, before, after }: { keys: ServerKeys; before: Texts; after: Texts }) {
  const names = Object.keys(keys);
  if (names.length === 0) return <p class="note">No changes yet.</p>;
  const told = (text: string | undefined): string => text?.trim().replaceAll("\n", ", ") || "not set";
  return (
    <ul class="changes" aria-label="What will change">
      {names.map((key) => <li key={key}><code>{key}</code>: <del>{told(before[key])}</del> → <ins>{told(after[key])}</ins></li>)}
    </ul>
  );
}

