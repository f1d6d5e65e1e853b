/** The clock of the monitoring host: what the servers say of it, what its kernel says, what happened to it. */
import { useMemo, useRef } from "preact/hooks";
import type uPlot from "uplot";
import { api } from "../api/client";
import type { DaemonView, EventEntry, KernelState, LocalClock, LocalVerdict } from "../api/types";
import { faint, inZone, ROOM, secondsAxis, timeAxis } from "../charts/axes";
import { cssColour, downloadCanvas, downloadCsv } from "../charts/download";
import { drawEvents } from "../charts/marks";
import { Plot } from "../charts/plot";
import { Downloads, Empty, Facts, Failure, Loading, Panel, ToneIcon } from "../components/bits";
import { EventList } from "../components/events";
import { instant } from "../format/time";
import { duration, offset, ppm } from "../format/units";
import { KINDS } from "../format/words";
import { localTrail, type Picture } from "../state/live";
import { dark, unit, zone } from "../state/prefs";
import { useResource } from "../state/resource";

const KINDS_OF_CLOCK = "clock_step,clock_slew,monitor_pause,machine_restart,leap";

const NONE: EventEntry[] = [];

export function ClockView({ picture }: { picture: Picture }) {
  const { data, error, retry } = useResource("local", api.local, 5000);
  const events = useResource("clock events", (signal) => api.events({ from: "-30d", kind: KINDS_OF_CLOCK }, signal), 15_000);
  const own = events.data?.events.filter((event) => event.server === null) ?? NONE;
  const verdict = picture.verdict.local;
  return (
    <>
      <h1 class="view-title">The clock of {picture.health.vantage}</h1>
      <Opinion verdict={verdict} />
      {error && !data && <Failure what="The own clock" error={error} retry={retry} />}
      {!data && !error && <Loading what="the own clock" />}
      {data && <Kernel local={data} />}
      <Trail events={own} />
      <Happened events={events.data && own} error={events.error} retry={events.retry} />
    </>
  );
}

function Opinion({ verdict }: { verdict: LocalVerdict }) {
  const wrong = verdict.at_least_s > 0;
  const known = verdict.estimate_s !== null;
  const wish = unit.value;
  // The true offset may be anywhere within estimate ± bound, so the far end is what this clock may be off by.
  const within_s = Math.abs(verdict.estimate_s ?? 0) + (verdict.bound_s ?? 0);
  const sentence = !known ? "No majority of servers says anything of this clock."
    : wrong ? `This clock is ${verdict.sign === "fast" ? "ahead" : "behind"} by at least ${duration(verdict.at_least_s, wish)}, if the majority is right.`
      : `This clock is right within ${duration(within_s, wish)}, if the majority is right.`;
  return (
    <section class={`verdict verdict-${wrong ? "bad" : known ? "good" : "idle"}`} aria-label="What the servers say">
      <div class="verdict-head">
        <ToneIcon tone={wrong ? "bad" : known ? "good" : "idle"} size={40} />
        <div><p class="verdict-state">What the servers say</p><p class="big">{sentence}</p></div>
      </div>
      <Facts facts={[
        ["True time against this clock", known ? `${offset(verdict.estimate_s, wish)} ± ${duration(verdict.bound_s, wish)}` : "–", "Plus: this clock is behind"],
        ["Rate error", verdict.rate_ppm ? `${ppm(verdict.rate_ppm[0])} ± ${ppm(verdict.rate_ppm[1]).replace("+", "")}` : "none shown", "Plus: this clock loses time"],
        ["How", verdict.kind ? KINDS[verdict.kind] : "–"],
        ["Since", verdict.since ? instant(verdict.since, zone.value) : "–"],
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
        {local.daemon ? <DaemonFacts daemon={local.daemon} /> : <Empty>No time daemon on this host was asked.</Empty>}
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
      ["TAI − UTC", kernel.tai_offset_s === null ? "not told" : `${kernel.tai_offset_s} s`],
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
      ["Its bound", duration(daemon.bound_s, unit.value)],
    ]} />
  );
}

const TRAIL = "Estimate and bound since this page was opened";

/** Drawn from what the page has seen: estimate, and the bound around it. */
function Trail({ events }: { events: readonly EventEntry[] }) {
  const trail = localTrail.value;
  const plot = useRef<uPlot | null>(null);
  const happened = useRef(events);
  happened.current = events;
  const data = useMemo((): uPlot.AlignedData => {
    const edge = (sign: number) => trail.map((point) =>
      point.estimate_s === null || point.bound_s === null ? null : point.estimate_s + sign * point.bound_s);
    return [trail.map((point) => point.time_s), edge(1), edge(-1), trail.map((point) => point.estimate_s)];
  }, [trail]);
  const known = trail.filter((point) => point.estimate_s !== null).length;
  return (
    <Panel title={TRAIL} note="True time against this clock; plus: this clock is behind." tools={known > 1 && (
      <Downloads of="the estimate" png={() => plot.current && downloadCanvas(TRAIL, plot.current.ctx.canvas, devicePixelRatio)}
        csv={() => downloadCsv(TRAIL, ["time", "estimate_s", "bound_s"],
          trail.map((point) => [new Date(point.time_s * 1000).toISOString(), point.estimate_s, point.bound_s]))} />
    )}>
      {known < 2 ? <Empty>The line begins with the second estimate; it takes a few seconds.</Empty> : (
        <Plot label={TRAIL} height={220} data={data} version={`${dark.value} ${zone.value} ${unit.value}`} options={options(happened)}
          onReady={(made) => { plot.current = made; }} />
      )}
    </Panel>
  );
}

function options(happened: { current: readonly EventEntry[] }): Omit<uPlot.Options, "width" | "height"> {
  const colour = cssColour("accent");
  const wish = unit.value;
  const value = (_plot: uPlot, seconds: number | null): string => offset(seconds, wish);
  const edge = (label: string): uPlot.Series => ({ label, stroke: faint(colour, 40), points: { show: false }, value });
  return {
    tzDate: inZone(zone.value),
    padding: ROOM,
    // A line of a few seconds would be all ticks.
    scales: { x: { range: (_plot, from, to) => [Math.min(from, to - 60), to] } },
    axes: [timeAxis(zone.value), secondsAxis(true)],
    cursor: { drag: { x: false, y: false } },
    hooks: { draw: [(plot) => drawEvents(plot, happened.current)] },
    bands: [{ series: [1, 2], fill: faint(colour, 15) }],
    series: [
      { label: "Time", value: "{YYYY}-{MM}-{DD} {HH}:{mm}:{ss}" },
      edge("At most"), edge("At least"), { label: "Estimate", stroke: colour, width: 2, value },
    ],
  };
}

function Happened({ events, error, retry }: { events: readonly EventEntry[] | null; error: Error | null; retry: () => void }) {
  return (
    <Panel title="Steps, pauses and restarts" note="In the last 30 days; those within the time drawn are marked on its axis.">
      {error && !events && <Failure what="What happened" error={error} retry={retry} />}
      {!events && !error && <Loading what="events" />}
      {events && (events.length === 0 ? <Empty>The clock was not stepped, and the monitor was not paused.</Empty> : <EventList events={events} withServer={false} />)}
    </Panel>
  );
}
