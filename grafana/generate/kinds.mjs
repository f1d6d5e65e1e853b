// The panel types in use, all of Grafana 10, each with its usual options. A panel adds to them.

const LEGEND = { calcs: ['lastNotNull', 'min', 'max'], displayMode: 'table', placement: 'bottom', showLegend: true };
/** For many series: a legend as a table would take the whole panel. */
export const LEGEND_IN_LINES = { ...LEGEND, calcs: ['lastNotNull'], displayMode: 'list' };
const ONE_VALUE = { calcs: ['lastNotNull'], fields: '', values: false };
const HIDDEN = { legend: false, tooltip: false, viz: false };

const LINES = {
  axisCenteredZero: false,
  axisColorMode: 'text',
  axisLabel: '',
  axisPlacement: 'auto',
  barAlignment: 0,
  drawStyle: 'line',
  fillOpacity: 0,
  gradientMode: 'none',
  hideFrom: HIDDEN,
  lineInterpolation: 'linear',
  lineWidth: 1,
  pointSize: 4,
  scaleDistribution: { type: 'linear' },
  showPoints: 'auto',
  spanNulls: false,
  stacking: { group: 'A', mode: 'none' },
  thresholdsStyle: { mode: 'off' },
};

/** By type: the options of the panel, and the `custom` part of its fields. */
export const KINDS = {
  timeseries: { options: { legend: LEGEND, tooltip: { mode: 'multi', sort: 'desc' } }, custom: LINES },
  stat: {
    options: {
      colorMode: 'background',
      graphMode: 'none',
      justifyMode: 'auto',
      orientation: 'auto',
      reduceOptions: ONE_VALUE,
      textMode: 'auto',
    },
  },
  gauge: {
    options: {
      orientation: 'auto',
      reduceOptions: ONE_VALUE,
      showThresholdLabels: false,
      showThresholdMarkers: true,
    },
  },
  bargauge: {
    options: {
      displayMode: 'gradient',
      minVizHeight: 10,
      minVizWidth: 0,
      orientation: 'horizontal',
      reduceOptions: ONE_VALUE,
      showUnfilled: true,
      valueMode: 'color',
    },
  },
  barchart: {
    options: {
      barRadius: 0,
      barWidth: 0.6,
      fullHighlight: false,
      groupWidth: 0.7,
      legend: { ...LEGEND, calcs: [], showLegend: false },
      orientation: 'horizontal',
      showValue: 'never',
      stacking: 'normal',
      tooltip: { mode: 'multi', sort: 'none' },
      xTickLabelRotation: 0,
      xTickLabelSpacing: 0,
    },
    custom: {
      axisCenteredZero: false,
      axisColorMode: 'text',
      axisLabel: '',
      axisPlacement: 'auto',
      fillOpacity: 80,
      gradientMode: 'none',
      hideFrom: HIDDEN,
      lineWidth: 1,
      scaleDistribution: { type: 'linear' },
      thresholdsStyle: { mode: 'off' },
    },
  },
  'state-timeline': {
    options: {
      alignValue: 'left',
      legend: { displayMode: 'list', placement: 'bottom', showLegend: true },
      mergeValues: true,
      rowHeight: 0.9,
      showValue: 'auto',
      tooltip: { mode: 'single', sort: 'none' },
    },
    custom: { fillOpacity: 70, hideFrom: HIDDEN, lineWidth: 0 },
  },
  table: {
    options: { cellHeight: 'sm', footer: { countRows: false, reducer: ['sum'], show: false }, showHeader: true },
    custom: { align: 'auto', cellOptions: { type: 'auto' }, inspect: false, minWidth: 90 },
  },
  histogram: {
    options: { bucketOffset: 0, combine: true, legend: { ...LEGEND, calcs: [], showLegend: false } },
    custom: { fillOpacity: 80, gradientMode: 'none', hideFrom: HIDDEN, lineWidth: 1 },
  },
  heatmap: {
    options: {
      calculate: true,
      calculation: { xBuckets: { mode: 'count', value: '60' }, yBuckets: { mode: 'count', value: '30' } },
      cellGap: 1,
      color: { exponent: 0.5, fill: 'dark-blue', mode: 'scheme', reverse: false, scheme: 'Turbo', steps: 64 },
      exemplars: { color: 'rgba(255,0,255,0.7)' },
      filterValues: { le: 1e-9 },
      legend: { show: true },
      rowsFrame: { layout: 'auto' },
      showValue: 'never',
      tooltip: { show: true, yHistogram: true },
      yAxis: { axisPlacement: 'left', reverse: false },
    },
    custom: { hideFrom: HIDDEN, scaleDistribution: { type: 'linear' } },
  },
};

/** Threshold steps from `[value, colour]` pairs; the first value is null, for everything below the second. */
export function steps(...pairs) {
  return { mode: 'absolute', steps: pairs.map(([value, color]) => ({ color, value })) };
}

/** One colour for all values. */
export const PLAIN = steps([null, 'blue']);

/** Magnitudes of an offset in seconds against the usual limits: 25 ms is a warning, 100 ms critical. */
export const SIGNED_OFFSET = steps(
  [null, 'red'], [-0.1, 'orange'], [-0.025, 'green'], [0.025, 'orange'], [0.1, 'red'],
);

/** Shares of successes. */
export const SUCCESS = steps([null, 'red'], [0.5, 'orange'], [0.75, 'yellow'], [0.95, 'green']);

/** Texts and colours for codes: `[from, to, text, colour]`. */
export function texts(...ranges) {
  return ranges.map(([from, to, text, color], index) => ({
    type: 'range',
    options: { from, to, result: { color, index, text } },
  }));
}

export const VERDICTS = texts(
  [0, 0, 'consistent', 'green'],
  [1, 1, 'undecidable', 'yellow'],
  [2, 2, 'path', 'orange'],
  [3, 3, 'server wrong', 'orange'],
  [4, 4, 'own clock wrong', 'red'],
);

export const STANDINGS = texts(
  [0, 0, 'truechimer', 'green'],
  [1, 1, 'not judged', 'blue'],
  [2, 3, 'suspected, or its path', 'orange'],
  [4, 7, 'falseticker', 'red'],
  [8, 15, 'unreachable', 'dark-red'],
);

export const HEALTHS = texts([0, 0, 'ok', 'green'], [1, 1, 'degraded', 'orange'], [2, 2, 'failing', 'red']);

export const LEAPS = texts(
  [0, 0, 'none', 'green'],
  [1, 1, 'insert a second', 'orange'],
  [2, 2, 'delete a second', 'orange'],
  [3, 3, 'not synchronised', 'red'],
);

/** For the standing codes where a panel wants thresholds too. */
export const STANDING_STEPS = steps([null, 'green'], [1, 'blue'], [2, 'orange'], [4, 'red']);
