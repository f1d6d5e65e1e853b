/** Earlier alerts. The filter is in the address. */
import { alerting } from "../../api/client";
import type { PastAlert } from "../../api/types";
import { Badge, Downloads, Empty, Failure, Loading, Panel, Select } from "../../components/bits";
import { downloadCsv } from "../../charts/download";
import { instant, inZone, span } from "../../format/time";
import { SEVERITIES, title } from "../../format/words";
import { href } from "../../state/address";
import { picture } from "../../state/live";
import { zone } from "../../state/prefs";
import { useResource } from "../../state/resource";
import { route, setQuery } from "../../state/route";
import { filtered, valueText } from "./words";

const LIMIT = "500";

export function HistoryPart() {
  const { query } = route.value;
  const [server, rule, text] = [query.get("server") ?? "", query.get("rule") ?? "", query.get("q") ?? ""];
  const asked = { limit: LIMIT, ...(server ? { server } : {}) };
  const { data, error, retry } = useResource(`alert history ${server}`, (signal) => alerting.history(asked, signal), 15_000);
  const shown = filtered(data?.history ?? [], rule, text);
  const any = (what: string, names: readonly string[]) => [{ value: "", text: what }, ...names.map((name) => ({ value: name, text: name }))];
  const rules = [...new Set((data?.history ?? []).map((alert) => alert.alert))].sort();
  const servers = [...new Set([...(picture.value?.servers.servers ?? []).map((row) => row.name), ...(server ? [server] : [])])];
  return (
    <Panel title="History" note="Alerts that fired in the last 30 days, newest first." tools={(
      <>
        <label class="search">
          <span class="visually-hidden">Filter the history</span>
          <input type="search" placeholder="Rule, server or words" value={text} onInput={(event) => setQuery({ q: event.currentTarget.value })} />
        </label>
        <Select label="Rule" value={rule} options={any("All", rules)} onChange={(value) => setQuery({ rule: value })} />
        <Select label="Server" value={server} options={any("All", servers)} onChange={(value) => setQuery({ server: value })} />
        {shown.length > 0 && <Downloads of="the history of alerts" csv={() => csv(shown)} />}
      </>
    )}>
      {error && !data && <Failure what="The history" error={error} retry={retry} />}
      {!data && !error && <Loading what="the history" />}
      {data && shown.length === 0 && <Empty>{data.history.length === 0 ? "No alert has fired in the last 30 days." : "No alert matches."}</Empty>}
      {shown.length > 0 && <Table alerts={shown} />}
    </Panel>
  );
}

function csv(alerts: readonly PastAlert[]): void {
  downloadCsv("Alerts", ["alert", "severity", "server", "value", "started_at", "ended_at", "summary"], alerts.map((alert) => [
    alert.alert, alert.severity, alert.server, alert.value === null ? null : valueText(alert.value), alert.started_at,
    alert.ended_at, alert.summary,
  ]));
}

export function Table({ alerts }: { alerts: readonly PastAlert[] }) {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Alerts that fired">
      <table class="plain alert-table stacks">
        <thead><tr><th scope="col">Began</th><th scope="col">Lasted</th><th scope="col">Severity</th><th scope="col">Rule</th><th scope="col">Server</th><th scope="col">What</th></tr></thead>
        <tbody>{alerts.map((alert) => <Line key={`${alert.alert} ${alert.server} ${alert.started_at}`} alert={alert} />)}</tbody>
      </table>
    </div>
  );
}

function Line({ alert }: { alert: PastAlert }) {
  const { label, tone } = SEVERITIES[alert.severity];
  const lasted_s = alert.ended_at ? (Date.parse(alert.ended_at) - Date.parse(alert.started_at)) / 1000 : null;
  return (
    <tr>
      <td class="nowrap"><time dateTime={alert.started_at}>{instant(alert.started_at, zone.value)}</time></td>
      <td class="nowrap">{lasted_s === null ? "ongoing" : span(lasted_s)}</td>
      <td><Badge tone={tone}>{label}</Badge></td>
      <td>{title(alert.alert)}</td>
      <td>{alert.server ? <a href={href("server", alert.server)}>{alert.server}</a> : "–"}</td>
      <td class="words">{inZone(alert.summary, zone.value)}{alert.held_by && <span class="muted"> Not notified: {alert.held_by}.</span>}{alert.end === "no_data" && <span class="muted"> Ended because there was no data.</span>}</td>
    </tr>
  );
}
