/** The state of this agent: whether it reaches a hub, and which plan it follows. */
import { ApiError, fleet } from "../../api/client";
import type { FleetAgent } from "../../api/types";
import { Empty, Failure, Loading, Panel, ToneIcon } from "../../components/bits";
import { span } from "../../format/time";
import { count } from "../../format/units";
import { useResource } from "../../state/resource";

const EVERY_MS = 5000;

export function Agent() {
  const agent = useResource("fleet agent", fleet.agent, EVERY_MS);
  if (agent.error instanceof ApiError && agent.error.status === 404) {
    return <Empty>This instance belongs to no fleet. Its configuration needs the sections nats and fleet.</Empty>;
  }
  if (agent.error && !agent.data) return <Failure what="The agent" error={agent.error} retry={agent.retry} />;
  return agent.data ? <State agent={agent.data} /> : <Loading what="the agent" />;
}

function State({ agent }: { agent: FleetAgent }) {
  const heard = agent.hub_heard_s_ago === null ? "no hub was heard yet" : `a hub was heard ${span(agent.hub_heard_s_ago)} ago`;
  return (
    <Panel title={`Agent ${agent.name}`} note="The view of the whole fleet is on the page of its hub.">
      <p role={agent.connected ? undefined : "alert"}>
        <ToneIcon tone={agent.connected ? "good" : "bad"} />{" "}
        {agent.connected ? `Connected; ${heard}.` : `No connection, samples stay in the journal: ${agent.reason ?? "connecting"}.`}
      </p>
      <p>{agent.planned ? "A plan of the hub decides what is polled." : "There is no valid plan: shared servers are polled at the fallback pace."}</p>
      {agent.plan_error && <p>The last plan was ignored: {agent.plan_error}.</p>}
      {agent.refusals.length > 0 && <p>Rejected parts of the plan: {agent.refusals.join("; ")}.</p>}
      <p>{count(agent.waiting)} samples wait until a hub has stored them; {count(agent.dropped)} were dropped since the start.</p>
      {agent.foreign > 0 && <p role="alert"><ToneIcon tone="bad" /> Another program uses the identity of this vantage.</p>}
    </Panel>
  );
}
