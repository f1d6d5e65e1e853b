/** The verdict: what is wrong, by how much, since when, and the confidence. */
import type { ServerRow, Verdict } from "../../api/types";
import { Facts, ToneIcon } from "../../components/bits";
import { instant, inZone, span } from "../../format/time";
import { duration, offset, percent, type Unit } from "../../format/units";
import { sentences, verdictWords } from "../../format/words";
import { href } from "../../state/address";
import { monitorNowMs } from "../../state/live";
import { unit, zone } from "../../state/prefs";

const MOST_NAMED = 4;

export function VerdictCard({ verdict, rows }: { verdict: Verdict; rows: readonly ServerRow[] }) {
  const { label, tone } = verdictWords(verdict, rows);
  const [headline, ...rest] = sentences(inZone(verdict.sentence, zone.value));
  return (
    <section class={`verdict verdict-${tone}`} aria-label="Verdict" data-state={verdict.state}>
      <div class="verdict-head">
        <ToneIcon tone={tone} size={40} />
        <div>
          <p class="verdict-state">{label}{verdict.since && <Since time={verdict.since} />}</p>
          <h1>{headline}</h1>
          {rest.map((sentence) => <p key={sentence} class="verdict-more">{sentence}</p>)}
        </div>
      </div>
      <Facts facts={facts(verdict, rows, unit.value)} />
      <details>
        <summary>Why, and what is assumed</summary>
        <p>{inZone(verdict.reason, zone.value)}</p>
        {verdict.assumption && <p><strong>Assumed:</strong> {verdict.assumption}</p>}
        {verdict.independence && <p><strong>Independence:</strong> {verdict.independence}</p>}
        {verdict.local.distrust && <p><strong>This host's clock:</strong> {inZone(verdict.local.distrust, zone.value)}</p>}
      </details>
    </section>
  );
}

function Since({ time }: { time: string }) {
  const age_s = (monitorNowMs.value - Date.parse(time)) / 1000;
  return <span class="since"> since <time dateTime={time}>{instant(time, zone.value)}</time> ({span(age_s)})</span>;
}

/** How the replies of the blamed servers were authenticated. */
function accused(verdict: Verdict): [string, preact.ComponentChildren, string][] {
  if (verdict.state !== "server_wrong" && verdict.state !== "local_wrong") return [];
  const blamed = verdict.servers.filter((one) => one.blamed);
  if (blamed.length === 0) return [];
  const parts = [["authenticated by NTS", blamed.filter((one) => one.authentication === "nts")], ["plain NTP", blamed.filter((one) => one.authentication !== "nts")]] as const;
  const named = parts.filter(([, of]) => of.length > 0).map(([how, of]) => {
    const more = of.length > MOST_NAMED ? ` and ${of.length - MOST_NAMED} more` : "";
    return `${of.slice(0, MOST_NAMED).map((one) => one.server).join(", ")}${more}: ${how}`;
  });
  return [["Replies of the accused", named.join("; "), "Anybody on the way can forge plain NTP. NTS proves which server answered, not that its clock is right"]];
}

function facts(verdict: Verdict, rows: readonly ServerRow[], chosen: Unit): [string, preact.ComponentChildren, string?][] {
  const { majority, local } = verdict;
  const answering = rows.filter((row) => row.offset_s !== null).length;
  const estimate = !majority || local.estimate_s === null || local.bound_s === null ? "no majority to compare with"
    : `${offset(local.estimate_s, chosen)} ± ${duration(local.bound_s, chosen)}`;
  return [
    ["True time against this clock", <a href={href("clock")}>{estimate}</a>, "Plus: this clock is behind"],
    ["Majority", majority ? `${majority.members} of ${majority.of} agree, ${majority.independent} independent` : "none"],
    ...accused(verdict),
    ["Measured now", `${answering} of ${rows.length} ${rows.length === 1 ? "server" : "servers"}`],
    ["Confidence", percent(verdict.confidence), "Given the assumption below"],
  ];
}
