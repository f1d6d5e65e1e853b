/** How the offsets and delays are distributed over a window: percentiles and a histogram. */
import { api } from "../../api/client";
import type { Distribution as Figures, Histogram, SeriesStats } from "../../api/types";
import { downloadCsv, downloadScene } from "../../charts/download";
import { histogramScene } from "../../charts/histogram";
import { SceneSvg } from "../../charts/scene-svg";
import { Downloads, Empty, Facts, Failure, Loading, Panel } from "../../components/bits";
import { useWidth } from "../../components/width";
import { count, duration, offset, percent, ppm } from "../../format/units";
import { title as words } from "../../format/words";
import { unit } from "../../state/prefs";
import { useResource } from "../../state/resource";
import { windowNow } from "../../components/time-controls";
import { asTexts, spanKey, type Window } from "../../state/span";

export function Distribution({ id, window }: { id: string; window: Window }) {
  const live = window.span !== null;
  const { data, error, retry } = useResource(`${id} ${spanKey(window)}`,
    (signal) => api.stats(id, asTexts(live ? windowNow() : window), signal), live ? 15_000 : null);
  const series = data?.series[0];
  return (
    <Panel title="Distribution" note="Of the time span of the charts.">
      {error && !data && <Failure what="The distribution" error={error} retry={retry} />}
      {!data && !error && <Loading what="the distribution" />}
      {data && (!series?.stats.offset
        ? <Empty>No data in this time span.</Empty>
        : <Body id={id} series={series} />)}
    </Panel>
  );
}

function Body({ id, series }: { id: string; series: SeriesStats }) {
  const { stats, histogram } = series;
  const chosen = unit.value;
  return (
    <>
      <Facts facts={[
        ["Polls", count(stats.polls)],
        ["Lost", percent(stats.loss)],
        ["Jitter", duration(stats.jitter_s, chosen), "RFC 5905, over the last 8 polls of the span"],
        ["Trend of the offset", stats.trend ? `${ppm(stats.trend.ppm)} (${ppm(stats.trend.ppm_lo)} to ${ppm(stats.trend.ppm_hi)})` : "–",
          "Fitted rate relative to this clock, with its 95 % interval"],
        ["Outcomes", Object.entries(stats.outcomes).map(([name, n]) => `${words(name)} ${count(n)}`).join(", ")],
      ]} />
      <Percentiles rows={[["Offset", stats.offset, (s) => offset(s, chosen)], ["Offset, size", stats.offset_abs, (s) => duration(s, chosen)],
        ["Delay", stats.delay, (s) => duration(s, chosen)]]} />
      {histogram && <Bars id={id} histogram={histogram} />}
    </>
  );
}

const COLUMNS: readonly [string, (figures: Figures) => number | undefined][] = [
  ["Min", (f) => f.min], ["5 %", (f) => f.p5], ["25 %", (f) => f.p25], ["Median", (f) => f.p50], ["75 %", (f) => f.p75],
  ["90 %", (f) => f.p90], ["95 %", (f) => f.p95], ["Max", (f) => f.max], ["Mean", (f) => f.mean], ["Std. dev.", (f) => f.stddev],
];

function Percentiles({ rows }: { rows: readonly [string, Figures, (seconds: number | null) => string][] }) {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Percentiles">
      <table class="plain">
        <thead><tr><th scope="col">Percentiles</th>{COLUMNS.map(([name]) => <th key={name} scope="col" class="num">{name}</th>)}</tr></thead>
        <tbody>
          {rows.map(([name, figures, write]) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              {COLUMNS.map(([column, pick]) => {
                const value = pick(figures) ?? null;
                // A spread has no sign.
                return <td key={column} class="num">{column === "Std. dev." ? duration(value, unit.value) : write(value)}</td>;
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Bars({ id, histogram }: { id: string; histogram: Histogram }) {
  const [box, width] = useWidth(800);
  const scene = histogramScene(histogram, width);
  const full = `Histogram of the offset of ${id}`;
  const rows = histogram.counts.map((n, index) => [histogram.from_s + index * histogram.bin_s, histogram.from_s + (index + 1) * histogram.bin_s, n]);
  return (
    <>
      <h3 class="sub">Histogram of the offset <Downloads of={full} png={() => downloadScene(full, scene)}
        csv={() => downloadCsv(full, ["from_s", "to_s", "count"], rows)} /></h3>
      <div ref={box} class="chart-box"><SceneSvg scene={scene} label={full} /></div>
      {histogram.below + histogram.above > 0 && (
        <p class="legend">Not drawn, because they are far from the others: {count(histogram.below)} below and {count(histogram.above)} above.</p>
      )}
    </>
  );
}
