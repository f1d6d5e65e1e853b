/** The vantages: when each was last heard, its clock, and its losses. */
import type { FleetVantage, FleetVerdict } from "../../api/types";
import { Badge, Empty, Panel } from "../../components/bits";
import { span } from "../../format/time";
import { count, offset } from "../../format/units";
import { href } from "../../state/address";
import type { Tone } from "../../format/words";
import { isVantageWrong } from "./arrange";

const TONES: Record<FleetVantage["state"], Tone> = { heard: "good", silent: "bad", unknown: "idle" };

export function Vantages({ vantages, verdict }: { vantages: readonly FleetVantage[]; verdict: FleetVerdict | null }) {
  return (
    <Panel title="Vantages" note="Samples of a silent vantage no longer vote; its history stays.">
      {vantages.length === 0 ? <Empty>No vantage was heard yet. Point an agent at the same NATS server.</Empty> : (
        <div class="scroll" tabIndex={0} role="region" aria-label="Vantages">
          <table class="plain">
            <thead>
              <tr>
                <th scope="col">Vantage</th><th scope="col">State</th><th scope="col">Heard</th><th scope="col">Version</th>
                <th scope="col" class="num" title="Its wall clock minus that of the hub when its last announcement arrived. Coarse: the time on the way counts as behind. The matrix below has the differences between the clocks, with their bounds.">Minus hub’s clock, coarse</th>
                <th scope="col" class="num">Received</th><th scope="col" class="num">Waiting</th><th scope="col" class="num">Lost</th>
                <th scope="col" class="num">Refused</th><th scope="col" class="after">Plan</th>
              </tr>
            </thead>
            <tbody>{vantages.map((vantage) => <Line key={vantage.name} vantage={vantage} isWrong={verdict !== null && isVantageWrong(vantage.name, verdict)} />)}</tbody>
          </table>
        </div>
      )}
    </Panel>
  );
}

function Line({ vantage, isWrong }: { vantage: FleetVantage; isWrong: boolean }) {
  const plan = vantage.planned === null ? "–" : vantage.planned ? "valid" : "none: fallback pace";
  return (
    <tr>
      <th scope="row"><a href={href("overview", "", { vantage: vantage.name })} title={`What ${vantage.name} measures`}>{vantage.name}</a></th>
      <td><Badge tone={TONES[vantage.state]}>{vantage.state}</Badge>{isWrong && <> <Badge tone="bad">clock wrong</Badge></>}</td>
      <td class="name">{vantage.heard_s_ago === null ? "–" : `${span(vantage.heard_s_ago)} ago`}</td>
      <td>{vantage.version ?? "–"}</td>
      <td class="num">{offset(vantage.clock_ahead_s)}</td>
      <td class="num">{count(vantage.received)}</td>
      <td class="num">{count(vantage.waiting)}</td>
      <td class="num">{count(vantage.lost)}</td>
      <td class="num" title={vantage.reason ?? undefined}>{count(vantage.refused)}</td>
      <td class="after" title={vantage.refusals.join("; ")}>{plan}{vantage.refusals.length > 0 && `, ${vantage.refusals.length} refused`}</td>
    </tr>
  );
}
