/** The notifiers, and whether they work. */
import { useState } from "preact/hooks";
import { alerting } from "../../api/client";
import type { Notifier } from "../../api/types";
import { Act } from "../../components/act";
import { Badge, Empty, Failure, Loading, Panel } from "../../components/bits";
import { FormError } from "../../components/fields";
import { ago, instant } from "../../format/time";
import { count } from "../../format/units";
import { useAction } from "../../state/action";
import { monitorNowMs } from "../../state/live";
import { tell } from "../../state/notices";
import { zone } from "../../state/prefs";
import { useResource } from "../../state/resource";
import { notifierState } from "./words";

export function NotifiersPart() {
  const { data, error, retry } = useResource("notifiers", alerting.notifiers, 10_000);
  return (
    <Panel title="Notifiers" note="Each has a queue on disk, so no message is lost while a receiver does not answer.">
      {error && !data && <Failure what="The notifiers" error={error} retry={retry} />}
      {!data && !error && <Loading what="the notifiers" />}
      {data?.notifiers.length === 0 && <Empty>No <code>[[notifier]]</code> is configured, so alerts are only shown here.</Empty>}
      {data && data.notifiers.length > 0 && <ul class="alerts">{data.notifiers.map((one) => <Line key={one.name} notifier={one} again={retry} />)}</ul>}
    </Panel>
  );
}

function Line({ notifier, again }: { notifier: Notifier; again: () => void }) {
  const [tested, setTested] = useState<string | null>(null);
  const test = useAction(async () => {
    setTested(null);
    const { delivered, detail } = await alerting.testNotifier(notifier.name);
    if (!delivered) throw new Error(`The test message was not accepted: ${detail}`);
    setTested(`The test message was accepted: ${detail}`);
    tell(`${notifier.name} accepted a test message.`);
  });
  const go = async (): Promise<void> => {
    await test.start();
    again();
  };
  const { label, tone } = notifierState(notifier);
  return (
    <li class="alert">
      <div class="alert-words">
        <p class="alert-summary">{notifier.name} <span class="muted">({notifier.type})</span> <Badge tone={tone}>{label}</Badge></p>
        <p class="muted alert-facts">
          {notifier.failing_since && <span>Failing since <strong>{instant(notifier.failing_since, zone.value)}</strong></span>}
          <span>Waiting <strong>{count(notifier.queued)}</strong></span>
          <span>Sent <strong>{count(notifier.delivered)}</strong></span>
          {notifier.given_up + notifier.expired > 0 && <span>Given up <strong>{count(notifier.given_up + notifier.expired)}</strong></span>}
          <span>Last sent <strong>{ago(notifier.last_success, monitorNowMs.value)}</strong></span>
          {notifier.last_failure && <span>Last failure <strong>{ago(notifier.last_failure, monitorNowMs.value)}</strong></span>}
          {notifier.paused_until && Date.parse(notifier.paused_until) > monitorNowMs.value && <span>Tries again at {instant(notifier.paused_until, zone.value)}</span>}
        </p>
        {notifier.last_error && tone !== "good" && <p class="notifier-error">{notifier.last_error}</p>}
        {tested && <p role="status">{tested}</p>}
        <FormError error={test.error} />
      </div>
      <div class="row-buttons">
        <Act need="operate" kind="small" busy={test.busy} label={`Send a test to ${notifier.name}`} onClick={() => void go()}>{test.busy ? "Sending …" : "Send a test"}</Act>
      </div>
    </li>
  );
}
