/** The panel with the interval chart. */
import { useMemo, useState } from "preact/hooks";
import type { ServerRow, Verdict } from "../../api/types";
import { downloadCsv, downloadScene } from "../../charts/download";
import { axisSentence, intervalChart } from "../../charts/intervals";
import { SceneSvg } from "../../charts/scene-svg";
import { Downloads, Empty, Panel } from "../../components/bits";
import { useWidth } from "../../components/width";
import { unit } from "../../state/prefs";

/** The number of servers that fit on a screen beside the verdict. */
const SHORT = 24;
const TITLE = "Correctness intervals";

export function Intervals({ rows, verdict }: { rows: readonly ServerRow[]; verdict: Verdict }) {
  const [box, width] = useWidth(900);
  const [all, setAll] = useState(false);
  const chosen = unit.value;
  const chart = useMemo(
    () => intervalChart(rows, verdict.majority, width, all ? Infinity : SHORT, chosen),
    [rows, verdict, width, all, chosen],
  );
  const drawn = chart.scene.marks.length > 0 && chart.absent < rows.length;
  return (
    <Panel title={TITLE} note={drawn ? axisSentence(chart.scale) : undefined} tools={drawn && (
      <Downloads of="the intervals" png={() => downloadScene(`${TITLE} of ${verdict.as_of}`, chart.scene)}
        csv={() => csv(rows, verdict)} />
    )}>
      <div ref={box} class="chart-box">
        {drawn
          ? <SceneSvg scene={chart.scene} label={describe(rows, verdict)} />
          : <Empty>No server has answered with an offset yet.</Empty>}
      </div>
      {drawn && (
        <p class="legend">
          <span><i class="swatch swatch-majority" /> what the majority agrees on</span>
          <span><i class="swatch swatch-good" /> agrees with it</span>
          <span><i class="swatch swatch-bad" /> ✕ cannot be right if the majority is</span>
          <span><i class="swatch swatch-idle" /> not judged, or one stray poll</span>
          {chart.absent > 0 && <span>{chart.absent} without an offset, not drawn</span>}
          {chart.hidden > 0 && <button type="button" class="link" onClick={() => setAll(true)}>Show {chart.hidden} more</button>}
          {all && rows.length > SHORT && <button type="button" class="link" onClick={() => setAll(false)}>Show fewer</button>}
        </p>
      )}
    </Panel>
  );
}

function describe(rows: readonly ServerRow[], verdict: Verdict): string {
  const apart = rows.filter((row) => row.class === "falseticker").map((row) => row.id);
  const wrong = apart.length > 0 ? `Disagree with the majority: ${apart.join(", ")}.` : "Every interval overlaps that of the majority.";
  return `${TITLE}. ${verdict.majority ? wrong : "There is no majority."}`;
}

function csv(rows: readonly ServerRow[], verdict: Verdict): void {
  const body = rows.map((row) => [row.id, row.class, row.offset_s, row.root_distance_s, row.interval?.low_s ?? null, row.interval?.high_s ?? null]);
  const majority = verdict.majority ? [["(majority)", null, null, null, verdict.majority.low_s, verdict.majority.high_s]] : [];
  downloadCsv(TITLE, ["id", "class", "offset_s", "root_distance_s", "low_s", "high_s"], [...majority, ...body]);
}
