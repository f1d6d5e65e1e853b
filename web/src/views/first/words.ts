/** The result of a server test as a sentence. Pure. */
import type { ServerTest } from "../../api/types";
import { duration, offset, type Unit } from "../../format/units";
import { outcome, type Tone } from "../../format/words";

/** Pools are run by volunteers. */
export const isPool = (address: string): boolean => /(^|\.)pool\.ntp\.org\.?$/i.test(address);
export const asksOfPool = { addresses: "all", poll_interval: "15m" };

/** An offset beyond the bound does not prove that the server is wrong, but it is not shown in green. */
export function testWords(address: string, { address: asked, others, poll }: ServerTest, unit: Unit): { tone: Tone; text: string } {
  const where = asked && asked.replace(/:123$/, "") !== address ? ` (${asked})` : "";
  const more = others > 0 ? ` The name has ${others} more ${others === 1 ? "address" : "addresses"}.` : "";
  if (poll.offset_s === null || poll.root_distance_s === null) {
    return { tone: "bad", text: `${address}${where} gives no time. ${outcome(poll.outcome, poll.reason)}.` };
  }
  const within = Math.abs(poll.offset_s) <= poll.root_distance_s;
  const said = `${offset(poll.offset_s, unit)} ± ${duration(poll.root_distance_s, unit)} from this host's clock`;
  const source = poll.stratum === null ? "" : `, stratum ${poll.stratum}${poll.refid ? ` (${poll.refid})` : ""}`;
  const remark = within ? "" : " One of the two clocks is wrong; with more servers a majority tells which.";
  return { tone: within ? "good" : "warn", text: `${address}${where} answers: ${said}, round trip ${duration(poll.delay_s, unit)}${source}.${remark}${more}` };
}
