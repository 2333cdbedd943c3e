// chart.ts: one live line chart (uPlot) as an attachment. It follows its box's width and the page's colours, and draws at most
// a few times a second, one chart a frame, and only while it is seen. Reports draw theirs in report/chart.ts, without scripts.
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { axisNumber } from './format';
import { FrameQueue } from './frameQueue';

export interface ChartLine {
  label: string;
  /** A custom property of the page's style sheet. */
  colour: `--line-${0 | 1 | 2 | 3}`;
  /** Lengths of strokes and gaps in pixels; absent: an unbroken line. */
  dash?: readonly number[];
}

/** x and one array per line; null leaves a gap. */
export type ChartData = [number[], ...(number | null)[][]];

export interface ChartOptions {
  heightPx?: number;
  /** The scale of y is logarithmic; what is not positive is left out. */
  logarithmic?: boolean;
  /** Charts of one name show the same step under the pointer. */
  sync?: string;
}

const HEIGHT = 190;
/** Between two drawings of one chart: eyes see no more, and the run needs the time. */
const DRAW_EVERY_MS = 200;
/** Optimiser steps are whole: no tick between two of them. */
const STEP_INCREMENTS = [1, 10, 100, 1000, 10_000, 100_000].flatMap((power) => [power, 2 * power, 5 * power]);

/** All charts of a page draw in turn: a phase that begins has several new ones, which together would hold up a frame for long. */
const drawings = new FrameQueue();

const COLOURS = ['--soft', '--rule', '--line-0', '--line-1', '--line-2', '--line-3'] as const;
type Colours = Readonly<Record<(typeof COLOURS)[number], string>>;

/** What decides the colours: the system's scheme, and what a person chose for the page (state/appearance.svelte.ts). */
const SCHEMES = ['(prefers-color-scheme: dark)', '(forced-colors: active)'];
const CHOSEN = ['style', 'data-projector'];

let known: { of: string; colours: Colours } | undefined;

/**
 * Colours of the page as a canvas understands them: custom properties may hold `light-dark(…)`, which it does not. They are
 * asked for once for all charts: each question makes the browser compute styles.
 */
function pageColours(): Colours {
  const root = document.documentElement;
  const of = [...SCHEMES.map((query) => matchMedia(query).matches), ...CHOSEN.map((name) => root.getAttribute(name))];
  const key = of.join(' ');
  if (known?.of === key) return known.colours;
  const probe = document.createElement('span');
  document.body.append(probe);
  const colours = Object.fromEntries(
    COLOURS.map((name) => {
      probe.style.color = `var(${name})`;
      return [name, getComputedStyle(probe).color];
    }),
  ) as Colours;
  probe.remove();
  known = { of: key, colours };
  return colours;
}

function options(
  lines: readonly ChartLine[],
  width: number,
  { heightPx = HEIGHT, logarithmic = false, sync }: ChartOptions,
): uPlot.Options {
  const colours = pageColours();
  const typeSize = Math.round(0.8 * parseFloat(getComputedStyle(document.documentElement).fontSize));
  const axis: uPlot.Axis = {
    stroke: colours['--soft'],
    grid: { stroke: colours['--rule'], width: 1 },
    ticks: { stroke: colours['--rule'], width: 1, size: 4 },
    font: `${typeSize}px system-ui, sans-serif`,
  };
  return {
    width,
    height: heightPx,
    padding: [8, 12, 0, 0],
    cursor: {
      points: { size: 6 },
      drag: { x: false, y: false },
      ...(sync === undefined ? {} : { sync: { key: sync, setSeries: false } }),
    },
    legend: { live: true },
    hooks: {
      // Without a pointer the legend shows the last values.
      setCursor: [(u) => ((u.cursor.left ?? -1) < 0 ? u.setLegend({ idx: u.data[0].length - 1 }) : undefined)],
    },
    scales: { x: { time: false }, ...(logarithmic ? { y: { distr: 3 } } : {}) },
    axes: [
      { ...axis, size: 2.4 * typeSize, incrs: STEP_INCREMENTS },
      {
        ...axis,
        size: 4.4 * typeSize,
        values: (_, values) => values.map((value) => (value === null ? '' : axisNumber(value))),
      },
    ],
    series: [
      { label: 'step' },
      ...lines.map(({ label, colour: name, dash }) => ({
        label,
        stroke: colours[name],
        width: 1.6,
        spanGaps: true,
        ...(dash === undefined ? {} : { dash: [...dash] }),
        points: { show: false },
        value: (_: uPlot, value: number | null) => (value === null ? '–' : value.toPrecision(4)),
      })),
    ],
  };
}

/** Points instead of a line where there are too few for one. */
function withDots(data: ChartData): boolean {
  return data[0].length < 3;
}

/** A logarithm has no place for zero and below. */
function positive([steps, ...values]: ChartData): ChartData {
  return [steps, ...values.map((line) => line.map((value) => (value !== null && value > 0 ? value : null)))];
}

/**
 * Draws into the element. `data` is called for every drawing.
 *
 * @param onDraw is given what was drawn, for the chart's description.
 * @returns the redraw function and the one that removes the chart.
 */
export function drawChart(
  element: HTMLElement,
  lines: readonly ChartLine[],
  data: () => ChartData,
  settings: ChartOptions = {},
  onDraw: (data: ChartData) => void = () => undefined,
): { redraw: () => void; destroy: () => void } {
  let chart: uPlot | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let lastDrawnMs = -Infinity;
  let dotted = false;
  let visible = true;
  let due = false;
  const heightPx = settings.heightPx ?? HEIGHT;

  const draw = (): void => {
    lastDrawnMs = performance.now();
    const width = Math.floor(element.clientWidth);
    if (width <= 0) return;
    due = false;
    const whole = data();
    onDraw(whole);
    const now = settings.logarithmic === true ? positive(whole) : whole;
    const dots = withDots(now);
    if (chart !== undefined && dots === dotted) {
      chart.setData(now as uPlot.AlignedData);
      if ((chart.cursor.left ?? -1) < 0) chart.setLegend({ idx: now[0].length - 1 });
      return;
    }
    chart?.destroy();
    dotted = dots;
    const made = options(lines, width, settings);
    for (const series of made.series.slice(1)) series.points = { show: dots, size: 5 };
    chart = new uPlot(made, now as uPlot.AlignedData, element);
    chart.setLegend({ idx: now[0].length - 1 });
  };
  const redraw = (): void => {
    due = true;
    // What is out of sight is drawn once, so that a scroll or a print finds it; then it waits until it is seen.
    if ((!visible && chart !== undefined) || drawings.has(draw) || timer !== undefined) return;
    const waitMs = lastDrawnMs + DRAW_EVERY_MS - performance.now();
    if (waitMs <= 0) drawings.add(draw);
    else {
      timer = setTimeout(() => {
        timer = undefined;
        if (due) drawings.add(draw);
      }, waitMs);
    }
  };
  const anew = (): void => {
    chart?.destroy();
    chart = undefined;
    redraw();
  };
  const resizes = new ResizeObserver(() => {
    const width = Math.floor(element.clientWidth);
    if (chart !== undefined && width > 0 && width !== chart.width) chart.setSize({ width, height: heightPx });
    else if (chart === undefined) redraw();
  });
  resizes.observe(element);
  const sights = new IntersectionObserver(
    (entries) => {
      visible = entries.at(-1)?.isIntersecting ?? true;
      if (visible && due) redraw();
    },
    { rootMargin: '200px' },
  );
  sights.observe(element);
  // The system's colours, those that a person chose for the page, and the size of its type.
  const schemes = SCHEMES.map((query) => matchMedia(query));
  for (const scheme of schemes) scheme.addEventListener('change', anew);
  const root = new MutationObserver(anew);
  root.observe(document.documentElement, { attributeFilter: CHOSEN });
  redraw();
  return {
    redraw,
    destroy: () => {
      drawings.remove(draw);
      clearTimeout(timer);
      resizes.disconnect();
      sights.disconnect();
      root.disconnect();
      for (const scheme of schemes) scheme.removeEventListener('change', anew);
      chart?.destroy();
    },
  };
}
