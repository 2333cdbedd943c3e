// chart.ts: one live line chart (uPlot) as an attachment. It follows its box's width and the system's colours, and draws
// at most once a frame. Reports draw theirs in report/chart.ts, without scripts.
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';

export interface ChartLine {
  label: string;
  /** A custom property of the page's style sheet. */
  colour: `--line-${0 | 1 | 2 | 3}`;
}

/** x and one array per line; null leaves a gap. */
export type ChartData = [number[], ...(number | null)[][]];

const HEIGHT = 190;
/** Optimiser steps are whole: no tick between two of them. */
const STEP_INCREMENTS = [1, 10, 100, 1000, 10_000, 100_000].flatMap((power) => [power, 2 * power, 5 * power]);

function options(lines: readonly ChartLine[], width: number): uPlot.Options {
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string): string => style.getPropertyValue(name).trim();
  const axis: uPlot.Axis = {
    stroke: colour('--soft'),
    grid: { stroke: colour('--rule'), width: 1 },
    ticks: { stroke: colour('--rule'), width: 1, size: 4 },
    font: '12px system-ui, sans-serif',
  };
  return {
    width,
    height: HEIGHT,
    padding: [8, 12, 0, 0],
    cursor: { points: { size: 6 }, drag: { x: false, y: false } },
    legend: { live: true },
    hooks: {
      // Without a pointer the legend shows the last values.
      setCursor: [(u) => ((u.cursor.left ?? -1) < 0 ? u.setLegend({ idx: u.data[0].length - 1 }) : undefined)],
    },
    scales: { x: { time: false } },
    axes: [
      { ...axis, size: 30, incrs: STEP_INCREMENTS },
      { ...axis, size: 52 },
    ],
    series: [
      { label: 'step' },
      ...lines.map(({ label, colour: name }) => ({
        label,
        stroke: colour(name),
        width: 1.6,
        spanGaps: true,
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

/**
 * Draws into the element. `data` is called again whenever `subscribe` says so.
 *
 * @returns the redraw function and the one that removes the chart.
 */
export function drawChart(
  element: HTMLElement,
  lines: readonly ChartLine[],
  data: () => ChartData,
): { redraw: () => void; destroy: () => void } {
  let chart: uPlot | undefined;
  let frame = 0;
  let dotted = false;

  const draw = (): void => {
    frame = 0;
    const width = Math.floor(element.clientWidth);
    if (width <= 0) return;
    const now = data();
    const dots = withDots(now);
    if (chart !== undefined && dots === dotted) {
      chart.setData(now as uPlot.AlignedData);
      if ((chart.cursor.left ?? -1) < 0) chart.setLegend({ idx: now[0].length - 1 });
      return;
    }
    chart?.destroy();
    dotted = dots;
    const made = options(lines, width);
    for (const series of made.series.slice(1)) series.points = { show: dots, size: 5 };
    chart = new uPlot(made, now as uPlot.AlignedData, element);
    chart.setLegend({ idx: now[0].length - 1 });
  };
  const redraw = (): void => {
    if (frame === 0) frame = requestAnimationFrame(draw);
  };
  const anew = (): void => {
    chart?.destroy();
    chart = undefined;
    redraw();
  };
  const resizes = new ResizeObserver(() => {
    const width = Math.floor(element.clientWidth);
    if (chart !== undefined && width > 0 && width !== chart.width) chart.setSize({ width, height: HEIGHT });
    else if (chart === undefined) redraw();
  });
  resizes.observe(element);
  const scheme = matchMedia('(prefers-color-scheme: dark)');
  scheme.addEventListener('change', anew);
  redraw();
  return {
    redraw,
    destroy: () => {
      cancelAnimationFrame(frame);
      resizes.disconnect();
      scheme.removeEventListener('change', anew);
      chart?.destroy();
    },
  };
}
