/** The alerts that a rule would have fired in the past, on a time axis. */
import { useState } from "preact/hooks";
import { alerting } from "../../api/client";
import type { PastAlert, Replayed, Rule, Severity } from "../../api/types";
import { downloadScene } from "../../charts/download";
import { lanes, type Stretch } from "../../charts/lanes";
import type { Role } from "../../charts/scene";
import { SceneSvg } from "../../charts/scene-svg";
import { Act } from "../../components/act";
import { Choice, Downloads, Empty, Panel } from "../../components/bits";
import { FormError } from "../../components/fields";
import { useWidth } from "../../components/width";
import { instant, span } from "../../format/time";
import { count } from "../../format/units";
import { useAction } from "../../state/action";
import { zone } from "../../state/prefs";
import { Table } from "./history";

const SPANS = [{ value: "24h", text: "day" }, { value: "7d", text: "week" }, { value: "30d", text: "month" }];
const MOST_LANES = 40;
const MOST_LISTED = 100;

interface Shown {
  found: Replayed;
  since: string;
  expr: string;
}

export function Replay({ rule }: { rule: Partial<Rule> }) {
  const [since, setSince] = useState("7d");
  const [shown, setShown] = useState<Shown | null>(null);
  const replay = useAction(async () => {
    const found = await alerting.replayRule({ ...rule, name: rule.name ?? "unnamed" }, since);
    setShown({ found, since, expr: rule.expr ?? "" });
  });
  const stale = shown !== null && (shown.since !== since || shown.expr !== (rule.expr ?? ""));
  return (
    <Panel title="What would have fired in the past?" note="The rule is evaluated over the samples in the store. No notifications are sent."
      tools={(
        <>
          <Choice label="Over the last" options={SPANS} value={since} onChange={setSince} />
          <Act need="operate" kind="main" busy={replay.busy} blocked={rule.expr ? null : "Write an expression first."} onClick={() => void replay.start()}>
            {replay.busy ? "Replaying …" : "Replay"}
          </Act>
        </>
      )}>
      <FormError error={replay.error} />
      {!shown && !replay.error && <Empty>Press Replay to see when this rule would have fired.</Empty>}
      {shown && stale && <p class="note">This result is from before your last change.</p>}
      {shown && <Result found={shown.found} />}
    </Panel>
  );
}

function Result({ found }: { found: Replayed }) {
  const { alerts, samples, notifications } = found;
  const over = `over ${count(samples)} samples`;
  if (samples === 0) return <Empty>No samples were recorded in that time span.</Empty>;
  if (alerts.length === 0) return <Empty>It would not have fired {over}.</Empty>;
  const newest = [...alerts].sort((a, b) => b.started_at.localeCompare(a.started_at));
  return (
    <>
      <p class="note" role="status">It would have fired {alerts.length === 1 ? "once" : `${count(alerts.length)} times`}, {over}; {notifications === 1 ? "one message" : `${count(notifications)} messages`} would have been sent.</p>
      {!found.complete && <p class="note">The replay stopped before the end of the time span.</p>}
      <Lanes alerts={alerts} from_s={Date.parse(found.from) / 1000} to_s={Date.parse(found.to) / 1000} />
      <details open={alerts.length <= 5}>
        <summary>As a list</summary>
        <Table alerts={newest.slice(0, MOST_LISTED)} />
        {newest.length > MOST_LISTED && <p class="note">{newest.length - MOST_LISTED} earlier alerts are not listed.</p>}
      </details>
    </>
  );
}

const ROLES: Record<Severity, Role> = { critical: "bad", warning: "warn", info: "accent" };

/** Alerts as time spans, a lane for each server. Pure. */
export function stretches(alerts: readonly PastAlert[], timeZone: string): Stretch[] {
  return alerts.map((alert) => {
    const [from_s, to_s] = [Date.parse(alert.started_at) / 1000, alert.ended_at ? Date.parse(alert.ended_at) / 1000 : null];
    const lasted = to_s === null ? "ongoing" : span(to_s - from_s);
    const lane = alert.server ?? alert.alert;
    return { lane, from_s, to_s, role: ROLES[alert.severity] ?? "accent", hint: `${lane}: ${instant(alert.started_at, timeZone)}, ${lasted}` };
  });
}

function Lanes({ alerts, from_s, to_s }: { alerts: readonly PastAlert[]; from_s: number; to_s: number }) {
  const [box, width] = useWidth(800);
  const { scene, left } = lanes(stretches(alerts, zone.value), { from_s, to_s, width, zone: zone.value, most: MOST_LANES });
  return (
    <div ref={box}>
      <div class="tools"><Downloads of="the replay" png={() => downloadScene("Replay of a rule", scene)} /></div>
      <SceneSvg scene={scene} label="When the rule would have fired" />
      {left > 0 && <p class="note">{left} more servers are not drawn.</p>}
    </div>
  );
}
