/** The audit log: every request for a change, newest first. */
import { settings } from "../../api/client";
import type { AuditEntry } from "../../api/types";
import { NeedsRole } from "../../components/act";
import { Empty, Failure, Loading, Panel } from "../../components/bits";
import { instant } from "../../format/time";
import { zone } from "../../state/prefs";
import { actionWords } from "./audit-words";
import { useResource } from "../../state/resource";
import { may } from "../../state/session";

export function AuditPart() {
  return (
    <Panel title="Audit log" note="Every requested change, accepted or refused.">
      {may("admin") ? <Log /> : <NeedsRole need="admin" what="Reading the audit log" />}
    </Panel>
  );
}

function Log() {
  const { data, error, retry } = useResource("audit", settings.audit, 10_000);
  if (error && !data) return <Failure what="The audit log" error={error} retry={retry} />;
  if (!data) return <Loading what="the audit log" />;
  if (data.entries.length === 0) return <Empty>The configuration has not been changed yet.</Empty>;
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Audit log entries">
      <table class="plain stacks">
        <thead><tr><th scope="col">When</th><th scope="col">Who</th><th scope="col">From</th><th scope="col">What</th><th scope="col">Outcome</th></tr></thead>
        <tbody>{data.entries.map((entry, index) => <Line key={index} entry={entry} />)}</tbody>
      </table>
    </div>
  );
}

function Line({ entry }: { entry: AuditEntry }) {
  return (
    <tr>
      <td class="nowrap"><time dateTime={entry.time}>{instant(entry.time, zone.value)}</time></td>
      <td>{entry.who} <span class="muted">({entry.role})</span></td>
      <td>{entry.peer}</td>
      <td class="words" title={`${entry.action.split(" ")[0]} ${entry.target}`}>{actionWords(entry)}</td>
      <td>{entry.outcome}</td>
    </tr>
  );
}
