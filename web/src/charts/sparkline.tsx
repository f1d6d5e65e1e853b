/** The last offsets as a small line. Each line has its own vertical scale, so it shows the shape, not the size. */
const WIDTH = 90;
const HEIGHT = 22;

/** The path of a sparkline; polls without an offset break the line. Pure. */
export function sparkPath(values: readonly (number | null)[]): string {
  const known = values.filter((value): value is number => value !== null);
  if (known.length === 0) return "";
  const low = Math.min(...known);
  const range = Math.max(...known) - low;
  const step = WIDTH / Math.max(1, values.length - 1);
  let path = "";
  let pen = "M";
  values.forEach((value, index) => {
    if (value === null) {
      pen = "M";
      return;
    }
    const y = range === 0 ? HEIGHT / 2 : HEIGHT - 2 - ((value - low) / range) * (HEIGHT - 4);
    path += `${pen}${(index * step).toFixed(1)} ${y.toFixed(1)}`;
    // A single point between two gaps is drawn as a dot: a line of zero length with round ends.
    if (pen === "M") path += "h0";
    pen = "L";
  });
  return path;
}

export function Sparkline({ values }: { values: readonly (number | null)[] }) {
  return (
    <svg class="sparkline" width={WIDTH} height={HEIGHT} viewBox={`-2 0 ${WIDTH + 4} ${HEIGHT}`} aria-hidden="true">
      <path d={sparkPath(values)} />
    </svg>
  );
}
