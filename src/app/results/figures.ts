// figures.ts: the paper's figures as plots: lines over shares of the demonstrations (Figure 4), bars by system and task
// (Figures 2, 3, 5), each with the table of its numbers. It draws nothing itself (components/Figure.svelte does).
import type { FamilyFigure, SeriesResult, SplitFigure } from '../../session/protocol';
import type { FigurePlot, FigureTable, FigureTheme, Plot } from '../figure';
import { formatPercent } from '../format';
import { accuracyText, intervalText, seedsText, sizesText } from './cells';

const NUMBERS = [
  { title: 'accuracy %, mean ± sd', numeric: true },
  { title: '95 % interval', numeric: true },
  { title: 'interval by' },
  { title: 'n', numeric: true },
  { title: 'seed: right/n' },
];
const numbersOf = (result: SeriesResult): string[] => [
  accuracyText(result),
  intervalText(result.interval),
  result.interval.method,
  sizesText(result),
  seedsText(result),
];

interface Point {
  x: number;
  y: number;
  low: number;
  high: number;
  name: string;
}
const pointOf = (x: number, result: SeriesResult, name: string): Point => ({
  x,
  y: 100 * result.mean,
  low: 100 * result.interval.low,
  high: 100 * result.interval.high,
  name,
});

/** Figure 4: a line for each way to train, with intervals; the untouched student as a dashed line. */
export function splitPlot(figure: SplitFigure, theme: FigureTheme, plot: Plot, width: number): FigurePlot {
  const { baseline, lines } = figure;
  const colours = new Map(lines.map(({ name }, i) => [name as string, theme.lines[i]!]));
  const points = lines.flatMap(({ name, points: own }) =>
    own.map(({ share, result }) => pointOf(100 * share, result, name)),
  );
  const shares = [...new Set(points.map(({ x }) => x))].sort((a, b) => a - b);
  // Side by side where several lines share an x, so that intervals do not lie over each other.
  const shift = Math.min(7, width / 90);
  const at = (name: string): number => shift * ([...colours.keys()].indexOf(name) - (colours.size - 1) / 2);
  const marks = lines.flatMap(({ name }) => {
    const own = points.filter((point) => point.name === name);
    const dx = at(name);
    const stroke = colours.get(name)!;
    return [
      plot.ruleX(
        own.filter(({ low }) => Number.isFinite(low)),
        { x: 'x', y1: 'low', y2: 'high', stroke, strokeOpacity: 0.55, strokeWidth: 3, dx },
      ),
      plot.lineY(own, { x: 'x', y: 'y', stroke, strokeWidth: 2, dx }),
      plot.dot(own, { x: 'x', y: 'y', fill: stroke, r: 4, dx }),
    ];
  });
  return {
    options: {
      height: Math.round(Math.min(340, Math.max(240, width * 0.5))),
      marginTop: 2 * theme.fontSize,
      marginLeft: 2.6 * theme.fontSize + 8,
      marginBottom: 3 * theme.fontSize,
      x: {
        domain: [Math.max(0, shares[0]! - 10), shares.at(-1)! + 10],
        ticks: shares,
        tickFormat: (x: number) => `${x} %`,
        label: 'share of the demonstrations',
        labelAnchor: 'center',
        labelArrow: 'none',
        tickSize: 0,
      },
      y: { domain: [0, 100], grid: true, label: 'accuracy %', labelArrow: 'none', ticks: 5, tickSize: 0 },
      marks: [
        ...(baseline === null
          ? []
          : [plot.ruleY([100 * baseline.mean], { stroke: theme.soft, strokeDasharray: '4 3', strokeWidth: 1.5 })]),
        ...marks,
        plot.ruleY([0], { stroke: theme.soft }),
      ],
    },
    legend: [
      ...[...colours].map(([label, colour]) => ({ label, colour, mark: 'line' as const })),
      ...(baseline === null ? [] : [{ label: 'untouched student', colour: theme.soft, mark: 'dash' as const }]),
    ],
  };
}

export function splitTable({ baseline, lines }: SplitFigure): FigureTable {
  return {
    columns: [{ title: 'trained' }, { title: 'share', numeric: true }, ...NUMBERS],
    rows: [
      ...(baseline === null ? [] : [['untouched student', '–', ...numbersOf(baseline)]]),
      ...lines.flatMap(({ name, points }) =>
        points.map(({ share, result }) => [name, `${Number((100 * share).toFixed(1))} %`, ...numbersOf(result)]),
      ),
    ],
  };
}

/** Where a legend must tell the bars of one task apart. */
const SYSTEMS = ['Baseline', 'Baseline CoT', 'Instruction-tuning', '+ Self-refine'];

/** Figures 2, 3 and 5: a group of bars for each task, with intervals; the teacher's own accuracy as a dashed line. */
export function familyPlot(figure: FamilyFigure, theme: FigureTheme, plot: Plot, width: number): FigurePlot {
  const tasks = [...new Set(figure.bars.map(({ taskId }) => taskId))];
  const colours = new Map(
    SYSTEMS.map((label, i) => [label, [theme.soft, theme.lines[3], theme.lines[0], theme.lines[2]][i]!]),
  );
  const bars = figure.bars.map(({ taskId, label, result }) => ({
    ...pointOf(0, result, label),
    task: shortened(taskId, width / tasks.length / theme.fontSize),
  }));
  const lines = figure.teachers.map(({ taskId, accuracy }) => ({
    task: shortened(taskId, width / tasks.length / theme.fontSize),
    y: 100 * accuracy,
  }));
  return {
    options: {
      height: Math.round(Math.min(340, Math.max(240, width * 0.5))),
      marginTop: 2 * theme.fontSize,
      marginLeft: 2.6 * theme.fontSize + 8,
      marginBottom: 2.4 * theme.fontSize,
      x: { domain: SYSTEMS.filter((label) => bars.some(({ name }) => name === label)), axis: null, padding: 0.15 },
      fx: { label: null, axis: 'bottom', padding: 0.15, domain: [...new Set(bars.map(({ task }) => task))] },
      y: { domain: [0, 100], grid: true, label: 'accuracy %', labelArrow: 'none', ticks: 5, tickSize: 0 },
      marks: [
        plot.barY(bars, { fx: 'task', x: 'name', y: 'y', fill: ({ name }: Point) => colours.get(name)!, rx: 2 }),
        plot.ruleX(
          bars.filter(({ low }) => Number.isFinite(low)),
          { fx: 'task', x: 'name', y1: 'low', y2: 'high', stroke: theme.ink, strokeWidth: 1.5 },
        ),
        plot.text(bars, {
          fx: 'task',
          x: 'name',
          y: 'high',
          text: ({ y }: Point) => y.toFixed(1),
          dy: -0.6 * theme.fontSize,
          fill: theme.ink,
        }),
        plot.ruleY(lines, { fx: 'task', y: 'y', stroke: theme.lines[1], strokeDasharray: '5 3', strokeWidth: 1.5 }),
        plot.ruleY([0], { stroke: theme.soft }),
      ],
      color: { type: 'identity' },
    },
    legend: [
      ...SYSTEMS.filter((label) => bars.some(({ name }) => name === label)).map((label) => ({
        label,
        colour: colours.get(label)!,
      })),
      ...(lines.length === 0
        ? []
        : [{ label: 'the teacher itself, on training questions', colour: theme.lines[1], mark: 'dash' as const }]),
    ],
  };
}

/** A name that fits above its bars; the table has the whole. */
function shortened(name: string, most: number): string {
  const room = Math.max(6, Math.floor(most * 1.6));
  return name.length <= room ? name : `${name.slice(0, room - 1)}…`;
}

export function familyTable({ bars, teachers }: FamilyFigure): FigureTable {
  return {
    columns: [{ title: 'task' }, { title: 'system' }, { title: 'demonstrations', numeric: true }, ...NUMBERS],
    rows: [
      ...bars.map(({ taskId, label, share, result }) => [
        taskId,
        label,
        share === undefined ? '–' : `${Number((100 * share).toFixed(1))} %`,
        ...numbersOf(result),
      ]),
      ...teachers.map(({ taskId, accuracy }) => [
        taskId,
        'the teacher itself',
        '–',
        formatPercent(accuracy),
        '–',
        '–',
        '–',
        '–',
      ]),
    ],
  };
}
