/**
 * Offset against delay. Packets without queueing are at the left; a wedge that opens to one side shows which direction
 * of the path has a queue.
 */
import { useMemo, useRef } from "preact/hooks";
import type uPlot from "uplot";
import { DOTS, secondsAxis } from "../../charts/axes";
import { cssColour, downloadCanvas, downloadCsv } from "../../charts/download";
import type { Track } from "../../charts/history";
import { Plot } from "../../charts/plot";
import { Downloads, Empty, Panel } from "../../components/bits";
import { duration, offset } from "../../format/units";
import { dark, unit } from "../../state/prefs";

const TITLE = "Offset against delay";

export function Scatter({ id, track }: { id: string; track: Track }) {
  const plot = useRef<uPlot | null>(null);
  const data = useMemo((): uPlot.AlignedData => {
    const pairs = track.delay.flatMap((delay, index) => {
      const value = track.offset[index];
      return delay != null && value != null ? [[delay, value] as const] : [];
    });
    pairs.sort(([a], [b]) => a - b);
    return [pairs.map(([delay]) => delay), pairs.map(([, value]) => value)];
  }, [track]);
  const full = `${TITLE} of ${id}`;
  const empty = data[0].length === 0;
  return (
    <Panel title={TITLE} wide note="If points spread upwards or downwards as the delay grows, that shows the direction in which the path has queues." tools={!empty && (
      <Downloads of={full} csv={() => csv(full, data)}
        png={() => plot.current && downloadCanvas(full, plot.current.ctx.canvas, devicePixelRatio)} />
    )}>
      {empty ? <Empty>No data in this time span.</Empty> : (
        <Plot label={full} height={220} data={data} version={`${dark.value} ${unit.value}`} options={options()}
          onReady={(made) => { plot.current = made; }} />
      )}
    </Panel>
  );
}

function csv(title: string, data: uPlot.AlignedData): void {
  const offsets = data[1] ?? [];
  downloadCsv(title, ["delay_s", "offset_s"], Array.from(data[0], (delay, index) => [delay, offsets[index] ?? null]));
}

function options(): Omit<uPlot.Options, "width" | "height"> {
  const chosen = unit.value;
  return {
    scales: { x: { time: false } },
    axes: [{ ...secondsAxis(false, chosen, "Delay"), size: 40, space: 90 }, secondsAxis(true, chosen)],
    cursor: { drag: { x: false, y: false } },
    series: [
      { label: "Delay", value: (_plot, value) => duration(value, chosen) },
      { label: "Offset", stroke: cssColour("accent"), paths: () => null, points: { ...DOTS, fill: cssColour("accent") },
        value: (_plot, value) => offset(value, chosen) },
    ],
  };
}
