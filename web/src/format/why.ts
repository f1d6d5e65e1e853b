/** Why a server gives no time, in a word or two, shown beside its state. Pure. */
import type { ServerRow } from "../api/types";
import { CONDITIONS, stateWords } from "./words";

const OUTCOMES: Record<string, string> = {
  dns: "DNS", refused: "refused", timeout: "timeout", kiss: "kiss", rejected: "replies rejected", unsynchronised: "no time",
};

/** The names of faults of this host or its network. */
const FAULTS: readonly [RegExp, string][] = [
  [/no route|host unreachable/i, "no route"],
  [/network (is )?unreachable|ENETUNREACH/i, "no network"],
  [/permission|not permitted|prohibited/i, "not permitted"],
];

/** The cause of the last failure; `null` while the server answers, or if its state already says it. */
export function whySilent(row: Pick<ServerRow, "state" | "class" | "outcome" | "reason">): string | null {
  if (row.state !== "unreachable" && row.state !== "failing") return null;
  if (stateWords(row).label !== CONDITIONS[row.state].label) return null;
  if (row.outcome === "fault") return FAULTS.find(([pattern]) => pattern.test(row.reason))?.[1] ?? "fault here";
  if (row.outcome === "kiss" && row.reason) return `kiss ${row.reason}`;
  return (row.outcome && OUTCOMES[row.outcome]) ?? null;
}
