// chart.ts: a line chart as one inline SVG text, for reports that must open without scripts or network. It is not the
// live chart of the page. Colours come from the report's style sheet (classes line-0 … line-5).
import { escapeHtml, number } from './escape';

export interface ChartSeries {
  name: string;
  /** (x, y) in ascending x; points that are not finite leave a gap. */
  points: readonly (readonly [number, number])[];
  /** Half the width of a range around each point, drawn as a thin upright line; absent or not finite: none. */
  spread?: readonly number[];
}

export interface ChartOptions {
  title: string;
  xLabel: string;
  /** Where the x axis is marked; absent: at round numbers. */
  xTicks?: readonly number[];
  /** The least and the greatest value there can be: a spread is cut off there. */
  yLimits?: readonly [number, number];
  series: readonly ChartSeries[];
}

const WIDTH = 480;
const HEIGHT = 230;
const LEFT = 58;
const RIGHT = 14;
const TOP = 12;
const BOTTOM = 38;
/** As many as the style sheet has. */
const COLOURS = 6;

/**
 * Round tick values that cover [low, high]: multiples of 1, 2 or 5 times a power of ten, about `wanted` of them.
 * A range of no width gets one of width 1 around it.
 */
export function niceTicks(low: number, high: number, wanted = 5): number[] {
  const [from, to] = high > low ? [low, high] : [low - 0.5, low + 0.5];
  const rough = (to - from) / Math.max(1, wanted);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5, 10].find((m) => m * power >= rough * 0.999) ?? 10) * power;
  const first = Math.floor(from / step);
  const last = Math.ceil(to / step - 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

/** Consecutive finite points; a gap starts a new stretch. */
function stretches(points: ChartSeries['points']): (readonly [number, number])[][] {
  const out: (readonly [number, number])[][] = [];
  let open = false;
  for (const point of points) {
    if (!Number.isFinite(point[0]) || !Number.isFinite(point[1])) {
      open = false;
      continue;
    }
    if (!open) out.push([]);
    open = true;
    out.at(-1)?.push(point);
  }
  return out;
}

/** The chart with its caption and legend, or an empty text when there is not one finite point. */
export function lineChart({ title, xLabel, xTicks: marked, yLimits, series }: ChartOptions): string {
  const [least, greatest] = yLimits ?? [-Infinity, Infinity];
  const finite = series.flatMap((s) => stretches(s.points).flat());
  if (finite.length === 0) return '';
  const bounds = (axis: 0 | 1): [number, number] => {
    let low = Infinity;
    let high = -Infinity;
    for (const point of finite) {
      low = Math.min(low, point[axis]);
      high = Math.max(high, point[axis]);
    }
    return [low, high];
  };
  const ranges = series.map(({ points, spread = [] }) =>
    points.flatMap(([x, y], i) => {
      const half = spread[i] ?? NaN;
      return Number.isFinite(half) && Number.isFinite(y)
        ? [[x, Math.max(least, y - half), Math.min(greatest, y + half)] as const]
        : [];
    }),
  );
  const [xLow, xHigh] = bounds(0);
  const ends = [...bounds(1), ...ranges.flat().flatMap(([, low, high]) => [low, high])];
  const yTicks = niceTicks(Math.min(...ends), Math.max(...ends));
  const xTicks = (marked ?? niceTicks(xLow, xHigh, 6)).filter((x) => x >= xLow && x <= xHigh);
  const yLow = yTicks[0] ?? 0;
  const yHigh = yTicks.at(-1) ?? 1;
  const px = (x: number): number => LEFT + ((x - xLow) / (xHigh - xLow || 1)) * (WIDTH - LEFT - RIGHT);
  const py = (y: number): number => HEIGHT - BOTTOM - ((y - yLow) / (yHigh - yLow || 1)) * (HEIGHT - TOP - BOTTOM);
  const at = (n: number): string => n.toFixed(1);

  const grid = [
    ...yTicks.map(
      (y) =>
        `<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${at(py(y))}" y2="${at(py(y))}"/>` +
        `<text x="${LEFT - 8}" y="${at(py(y) + 4)}" text-anchor="end">${number(y)}</text>`,
    ),
    ...xTicks.map((x) => `<text x="${at(px(x))}" y="${HEIGHT - BOTTOM + 18}" text-anchor="middle">${number(x)}</text>`),
    `<line class="axis" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${HEIGHT - BOTTOM}" y2="${HEIGHT - BOTTOM}"/>`,
    `<text class="label" x="${(LEFT + WIDTH - RIGHT) / 2}" y="${HEIGHT - 4}" text-anchor="middle">${escapeHtml(xLabel)}</text>`,
  ];
  const lines = series.flatMap((s, i) =>
    stretches(s.points).map((stretch) => {
      const [only] = stretch;
      if (stretch.length === 1 && only !== undefined) {
        return `<circle class="dot-${i % COLOURS}" cx="${at(px(only[0]))}" cy="${at(py(only[1]))}" r="3"/>`;
      }
      const path = stretch.map(([x, y], j) => `${j === 0 ? 'M' : 'L'}${at(px(x))} ${at(py(y))}`).join('');
      return `<path class="line-${i % COLOURS}" d="${path}"/>`;
    }),
  );
  const upright = ranges.flatMap((own, i) =>
    own.map(
      ([x, low, high]) =>
        `<line class="line-${i % COLOURS}" x1="${at(px(x))}" x2="${at(px(x))}" y1="${at(py(low))}" y2="${at(py(high))}"/>`,
    ),
  );
  const described = series
    .map((s) => {
      const points = stretches(s.points).flat();
      const [first, last] = [points[0], points.at(-1)];
      return first === undefined || last === undefined
        ? `${s.name}: no values`
        : `${s.name} from ${number(first[1])} to ${number(last[1])}`;
    })
    .join('; ');
  const legend =
    series.length < 2
      ? ''
      : `<p class="legend">${series.map((s, i) => `<span><i class="key-${i % COLOURS}"></i>${escapeHtml(s.name)}</span>`).join('')}</p>`;
  return (
    `<figure><figcaption>${escapeHtml(title)}</figcaption>` +
    `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escapeHtml(`${title}: ${described}`)}">` +
    `${grid.join('')}${upright.join('')}${lines.join('')}</svg>${legend}</figure>`
  );
}
