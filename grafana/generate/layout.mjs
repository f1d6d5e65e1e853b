// A plan of a dashboard as SVG: where each panel stands, what it is called, and of which type it is. It shows no data.

const COLUMN = 46;
const ROW = 22;
const GAP = 4;
const HEAD = 34;
const FONT = 'font-family="Helvetica, Arial, sans-serif"';
const BACKGROUND = '#111217';
const PANEL = '#1c1f26';
const EDGE = '#3a3f4b';
const TEXT = '#d8d9da';
const FAINT = '#8e939c';

const escaped = (text) => text.replace(/&/g, '&amp;').replace(/</g, '&lt;');

/** Rough sketches of the types in a box of 100 by 100. */
const SKETCHES = {
  timeseries: '<path d="M0 70 L20 45 L40 60 L60 30 L80 50 L100 25"/><path d="M0 85 L25 75 L50 80 L75 68 L100 72"/>',
  stat: '<path d="M20 75 L20 35 L45 35 L45 75 Z M55 75 L55 35 L80 35 L80 75 Z"/>',
  gauge: '<path d="M15 80 A35 35 0 0 1 85 80"/><path d="M50 80 L68 55"/>',
  bargauge: '<path d="M0 25 H80 M0 50 H55 M0 75 H95"/>',
  barchart: '<path d="M40 20 H70 M45 40 H65 M35 60 H80 M85 80 H100"/>',
  'state-timeline': '<path d="M0 35 H100 M0 65 H45 M55 65 H100"/>',
  table: '<path d="M0 25 H100 M0 45 H100 M0 65 H100 M0 85 H100 M33 25 V85 M66 25 V85"/>',
  histogram: '<path d="M10 90 V70 M25 90 V45 M40 90 V20 M55 90 V35 M70 90 V60 M85 90 V80"/>',
  heatmap: '<path d="M5 60 H15 M20 45 H30 M35 55 H45 M50 40 H60 M65 60 H75 M80 50 H90 M20 70 H30 M50 65 H60"/>',
};

function panel({ gridPos: { x, y, w, h }, title, type }) {
  const [left, top] = [x * COLUMN + GAP / 2, y * ROW + HEAD + GAP / 2];
  const [width, height] = [w * COLUMN - GAP, h * ROW - GAP];
  const fits = Math.floor((width - 12) / 6.2);
  const shown = title.length > fits ? `${title.slice(0, fits - 1)}…` : title;
  const body = { x: left + 12, y: top + 24, width: width - 24, height: height - 42 };
  const strokes = SKETCHES[type].replaceAll('<path ', '<path vector-effect="non-scaling-stroke" ');
  const sketch = `<svg x="${body.x}" y="${body.y}" width="${body.width}" height="${body.height}" viewBox="0 0 100 100" ` +
    `preserveAspectRatio="none"><g fill="none" stroke="${EDGE}" stroke-width="2">${strokes}</g></svg>`;
  return `<rect x="${left}" y="${top}" width="${width}" height="${height}" rx="3" fill="${PANEL}" stroke="${EDGE}"/>` +
    `${sketch}<text x="${left + 8}" y="${top + 16}" fill="${TEXT}" font-size="11" ${FONT}>${escaped(shown)}</text>` +
    `<text x="${left + 8}" y="${top + height - 6}" fill="${FAINT}" font-size="9" ${FONT}>${type}</text>`;
}

function row({ gridPos: { y }, title, repeat }) {
  const named = repeat ? `${title} (once for each chosen ${repeat})` : title;
  return `<text x="8" y="${y * ROW + HEAD + 15}" fill="${TEXT}" font-size="12" font-weight="bold" ${FONT}>▾ ` +
    `${escaped(named)}</text>`;
}

/** The plan of a dashboard. */
export function layout(dashboard) {
  const bottom = Math.max(...dashboard.panels.map(({ gridPos: { y, h } }) => y + h));
  const [width, height] = [24 * COLUMN, bottom * ROW + HEAD + GAP];
  const head = `Layout of “${dashboard.title.replace(/ \(.*\)$/, '')}”, without data`;
  const drawn = dashboard.panels.map((one) => (one.type === 'row' ? row(one) : panel(one)));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">`,
    `<rect width="${width}" height="${height}" fill="${BACKGROUND}"/>`,
    `<text x="8" y="22" fill="${FAINT}" font-size="13" ${FONT}>${escaped(head)}</text>`,
    ...drawn,
    '</svg>\n',
  ].join('\n');
}
