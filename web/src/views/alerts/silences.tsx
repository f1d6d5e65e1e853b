/** Silences and maintenance windows: what is not notified, why, until when. */
import { useState } from "preact/hooks";
import { alerting } from "../../api/client";
import type { Silence } from "../../api/types-alerts";
import { Act } from "../../components/act";
import { Badge, Empty, Failure, Loading, Panel } from "../../components/bits";
import { FormError } from "../../components/fields";
import { instant, span } from "../../format/time";
import { title } from "../../format/words";
import { useAction } from "../../state/action";
import { readAlerts } from "../../state/alerts";
import { monitorNowMs } from "../../state/live";
import { tell } from "../../state/notices";
import { zone } from "../../state/prefs";
import { useResource } from "../../state/resource";
import { SilenceDialog } from "./silence-form";
import { selectorText, standing } from "./words";

export function SilencesPart() {
  const { data, error, retry } = useResource("silences", alerting.silences, 15_000);
  const [making, setMaking] = useState(false);
  const ending = useAction(async (silence: Silence) => {
    await alerting.endSilence(silence.id);
    tell("The silence is over.");
    retry();
    await readAlerts();
  });
  return (
    <Panel title="Silences" note="Silenced alerts are judged and shown, but nobody is notified."
      tools={<Act need="operate" kind="main" onClick={() => setMaking(true)}>New silence …</Act>}>
      <FormError error={ending.error} />
      {error && !data && <Failure what="The silences" error={error} retry={retry} />}
      {!data && !error && <Loading what="the silences" />}
      {data?.silences.length === 0 && <Empty>Nothing is silenced. An alert is silenced by the button beside it.</Empty>}
      {data && data.silences.length > 0 && (
        <ul class="alerts">{data.silences.map((silence) => <Line key={silence.id} silence={silence} busy={ending.busy} onEnd={() => void ending.start(silence)} />)}</ul>
      )}
      {making && <SilenceDialog alert={null} onClose={() => setMaking(false)} onMade={retry} />}
    </Panel>
  );
}

function Line({ silence, busy, onEnd }: { silence: Silence; busy: boolean; onEnd: () => void }) {
  const state = standing(silence, monitorNowMs.value);
  const left_s = silence.ends_at ? (Date.parse(silence.ends_at) - monitorNowMs.value) / 1000 : null;
  const fixed = silence.source !== undefined && /^conf/.test(silence.source);
  const by = silence.by ?? silence.created_by;
  return (
    <li class="alert">
      <div class="alert-words">
        <p class="alert-summary">{silence.comment || "No comment"}</p>
        <p class="muted alert-facts">
          <Badge tone={state === "active" ? "good" : "idle"}>{title(state)}</Badge>
          <span>Rule <strong>{silence.alert || "all"}</strong></span>
          <span>Servers <strong>{selectorText(silence.servers)}</strong></span>
          {silence.starts_at && state === "to come" && <span>From {instant(silence.starts_at, zone.value)}</span>}
          {silence.ends_at && <span>Until {instant(silence.ends_at, zone.value)}{state === "active" && left_s !== null && ` (${span(left_s)} left)`}</span>}
          {by && <span>By {by}</span>}
          {fixed && <span>A maintenance window of the configuration</span>}
        </p>
      </div>
      {state !== "over" && !fixed && (
        <div class="row-buttons"><Act need="operate" kind="small" busy={busy} label={`End now: ${silence.comment}`} onClick={onEnd}>End now</Act></div>
      )}
    </li>
  );
}
