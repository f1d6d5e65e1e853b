/** When the first chart of the page was drawn: the name of its mark, for whoever measures. */
const MARK = "first-chart";
let drawn = false;

export function markChart(): void {
  if (!drawn) performance.mark(MARK);
  drawn = true;
}
