/** How a server is authenticated: its key exchange, its certificate and its cookies. */
import type { NtsState } from "../../api/types";
import { Badge, Facts, Panel } from "../../components/bits";
import { ago } from "../../format/time";
import { count, duration } from "../../format/units";
import { monitorNowMs } from "../../state/live";
import { unit } from "../../state/prefs";

/** A full stock of cookies. */
const FULL_STOCK = 8;

export function NtsPanel({ nts, authentication }: { nts: NtsState; authentication: string | null }) {
  const certificate = nts.certificates[0];
  const isAuthentic = nts.fault === null && nts.cookies > 0 && authentication === "nts";
  return (
    <Panel title="Authentication (NTS)" note="It proves who answers, not that the server's clock is right.">
      <p>
        <Badge tone={isAuthentic ? "good" : "bad"}>{isAuthentic ? "Keys exchanged" : "No keys"}</Badge>{" "}
        {nts.fault === null ? "" : `The last key exchange failed: ${nts.reason}.`}
      </p>
      <Facts facts={[
        ["Key exchange", nts.key_server, "Host and TCP port"],
        ["NTP server", nts.asked, "The key exchange may name another server"],
        ["Algorithm", nts.aead ?? "–"],
        ["Cookies", `${count(nts.cookies)} of ${FULL_STOCK}`, "One for each request"],
        ["Keys exchanged", ago(nts.exchanged, monitorNowMs.value)],
        ["It took", duration(nts.exchange_s, unit.value)],
        ["Key exchanges", `${count(nts.exchanges)}, ${count(nts.failures)} failed`, "Since the service started"],
        ["Refused cookies", count(nts.naks), "NTS NAKs since the service started"],
        ["Plain replies", count(nts.downgrades), "Replies without NTS since the service started"],
        ["Certificate of", certificate?.subject ?? "–"],
        ["Signed by", certificate?.issuer ?? "–"],
        ["Valid until", certificate ? `${certificate.not_after} (${daysLeft(certificate.days_left)})` : "–"],
        ["Serial number", certificate?.serial ?? "–"],
      ]} />
    </Panel>
  );
}

function daysLeft(days: number): string {
  return days < 0 ? `expired ${count(Math.floor(-days))} days ago` : `${count(Math.floor(days))} days left`;
}
