/** Events and limits in a chart over time. */
import type uPlot from "uplot";
import type { EventEntry } from "../api/types";
import { cssColour } from "./download";

/** The height of the strip for lasting events, in points. */
const STRIP = 5;

/** A line where an event begins, and a strip along the top while it lasts. */
export function drawEvents(plot: uPlot, events: readonly EventEntry[]): void {
  const { ctx } = plot;
  const { left, top, width, height } = plot.bbox;
  const right = left + width;
  ctx.save();
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio]);
  for (const event of events) {
    // Events of this host explain changes that all servers show, so they have another colour.
    ctx.strokeStyle = ctx.fillStyle = cssColour(event.server === null ? "ink" : "warn");
    const start = plot.valToPos(Date.parse(event.start) / 1000, "x", true);
    const end = event.end === null ? right : plot.valToPos(Date.parse(event.end) / 1000, "x", true);
    const [from, to] = [Math.max(left, start), Math.min(right, end)];
    if (to < left || from > right) continue;
    if (to - from > 2) ctx.fillRect(from, top, to - from, STRIP * devicePixelRatio);
    if (start < left) continue;
    ctx.beginPath();
    ctx.moveTo(start, top);
    ctx.lineTo(start, top + height);
    ctx.stroke();
    const size = 4 * devicePixelRatio;
    ctx.beginPath();
    ctx.moveTo(start - size, top);
    ctx.lineTo(start + size, top);
    ctx.lineTo(start, top + 1.6 * size);
    ctx.fill();
  }
  ctx.restore();
}

/** A value that a horizontal line marks. */
export interface Limit {
  name: string;
  value: number;
  /** A colour of the style sheet. */
  colour: string;
}

export function drawLimits(plot: uPlot, limits: readonly Limit[]): void {
  const { ctx } = plot;
  const { left, top, width, height } = plot.bbox;
  ctx.save();
  ctx.lineWidth = 1.5 * devicePixelRatio;
  ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
  ctx.textAlign = "left";
  ctx.textBaseline = "bottom";
  ctx.setLineDash([8 * devicePixelRatio, 4 * devicePixelRatio]);
  for (const { name, value, colour } of limits) {
    const y = plot.valToPos(value, "y", true);
    if (y < top || y > top + height) continue;
    ctx.strokeStyle = ctx.fillStyle = cssColour(colour);
    ctx.beginPath();
    ctx.moveTo(left, y);
    ctx.lineTo(left + width, y);
    ctx.stroke();
    ctx.fillText(name, left + 6 * devicePixelRatio, y - 2 * devicePixelRatio);
  }
  ctx.restore();
}
