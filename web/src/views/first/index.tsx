/** The first view of a new monitor: test and add a server, or add those that this host knows. */
import { NeedsRole } from "../../components/act";
import { fleet } from "../../api/client";
import { Loading, Panel, ToneIcon } from "../../components/bits";
import { href } from "../../state/address";
import { useResource } from "../../state/resource";
import { askToSignIn, may, session } from "../../state/session";
import { setupError } from "../../state/setup";
import { AddServer } from "./add";

export function FirstServer() {
  const version = useResource("version", fleet.version);
  if (version.loading) return <Loading what="the monitor" />;
  return version.data?.fleet_hub ? <OnlyHub /> : <First />;
}

/** For a hub without servers: it measures nothing itself, so this links to its fleet. */
function OnlyHub() {
  return (
    <section class="panel first" aria-label="The hub of a fleet">
      <h1>This is the hub of a fleet</h1>
      <p class="sentence">What its agents measure is on the page <a href={href("fleet")}>Fleet</a>. The hub itself polls no server. If it should measure too, give it the role “both” and <a href={href("config")}>servers</a>.</p>
    </section>
  );
}

function First() {
  return (
    <section class="panel first" aria-label="Add your first server">
      <h1>Add your first server</h1>
      <p class="sentence">ntp-monitor asks time servers for the time, and compares them with each other and with the clock of this host. With one server you see its offset; from four on, a majority can tell which one is wrong.</p>
      {may("admin") ? <AddServer /> : <Stranger />}
    </section>
  );
}

/** Shown above the servers while there are few of them. */
export function AnotherServer({ count }: { count: number }) {
  return (
    <Panel title="Add another server" note={count === 1
      ? "One server cannot be compared with others. A reliable verdict needs four or more servers that are independent of each other."
      : `You have ${count} servers. A reliable verdict needs four or more that are independent of each other.`}>
      <AddServer />
    </Panel>
  );
}

/** Explains how to become the administrator. */
function Stranger() {
  const link = session.value?.setup_link;
  if (setupError.value === null && !link) return <NeedsRole need="admin" what="Adding a server" />;
  return (
    <>
      {setupError.value !== null && <p class="form-error" role="alert"><ToneIcon tone="bad" size={16} /> <span>{setupError.value}</span></p>}
      {link === "waiting" && <p class="sentence"><strong>Open the link that ntp-monitor printed when it started.</strong> It is in the terminal, or in the log of the service (<code>journalctl -u ntp-monitor</code>, <code>docker logs</code>), and works once.</p>}
      {link === "expired" && <p class="sentence"><strong>The link that ntp-monitor printed has expired.</strong> Restart it to get another one.</p>}
      <p><button type="button" onClick={() => askToSignIn("")}>Sign in with a token</button></p>
    </>
  );
}
