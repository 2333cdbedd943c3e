// curveFigures.ts: the curves of stored runs as figures: of one run a line for each metric of a figure; of several, each metric by
// itself with a line for each run, told apart by its number, stroke and colour. What is drawn is thinned to what a screen shows;
// CSV has every step. It draws nothing itself (components/Figure.svelte does).
import { slug } from '../../base/slug';
import { csvText, type FigurePlot, type FigureTheme, type Plot } from '../figure';
import { axisNumber, formatNumber } from '../format';
import type { MetricFigure, MetricPoint } from '../lab/metricFigures';
import type { PaperFigure } from './paperFigures';

/** One run in a figure. */
export interface CurveRun {
  /** As a person knows it; two of one name are told apart by the caller. */
  name: string;
  points: readonly MetricPoint[];
}

interface Line {
  label: string;
  /** On the line, where there are several runs. */
  mark: string;
  points: readonly XY[];
}
interface XY {
  x: number;
  y: number;
}

/** Kinds of stroke; with as many colours beside them. */
const STROKES: readonly (string | undefined)[] = [
  undefined,
  '8 4',
  '2 3',
  '10 3 2 3',
  '16 4',
  '4 2',
  '12 3 2 3 2 3',
  '1 6',
];
/** More lines than these cannot be told apart. */
export const MOST_CURVES = STROKES.length;
const TABLE_ROWS = 200;

/** `rewards/chosen` → `chosen`; whole where two of a figure would be called the same. */
function shortName(key: string, keys: readonly string[]): string {
  const short = (one: string): string => one.slice(one.indexOf('/') + 1);
  return keys.filter((one) => short(one) === short(key)).length > 1 ? key : short(key);
}

function lineOf(points: readonly MetricPoint[], key: string): XY[] {
  return points.flatMap(({ step, values }) => {
    const y = values[key];
    return y === undefined || !Number.isFinite(y) ? [] : [{ x: step, y }];
  });
}

/**
 * At most about `most` points of a line, which look as all of them do: of each stretch of x the least and the greatest stay, and the
 * first and the last of all. Points are in the order of x.
 */
export function thinned(points: readonly XY[], most: number): XY[] {
  if (points.length <= most || points.length < 3) return [...points];
  const [first, last] = [points[0]!, points.at(-1)!];
  const stretches = Math.max(1, Math.floor((most - 2) / 2));
  const width = (last.x - first.x) / stretches;
  const kept = new Set([0, points.length - 1]);
  let [stretch, low, high] = [-1, 0, 0];
  points.forEach(({ x, y }, i) => {
    const own = width > 0 ? Math.min(stretches - 1, Math.floor((x - first.x) / width)) : 0;
    if (own !== stretch) {
      if (stretch >= 0) kept.add(low).add(high);
      [stretch, low, high] = [own, i, i];
    }
    if (y < points[low]!.y) low = i;
    if (y > points[high]!.y) high = i;
  });
  kept.add(low).add(high);
  return [...kept].sort((a, b) => a - b).map((i) => points[i]!);
}

/** The figures of one phase. @param where its words. */
export function curveFigures(
  where: string,
  runs: readonly CurveRun[],
  figures: readonly MetricFigure[],
): (PaperFigure & { id: string })[] {
  return figures.flatMap((figure) => {
    if (runs.length === 1) return [ofOneRun(where, runs[0]!, figure)];
    return figure.keys.map((key) => ofSeveral(where, runs, figure, key));
  });
}

function ofOneRun(where: string, run: CurveRun, { id, title, note, keys }: MetricFigure): PaperFigure & { id: string } {
  const label = (key: string): string => (keys.length === 1 ? key : shortName(key, keys));
  const lines = keys.map((key) => ({ label: label(key), mark: '', points: lineOf(run.points, key) }));
  return {
    id,
    ...figureOf({ title, where, of: run.name, lines, names: keys }),
    ...(note === undefined ? {} : { note }),
  };
}

function ofSeveral(
  where: string,
  runs: readonly CurveRun[],
  { id, title, note, keys }: MetricFigure,
  key: string,
): PaperFigure & { id: string } {
  const own = keys.length === 1 ? title : `${title}: ${shortName(key, keys)}`;
  const lines = runs.map(({ name, points }, i) => ({
    label: `${i + 1} ${name}`,
    mark: String(i + 1),
    points: lineOf(points, key),
  }));
  const names = runs.map(({ name }) => `${key} · ${name}`);
  const figure = figureOf({ title: own, where, of: `${runs.length} runs`, lines, names });
  return { id: `${id} ${key}`, ...figure, ...(note === undefined ? {} : { note }) };
}

function figureOf(about: {
  title: string;
  where: string;
  of: string;
  lines: readonly Line[];
  /** Of the columns of CSV. */
  names: readonly string[];
}): PaperFigure {
  const { title, where, of, lines, names } = about;
  const drawn = lines.filter(({ points }) => points.length > 0);
  const said = drawn.map(({ label, points }) => {
    const [first, last] = [points[0]!, points.at(-1)!];
    return `${label}: ${formatNumber(first.y)} at step ${first.x}, ${formatNumber(last.y)} at step ${last.x}.`;
  });
  const rows = rowsOf(lines);
  const shown = everyNth(rows, TABLE_ROWS);
  return {
    title,
    description: `${where}, ${of}. ${said.join(' ')}`,
    plot: (theme, plot, width) => curvePlot(lines, theme, plot, width),
    table: {
      columns: [{ title: 'step', numeric: true }, ...lines.map(({ label }) => ({ title: label, numeric: true }))],
      rows: shown.map(([step, ...values]) => [
        String(step),
        ...values.map((y) => (y === undefined ? '–' : formatNumber(y))),
      ]),
    },
    csv: () =>
      csvText({
        columns: [{ title: 'step' }, ...names.map((name) => ({ title: name }))],
        rows: rows.map((row) => row.map((value) => (value === undefined ? '' : String(value)))),
      }),
    fileName: `curve-${slug(`${where} ${title}`)}`,
  };
}

/** A row for each step that any line has. */
function rowsOf(lines: readonly Line[]): [step: number, ...values: (number | undefined)[]][] {
  const byStep = lines.map(({ points }) => new Map(points.map(({ x, y }) => [x, y])));
  const steps = [...new Set(byStep.flatMap((own) => [...own.keys()]))].sort((a, b) => a - b);
  return steps.map((step) => [step, ...byStep.map((own) => own.get(step))]);
}

/** At most so many, evenly spread, the last among them. */
function everyNth<T>(rows: readonly T[], most: number): T[] {
  const stride = Math.ceil(rows.length / most);
  return rows.filter((_, i) => i % stride === 0 || i === rows.length - 1);
}

/** Where on a line its number stands: at its end, and once within, at another place for each. */
function marksOf({ mark, points }: Line, i: number, count: number): (XY & { mark: string })[] {
  if (mark === '' || points.length === 0) return [];
  const at = Math.floor(((i + 0.5) / count) * (points.length - 1));
  return [...new Set([at, points.length - 1])].map((n) => ({ ...points[n]!, mark }));
}

function curvePlot(lines: readonly Line[], theme: FigureTheme, plot: Plot, width: number): FigurePlot {
  const several = lines.some(({ mark }) => mark !== '');
  const palette = [...theme.lines, theme.ink, theme.soft, theme.bad, theme.lines[0]];
  // One run's few lines are told apart by colour and the legend's words; those of several by their stroke as well.
  const styles = lines.map((_, i) => ({ stroke: palette[i % palette.length]!, strokes: STROKES[i % STROKES.length] }));
  const shown = lines.map((line) => ({ ...line, points: thinned(line.points, 2 * width) }));
  const all = shown.flatMap(({ points }) => points);
  const steps = all.map(({ x }) => x);
  const { fontSize } = theme;
  return {
    options: {
      height: Math.round(Math.min(300, Math.max(200, width * 0.42))),
      marginLeft: 4.2 * fontSize,
      marginRight: several ? 1.6 * fontSize : 10,
      marginBottom: 2.8 * fontSize,
      marginTop: 1.6 * fontSize,
      x: {
        domain: all.length === 0 ? [0, 1] : [least(steps), greatest(steps)],
        label: 'step',
        labelAnchor: 'center',
        labelArrow: 'none',
        ticks: Math.max(2, Math.floor(width / (6 * fontSize))),
        tickFormat: (x: number) => (Number.isInteger(x) ? String(x) : ''),
        tickSize: 0,
      },
      y: { grid: true, nice: true, ticks: 5, tickSize: 0, label: null, tickFormat: axisNumber },
      marks: [
        ...shown.flatMap(({ points }, i) => {
          const { stroke, strokes } = styles[i]!;
          const dash = strokes === undefined ? {} : { strokeDasharray: strokes };
          return [
            plot.lineY(points, { x: 'x', y: 'y', stroke, strokeWidth: 1.8, ...dash }),
            // A lone point is no line.
            ...(points.length === 1 ? [plot.dot(points, { x: 'x', y: 'y', fill: stroke, r: 4 })] : []),
          ];
        }),
        ...shown.map((line, i) =>
          plot.text(marksOf(line, i, shown.length), {
            x: 'x',
            y: 'y',
            text: 'mark',
            fill: styles[i]!.stroke,
            stroke: theme.paper,
            strokeWidth: 5,
            fontWeight: 700,
          }),
        ),
      ],
    },
    legend: lines.map(({ label }, i) => {
      const { stroke: colour, strokes } = styles[i]!;
      return { label, colour, mark: 'line' as const, ...(strokes === undefined ? {} : { strokes }) };
    }),
  };
}

/** Spreading thousands of numbers into one call overflows the stack. */
const least = (values: readonly number[]): number => values.reduce((a, b) => Math.min(a, b), Infinity);
const greatest = (values: readonly number[]): number => values.reduce((a, b) => Math.max(a, b), -Infinity);
