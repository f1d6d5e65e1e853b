/** The name of the performance mark for the first chart that is drawn. */
const MARK = "first-chart";
let drawn = false;

export function markChart(): void {
  if (!drawn) performance.mark(MARK);
  drawn = true;
}
