/** Draws `window.dashboard` as Grafana lays it out: 24 columns, 30 pixels a row, 8 between panels. */
import "@fontsource/inter/latin-400.css";
import "@fontsource/inter/latin-500.css";
import "uplot/dist/uPlot.min.css";
import "./page.css";
import { createTheme, type DataFrame, ThemeContext } from "@grafana/data";
import { GlobalStyles, PanelChrome } from "@grafana/ui";
import { createRoot } from "react-dom/client";
import { type Dashboard, frames, type Panel } from "./data";
import { configured, filler, setUp } from "./fields";
import { KINDS } from "./kinds";

declare global {
  interface Window {
    dashboard: Dashboard;
    /** Set once everything stands. */
    isDrawn?: boolean;
  }
}

const [CELL, GAP, COLUMNS, EDGE] = [30, 8, 24, 16];
/** Libraries measure themselves, and load icons, for a while after the first picture. */
const SETTLED_MS = 2500;

interface Ready {
  panel: Panel;
  data: DataFrame[];
}

const theme = createTheme({ colors: { mode: "dark" } });
const fill = filler(window.dashboard.texts);

function box({ x, y, w, h }: Panel["gridPos"]) {
  const column = (window.innerWidth - 2 * EDGE + GAP) / COLUMNS;
  return {
    left: EDGE + Math.round(x * column), top: EDGE + y * (CELL + GAP),
    width: Math.round(w * column) - GAP, height: h * (CELL + GAP) - GAP,
  };
}

function One({ panel, data }: Ready) {
  const { left, top, width, height } = box(panel.gridPos);
  const at = { position: "absolute" as const, left, top, width, height };
  if (panel.type === "row") {
    return <div style={{ ...at, padding: "4px 8px", fontSize: 16, fontWeight: 500 }}>⌄ {fill(panel.title)}</div>;
  }
  const Kind = KINDS[panel.type];
  if (!Kind) throw new Error(`panels of type ${panel.type} cannot be drawn`);
  const padding = panel.type === "table" ? "none" : "md";
  return (
    <div style={at}>
      <PanelChrome title={fill(panel.title)} description={panel.description} {...{ width, height, padding }}>
        {(innerWidth, innerHeight) => {
          const isEmpty = data.every(({ length }) => length === 0);
          return isEmpty ? <div>No data</div> : (
            <Kind {...{ panel, data, theme, fill, width: innerWidth, height: innerHeight }} dashboard={window.dashboard} />
          );
        }}
      </PanelChrome>
    </div>
  );
}

function Whole({ ready }: { ready: Ready[] }) {
  const bottom = Math.max(...ready.map(({ panel: { gridPos: { y, h } } }) => y + h));
  return (
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <div style={{ position: "relative", height: bottom * (CELL + GAP) + 2 * EDGE }}>
        {ready.map((one) => <One key={one.panel.id} {...one} />)}
      </div>
    </ThemeContext.Provider>
  );
}

async function main(): Promise<void> {
  setUp();
  const { panels, time } = window.dashboard;
  const ready = await Promise.all(panels.map(async ({ panel, answers }) => (
    { panel, data: panel.type === "row" ? [] : await configured(panel, frames(answers, time.step_s), fill, theme) }
  )));
  await Promise.all(["400", "500"].map((weight) => document.fonts.load(`${weight} 12px Inter`)));
  createRoot(document.getElementById("root")!).render(<Whole ready={ready} />);
  setTimeout(() => { window.isDrawn = true; }, SETTLED_MS);
}

void main();
