/** The last rejected replies by failed check: number, time, meaning, and the packets. */
import { api } from "../../api/client";
import type { Refusal } from "../../api/types";
import { Badge, Empty, Failure, Loading, Panel, ToneIcon } from "../../components/bits";
import { groupBy } from "../../format/group";
import { inZone, instant } from "../../format/time";
import { CHECKS, title } from "../../format/words";
import { zone } from "../../state/prefs";
import { useResource } from "../../state/resource";

export function Evidence({ id }: { id: string }) {
  const { data, error, retry } = useResource(`evidence ${id}`, (signal) => api.evidence(id, signal), 10_000);
  return (
    <Panel title="Rejected replies" note="Replies that failed a check and gave no offset, grouped by that check. The service keeps the last 16, including some of each kind. A kiss-o'-death or an unsynchronised server is an outcome of a poll and not listed here.">
      {error && !data && <Failure what="The evidence" error={error} retry={retry} />}
      {!data && !error && <Loading what="the evidence" />}
      {data && data.evidence.length === 0 && <Empty>No reply of this server was rejected.</Empty>}
      {data && [...groupBy([...data.evidence].reverse(), (refusal) => refusal.failed ?? "refused")].map(([failed, held]) => <Kind key={failed} failed={failed} held={held} />)}
    </Panel>
  );
}

/** All replies that failed the same check, newest first. It keeps its position and stays open while others arrive. */
function Kind({ failed, held }: { failed: string; held: readonly Refusal[] }) {
  const [newest, oldest] = [held[0], held.at(-1)];
  if (!newest || !oldest) return null;
  const senders = new Set(held.map((refusal) => refusal.sender ?? refusal.address ?? "an unknown address"));
  return (
    <details class="packet packet-kind">
      <summary>
        <ToneIcon tone="bad" size={16} />
        <strong>{title(failed)}</strong> <Badge tone="idle">{held.length} kept</Badge>
        <span>{inZone(newest.explanation ?? "", zone.value)}</span>
        <span class="muted">{held.length === 1 ? instant(newest.time, zone.value) : `${instant(oldest.time, zone.value)} to ${instant(newest.time, zone.value)}`}, from {[...senders].join(", ")}</span>
      </summary>
      {held.map((refusal) => <Packet key={refusal.time} refusal={refusal} />)}
    </details>
  );
}

function Packet({ refusal }: { refusal: Refusal }) {
  return (
    <details class="packet">
      <summary>
        <ToneIcon tone="bad" size={16} />
        <time dateTime={refusal.time}>{instant(refusal.time, zone.value)}</time>
        <span>from {refusal.sender ?? refusal.address ?? "an unknown address"}</span>
      </summary>
      <div class="packet-body">
        <ul class="checks" aria-label="Checks of this reply">
          {refusal.checks.map(({ check, passed }) => (
            <li key={check} class={passed ? "passed" : "failed"}>
              <ToneIcon tone={passed ? "good" : "bad"} size={14} />
              <span>{CHECKS[check] ?? title(check)}<span class="visually-hidden">: {passed ? "passed" : "failed"}</span></span>
            </li>
          ))}
        </ul>
        <div>
          <table class="plain">
            <thead><tr><th scope="col">Timestamp</th><th scope="col">UTC</th><th scope="col">As sent</th></tr></thead>
            <tbody>
              {([["T1, we sent", refusal.t1], ["T2, it received", refusal.t2], ["T3, it sent", refusal.t3], ["T4, we received", refusal.t4]] as const)
                .map(([name, moment]) => (
                  <tr key={name}><th scope="row">{name}</th><td>{moment.time ?? "none"}</td><td><code>{moment.ntp}</code></td></tr>
                ))}
            </tbody>
          </table>
          <p class="muted">From {refusal.sender ?? refusal.address ?? "an unknown address"}. The datagram:</p>
          <pre class="hex" tabIndex={0}>{hexLines(refusal.datagram)}</pre>
        </div>
      </div>
    </details>
  );
}

/** Hexadecimal text, sixteen bytes to a line in groups of four. Pure. */
export function hexLines(hex: string): string {
  const words = hex.match(/.{1,8}/g) ?? [];
  const lines: string[] = [];
  for (let at = 0; at < words.length; at += 4) {
    lines.push(`${(at * 4).toString().padStart(3)}  ${words.slice(at, at + 4).join(" ")}`);
  }
  return lines.join("\n");
}
