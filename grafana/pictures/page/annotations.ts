/** Annotations upon a time line: a dashed line where each begins and ends, and a tint between. */
import { colorManipulator, type GrafanaTheme2 } from "@grafana/data";
import type { UPlotConfigBuilder } from "@grafana/ui";
import { type Mark, stretches } from "./data";

const TINT = 0.1;

export function annotate(builder: UPlotConfigBuilder, marks: Mark[], theme: GrafanaTheme2): void {
  builder.addHook("draw", (plot) => {
    const { ctx, bbox } = plot;
    const at = (time_s: number) => plot.valToPos(time_s * 1000, "x", true);
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    for (const mark of marks) {
      const color = theme.visualization.getColorByName(mark.color);
      for (const [from_s, to_s] of stretches(mark)) {
        ctx.strokeStyle = color;
        ctx.lineWidth = 2;
        ctx.setLineDash([5, 5]);
        for (const x of new Set([at(from_s), at(to_s)])) {
          ctx.beginPath();
          ctx.moveTo(x, bbox.top);
          ctx.lineTo(x, bbox.top + bbox.height);
          ctx.stroke();
        }
        ctx.fillStyle = colorManipulator.alpha(color, TINT);
        ctx.fillRect(at(from_s), bbox.top, at(to_s) - at(from_s), bbox.height);
      }
    }
    ctx.restore();
  });
}
