/** Reports: documents about a time span, made by schedule or on demand. */
import { useState } from "preact/hooks";
import { reports } from "../api/client";
import type { ReportRow, ReportUnderWay } from "../api/types";
import { Act } from "../components/act";
import { Choice, Empty, Failure, Loading, Panel, ToneIcon } from "../components/bits";
import { FormError } from "../components/fields";
import { instant, span } from "../format/time";
import { count } from "../format/units";
import { useAction } from "../state/action";
import { tell } from "../state/notices";
import { zone } from "../state/prefs";
import { useResource } from "../state/resource";

const SPANS = [{ value: "24h", text: "day" }, { value: "7d", text: "week" }, { value: "30d", text: "month" }];

export function ReportsView() {
  const { data, error, retry } = useResource("reports", reports.list, 30_000);
  const [since, setSince] = useState("7d");
  const make = useAction(async () => {
    await reports.make(since);
    tell("The report is ready.");
    retry();
  });
  return (
    <>
      <h1 class="view-title">Reports</h1>
      <Panel title="Reports" note="Availability, offsets, verdicts, events and alerts of a time span in one document that you can keep or send."
        tools={(
          <>
            <Choice label="Over the last" options={SPANS} value={since} onChange={setSince} />
            <Act need="operate" kind="main" busy={make.busy} onClick={() => void make.start()}>{make.busy ? "Making …" : "Make a report"}</Act>
          </>
        )}>
        <FormError error={make.error} />
        {data?.under_way && <UnderWay it={data.under_way} />}
        {error && !data && <Failure what="The reports" error={error} retry={retry} />}
        {!data && !error && <Loading what="the reports" />}
        {data?.reports.length === 0 && <Empty>No report has been made yet. Configure a schedule in <code>[report]</code>.</Empty>}
        {data && data.reports.length > 0 && <ul class="alerts">{data.reports.map((report) => <Line key={report.id} report={report} />)}</ul>}
      </Panel>
    </>
  );
}

/** The scheduled report in progress, with the reason if it cannot be delivered. */
function UnderWay({ it }: { it: ReportUnderWay }) {
  const whose = `The report of ${instant(it.due, zone.value)}`;
  if (it.attempts === 0) return <p class="muted" role="status">{whose} is being made and sent.</p>;
  const who = it.missing.length > 0 ? `has not reached ${it.missing.join(", ")}` : "is not made";
  return (
    <p class="form-error" role="alert">
      <ToneIcon tone="bad" size={16} />
      <span>{whose} {who}: {it.last_error}.{it.next_attempt && ` The next attempt is made at ${instant(it.next_attempt, zone.value)}.`}</span>
    </p>
  );
}

/** The span of the report; reports of earlier releases do not state it. */
function name({ made, from, to }: ReportRow): string {
  if (!from || !to) return `Report of ${instant(made, zone.value)}`;
  const short = (time: string): string => instant(time, zone.value).slice(0, 16);
  return `${short(from)} to ${short(to)} (${span((Date.parse(to) - Date.parse(from)) / 1000)})`;
}

function Line({ report }: { report: ReportRow }) {
  return (
    <li class="alert">
      <div class="alert-words">
        <p class="alert-summary"><a href={reports.address(report.id)} target="_blank" rel="noreferrer">{name(report)}</a></p>
        <p class="muted alert-facts"><span>Made {instant(report.made, zone.value)}</span><span>{report.id}</span><span>{count(report.bytes / 1000)} kB</span></p>
      </div>
    </li>
  );
}
