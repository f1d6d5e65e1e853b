/** The state of a server's authentication and of its certificate. Pure. */
import type { Certificate, NtsState, ServerRow } from "../../api/types";
import { count } from "../../format/units";
import type { Tone } from "../../format/words";

const DAY_MS = 86_400_000;

type Standing = { tone: Tone; label: string };

/** Whether the last poll was authenticated, and if not, whether it could have been. */
export function authenticity(
  nts: Pick<NtsState, "cookies">,
  row: Pick<ServerRow, "authentication" | "outcome">,
): Standing {
  if (row.outcome === "sample" && row.authentication === "nts") return { tone: "good", label: "Authenticated" };
  return nts.cookies > 0 ? { tone: "bad", label: "Not authenticated" } : { tone: "bad", label: "No keys" };
}

/** How close the expiry of a certificate is, by the limits of the built-in alerts. */
export function expiry(it: Pick<Certificate, "not_before" | "not_after" | "days_left">): Standing {
  const days = it.days_left;
  if (days < 0) return { tone: "bad", label: `expired ${count(Math.floor(-days))} days ago` };
  const share = days / ((Date.parse(it.not_after) - Date.parse(it.not_before)) / DAY_MS);
  const label = days < 2 ? `${count(Math.floor(days * 24))} hours left` : `${count(Math.floor(days))} days left`;
  return { tone: share <= 0.05 && days <= 2 ? "bad" : share <= 0.2 ? "warn" : "good", label };
}
