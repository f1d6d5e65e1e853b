/** The fleet at its hub: the verdict, every server from every vantage, and the vantages. */
import { fleet } from "../../api/client";
import type { FleetSkew, FleetVantages, FleetVerdict } from "../../api/types";
import { Badge, Empty, Failure, Loading, Panel, ToneIcon } from "../../components/bits";
import { instant } from "../../format/time";
import { duration, offset } from "../../format/units";
import type { Tone } from "../../format/words";
import { unit, zone } from "../../state/prefs";
import { useResource } from "../../state/resource";
import { arrange } from "./arrange";
import { Everywhere } from "./everywhere";
import { Agent } from "./agent";
import { Matrix } from "./matrix";
import { Vantages } from "./vantages";

const EVERY_MS = 5000;
/** Maximum number of pairs of vantages that are listed. */
const PAIRS = 20;

const TONES: Record<FleetVerdict["state"], Tone> = {
  consistent: "good", server_wrong: "bad", vantage_wrong: "bad", path: "warn", several: "bad", undecidable: "idle",
};

const STATES: Record<FleetVerdict["state"], string> = {
  consistent: "All agree", server_wrong: "A server is wrong", vantage_wrong: "The clock of a vantage is wrong",
  path: "A path has changed", several: "Several are wrong", undecidable: "It cannot be decided",
};

/** Capitalises the first letter. */
const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

/** At a hub the whole fleet, otherwise the state of this agent. */
export function FleetView() {
  const version = useResource("version", fleet.version);
  return (
    <>
      <h1 class="view-title">Fleet</h1>
      {version.loading ? <Loading what="the fleet" /> : version.data?.fleet_hub === false ? <Agent /> : <Whole />}
    </>
  );
}

function Whole() {
  const verdict = useResource("fleet verdict", fleet.verdict, EVERY_MS);
  const matrix = useResource("fleet matrix", fleet.matrix, EVERY_MS);
  const vantages = useResource("fleet vantages", fleet.vantages, EVERY_MS);
  const skew = useResource("fleet skew", fleet.skew, EVERY_MS);
  return (
    <>
      {verdict.error && !verdict.data && <Failure what="The fleet" error={verdict.error} retry={verdict.retry} />}
      {verdict.loading && <Loading what="the fleet" />}
      {verdict.data && <Judgement verdict={verdict.data} />}
      {matrix.data && verdict.data && <Matrix cells={matrix.data.cells} verdict={verdict.data} />}
      {matrix.data && verdict.data && <Everywhere rows={arrange(matrix.data.cells).rows} verdict={verdict.data} />}
      {vantages.data && <Hub body={vantages.data} />}
      {vantages.data && <Vantages vantages={vantages.data.vantages} verdict={verdict.data} />}
      {skew.data && <Skew body={skew.data} />}
    </>
  );
}

function Judgement({ verdict }: { verdict: FleetVerdict }) {
  const tone = TONES[verdict.state];
  return (
    <section class={`verdict verdict-${tone}`} aria-label="The verdict of the fleet">
      <div class="verdict-head">
        <ToneIcon tone={tone} size={40} />
        <div>
          <p class="verdict-state">{STATES[verdict.state]}{verdict.since && ` since ${instant(verdict.since, zone.value)}`}</p>
          <p class="big">{capital(verdict.sentence)}.</p>
        </div>
      </div>
      {verdict.assumption && <p class="note">Assumed: {verdict.assumption}.</p>}
    </section>
  );
}

function Hub({ body }: { body: FleetVantages }) {
  const { hub } = body;
  if (hub.connected && hub.caught_up) return null;
  return (
    <p class="stale" role="alert">
      <ToneIcon tone={hub.connected ? "warn" : "bad"} />{" "}
      {hub.connected ? "The hub is still reading older samples." : `The hub has no connection to NATS. ${hub.reason ?? ""}`}
    </p>
  );
}

function Skew({ body }: { body: FleetSkew }) {
  const proven = (pair: { estimate_s: number; bound_s: number }): number => Math.abs(pair.estimate_s) - pair.bound_s;
  const pairs = [...body.skew].sort((a, b) => proven(b) - proven(a)).slice(0, PAIRS);
  return (
    <Panel title="Clock differences" note="By the servers that both vantages see; the largest proven difference first. Plus: the first clock is ahead.">
      {pairs.length === 0 ? <Empty>No two vantages see a common server yet.</Empty> : (
        <div class="scroll" tabIndex={0} role="region" aria-label="Clock differences">
          <table class="plain">
            <thead><tr><th scope="col">Clocks</th><th scope="col" class="num">Difference</th><th scope="col" class="num">Bound</th><th scope="col" class="after">Proven</th></tr></thead>
            <tbody>
              {pairs.map((pair) => (
                <tr key={`${pair.a} ${pair.b}`}>
                  <td class="name">{pair.a} − {pair.b}</td>
                  <td class="num">{offset(pair.estimate_s, unit.value)}</td>
                  <td class="num">± {duration(pair.bound_s, unit.value)}</td>
                  <td class="after">{proven(pair) > body.limit_s ? <Badge tone="bad">beyond the limit</Badge> : proven(pair) > 0 ? "differ" : "–"}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Panel>
  );
}
