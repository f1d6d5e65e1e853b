/** The clock of the monitoring host: what servers and kernel say about it, and its events. */
import { api } from "../../api/client";
import type { DaemonView, EventEntry, KernelState, LocalClock, Verdict } from "../../api/types";
import { Empty, Facts, Failure, Loading, Panel, ToneIcon } from "../../components/bits";
import { EventList } from "../../components/events";
import { useWindow } from "../../components/time-controls";
import { instant } from "../../format/time";
import { duration, offset, ppm } from "../../format/units";
import { KINDS } from "../../format/words";
import { vantage } from "../../state/route";
import { monitorNowMs, type Picture } from "../../state/live";
import { opinion } from "../../format/opinion";
import { unit, zone } from "../../state/prefs";
import { useResource } from "../../state/resource";
import { asTexts, spanKey } from "../../state/span";
import { ClockHistory } from "./history";

const KINDS_OF_CLOCK = "clock_step,clock_slew,monitor_pause,machine_restart,leap";

/** How far back events are listed, unless the charts go back further. */
const LISTED_S = 30 * 86_400;

const NONE: EventEntry[] = [];

export function ClockView({ picture }: { picture: Picture }) {
  const { data, error, retry } = useResource("local", api.local, 5000);
  const window = useWindow();
  const further = window.from_s < monitorNowMs.value / 1000 - LISTED_S;
  const events = useResource(`clock events ${further ? spanKey(window) : ""}`, (signal) =>
    api.events({ from: further ? asTexts(window).from : `-${LISTED_S}s`, kind: KINDS_OF_CLOCK }, signal), 15_000);
  const own = events.data?.events.filter((event) => event.server === null) ?? NONE;
  return (
    <>
      <h1 class="view-title">The clock of {vantage.value ?? picture.health.vantage}</h1>
      <Opinion verdict={picture.verdict} />
      {error && !data && <Failure what="This host's clock" error={error} retry={retry} />}
      {!data && !error && <Loading what="this host's clock" />}
      {data && <Kernel local={data} />}
      <ClockHistory host={vantage.value ?? picture.health.vantage} window={window} now={data} events={own} />
      <Happened events={events.data && own} error={events.error} retry={events.retry} />
    </>
  );
}

function Opinion({ verdict }: { verdict: Verdict }) {
  const { local } = verdict;
  const chosen = unit.value;
  const { sentence, tone } = opinion(verdict, chosen);
  const known = verdict.majority !== null && local.estimate_s !== null && local.bound_s !== null;
  return (
    <section class={`verdict verdict-${tone}`} aria-label="What the servers say">
      <div class="verdict-head">
        <ToneIcon tone={tone} size={40} />
        <div><p class="verdict-state">What the servers say</p><p class="big">{sentence}</p></div>
      </div>
      <Facts facts={[
        ["True time against this clock", known ? `${offset(local.estimate_s, chosen)} ± ${duration(local.bound_s, chosen)}` : "–", "Plus: this clock is behind"],
        ["Rate error", local.rate_ppm ? `${ppm(local.rate_ppm[0])} ± ${ppm(Math.max(local.rate_ppm[1], 1e-4)).replace("+", "")}` : "none detected", "Plus: this clock loses time"],
        ["Kind of error", local.kind ? KINDS[local.kind] : "–"],
        ["Since", local.since ? instant(local.since, zone.value) : "–"],
      ]} />
    </section>
  );
}

function Kernel({ local }: { local: LocalClock }) {
  return (
    <div class="chart-grid">
      <Panel title="Kernel" {...(local.distrust ? { note: `Not trusted to judge others: ${local.distrust}.` } : {})}>
        {local.kernel ? <KernelFacts kernel={local.kernel} /> : <Empty>The state of the kernel's clock is not known.</Empty>}
      </Panel>
      <Panel title="Time daemon">
        {local.daemon ? <DaemonFacts daemon={local.daemon} /> : <Empty>No time daemon was found on this host.</Empty>}
      </Panel>
    </div>
  );
}

function KernelFacts({ kernel }: { kernel: KernelState }) {
  const leap = kernel.leap_pending === 0 ? "none" : kernel.leap_pending > 0 ? "insert a second" : "delete a second";
  return (
    <Facts facts={[
      ["Synchronised", kernel.synchronised ? "yes" : "no"],
      ["Frequency correction", ppm(kernel.frequency_ppm), "Plus: the kernel speeds the clock up"],
      ["Maximum error", duration(kernel.max_error_s)],
      ["Estimated error", duration(kernel.est_error_s)],
      ["TAI − UTC", kernel.tai_offset_s === null ? "unknown" : `${kernel.tai_offset_s} s`],
      ["Leap second", leap],
    ]} />
  );
}

function DaemonFacts({ daemon }: { daemon: DaemonView }) {
  return (
    <Facts facts={[
      ["Daemon", daemon.name],
      ["Synchronised", daemon.synchronised ? "yes" : "no"],
      ["Stratum", daemon.stratum ?? "–"],
      ["Remaining offset", offset(daemon.offset_s, unit.value), "Plus: true time is ahead of this host"],
      ["Bound", duration(daemon.bound_s, unit.value)],
    ]} />
  );
}

function Happened({ events, error, retry }: { events: readonly EventEntry[] | null; error: Error | null; retry: () => void }) {
  return (
    <Panel title="Steps, pauses and restarts" note="In the last 30 days, and in the time span of the charts, where they are marked.">
      {error && !events && <Failure what="The list of events" error={error} retry={retry} />}
      {!events && !error && <Loading what="events" />}
      {events && (events.length === 0 ? <Empty>The clock was not stepped, and the monitor was not paused.</Empty> : <EventList events={events} withServer={false} />)}
    </Panel>
  );
}
