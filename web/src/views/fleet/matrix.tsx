/** Every server from every vantage: offsets in a small fleet, shapes and colours in a large one. */
import type { FleetCell, FleetVerdict } from "../../api/types";
import { Empty, Panel, ToneIcon } from "../../components/bits";
import { duration, offset, percent } from "../../format/units";
import type { Tone } from "../../format/words";
import { unit } from "../../state/prefs";
import { arrange, toneOf, type Row } from "./arrange";

/** Up to so many cells have their offset in words. */
const WORDS = 600;

export function Matrix({ cells, verdict }: { cells: readonly FleetCell[]; verdict: FleetVerdict }) {
  const { vantages, rows } = arrange(cells);
  const inWords = vantages.length * rows.length <= WORDS;
  return (
    <Panel title="Servers from every vantage" wide
      note="The offset of each server as each vantage measures it; plus: the server is ahead of the vantage.">
      {rows.length === 0 ? <Empty>No vantage has sent a sample yet.</Empty> : (
        <div class="scroll" tabIndex={0} role="region" aria-label="Servers from every vantage">
          <table class={inWords ? "plain" : "plain dense"}>
            <thead>
              <tr><th scope="col">Server</th>{vantages.map((vantage) => <th key={vantage} scope="col">{vantage}</th>)}</tr>
            </thead>
            <tbody>
              {rows.map((row) => <Line key={row.key} row={row} vantages={vantages} verdict={verdict} inWords={inWords} />)}
            </tbody>
          </table>
        </div>
      )}
    </Panel>
  );
}

function Line({ row, vantages, verdict, inWords }: {
  row: Row; vantages: readonly string[]; verdict: FleetVerdict; inWords: boolean;
}) {
  return (
    <tr>
      <th scope="row" title={row.key}>{row.name}</th>
      {vantages.map((vantage) => {
        const cell = row.cells.get(vantage);
        return <td key={vantage}>{cell ? <Seen cell={cell} tone={toneOf(cell, verdict)} inWords={inWords} /> : ""}</td>;
      })}
    </tr>
  );
}

function Seen({ cell, tone, inWords }: { cell: FleetCell; tone: Tone; inWords: boolean }) {
  const text = cell.offset_s === null ? cell.outcome : offset(cell.offset_s, unit.value);
  const more = `${cell.vantage}, ${cell.server}: ${text} ± ${duration(cell.root_distance_s)}, round trip ${duration(cell.delay_s)}, loss ${percent(cell.loss)}`;
  return <span title={more}><ToneIcon tone={tone} size={12} /> {inWords ? text : <span class="visually-hidden">{text}</span>}</span>;
}
