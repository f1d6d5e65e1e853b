/** The review before a change takes effect: its effects, line by line, and the choices after a conflicting change. */
import { useState } from "preact/hooks";
import { ApiError, settings } from "../../api/client";
import type { ConfigChanges, ConfigCheck, ConfigFile } from "../../api/types";
import { Dialog } from "../../components/dialog";
import { Difference } from "../../components/difference";
import { FormError } from "../../components/fields";
import { merge, unified } from "../../format/lines";
import { useAction } from "../../state/action";
import type { Draft } from "../../state/draft";

export function Review({ draft, check, onApplied, onRebased, onClose }: {
  draft: Draft;
  check: ConfigCheck;
  onApplied: (result: ConfigCheck) => void;
  /** The file has changed; editing continues with the new one. */
  onRebased: (draft: Draft) => void;
  onClose: () => void;
}) {
  const [theirs, setTheirs] = useState<ConfigFile | null>(null);
  const apply = useAction(async () => {
    try {
      onApplied((await settings.apply(draft.text, draft.base.etag)).body);
    } catch (why) {
      if (!(why instanceof ApiError) || why.status !== 412) throw why;
      setTheirs(await settings.file());
    }
  });
  if (theirs) return <Conflict draft={draft} theirs={theirs} onRebased={onRebased} onClose={onClose} />;
  return (
    <Dialog title="Apply these changes?" wide onClose={onClose}>
      <Changes changes={check.changes} />
      <Warnings warnings={check.warnings} />
      <Difference diff={check.diff} label="The difference to the current file" />
      <FormError error={apply.error} />
      <div class="form-buttons">
        <button type="button" onClick={onClose}>Continue editing</button>
        <button type="button" class="act-main" disabled={apply.busy} onClick={() => void apply.start()}>{apply.busy ? "Applying …" : "Apply"}</button>
      </div>
    </Dialog>
  );
}

/** The effects of a change, in words. */
export function Changes({ changes }: { changes: ConfigChanges }) {
  const lists: readonly (readonly [string, readonly string[]])[] = [
    ["Servers added", changes.added], ["Servers changed", changes.changed], ["Servers removed", changes.removed],
    ["Sections changed", changes.sections], ["Takes effect after a restart only", changes.needs_restart],
  ];
  const told = lists.filter(([, names]) => names.length > 0);
  if (told.length === 0) return <p class="note">These changes have no effect on the service.</p>;
  return <ul class="changes">{told.map(([what, names]) => <li key={what}><strong>{what}:</strong> {names.join(", ")}</li>)}</ul>;
}

function Warnings({ warnings }: { warnings: ConfigCheck["warnings"] }) {
  if (warnings.length === 0) return null;
  return <ul class="warnings" aria-label="Warnings">{warnings.map((text) => <li key={text}>{text}</li>)}</ul>;
}

function Conflict({ draft, theirs, onRebased, onClose }: {
  draft: Draft;
  theirs: ConfigFile;
  onRebased: (draft: Draft) => void;
  onClose: () => void;
}) {
  const merged = merge(draft.base.text, draft.text, theirs.text);
  return (
    <Dialog title="The file was changed in the meantime" wide onClose={onClose}>
      <p class="sentence">Your change was not applied. This is what was changed in the file since you began:</p>
      <Difference diff={unified(draft.base.text, theirs.text)} label="The other change" />
      {merged === null && <p class="note">Both changes affect the same lines, so they cannot be merged automatically.</p>}
      <div class="form-buttons">
        <button type="button" onClick={() => onRebased({ base: theirs, text: theirs.text })}>Discard my change and reload</button>
        {merged === null
          ? <button type="button" onClick={() => onRebased({ base: theirs, text: draft.text })}>Keep mine and undo the other change</button>
          : <button type="button" class="act-main" onClick={() => onRebased({ base: theirs, text: merged })}>Merge both changes</button>}
      </div>
    </Dialog>
  );
}
