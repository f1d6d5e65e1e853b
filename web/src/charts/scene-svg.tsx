/** A scene as SVG. */
import { useEffect } from "preact/hooks";
import { markChart } from "./first";
import type { Mark, Scene } from "./scene";

export function SceneSvg({ scene, label }: { scene: Scene; label: string }) {
  useEffect(markChart, []);
  return (
    <svg class="scene" width={scene.width} height={scene.height} viewBox={`0 0 ${scene.width} ${scene.height}`}
      role="group" aria-label={label}>
      {scene.marks.map((mark, index) => <MarkSvg key={index} mark={mark} />)}
    </svg>
  );
}

function MarkSvg({ mark }: { mark: Mark }) {
  if (mark.kind === "rect") {
    const rect = (
      <rect class={`fill-${mark.role}`} x={mark.x} y={mark.y} width={mark.w} height={mark.h} rx={mark.round ?? 0}>
        {mark.hint && <title>{mark.hint}</title>}
      </rect>
    );
    // For the pointer only: hundreds of tab stops would get in the way of keyboard users.
    return mark.link ? <a href={mark.link} tabIndex={-1} aria-label={mark.hint}>{rect}</a> : rect;
  }
  if (mark.kind === "line") {
    return (
      <line class={`stroke-${mark.role}`} x1={mark.x1} y1={mark.y1} x2={mark.x2} y2={mark.y2}
        stroke-width={mark.width ?? 1} {...(mark.dashed ? { "stroke-dasharray": "4 3" } : {})} />
    );
  }
  const text = (
    <text class={`fill-${mark.role}${mark.bold ? " bold" : ""}`} x={mark.x} y={mark.y} text-anchor={mark.anchor ?? "start"}>
      {mark.text}
      {mark.hint && <title>{mark.hint}</title>}
    </text>
  );
  return mark.link ? <a href={mark.link}>{text}</a> : text;
}
