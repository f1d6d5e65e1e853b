/** The reach register as eight marks, oldest first; filled if the poll gave an offset. */

/** Whether each of the last eight polls succeeded, oldest first. Pure. */
export function reachBits(octal: string): boolean[] {
  const value = Number.parseInt(octal, 8);
  return Array.from({ length: 8 }, (_, index) => Number.isFinite(value) && ((value >> (7 - index)) & 1) === 1);
}

export function Reach({ octal }: { octal: string }) {
  const bits = reachBits(octal);
  const good = bits.filter(Boolean).length;
  return (
    <span class="reach" title={`${good} of the last 8 polls gave an offset (${octal})`}>
      <span class="marks" aria-hidden="true">{bits.map((bit, index) => <i key={index} class={bit ? "hit" : "miss"} />)}</span>
      <span class="visually-hidden">{good} of 8</span>
    </span>
  );
}
