// barChart.ts: bars in groups, with intervals, as one SVG text (Figures 2, 3 and 5 of the paper). Frame, legend and files are
// drawing.ts; what the bars are of is the caller's.
import { at, COLOURS, FRAME, gridOf, heightScale, niceTicks, type Drawing } from './drawing';
import { escapeHtml, number } from './escape';

export interface Bar {
  /** One of the chart's `names`. */
  name: string;
  y: number;
  /** Drawn as a thin upright line; absent or not finite: none. */
  range?: readonly [low: number, high: number];
}

export interface BarGroup {
  label: string;
  bars: readonly Bar[];
  /** A value of the whole group, as a dashed line across it. */
  level?: number;
}

export interface BarOptions {
  title: string;
  xLabel: string;
  /** In this order within a group, one colour each; what no group has takes no room in the legend. */
  names: readonly string[];
  /** What the dashed lines are. */
  levelName?: string;
  /** The greatest value there can be: a range is cut off there. */
  limit?: number;
  groups: readonly BarGroup[];
}

const HEIGHT = 250;
/** Of a bar with its gap, and between groups. */
const STEP = 26;
const BETWEEN = 22;
const LEAST_WIDTH = 480;
/** Letters of a group's label for each pixel of its width. */
const LETTERS = 1 / 6.6;

/** Bars from 0 up, or undefined when there is not one. */
export function barDrawing({ title, xLabel, names, levelName, limit, groups }: BarOptions): Drawing | undefined {
  const all = groups.flatMap(({ bars }) => bars).filter(({ y }) => Number.isFinite(y));
  if (all.length === 0) return undefined;
  const present = names.filter((name) => all.some((bar) => bar.name === name));
  const cut = (y: number): number => Math.max(0, Math.min(limit ?? Infinity, y));
  const tops = [
    ...all.flatMap(({ y, range }) => [y, ...(range === undefined ? [] : [cut(range[1])])]),
    ...groups.flatMap(({ level }) => level ?? []),
  ].filter(Number.isFinite);
  const yTicks = niceTicks(0, Math.max(...tops, 1e-9));
  const groupWidth = STEP * present.length + BETWEEN;
  const natural = FRAME.left + FRAME.right + groupWidth * groups.length;
  const width = Math.max(LEAST_WIDTH, natural);
  const pitch = (width - FRAME.left - FRAME.right) / groups.length;
  const py = heightScale(yTicks, HEIGHT);

  const drawn = groups.map(({ label, bars, level }, g) => {
    const left = FRAME.left + pitch * g;
    const first = left + (pitch - STEP * present.length) / 2;
    const own = bars.flatMap(({ name, y, range }) => {
      const place = present.indexOf(name);
      if (place < 0 || !Number.isFinite(y)) return [];
      const x = first + STEP * place;
      const middle = x + STEP / 2;
      const hasRange = range !== undefined && Number.isFinite(range[0]) && Number.isFinite(range[1]);
      const high = hasRange ? cut(range[1]) : y;
      return [
        `<rect class="bar-${place % COLOURS}" x="${at(x + 2)}" y="${at(py(y))}" width="${STEP - 4}" height="${at(py(0) - py(y))}"/>`,
        hasRange
          ? `<line class="range" x1="${at(middle)}" x2="${at(middle)}" y1="${at(py(cut(range[0])))}" y2="${at(py(high))}"/>`
          : '',
        `<text class="value" x="${at(middle)}" y="${at(Math.max(9, py(Math.max(high, y)) - 3))}" text-anchor="middle">${y.toFixed(1)}</text>`,
      ];
    });
    const dashed =
      level === undefined || !Number.isFinite(level)
        ? ''
        : `<line class="line-${present.length % COLOURS} dash" x1="${at(left + 4)}" x2="${at(left + pitch - 4)}" y1="${at(py(level))}" y2="${at(py(level))}"/>`;
    const name = shortened(label, pitch * LETTERS);
    return `${own.join('')}${dashed}<text x="${at(left + pitch / 2)}" y="${HEIGHT - FRAME.bottom + 18}" text-anchor="middle">${escapeHtml(name)}</text>`;
  });
  const hasLevel = levelName !== undefined && groups.some(({ level }) => level !== undefined);
  const size = { width, height: HEIGHT };
  return {
    title,
    described: groups
      .map(({ label, bars }) => `${label}: ${bars.map(({ name, y }) => `${name} ${number(y)}`).join(', ')}`)
      .join('; '),
    ...size,
    body: gridOf(yTicks, py, size, xLabel) + drawn.join(''),
    legend: [
      ...present.map((name, i) => ({ name, colour: i % COLOURS, mark: 'area' as const })),
      ...(hasLevel ? [{ name: levelName, colour: present.length % COLOURS, mark: 'dash' as const }] : []),
    ],
  };
}

const shortened = (text: string, most: number): string =>
  [...text].length <= most ? text : `${[...text].slice(0, Math.max(3, Math.floor(most) - 1)).join('')}…`;
