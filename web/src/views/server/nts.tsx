/** How a server is authenticated: its key exchange, its certificates and its cookies. */
import type { NtsState, ServerRow } from "../../api/types";
import { Badge, Facts, Panel } from "../../components/bits";
import { ago, instant } from "../../format/time";
import { count, duration } from "../../format/units";
import { monitorNowMs } from "../../state/live";
import { unit, zone } from "../../state/prefs";
import { authenticity, expiry } from "./authenticity";

/** A full stock of cookies. */
const FULL_STOCK = 8;

export function NtsPanel({ nts, row }: { nts: NtsState; row: ServerRow }) {
  const [own, ...others] = nts.certificates;
  const standing = authenticity(nts, row);
  const end = own && expiry(own);
  return (
    <Panel
      title="Authentication (NTS)"
      badge={<Badge tone={standing.tone}>{standing.label}</Badge>}
      note="NTS proves who answers, not that the server's clock is right."
    >
      {nts.fault === null ? null : <p>The last key exchange failed: {nts.reason}.</p>}
      <Facts facts={[
        ["Key exchange", nts.key_server, "Host and TCP port"],
        ["NTP server", nts.asked, "The key exchange may assign another server"],
        ["Algorithm", nts.aead ?? "–"],
        ["Cookies", `${count(nts.cookies)} of ${FULL_STOCK}`, "One for each request"],
        ["Length of a cookie", nts.cookie_octets === null ? "–" : `${count(nts.cookie_octets)} octets`],
        ["Keys exchanged", ago(nts.exchanged, monitorNowMs.value)],
        ["It took", duration(nts.exchange_s, unit.value)],
        ["Key exchanges", `${count(nts.exchanges)}, ${count(nts.failures)} failed`, "Since the service started"],
        ["Refused cookies", count(nts.naks), "NTS NAKs since the service started"],
        ["Plain replies", count(nts.downgrades), "Replies without NTS since the service started"],
        ["Certificate of", own?.subject ?? "–"],
        ["Signed by", own?.issuer ?? "–"],
        ["Valid from", instant(own?.not_before, zone.value)],
        ["Valid until", own && end ? <>{instant(own.not_after, zone.value)} <Badge tone={end.tone}>{end.label}</Badge></> : "–"],
        ["Serial number", own?.serial ?? "–"],
        ...others.map((it) => [`Chain, ${it.subject}`, `until ${instant(it.not_after, zone.value)}`, "A certificate that was presented with the server's own"] as const),
      ]} />
    </Panel>
  );
}
