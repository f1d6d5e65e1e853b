/** Actions on a server (poll now), and the alerts that fire about it. */
import { probeNow } from "../../api/client";
import { Act } from "../../components/act";
import { Badge } from "../../components/bits";
import { FormError } from "../../components/fields";
import { SEVERITIES } from "../../format/words";
import { useAction } from "../../state/action";
import { href } from "../../state/address";
import { firing } from "../../state/alerts";
import { refresh } from "../../state/live";
import { tell } from "../../state/notices";

export function ServerActions({ id, name }: { id: string; name: string }) {
  const poll = useAction(async () => {
    await probeNow(id);
    tell(`${id} was polled.`);
    refresh();
  });
  const alerts = firing.value.filter((alert) => alert.server === id || alert.server === name);
  return (
    <>
      {alerts.length > 0 && (
        <ul class="reasons" aria-label="Alerts that fire">
          {alerts.map((alert) => (
            <li key={alert.id}>
              <Badge tone={SEVERITIES[alert.severity].tone}>{SEVERITIES[alert.severity].label}</Badge>
              <span>{alert.summary || alert.alert} <a href={href("alerts")}>Alert</a></span>
            </li>
          ))}
        </ul>
      )}
      <FormError error={poll.error} />
      <div class="row-buttons">
        <Act need="operate" kind="small" busy={poll.busy} onClick={() => void poll.start()}>{poll.busy ? "Polling …" : "Poll now"}</Act>
        <a class="button act-small" href={href("alerts", "history", { server: name })}>Alert history</a>
        <a class="button act-small" href={href("config", "", { server: name })}>Settings</a>
      </div>
    </>
  );
}
