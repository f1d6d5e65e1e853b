/** The verdict about the monitoring host's clock, as a sentence. Pure. */
import type { Verdict } from "../api/types";
import { duration, type Unit } from "./units";
import type { Tone } from "./words";

/** Without a majority, the clock is not called right. An inferred error is not called proven. */
export function opinion(verdict: Verdict, chosen: Unit): { sentence: string; tone: Tone } {
  const { local, majority, state } = verdict;
  const side = local.sign === "fast" ? "ahead" : local.sign === "slow" ? "behind" : "wrong";
  if (local.at_least_s > 0) {
    const sentence = `This clock is ${side} by at least ${duration(local.at_least_s, chosen)}, if the majority is right.`;
    return { sentence, tone: "bad" };
  }
  if (state === "local_wrong") {
    const size = local.estimate_s === null ? "" : ` by about ${duration(Math.abs(local.estimate_s), chosen)}`;
    return { sentence: `This clock is probably ${side}${size}. The error ranges of the servers do not prove it.`, tone: "bad" };
  }
  if (majority === null || local.estimate_s === null || local.bound_s === null) {
    return { sentence: "There is no majority of servers to compare this clock with.", tone: "idle" };
  }
  if (state === "undecidable") {
    return { sentence: "The servers do not show whether this clock is right.", tone: "idle" };
  }
  // The true offset may be anywhere within estimate ± bound, so the far end is what this clock may be off by.
  const within_s = Math.abs(local.estimate_s) + local.bound_s;
  return { sentence: `This clock is right within ${duration(within_s, chosen)}, if the majority is right.`, tone: "good" };
}
