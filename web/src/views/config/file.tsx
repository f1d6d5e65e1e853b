/** The whole file as text: checked while the user types, with help from the schema, and applied after a review. */
import { useEffect, useState } from "preact/hooks";
import { settings } from "../../api/client";
import type { ConfigCheck, Fault, Schema } from "../../api/types";
import { NeedsRole } from "../../components/act";
import { Failure, Loading, Panel, ToneIcon } from "../../components/bits";
import type { Tone } from "../../format/words";
import { draft, isDirty, type Draft } from "../../state/draft";
import { useChecked, type Checked as CheckedValue } from "../../state/checked";
import { refresh } from "../../state/live";
import { useResource } from "../../state/resource";
import { may } from "../../state/session";
import { Editor } from "./editor";
import { KeyHelp } from "./help";
import { Changes, Review } from "./review";

type Checked = CheckedValue<string, ConfigCheck>;

export function FilePart() {
  if (!may("admin")) return <NeedsRole need="admin" what="Reading and changing the file" />;
  return <File />;
}

function File() {
  const file = useResource("config file", settings.file);
  const schema = useResource("config schema", settings.schema);
  useEffect(() => {
    // A changed draft is kept; an unchanged one is replaced by the current file.
    if (file.data && !isDirty.value) draft.value = { base: file.data, text: file.data.text };
  }, [file.data]);
  const [applied, setApplied] = useState<ConfigCheck | null>(null);
  const done = (result: ConfigCheck): void => {
    setApplied(result);
    // The text that is read next has typed secrets masked.
    draft.value = null;
    file.retry();
    refresh();
  };
  if (file.error && !file.data) return <Failure what="The configuration file" error={file.error} retry={file.retry} />;
  if (!file.data || !draft.value) return <Loading what="the configuration file" />;
  return (
    <>
      {applied && !isDirty.value && <Applied result={applied} />}
      <Editing now={draft.value} schema={schema.data} onApplied={done} />
    </>
  );
}

function Editing({ now, schema, onApplied }: { now: Draft; schema: Schema | null; onApplied: (result: ConfigCheck) => void }) {
  const { base, text } = now;
  const [line, setLine] = useState(0);
  const [reviewing, setReviewing] = useState(false);
  const dirty = text !== base.text;
  const checked = useChecked(dirty ? text : null, settings.check);
  const current = checked?.value === text ? checked : null;
  const faults = checked?.result?.faults ?? [];
  const change = (next: string): void => {
    draft.value = { base, text: next };
  };
  return (
    <div class="file-grid">
      <Panel title={base.path ?? "File"} note={base.editable ? undefined : `It cannot be changed here: ${base.why_not ?? "no reason is given"}.`}
        tools={<Buttons dirty={dirty} checked={current} onDiscard={() => change(base.text)} onReview={() => setReviewing(true)} />}>
        <State dirty={dirty} checked={current} faults={faults} />
        <Editor text={text} faults={dirty ? faults : []} readOnly={!base.editable} first={now.line} onInput={change} onLine={setLine} />
        <p class="note">A secret is shown as <code>********</code>. If you leave it unchanged, it keeps its value.</p>
      </Panel>
      {schema && <KeyHelp schema={schema} text={text} line={line} />}
      {reviewing && current?.result && (
        <Review draft={now} check={current.result} onApplied={onApplied} onClose={() => setReviewing(false)}
          onRebased={(next) => { setReviewing(false); draft.value = next; }} />
      )}
    </div>
  );
}

function Buttons({ dirty, checked, onDiscard, onReview }: {
  dirty: boolean;
  checked: Checked | null;
  onDiscard: () => void;
  onReview: () => void;
}) {
  return (
    <>
      <button type="button" disabled={!dirty} onClick={onDiscard}>Discard changes</button>
      <button type="button" class="act-main" disabled={!dirty || checked?.result?.valid !== true} onClick={onReview}>Review and apply …</button>
    </>
  );
}

/** The state of the text, in one line. */
function State({ dirty, checked, faults }: { dirty: boolean; checked: Checked | null; faults: readonly Fault[] }) {
  const [tone, text] = stateWords(dirty, checked, faults.length);
  return <p class="editor-state" role="status"><ToneIcon tone={tone} size={14} /> {text}</p>;
}

function stateWords(dirty: boolean, checked: Checked | null, faults: number): [Tone, string] {
  if (!dirty) return ["idle", "No changes."];
  if (!checked) return ["idle", "Checking …"];
  if (checked.error) return ["bad", `It could not be checked. ${checked.error.message}`];
  if (faults > 0 || !checked.result?.valid) return ["bad", faults === 1 ? "One fault." : `${faults} faults.`];
  return ["good", "It is valid, but not applied yet."];
}

function Applied({ result }: { result: ConfigCheck }) {
  return (
    <div class="applied" role="status">
      <p><ToneIcon tone="good" size={16} /> <strong>Applied.</strong> The file is written. The previous version is kept next to it.</p>
      <Changes changes={result.changes} />
    </div>
  );
}
