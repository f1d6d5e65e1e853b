/** One server: its state, history, statistics, events and refused replies. */
import { useState } from "preact/hooks";
import { api, ApiError } from "../../api/client";
import type { EventEntry, ServerDetail, ServerRow } from "../../api/types";
import { Badge, Empty, Facts, Failure, Loading, Panel } from "../../components/bits";
import { EventList } from "../../components/events";
import { Reach } from "../../components/reach";
import { useWindow, windowNow } from "../../components/time-controls";
import { ago, inZone, span } from "../../format/time";
import { count, duration, offset, percent, plain } from "../../format/units";
import { whySilent } from "../../format/why";
import { KINDS, outcome, stateWords } from "../../format/words";
import { monitorNowMs, type Picture } from "../../state/live";
import { unit, zone } from "../../state/prefs";
import { href } from "../../state/address";
import { useResource } from "../../state/resource";
import { asTexts, spanKey } from "../../state/span";
import { ServerActions } from "./actions";
import { Distribution } from "./distribution";
import { Evidence } from "./evidence";
import { HistoryCharts } from "./history";
import { NtsPanel } from "./nts";
import { SheetPanel } from "./sheet";
import { StabilityPanel } from "./stability";

/** The charts are read at once, in parallel with the details of the server. */
export function ServerView({ id, picture }: { id: string; picture: Picture | null }) {
  const { data, error, retry } = useResource(`server ${id}`, (signal) => api.server(id, signal));
  if (error instanceof ApiError && error.status === 404) {
    return <Empty>There is no server “{id}” in the configuration. <a href={href("overview")}>Go to the overview</a></Empty>;
  }
  if (error && !data) return <Failure what="The server" error={error} retry={retry} />;
  // The shared picture is newer than the details read when the view was opened.
  const row = picture?.servers.servers.find((one) => one.id === id) ?? data?.series[0];
  return (
    <>
      <p class="crumb"><a href={href("overview")}>Overview</a> / {id}</p>
      {row ? <Head row={row} name={data?.name ?? row.name} /> : <div class="server-head"><Loading what="the server" /></div>}
      {row?.nts && <NtsPanel nts={row.nts} row={row} />}
      {data && row && row.id !== id
        ? <Series series={data.series} />
        : <Details id={id} detail={data} />}
      {data && <Polling detail={data} />}
    </>
  );
}

/** The addresses of a name; each has its own history. */
function Series({ series }: { series: readonly ServerRow[] }) {
  return (
    <Panel title="Addresses" note="This name resolves to several addresses. Each one has its own history.">
      <ul class="reasons">
        {series.map((row) => (
          <li key={row.id}>
            <Badge tone={stateWords(row).tone}>{stateWords(row).label}</Badge>
            <a href={href("server", row.id)}>{row.address}</a> {offset(row.offset_s, unit.value)}
          </li>
        ))}
      </ul>
    </Panel>
  );
}

function Head({ row, name }: { row: ServerRow; name: string }) {
  const chosen = unit.value;
  const state = stateWords(row);
  const why = whySilent(row);
  return (
    <section class="server-head" aria-label="Now" data-state={row.state}>
      <h1 class="view-title">{row.id} <Badge tone={state.tone}>{state.label}</Badge>{why && <span class="why">{why}</span>}</h1>
      <p class="sentence">{inZone(row.sentence, zone.value)}{row.kind && <span class="muted"> ({KINDS[row.kind]})</span>}</p>
      <ServerActions id={row.id} name={name} />
      <Facts facts={[
        ["Offset", <strong>{offset(row.offset_s, chosen)}</strong>, "Plus: the server is ahead of this host"],
        ["Root distance", `± ${duration(row.root_distance_s, chosen)}`, "The largest possible error of the offset, if the server is right"],
        ["Delay", duration(row.delay_s, chosen)],
        ["Jitter", duration(row.jitter_s, chosen), "RFC 5905, over the last 8 polls"],
        ["Reach", <Reach octal={row.reach} />],
        ["Stratum", row.stratum ?? "–"],
        ["Reference", row.refid ?? "–"],
        ["Root delay", duration(row.root_delay_s, chosen), "As the server states it"],
        ["Root dispersion", duration(row.root_dispersion_s, chosen), "As the server states it"],
        ["Clock last set", row.reference_age_s == null ? "–" : `${span(row.reference_age_s)} before`, "Before its last reply, as the server states it"],
        ["Precision", duration(row.precision_s, chosen), "As the server states it"],
        ["Leap", leap(row.leap)],
        ["Timestamps by", row.timestamping ?? "–", "How this host took its two timestamps"],
        ["Pool score", plain(row.score, 1), "Scored like the NTP Pool: up to 20"],
        ["Answered, hour", percent(row.success.hour.ratio)],
        ["Answered, day", percent(row.success.day.ratio)],
        ["Polls", count(row.polls)],
        ["Rejected replies", row.rejected_replies ? <button type="button" class="link" onClick={toRefused}>{count(row.rejected_replies)}</button> : "0", "Since the program started"],
        ["Polled every", span(row.poll_s)],
        ["Last poll", outcome(row.outcome, row.reason)],
        ["Last seen", ago(row.last_seen, monitorNowMs.value)],
      ]} />
    </section>
  );
}

function toRefused(): void {
  document.querySelector('section[aria-label="Rejected replies"]')?.scrollIntoView({ behavior: "smooth" });
}

function leap(indicator: number | null): string {
  const words = ["none announced", "a second will be inserted", "a second will be deleted", "not synchronised"];
  return indicator === null ? "–" : words[indicator] ?? String(indicator);
}

/** Events of this host, which affect the offsets of all servers. */
const HOST_EVENTS = "clock_step,clock_slew,monitor_pause,machine_restart,leap";
const NONE: EventEntry[] = [];

/** The panels below the charts are read once the charts are drawn. */
function Details({ id, detail }: { id: string; detail: ServerDetail | null }) {
  const name = detail?.name ?? id;
  const [drawn, setDrawn] = useState(false);
  const window = useWindow();
  const live = window.span !== null;
  const events = useResource(`${name} ${spanKey(window)}`, async (signal) => {
    const span = asTexts(live ? windowNow() : window);
    const [own, host] = await Promise.all([api.events({ server: name, ...span }, signal), api.events({ kind: HOST_EVENTS, ...span }, signal)]);
    const all = [...own.events, ...host.events.filter((event) => event.server === null)];
    return all.sort((a, b) => Date.parse(a.start) - Date.parse(b.start));
  }, live ? 10_000 : null);
  return (
    <>
      <HistoryCharts id={id} window={window} settings={detail?.settings ?? null} events={events.data ?? NONE} onDrawn={() => setDrawn(true)} />
      <Panel title="Events" note="Events of this server and of this host's clock in the time span above. The charts mark them.">
        {events.error && !events.data && <Failure what="The list of events" error={events.error} retry={events.retry} />}
        {events.loading && <Loading what="events" />}
        {events.data && (events.data.length === 0
          ? <Empty>No events in this time span.</Empty>
          : <EventList events={events.data} withServer={false} />)}
      </Panel>
      {drawn && (
        <>
          <Distribution id={id} window={window} />
          <StabilityPanel id={id} window={window} />
          <Evidence id={id} />
          <SheetPanel id={id} />
        </>
      )}
    </>
  );
}

function Polling({ detail }: { detail: ServerDetail }) {
  const { settings, tags } = detail;
  return (
    <Panel title="Polling settings">
      <Facts facts={[
        ["Host", `${settings.host}, port ${settings.port}`],
        ["Poll interval", span(settings.poll_interval_s)],
        ["Time-out", duration(settings.timeout_s)],
        ["Engine", settings.engine],
        ["Addresses", `${settings.addresses}, ${settings.family}`],
        ["Samples per poll", settings.samples_per_poll],
        ["Own server", settings.own ? "yes: may be polled fast" : "no"],
        ["Offset warning", duration(settings.offset_warning_s)],
        ["Offset critical", duration(settings.offset_critical_s)],
        ["Tags", Object.entries(tags).map(([key, value]) => `${key}: ${value}`).join(", ") || "none"],
      ]} />
    </Panel>
  );
}
