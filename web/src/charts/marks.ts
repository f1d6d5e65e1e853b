/** Events on the axis of a chart over time. */
import type uPlot from "uplot";
import type { EventEntry } from "../api/types";
import { cssColour } from "./download";

/** A line through the chart where an event begins. */
export function drawEvents(plot: uPlot, events: readonly EventEntry[]): void {
  const { ctx } = plot;
  const { left, top, width, height } = plot.bbox;
  ctx.save();
  ctx.strokeStyle = ctx.fillStyle = cssColour("warn");
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio]);
  for (const event of events) {
    const x = plot.valToPos(Date.parse(event.start) / 1000, "x", true);
    if (x < left || x > left + width) continue;
    ctx.beginPath();
    ctx.moveTo(x, top);
    ctx.lineTo(x, top + height);
    ctx.stroke();
    const size = 4 * devicePixelRatio;
    ctx.beginPath();
    ctx.moveTo(x - size, top);
    ctx.lineTo(x + size, top);
    ctx.lineTo(x, top + 1.6 * size);
    ctx.fill();
  }
  ctx.restore();
}
