/** The service itself: health with reasons, outputs, and supervised parts. */
import type { Health, HealthStatus, SinkHealth } from "../api/types";
import { Badge, Empty, Facts, Panel } from "../components/bits";
import { span } from "../format/time";
import { count, duration } from "../format/units";
import { title, type Tone } from "../format/words";
import { href } from "../state/address";

const TONES: Record<HealthStatus, Tone> = { ok: "good", degraded: "warn", failing: "bad" };

export function ServiceView({ health }: { health: Health }) {
  return (
    <>
      <h1 class="view-title">Service <Badge tone={TONES[health.status]}>{title(health.status)}</Badge></h1>
      <Facts facts={[
        ["Vantage", health.vantage],
        ["Version", health.version],
        ["Up for", span(health.uptime_s)],
        ["Ready", health.ready ? "yes" : "not yet"],
        ["Restarts of parts", count(health.restarts), "Parts that the supervisor restarted"],
        ["Panics", count(health.panics)],
        ["Log records dropped", count(health.log_dropped)],
      ]} />
      <Panel title="Reasons" note="Why the service is not OK, worst first.">
        {health.reasons.length === 0 ? <Empty>Everything that is configured works.</Empty> : <Reasons health={health} />}
      </Panel>
      <Panel title="Outputs" note="Where samples are written. Each output has its own bounded queue and cannot delay measurements.">
        <Outputs sinks={health.sinks} />
      </Panel>
      <Panel title="Parts that are not running">
        <Down down={health.down} />
      </Panel>
    </>
  );
}

function Reasons({ health }: { health: Health }) {
  return (
    <ul class="reasons">
      {health.reasons.map((reason) => (
        <li key={`${reason.about} ${reason.name} ${reason.reason}`}>
          <Badge tone={TONES[reason.status]}>{title(reason.status)}</Badge>
          <span>
            <strong>{reason.about === "server" ? <a href={href("server", reason.name)}>{reason.name}</a> : `${title(reason.about)} ${reason.name}`}</strong>: {reason.reason}
          </span>
        </li>
      ))}
    </ul>
  );
}

const RECEIVERS = ["events", "health", "stats", "targets"];

function Outputs({ sinks }: { sinks: Record<string, SinkHealth> }) {
  // Parts of the service that receive samples or events are shown only when they are late or missed some.
  const entries = Object.entries(sinks)
    .filter(([name, sink]) => !RECEIVERS.includes(name) || sink.dropped + sink.queue_depth > 0);
  if (entries.length === 0) return <Empty>No output is open yet.</Empty>;
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Table of outputs">
      <table class="plain">
        <thead>
          <tr><th scope="col">Output</th><th scope="col">State</th><th scope="col" class="num">Queue</th><th scope="col" class="num">Being written</th>
            <th scope="col" class="num">Lag</th><th scope="col" class="num">Written</th><th scope="col" class="num">Lost</th>
            <th scope="col" class="num">Failed attempts</th><th scope="col">Last error</th></tr>
        </thead>
        <tbody>
          {entries.map(([name, sink]) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td><Badge tone={sink.failing ? "bad" : "good"}>{sink.failing ? "Failing" : "OK"}</Badge></td>
              <td class="num">{count(sink.queue_depth)}{sink.queue_capacity !== null && ` of ${count(sink.queue_capacity)}`}</td>
              <td class="num">{count(sink.in_hand)}</td>
              <td class="num">{duration(sink.lag_s)}</td>
              <td class="num">{count(sink.written)}</td>
              <td class="num">{count(sink.dropped)}</td>
              <td class="num">{count(sink.failures)}</td>
              <td>{sink.last_error ?? "–"}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Down({ down }: { down: Health["down"] }) {
  const entries = Object.entries(down);
  if (entries.length === 0) return <Empty>All parts are running.</Empty>;
  return (
    <ul class="reasons">
      {entries.map(([name, child]) => (
        <li key={name}>
          <Badge tone="bad">{title(child.state)}</Badge>
          <span><strong>{name}</strong>: {count(child.restarts)} restarts, {count(child.panics)} of them after a panic</span>
        </li>
      ))}
    </ul>
  );
}
