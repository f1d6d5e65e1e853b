/** uPlot as a component. It is recreated when its options change, updated when its data change, and as large as its box. */
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { markChart } from "./first";
import "uplot/dist/uPlot.min.css";

export interface PlotProps {
  /** Options without the size. They are compared by `version`, so you may rebuild them at each render. */
  options: Omit<uPlot.Options, "width" | "height">;
  version: string;
  data: uPlot.AlignedData;
  /** A key for marks that are drawn with the data; a change redraws them. */
  marks?: string;
  height: number;
  label: string;
  onReady?: (plot: uPlot) => void;
}

export function Plot({ options, version, data, marks, height, label, onReady }: PlotProps) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const drawn = useRef<{ data: uPlot.AlignedData; marks: string | undefined } | null>(null);

  // A layout effect, so that the chart appears in the same frame as its box.
  useLayoutEffect(() => {
    const host = box.current;
    if (!host) return undefined;
    const made = new uPlot({ ...options, width: host.clientWidth || 300, height }, data, host);
    plot.current = made;
    drawn.current = { data, marks };
    markChart();
    onReady?.(made);
    const observer = new ResizeObserver(() => {
      if (host.clientWidth > 0) made.setSize({ width: host.clientWidth, height });
    });
    observer.observe(host);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [version, height]);

  useEffect(() => {
    const now = drawn.current;
    if (now && now.data !== data) plot.current?.setData(data);
    else if (now && now.marks !== marks) plot.current?.redraw(false, false);
    drawn.current = { data, marks };
  }, [data, marks]);

  return <div class="plot" ref={box} role="img" aria-label={label} data-marks={marks} />;
}
