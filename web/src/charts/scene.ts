/**
 * A picture as a list of marks, drawn in the same way as SVG on the page and on a canvas for downloads. A mark has a
 * role; the style sheet defines the colour of the role.
 */

/** The role of a mark: the last part of its CSS class, and the custom property of its colour. */
export type Role = "ink" | "muted" | "line" | "zero" | "majority" | "good" | "warn" | "bad" | "idle" | "accent";

export type Mark =
  | { kind: "rect"; x: number; y: number; w: number; h: number; role: Role; round?: number;
      /** Where a click leads, and the tooltip. */
      link?: string; hint?: string }
  | { kind: "line"; x1: number; y1: number; x2: number; y2: number; role: Role; width?: number; dashed?: boolean }
  | { kind: "text"; x: number; y: number; text: string; role: Role; anchor?: "start" | "middle" | "end"; bold?: boolean;
      /** Where a click leads, and the tooltip. */
      link?: string; hint?: string };

export interface Scene {
  width: number;
  height: number;
  marks: Mark[];
}

export const FONT_PX = 12;

/** Draws on a canvas. `colour` resolves a role. */
export function paint(context: CanvasRenderingContext2D, scene: Scene, colour: (role: Role) => string): void {
  for (const mark of scene.marks) {
    context.fillStyle = context.strokeStyle = colour(mark.role);
    if (mark.kind === "rect") {
      context.beginPath();
      context.roundRect(mark.x, mark.y, mark.w, mark.h, mark.round ?? 0);
      context.fill();
    } else if (mark.kind === "line") {
      context.lineWidth = mark.width ?? 1;
      context.setLineDash(mark.dashed ? [4, 3] : []);
      context.beginPath();
      context.moveTo(mark.x1, mark.y1);
      context.lineTo(mark.x2, mark.y2);
      context.stroke();
    } else {
      context.font = `${mark.bold ? "600 " : ""}${FONT_PX}px system-ui, sans-serif`;
      context.textAlign = mark.anchor === "middle" ? "center" : mark.anchor ?? "start";
      context.fillText(mark.text, mark.x, mark.y);
    }
  }
}
