/** Every server from every vantage: figures in a small fleet, marks in a large one. */
import type { FleetCell, FleetVerdict } from "../../api/types";
import { Choice, Empty, Panel, ToneIcon } from "../../components/bits";
import { duration, offset, percent } from "../../format/units";
import type { Tone } from "../../format/words";
import { unit } from "../../state/prefs";
import { route, setQuery } from "../../state/route";
import { arrange, isServerWrong, isVantageWrong, told, toneOf, type Row } from "./arrange";
import { Dense } from "./dense";

/** Up to this many cells, each shows its figure. */
const FIGURES = 600;

const SHOWN = [
  { value: "offset", text: "Offset" }, { value: "bound", text: "Error bound" },
  { value: "delay", text: "Delay" }, { value: "loss", text: "Loss" },
] as const;

const NOTES: Record<string, string> = {
  offset: "The offset of each server as each vantage measures it; plus: the server is ahead of the vantage.",
  bound: "How far each offset can be from the truth if the server is right.",
  delay: "The mean round trip between each vantage and each server.",
  loss: "The share of lost polls.",
};

export function Matrix({ cells, verdict }: { cells: readonly FleetCell[]; verdict: FleetVerdict }) {
  const { vantages, rows } = arrange(cells);
  const hasFigures = vantages.length * rows.length <= FIGURES;
  const show = route.value.query.get("show") ?? "offset";
  const choice = <Choice label="What cells show" options={SHOWN} value={show} onChange={(value) => setQuery({ show: value })} />;
  return (
    <Panel title="Servers from every vantage" wide tools={hasFigures && rows.length > 0 && choice}
      note={hasFigures ? NOTES[show] : `${rows.length} servers from ${vantages.length} vantages, problems first.`}>
      {rows.length === 0 && <Empty>No vantage has sent a sample yet.</Empty>}
      {rows.length > 0 && !hasFigures && <Dense vantages={vantages} rows={rows} verdict={verdict} />}
      {rows.length > 0 && hasFigures && (
        <div class="scroll" tabIndex={0} role="region" aria-label="Servers from every vantage">
          <table class="plain matrix">
            <thead>
              <tr>
                <th scope="col">Server</th>
                {vantages.map((vantage) => <th key={vantage} scope="col"><Wrong is={isVantageWrong(vantage, verdict)} /> {vantage}</th>)}
              </tr>
            </thead>
            <tbody>
              {rows.map((row) => <Line key={row.key} row={row} vantages={vantages} verdict={verdict} show={show} />)}
            </tbody>
          </table>
        </div>
      )}
    </Panel>
  );
}

/** A mark beside the name of a server or vantage that the verdict calls wrong. */
function Wrong({ is }: { is: boolean }) {
  return is ? <><ToneIcon tone="bad" size={12} /><span class="visually-hidden">wrong:</span></> : null;
}

function Line({ row, vantages, verdict, show }: {
  row: Row; vantages: readonly string[]; verdict: FleetVerdict; show: string;
}) {
  return (
    <tr>
      <th scope="row" title={row.key}><Wrong is={isServerWrong(row, verdict)} /> {row.name}</th>
      {vantages.map((vantage) => {
        const cell = row.cells.get(vantage);
        return <td key={vantage}>{cell && <Seen cell={cell} tone={toneOf(cell, verdict)} show={show} />}</td>;
      })}
    </tr>
  );
}

function figure(cell: FleetCell, show: string): string {
  if (show === "loss") return percent(cell.loss);
  if (cell.offset_s === null) return cell.outcome;
  if (show === "bound") return `± ${duration(cell.root_distance_s, unit.value)}`;
  return show === "delay" ? duration(cell.delay_s, unit.value) : offset(cell.offset_s, unit.value);
}

function Seen({ cell, tone, show }: { cell: FleetCell; tone: Tone; show: string }) {
  return <span title={told(cell)}><ToneIcon tone={tone} size={12} /> {figure(cell, show)}</span>;
}
