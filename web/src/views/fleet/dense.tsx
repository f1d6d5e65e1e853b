/** The matrix of a large fleet: a small square with a mark for each cell, rows with problems on top. */
import { signal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import type { FleetCell, FleetVerdict } from "../../api/types";
import type { Tone } from "../../format/words";
import { told, toneOf, worstFirst, type Row } from "./arrange";

/** A mark for each tone, so that a state is visible without colour. */
const MARKS: Record<Tone, string> = { good: "·", warn: "!", bad: "×", idle: "–" };

/** The cell under the pointer, or with the focus. */
const chosen = signal<FleetCell | null>(null);

export function Dense({ vantages, rows, verdict }: {
  vantages: readonly string[]; rows: readonly Row[]; verdict: FleetVerdict;
}) {
  const table = useMemo(() => worstFirst(rows, vantages, verdict), [rows, vantages, verdict]);
  const choose = (event: Event): void => {
    const at = (event.target as HTMLElement).closest<HTMLElement>("td");
    const row = at && rows.find((one) => one.key === at.parentElement?.dataset.key);
    chosen.value = (row && at.dataset.vantage && row.cells.get(at.dataset.vantage)) || null;
  };
  return (
    <>
      <Told />
      <div class="scroll" tabIndex={0} role="region" aria-label="Servers from every vantage">
        <table class="dense" onMouseOver={choose} onClick={choose}>
          <thead>
            <tr><th scope="col"> </th>{vantages.map((vantage) => <th key={vantage} scope="col"><span>{vantage}</span></th>)}</tr>
          </thead>
          <tbody>
            {table.map((row) => (
              <tr key={row.key} data-key={row.key}>
                <th scope="row" title={row.key}>{row.name}</th>
                {vantages.map((vantage) => {
                  const cell = row.cells.get(vantage);
                  const tone = cell && toneOf(cell, verdict);
                  return <td key={vantage} data-vantage={vantage} class={tone && `cell-${tone}`}>{tone && MARKS[tone]}</td>;
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}

function Told() {
  return (
    <p class="note" role="status">
      {chosen.value ? told(chosen.value) : "× blamed by the verdict, ! beyond its own error bound, – no answer, · as expected. Point at a cell for details."}
    </p>
  );
}
