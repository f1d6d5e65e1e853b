/** The form for a silence: which alerts, why, and until when. */
import { useState } from "preact/hooks";
import { alerting } from "../../api/client";
import type { Alert, NewSilence } from "../../api/types";
import { Choice } from "../../components/bits";
import { Dialog } from "../../components/dialog";
import { Field, FormError } from "../../components/fields";
import { parseSpan } from "../../format/time";
import { useAction } from "../../state/action";
import { readAlerts } from "../../state/alerts";
import { tell } from "../../state/notices";

const SPANS = ["30m", "2h", "8h", "24h", "7d"] as const;

export function SilenceDialog({ alert, onClose, onMade }: {
  /** The alert to silence; `null` for an empty form. */
  alert: Alert | null;
  onClose: () => void;
  onMade?: () => void;
}) {
  const [rule, setRule] = useState(alert?.alert ?? "");
  const [servers, setServers] = useState(alert?.server ?? "");
  const [comment, setComment] = useState("");
  const [span, setSpan] = useState<string>("2h");
  const making = useAction(async (chosen: NewSilence) => {
    await alerting.silence(chosen);
    tell(`Silence for ${span}.`);
    await readAlerts();
    onMade?.();
  });
  const named = servers.split(",").map((one) => one.trim()).filter(Boolean);
  const fault = rule.trim() === "" && named.length === 0 ? "Name a rule, servers, or both."
    : comment.trim() === "" ? "Give a reason, for people who look at this later."
      : parseSpan(span) === null ? "Enter a duration such as 30m, 2h or 7d." : null;
  const submit = async (): Promise<void> => {
    const chosen: NewSilence = { comment: comment.trim(), for: span };
    if (rule.trim()) chosen.alert = rule.trim();
    if (named.length > 0) chosen.servers = named;
    if (await making.start(chosen)) onClose();
  };
  return (
    <Dialog title="Silence" onClose={onClose}>
      <form class="form" onSubmit={(event) => { event.preventDefault(); void submit(); }}>
        <p class="sentence">Matching alerts are still evaluated and shown, but no notifications are sent.</p>
        <Field label="Rule" value={rule} onInput={setRule} help="Empty: every rule." mono />
        <Field label="Servers" value={servers} onInput={setServers} help="Names, tags or tag:value, separated by commas. Empty: all, including alerts that are about no server." mono />
        <Field label="Comment" value={comment} onInput={setComment} help="Why, and who to ask." required autofocus />
        <div class="field">
          <span class="field-label">For</span>
          <Choice label="For how long" value={span} onChange={setSpan} options={SPANS.map((one) => ({ value: one, text: one }))} />
        </div>
        <FormError error={making.error} />
        <div class="form-buttons">
          {fault && <span class="muted">{fault}</span>}
          <button type="button" onClick={onClose}>Cancel</button>
          <button type="submit" class="act-main" disabled={fault !== null || making.busy}>{making.busy ? "Writing …" : `Silence for ${span}`}</button>
        </div>
      </form>
    </Dialog>
  );
}
