/** Silences and maintenance windows: which alerts they cover, why, until when. */
import { useState } from "preact/hooks";
import { alerting } from "../../api/client";
import type { OpenWindow, Silence } from "../../api/types";
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
    tell("The silence has ended.");
    retry();
    await readAlerts();
  });
  return (
    <Panel title="Silences" note={<>Silenced alerts are evaluated and shown, but no notifications are sent. Recurring windows are configured in <code>[[silence]]</code>.</>}
      tools={<Act need="operate" kind="main" onClick={() => setMaking(true)}>New silence …</Act>}>
      <FormError error={ending.error} />
      {error && !data && <Failure what="The silences" error={error} retry={retry} />}
      {!data && !error && <Loading what="the silences" />}
      {data && data.silences.length + data.windows.length === 0 && <Empty>Nothing is silenced. To silence an alert, use the button next to it.</Empty>}
      {data && data.silences.length + data.windows.length > 0 && (
        <ul class="alerts">{data.windows.map((window, index) => <WindowLine key={index} window={window} />)}{data.silences.map((silence) => <Line key={silence.id} silence={silence} busy={ending.busy} onEnd={() => void ending.start(silence)} />)}</ul>
      )}
      {making && <SilenceDialog alert={null} onClose={() => setMaking(false)} onMade={retry} />}
    </Panel>
  );
}

/** A maintenance window. It ends by itself; only the file can change it. */
function WindowLine({ window }: { window: OpenWindow }) {
  return (
    <li class="alert">
      <div class="alert-words">
        <p class="alert-summary">{window.comment}</p>
        <p class="muted alert-facts">
          <Badge tone="good">Active</Badge>
          <span>Rule <strong>{window.alert || "all"}</strong></span>
          <span>Servers <strong>{selectorText(window.servers)}</strong></span>
          <span>Until {instant(window.ends_at, zone.value)}</span>
          <span>A maintenance window of the configuration</span>
        </p>
      </div>
    </li>
  );
}

function Line({ silence, busy, onEnd }: { silence: Silence; busy: boolean; onEnd: () => void }) {
  const state = standing(silence, monitorNowMs.value);
  const left_s = (Date.parse(silence.ends_at) - monitorNowMs.value) / 1000;
  return (
    <li class="alert">
      <div class="alert-words">
        <p class="alert-summary">{silence.comment || "No comment"}</p>
        <p class="muted alert-facts">
          <Badge tone={state === "active" ? "good" : "idle"}>{title(state)}</Badge>
          <span>Rule <strong>{silence.alert || "all"}</strong></span>
          <span>Servers <strong>{selectorText(silence.servers)}</strong></span>
          {state === "to come" && <span>From {instant(silence.starts_at, zone.value)}</span>}
          <span>Until {instant(silence.ends_at, zone.value)}{state === "active" && ` (${span(left_s)} left)`}</span>
          {silence.created_by && <span>By {silence.created_by}</span>}
        </p>
      </div>
      {state !== "over" && (
        <div class="row-buttons"><Act need="operate" kind="small" busy={busy} label={`End now: ${silence.comment}`} onClick={onEnd}>End now</Act></div>
      )}
    </li>
  );
}
