/** One server in the table. It is rendered again only if its row, the unit or the age of its last sample changed. */
import type { ServerRow } from "../../api/types";
import { Sparkline } from "../../charts/sparkline";
import { UptimeBars } from "../../charts/uptime";
import { Badge } from "../../components/bits";
import { Reach } from "../../components/reach";
import { ago, inZone } from "../../format/time";
import { duration, offset, plain, type Unit } from "../../format/units";
import { whySilent } from "../../format/why";
import { outcome, stateWords } from "../../format/words";
import { href } from "../../state/address";
import { zone } from "../../state/prefs";
import type { Days } from "../../state/uptime";

export function ServerLine({ row, unit, nowMs, index, days }: { row: ServerRow; unit: Unit; nowMs: number; index: number; days: Days | undefined }) {
  const state = stateWords(row);
  const why = whySilent(row);
  return (
    <tr aria-rowindex={index} class={`row-${state.tone}`} onClick={(event) => { if (!(event.target as Element).closest("a")) location.hash = href("server", row.id); }}>
      <td class="c-state"><span title={`${inZone(row.sentence, zone.value)} Last poll: ${outcome(row.outcome, row.reason)}.`}><Badge tone={state.tone}>{state.label}</Badge>{why && <span class="why">{why}</span>}</span></td>
      <th scope="row" class="c-name"><a href={href("server", row.id)}>{row.id}</a></th>
      <td class="c-offset num">{offset(row.offset_s, unit)}</td>
      <td class="c-spark"><Sparkline values={row.sparkline} /></td>
      <td class="c-uptime"><UptimeBars days={days} /></td>
      <td class="c-delay num">{duration(row.delay_s, unit)}</td>
      <td class="c-jitter num">{duration(row.jitter_s, unit)}</td>
      <td class="c-reach"><Reach octal={row.reach} /></td>
      <td class="c-stratum num">{row.stratum ?? "–"}</td>
      <td class="c-refid">{row.refid ?? "–"}</td>
      <td class="c-score num">{plain(row.score, 1)}</td>
      <td class="c-seen num">{ago(row.last_seen, nowMs)}</td>
    </tr>
  );
}
