/** Adds, changes, pauses and removes single servers. Each change is written to the file, which keeps its comments. */
import { useState } from "preact/hooks";
import { api, ApiError, settings } from "../../api/client";
import type { Schema, ServerKeys } from "../../api/types";
import { Act, NeedsRole } from "../../components/act";
import { Badge, Empty, Failure, Loading, Panel } from "../../components/bits";
import { Dialog } from "../../components/dialog";
import { Difference } from "../../components/difference";
import { FormError } from "../../components/fields";
import { unified } from "../../format/lines";
import { useAction } from "../../state/action";
import { href } from "../../state/address";
import { refresh } from "../../state/live";
import { tell } from "../../state/notices";
import { useResource } from "../../state/resource";
import { may } from "../../state/session";
import { ServerForm } from "./server-form";
import { route } from "../../state/route";
import { defaultsOf, serversOf, type Configured, type Texts } from "./server-keys";

/** Maximum number of listed servers; use the filter for more. */
const MOST = 200;

/** The dialog that is open. */
type Open = { what: "add" } | { what: "change" | "remove"; server: Configured } | null;

export function ServersPart() {
  const config = useResource("config servers", api.config, 10_000);
  if (config.error && !config.data) return <Failure what="The servers" error={config.error} retry={config.retry} />;
  if (!config.data) return <Loading what="the servers" />;
  const servers = serversOf(config.data.values, config.data["sources"] ?? {});
  const usual = defaultsOf(config.data.values);
  return may("admin")
    ? <Managed servers={servers} usual={usual} again={config.retry} />
    : <List servers={servers} blocked={null} onOpen={() => undefined} onPause={() => undefined} />;
}

/** The list for users who may change servers. */
function Managed({ servers, usual, again }: { servers: Configured[]; usual: Texts; again: () => void }) {
  // The file is read with its entity tag, so that a concurrent change is noticed.
  const file = useResource("config file of servers", settings.file);
  const schema = useResource("config schema", settings.schema);
  const named = servers.find((server) => server.name === route.value.query.get("server"));
  // A link from the server's page opens its form.
  const [open, setOpen] = useState<Open>(named ? { what: "change", server: named } : null);
  const [theirs, setTheirs] = useState<string | null>(null);
  const tag = file.data?.etag ?? "";
  const done = (text: string): void => {
    tell(text);
    again();
    file.retry();
    refresh();
  };
  /** Another change came first: reloads the list and shows the difference; the input is kept. */
  const guarded = async (write: () => Promise<unknown>, text: string): Promise<void> => {
    try {
      await write();
    } catch (why) {
      if (why instanceof ApiError && why.status === 412) {
        const now = await settings.file();
        setTheirs(unified(file.data?.text ?? "", now.text));
        file.retry();
        again();
        throw new Error("The configuration was changed in the meantime, see below. Press again to apply your change to the current version.");
      }
      throw why;
    }
    setTheirs(null);
    done(text);
  };
  const pause = useAction(async (server: Configured) => {
    await settings.setPaused(server.name, !server.paused);
    done(server.paused ? `${server.name} is polled again.` : `${server.name} is no longer polled.`);
  });
  const addsTo = file.data?.adds_to ?? null;
  const blocked = file.data && !file.data.editable ? `The file cannot be changed here: ${file.data.why_not ?? "no reason is given"}.` : null;
  const table = schema.data?.properties?.["server"]?.items;
  const close = (): void => { setOpen(null); setTheirs(null); };
  const save = (keys: ServerKeys): Promise<void> => (open?.what === "change"
    ? guarded(() => settings.changeServer(open.server.name, keys, tag), `${open.server.name} is changed.`)
    : guarded(() => settings.addServer(keys, tag), `${String(keys["name"] ?? keys["address"] ?? "The server")} is added.`));
  return (
    <>
      <FormError error={pause.error} />
      <List servers={servers} blocked={blocked} addsTo={addsTo} onOpen={setOpen} onPause={(server) => void pause.start(server)} />
      {open && open.what !== "remove" && table && <Form open={open} table={table} usual={usual} save={save} theirs={theirs} onClose={close} />}
      {open?.what === "remove" && (
        <Remove server={open.server} onClose={close}
          remove={() => guarded(() => settings.removeServer(open.server.name, tag), `${open.server.name} is removed.`)} />
      )}
    </>
  );
}

function Form({ open, table, usual, save, theirs, onClose }: {
  open: { what: "add" } | { what: "change" | "remove"; server: Configured };
  table: Schema;
  usual: Texts;
  save: (keys: ServerKeys) => Promise<void>;
  theirs: string | null;
  onClose: () => void;
}) {
  return (
    <ServerForm server={"server" in open ? open.server : null} table={table} usual={usual} save={save} onClose={onClose}>
      {theirs && <Difference diff={theirs} label="The other change" />}
    </ServerForm>
  );
}

function List({ servers, blocked, addsTo, onOpen, onPause }: {
  servers: readonly Configured[];
  blocked: string | null;
  /** The file whose servers can be changed although the configuration file cannot. */
  addsTo?: string | null;
  onOpen: (open: Open) => void;
  onPause: (server: Configured) => void;
}) {
  const [text, setText] = useState(route.value.query.get("server") ?? "");
  const wanted = text.trim().toLowerCase();
  const shown = servers.filter((server) => !wanted || `${server.name} ${server.address} ${tagText(server)}`.toLowerCase().includes(wanted));
  return (
    <Panel title="Servers" note={addsTo
      ? <>The service may not write its configuration file, so what you add is written to <code>{addsTo}</code>. It takes effect at once.</>
      : "Changes are written to the configuration file, which keeps its comments, and take effect at once."}
      tools={(
        <>
          <label class="search">
            <span class="visually-hidden">Filter servers</span>
            <input type="search" placeholder="Name, address or tag" value={text} onInput={(event) => setText(event.currentTarget.value)} />
          </label>
          <Act need="admin" kind="main" blocked={addsTo ? null : blocked} onClick={() => onOpen({ what: "add" })}>Add a server</Act>
        </>
      )}>
      <NeedsRole need="admin" what="Changing servers" />
      {shown.length === 0 && <Empty>{servers.length === 0 ? "No server is configured yet." : "No server matches."}</Empty>}
      {shown.length > 0 && (
        <ul class="server-list">
          {shown.slice(0, MOST).map((server) => {
            const closed = addsTo && server.source.startsWith(addsTo) ? null : blocked;
            return (
            <li key={server.name}>
              <div class="server-words">
                <a href={href("server", server.name)}>{server.name}</a> {server.paused && <Badge tone="idle">Paused</Badge>}
                <p class="muted">
                  {server.address}{tagText(server) && ` · ${tagText(server)}`}
                  {server.own["poll_interval"] && ` · every ${server.own["poll_interval"]}`} · <span title={server.source}>{server.source.split("/").at(-1)}</span>
                </p>
              </div>
              <div class="row-buttons">
                <Act need="admin" kind="small" blocked={closed} label={`Change ${server.name}`} onClick={() => onOpen({ what: "change", server })}>Change</Act>
                <Act need="admin" kind="small" blocked={closed} label={`${server.paused ? "Resume" : "Pause"} ${server.name}`} onClick={() => onPause(server)}>
                  {server.paused ? "Resume" : "Pause"}
                </Act>
                <Act need="admin" kind="small" blocked={closed} label={`Remove ${server.name}`} onClick={() => onOpen({ what: "remove", server })}>Remove</Act>
              </div>
            </li>
            );
          })}
        </ul>
      )}
      {shown.length > MOST && <p class="note">{shown.length - MOST} more are not listed: filter to find them.</p>}
    </Panel>
  );
}

const tagText = (server: Configured): string => Object.entries(server.tags).map(([tag, value]) => `${tag}: ${value}`).join(", ");

function Remove({ server, remove, onClose }: { server: Configured; remove: () => Promise<void>; onClose: () => void }) {
  const removing = useAction(remove);
  const go = async (): Promise<void> => {
    if (await removing.start()) onClose();
  };
  return (
    <Dialog title={`Remove ${server.name}?`} onClose={onClose}>
      <p class="sentence">The server is removed from the configuration file and no longer polled. Its samples stay in the store until they expire. To stop polling for a while, pause it instead.</p>
      <FormError error={removing.error} />
      <div class="form-buttons">
        <button type="button" onClick={onClose}>Keep it</button>
        <button type="button" class="act-danger" disabled={removing.busy} onClick={() => void go()}>Remove</button>
      </div>
    </Dialog>
  );
}
