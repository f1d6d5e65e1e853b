/** When the first chart of the page was drawn: the name of its performance mark. */
const MARK = "first-chart";
let drawn = false;

export function markChart(): void {
  if (!drawn) performance.mark(MARK);
  drawn = true;
}
