// chart.ts: a line chart as one SVG text, for reports that must open without scripts or network. It is not the live chart of
// the page. Colours are classes (line-0 … line-5); frame, legend and files are drawing.ts.
import { number } from './escape';
import { at, COLOURS, FRAME, gridOf, heightScale, inlineFigure, niceTicks, type Drawing } from './drawing';

export interface ChartSeries {
  name: string;
  /** (x, y) in ascending x; points that are not finite leave a gap. */
  points: readonly (readonly [number, number])[];
  /** From where to where a thin upright line goes at each point; absent or not finite: none. */
  ranges?: readonly (readonly [low: number, high: number] | undefined)[];
}

export interface ChartOptions {
  title: string;
  xLabel: string;
  /** Where the x axis is marked; absent: at round numbers. */
  xTicks?: readonly number[];
  /** The least and the greatest value there can be: a range is cut off there. */
  yLimits?: readonly [number, number];
  /** One value all the way across, dashed. */
  level?: { name: string; y: number };
  series: readonly ChartSeries[];
}

const WIDTH = 480;
const HEIGHT = 230;

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

/** Lines, or undefined when there is not one finite point. */
export function lineDrawing({
  title,
  xLabel,
  xTicks: marked,
  yLimits,
  series,
  level,
}: ChartOptions): Drawing | undefined {
  const [least, greatest] = yLimits ?? [-Infinity, Infinity];
  const finite = series.flatMap((s) => stretches(s.points).flat());
  if (finite.length === 0) return undefined;
  const bounds = (axis: 0 | 1): [number, number] => {
    let low = Infinity;
    let high = -Infinity;
    for (const point of finite) {
      low = Math.min(low, point[axis]);
      high = Math.max(high, point[axis]);
    }
    return [low, high];
  };
  const ranges = series.map(({ points, ranges: own = [] }) =>
    points.flatMap(([x, y], i) => {
      const [low, high] = own[i] ?? [NaN, NaN];
      return Number.isFinite(low) && Number.isFinite(high) && Number.isFinite(y)
        ? [[x, Math.max(least, low), Math.min(greatest, high)] as const]
        : [];
    }),
  );
  const [xLow, xHigh] = bounds(0);
  const ends = [
    ...bounds(1),
    ...ranges.flat().flatMap(([, low, high]) => [low, high]),
    ...(level === undefined ? [] : [level.y]),
  ];
  const yTicks = niceTicks(Math.min(...ends), Math.max(...ends));
  const xTicks = (marked ?? niceTicks(xLow, xHigh, 6)).filter((x) => x >= xLow && x <= xHigh);
  const px = (x: number): number =>
    FRAME.left + ((x - xLow) / (xHigh - xLow || 1)) * (WIDTH - FRAME.left - FRAME.right);
  const py = heightScale(yTicks, HEIGHT);

  const marks = xTicks.map(
    (x) => `<text x="${at(px(x))}" y="${HEIGHT - FRAME.bottom + 18}" text-anchor="middle">${number(x)}</text>`,
  );
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
  const dashed =
    level === undefined
      ? ''
      : `<line class="line-${series.length % COLOURS} dash" x1="${FRAME.left}" x2="${WIDTH - FRAME.right}" y1="${at(py(level.y))}" y2="${at(py(level.y))}"/>`;
  const described = series.map((s) => {
    const points = stretches(s.points).flat();
    const [first, last] = [points[0], points.at(-1)];
    return first === undefined || last === undefined
      ? `${s.name}: no values`
      : `${s.name} from ${number(first[1])} to ${number(last[1])}`;
  });
  if (level !== undefined) described.push(`${level.name}: ${number(level.y)}`);
  const size = { width: WIDTH, height: HEIGHT };
  return {
    title,
    described: described.join('; '),
    ...size,
    body: gridOf(yTicks, py, size, xLabel) + [...marks, ...upright, ...lines].join('') + dashed,
    legend:
      series.length < 2 && level === undefined
        ? []
        : [
            ...series.map(({ name }, i) => ({ name, colour: i % COLOURS, mark: 'line' as const })),
            ...(level === undefined
              ? []
              : [{ name: level.name, colour: series.length % COLOURS, mark: 'dash' as const }]),
          ],
  };
}

/** The chart with its caption and legend, or an empty text when there is not one finite point. */
export function lineChart(options: ChartOptions): string {
  const drawing = lineDrawing(options);
  return drawing === undefined ? '' : inlineFigure(drawing);
}
