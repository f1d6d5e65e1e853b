/** The current alerts by rule: firing, pending or inhibited. Each can be silenced. */
import { useState } from "preact/hooks";
import type { Alert } from "../../api/types";
import { Act } from "../../components/act";
import { Badge, Empty, Failure, Loading, Panel } from "../../components/bits";
import { instant, inZone, span } from "../../format/time";
import { ALERT_STATES, SEVERITIES, title } from "../../format/words";
import { href } from "../../state/address";
import { active, alertsFailure, readAlerts } from "../../state/alerts";
import { monitorNowMs } from "../../state/live";
import { zone } from "../../state/prefs";
import { SilenceDialog } from "./silence-form";
import { grouped, valueText, type Group } from "./words";

export function ActivePart() {
  const [silencing, setSilencing] = useState<Alert | null>(null);
  const alerts = active.value;
  const failure = alertsFailure.value;
  if (!alerts) {
    return failure ? <Failure what="The alerts" error={failure} retry={() => void readAlerts()} /> : <Loading what="the alerts" />;
  }
  return (
    <>
      {failure && <p class="stale" role="alert">This page is out of date. {failure.message} Retrying.</p>}
      {alerts.length === 0 && (
        <Panel title="Now"><Empty>No alert is pending or firing. <a href={href("alerts", "history")}>Show earlier alerts</a></Empty></Panel>
      )}
      {grouped(alerts).map((group) => <GroupPanel key={group.alert} group={group} onSilence={setSilencing} />)}
      {silencing && <SilenceDialog alert={silencing} onClose={() => setSilencing(null)} />}
    </>
  );
}

const FOLDED = 20;

function GroupPanel({ group, onSilence }: { group: Group; onSilence: (alert: Alert) => void }) {
  const [all, setAll] = useState(false);
  const { label, tone } = SEVERITIES[group.severity];
  const shown = all ? group.alerts : group.alerts.slice(0, FOLDED);
  return (
    <Panel title={title(group.alert)} badge={<Badge tone={tone}>{label}</Badge>}>
      <ul class="alerts">{shown.map((alert) => <Line key={alert.id} alert={alert} onSilence={onSilence} />)}</ul>
      {shown.length < group.alerts.length && (
        <button type="button" class="link" onClick={() => setAll(true)}>{group.alerts.length - shown.length} more of this rule</button>
      )}
    </Panel>
  );
}

function Line({ alert, onSilence }: { alert: Alert; onSilence: (alert: Alert) => void }) {
  const age_s = (monitorNowMs.value - Date.parse(alert.started_at)) / 1000;
  return (
    <li class={`alert alert-${alert.state}`}>
      <div class="alert-words">
        <p class="alert-summary">{inZone(alert.summary, zone.value) || `${title(alert.alert)}${alert.server ? ` on ${alert.server}` : ""}`}</p>
        {alert.description !== "" && <p>{inZone(alert.description, zone.value)}</p>}
        <p class="muted alert-facts">
          <AlertState alert={alert} />
          {alert.server && <span>Server <a href={href("server", alert.server)}>{alert.server}</a></span>}
          {alert.value !== null && !/\d/.test(wordsOf(alert)) && <span>Value <strong>{valueText(alert.value, alert.unit)}</strong></span>}
          <span>Since <time dateTime={alert.started_at}>{instant(alert.started_at, zone.value)}</time> ({span(age_s)})</span>
          {runbook(alert)}
        </p>
        <Why alert={alert} />
      </div>
      {alert.state !== "silenced" && (
        <div class="row-buttons">
          <Act need="operate" kind="small" label={`Silence ${alert.alert}${alert.server ? ` of ${alert.server}` : ""}`} onClick={() => onSilence(alert)}>Silence …</Act>
        </div>
      )}
    </li>
  );
}

/** The summary without the name of the server, whose digits are not values. A card shows one number. */
const wordsOf = (alert: Alert): string => alert.summary.replaceAll(alert.server ?? "\0", "");

/** Accepts only web addresses, because the text comes from the configuration. */
function runbook({ runbook_url: url }: Alert) {
  return url && /^https?:\/\//.test(url) ? <a href={url} rel="noreferrer" target="_blank">What to do</a> : null;
}

export function AlertState({ alert }: { alert: Alert }) {
  const words = ALERT_STATES[alert.state] ?? { label: title(alert.state), help: "" };
  return <span class={`alert-state state-${alert.state}`} title={words.help}>{words.label}</span>;
}

function Why({ alert }: { alert: Alert }) {
  if (alert.inhibited_by) return <p class="muted">Not notified, because <em>{alert.inhibited_by}</em> explains it.</p>;
  if (alert.silenced_by) return <p class="muted">Silenced by <a href={href("alerts", "silences")}>{/^\d+$/.test(alert.silenced_by) ? `silence ${alert.silenced_by}` : alert.silenced_by}</a>.</p>;
  return null;
}
