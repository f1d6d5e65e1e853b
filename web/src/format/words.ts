/** Words for the codes of the API. Unknown codes are shown unchanged. */
import type { Class, Condition, Kind, ServerRow, Verdict, VerdictState } from "../api/types";
import type { AlertState, Severity } from "../api/types";

/** How good a state is. Each tone has its own colour and, for users who do not see colours, its own shape. */
export type Tone = "good" | "warn" | "bad" | "idle";

export const CONDITIONS: Record<Condition, { label: string; tone: Tone; rank: number }> = {
  wrong: { label: "Wrong", tone: "bad", rank: 0 },
  unreachable: { label: "Unreachable", tone: "warn", rank: 1 },
  failing: { label: "Failing", tone: "warn", rank: 2 },
  pending: { label: "Not polled yet", tone: "idle", rank: 3 },
  paused: { label: "Paused", tone: "idle", rank: 4 },
  unjudged: { label: "Not judged", tone: "idle", rank: 5 },
  ok: { label: "OK", tone: "good", rank: 6 },
};

/** The state of a server that gives no time, by the outcome of its last poll. */
const SILENT: Record<string, string> = {
  unsynchronised: "Unsynchronised",
  refused: "Port closed",
  kiss: "Rate-limited",
  rejected: "Replies rejected",
  dns: "Name not found",
};

/** A state in words. A server is shown as right only if a majority agrees with it. */
export function stateWords(row: { state: Condition; class: Class; outcome: string | null; reason?: string }): { label: string; tone: Tone } {
  const { label, tone } = CONDITIONS[row.state];
  if (row.state === "wrong" && row.class !== "falseticker") return { label: "Probably wrong", tone };
  if (row.state === "ok" && row.class !== "truechimer") return CONDITIONS.unjudged;
  const silent = row.state === "unreachable" || row.state === "failing";
  if (silent && row.outcome === "kiss" && row.reason && row.reason !== "RATE") return { label: "Denies service", tone };
  return { label: (silent && row.outcome && SILENT[row.outcome]) || label, tone };
}

export const VERDICTS: Record<VerdictState, { label: string; tone: Tone }> = {
  consistent: { label: "Consistent", tone: "good" },
  server_wrong: { label: "A server is wrong", tone: "bad" },
  local_wrong: { label: "This host's clock is wrong", tone: "bad" },
  path: { label: "The path is to blame", tone: "warn" },
  undecidable: { label: "Cannot be decided", tone: "idle" },
};

/** The verdict in words. If servers do not answer, the verdict does not blame the path, and it is not shown in grey. */
export function verdictWords(verdict: Verdict, rows: readonly ServerRow[]): { label: string; tone: Tone } {
  const polled = rows.filter((row) => row.state !== "paused" && row.state !== "pending");
  if (polled.length > 0 && polled.every((row) => row.state === "unreachable")) {
    return { label: "No server gives the time", tone: "bad" };
  }
  const blamed = rows.filter((row) => row.blamed);
  if (verdict.state === "path" && blamed.length > 0 && blamed.every((row) => row.kind === "unreachable")) {
    return { label: blamed.length === 1 ? "A server gives no time" : "Servers give no time", tone: "warn" };
  }
  if (verdict.state === "consistent" && verdict.majority && verdict.majority.members < MOST * verdict.majority.of) {
    return { label: "Most servers agree", tone: "idle" };
  }
  return VERDICTS[verdict.state];
}

/** If a smaller share of the servers agrees, one that may be wrong has not been judged yet. */
const MOST = 0.95;

export const KINDS: Record<Kind, string> = {
  step: "it jumped",
  frequency: "it runs at a wrong rate",
  constant: "it is off by a constant",
  smear: "it smears a leap second",
  asymmetry: "its path is asymmetric",
  congestion: "its path is congested",
  unreachable: "it gives no time",
  intermittent: "some of its replies are wrong",
  unsteady: "it moves back and forth",
  periodic: "it moves back and forth periodically",
};

export const SEVERITIES: Record<Severity, { label: string; tone: Tone; rank: number }> = {
  critical: { label: "Critical", tone: "bad", rank: 0 },
  warning: { label: "Warning", tone: "warn", rank: 1 },
  info: { label: "Info", tone: "idle", rank: 2 },
};

export const ALERT_STATES: Record<AlertState, { label: string; help: string; rank: number }> = {
  firing: { label: "Firing", help: "Its condition has been true for as long as the rule requires.", rank: 0 },
  pending: { label: "Pending", help: "Its condition is true, but not yet for as long as the rule requires.", rank: 1 },
  inhibited: { label: "Held back", help: "It fires, but another alert explains it.", rank: 2 },
  silenced: { label: "Silenced", help: "It fires, but a silence covers it.", rank: 3 },
  resolved: { label: "Resolved", help: "The alert has ended.", rank: 4 },
};

/** The meaning of each check of a reply, in the order of the API. */
export const CHECKS: Record<string, string> = {
  "sender": "Came from the address and port that was asked",
  "length": "Has the length of an NTP packet",
  "version": "Has the NTP version of our request",
  "mode": "Is a server reply (mode 4)",
  "origin": "Echoes the random cookie of our request",
  "duplicate": "Does not repeat a rejected reply",
  "authentication": "Does not claim that authentication failed",
  "extension-fields": "NTS: its extension fields can be parsed",
  "downgrade": "NTS: is not a plain reply",
  "unique-identifier": "NTS: repeats the unique identifier of our request",
  "nts-nak": "NTS: the server could read our cookie",
  "authenticator": "NTS: the authenticator verifies",
  "kiss": "Is not a kiss-o'-death",
  "synchronised": "The server reports that it is synchronised",
  "zero-timestamp": "Has a receive time and a transmit time",
  "root-distance": "Root distance below 16 s",
  "server-time": "Sent after it was received, within 4 s",
  "precision": "Claims a precision of a second or better",
  "reference-time": "Its clock was last set before it replied",
  "local-step": "This host's clock was not stepped during the exchange",
  "interleaved": "Interleaved mode: continues the exchange before it",
  "delay": "The round trip is not negative",
  "loop": "The server does not follow this host",
  "cookie": "NTS: contains a new cookie (a missing one is only recorded)",
};

/** `server_step` as `Server step`. */
export function title(code: string): string {
  const text = code.replaceAll("_", " ").replaceAll("-", " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** How the last poll ended, in a few words. */
export function outcome(label: string | null, reason: string): string {
  if (label === null) return "No poll has ended yet";
  return reason ? `${title(label)}: ${reason}` : title(label);
}

/** Splits a text into sentences. A statement that is the same for several servers is given once, after them. */
export function sentences(text: string): string[] {
  return [...new Set(text.split(/(?<=[.!?]) (?=\S)/).reverse())].reverse();
}
