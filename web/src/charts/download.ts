/** Saves a chart as a file: a PNG as shown, or CSV with its figures. No data leaves the browser. */
import { paint, type Role, type Scene } from "./scene";

/** A colour of the style sheet. */
export function cssColour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

function save(blob: Blob, name: string): void {
  const link = document.createElement("a");
  const address = URL.createObjectURL(blob);
  link.href = address;
  link.download = name;
  link.click();
  // The download begins at once, but some browsers read the address later.
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

const fileName = (title: string, ending: string): string =>
  `${title.toLowerCase().replace(/[^a-z0-9.]+/g, "-").replace(/^-|-$/g, "")}.${ending}`;

export type Cell = string | number | null;

/** RFC 4180 text. Cells that a spreadsheet would run as a formula are defused, because names come from outside. */
export function csvText(header: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const cell = (value: Cell): string => {
    if (value === null) return "";
    if (typeof value === "number") return String(value);
    const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
    return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  return [header, ...rows].map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
}

export function downloadCsv(title: string, header: readonly string[], rows: readonly (readonly Cell[])[]): void {
  save(new Blob([csvText(header, rows)], { type: "text/csv;charset=utf-8" }), fileName(title, "csv"));
}

const MARGIN = 16;
const TITLE = 28;

/** A canvas with the page's background and a title, for a chart. */
function sheet(width: number, height: number, ratio: number, title: string): [HTMLCanvasElement, CanvasRenderingContext2D] {
  const canvas = document.createElement("canvas");
  canvas.width = (width + 2 * MARGIN) * ratio;
  canvas.height = (height + 2 * MARGIN + TITLE) * ratio;
  const context = canvas.getContext("2d");
  if (!context) throw new Error("this browser draws no canvas");
  context.scale(ratio, ratio);
  context.fillStyle = cssColour("panel");
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.fillStyle = cssColour("ink");
  context.font = "600 15px system-ui, sans-serif";
  context.fillText(title, MARGIN, MARGIN + 14);
  context.translate(MARGIN, MARGIN + TITLE);
  return [canvas, context];
}

function savePng(canvas: HTMLCanvasElement, title: string): void {
  canvas.toBlob((blob) => {
    if (blob) save(blob, fileName(title, "png"));
  });
}

export function downloadScene(title: string, scene: Scene): void {
  const [canvas, context] = sheet(scene.width, scene.height, 2, title);
  paint(context, scene, (role: Role) => cssColour(role));
  savePng(canvas, title);
}

/** Saves a chart that is already a canvas, with `ratio` pixels per point. */
export function downloadCanvas(title: string, chart: HTMLCanvasElement, ratio: number): void {
  const [canvas, context] = sheet(chart.width / ratio, chart.height / ratio, ratio, title);
  context.drawImage(chart, 0, 0, chart.width / ratio, chart.height / ratio);
  savePng(canvas, title);
}
