/** Adds a server by its address after a test, or one of the servers that this host knows. */
import { useState } from "preact/hooks";
import { api, ApiError, first, settings } from "../../api/client";
import type { ServerKeys } from "../../api/types";
import type { KnownServer, ServerTest } from "../../api/types";
import { ToneIcon } from "../../components/bits";
import { Field, FormError } from "../../components/fields";
import { useAction } from "../../state/action";
import { refresh } from "../../state/live";
import { tell } from "../../state/notices";
import { unit } from "../../state/prefs";
import { useResource } from "../../state/resource";
import { serversOf } from "../config/server-keys";
import { asksOfPool, isPool, testWords } from "./words";

/** The keys of a new server. A pool is polled at all of its addresses, at the low rate that its volunteers ask for. */
const keysOf = (address: string): ServerKeys => (isPool(address) ? { address, ...asksOfPool } : { address });

export function AddServer() {
  const file = useResource("config file of the first server", settings.file);
  const [address, setAddress] = useState("");
  const [tested, setTested] = useState<{ address: string; result: ServerTest } | null>(null);
  const testing = useAction(async (text: string) => { setTested({ address: text, result: await first.test(text) }); });
  const adding = useAction(async (all: readonly string[]) => {
    for (const one of all) await settings.addServer(keysOf(one), "");
    tell(all.length === 1 ? `${all[0]} is added.` : `${all.length} servers are added.`);
    setAddress("");
    setTested(null);
    refresh();
  });
  const text = address.trim();
  const blocked = file.data && !file.data.editable && !file.data.adds_to ? file.data.why_not : null;
  const place = file.data?.adds_to ?? file.data?.path;
  const busy = testing.busy || adding.busy;
  return (
    <>
      {blocked && <FormError error={new Error(`Servers cannot be added here: ${blocked}.`)} />}
      <form class="form first-form" onSubmit={(event) => { event.preventDefault(); if (text) void adding.start([text]); }}>
        <Field label="Address" mono value={address} onInput={setAddress} placeholder="time.example.net" fault={addressFault(adding.error ?? testing.error)}
          help="A name or an IP address, with a port if it is not 123." />
        <div class="first-buttons">
          <button type="button" disabled={busy || text === ""} onClick={() => void testing.start(text)}>{testing.busy ? "Testing …" : "Test now"}</button>
          <button type="submit" class="act-main" disabled={busy || text === "" || blocked !== null}>{adding.busy ? "Adding …" : "Add"}</button>
        </div>
      </form>
      {tested && <Result address={tested.address} result={tested.result} />}
      <FormError error={otherError(adding.error ?? testing.error)} />
      <Suggestions busy={busy || blocked !== null} add={(all) => void adding.start(all)} test={(one) => { setAddress(one); void testing.start(one); }} />
      {place && <p class="note">What you add is written to <code>{place}</code></p>}
    </>
  );
}

/** Whether an error is about the address, so that it is shown at the field. */
const isAboutAddress = (error: Error | null): error is ApiError => error instanceof ApiError && error.status === 422;
const addressFault = (error: Error | null): string | null => (isAboutAddress(error) ? error.message : null);
const otherError = (error: Error | null): Error | null => (isAboutAddress(error) ? null : error);

function Result({ address, result }: { address: string; result: ServerTest }) {
  const { tone, text } = testWords(address, result, unit.value);
  return <p class="sentence test-result" role="status"><ToneIcon tone={tone} size={16} /> <span>{text}</span></p>;
}

function Suggestions({ busy, add, test }: { busy: boolean; add: (all: readonly string[]) => void; test: (one: string) => void }) {
  const known = useResource("known servers", first.known);
  const config = useResource("servers beside the known ones", api.config, 5000);
  const present = new Set(serversOf(config.data?.values ?? null, null).map((server) => server.address));
  const rest = (known.data ?? []).filter((server) => !present.has(server.address));
  if (rest.length === 0) return null;
  return (
    <section class="suggestions" aria-label="Servers that this host knows">
      <div class="suggestions-head">
        <h2>Servers that this host knows</h2>
        {rest.length > 1 && <button type="button" disabled={busy} onClick={() => add(rest.map((server) => server.address))}>Add all {rest.length}</button>}
      </div>
      <ul class="server-list">{rest.map((server) => <Suggestion key={server.address} server={server} busy={busy} add={add} test={test} />)}</ul>
    </section>
  );
}

function Suggestion({ server, busy, add, test }: {
  server: KnownServer;
  busy: boolean;
  add: (all: readonly string[]) => void;
  test: (one: string) => void;
}) {
  const { address, file } = server;
  return (
    <li>
      <div class="server-words">
        <strong>{address}</strong>
        <p class="muted">from {file}{isPool(address) && " · a pool: all of its addresses, every 15 minutes"}</p>
      </div>
      <div class="row-buttons">
        <button type="button" class="small" disabled={busy} aria-label={`Test now: ${address}`} onClick={() => test(address)}>Test now</button>
        <button type="button" class="small" disabled={busy} aria-label={`Add ${address}`} onClick={() => add([address])}>Add</button>
      </div>
    </li>
  );
}
