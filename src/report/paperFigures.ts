// paperFigures.ts: Figures 2 to 5 of the paper for one student, as drawings with file names. Which figures there are and their
// numbers are paperTables.ts; how lines and bars are drawn is chart.ts and barChart.ts.
import { slug } from '../base/slug';
import { barDrawing } from './barChart';
import { lineDrawing } from './chart';
import type { Drawing } from './drawing';
import type { PaperSection } from './paperReport';
import type { FamilyFigure, SplitFigure } from './paperTables';
import type { SeriesResult } from './series';

export interface PaperFigure {
  /** Of the paper. */
  number: 2 | 3 | 4 | 5;
  /** Without an ending; no two of one student are called the same. */
  fileName: string;
  drawing: Drawing;
}

const words = (...parts: readonly string[]): string => parts.filter((part) => part !== '').join(', ');
const range = ({ interval: { low, high } }: SeriesResult): [number, number] => [100 * low, 100 * high];
const BARS = ['Baseline', 'Baseline CoT', 'Instruction-tuning', '+ Self-refine'];

function splitDrawing(
  { trainedOn, detail, taskId, baseline, lines }: SplitFigure,
  student: string,
): Drawing | undefined {
  const shares = [...new Set(lines.flatMap(({ points }) => points.map(({ share }) => share)))].sort((a, b) => a - b);
  return lineDrawing({
    title: `Figure 4: ${taskId}, trained on ${words(trainedOn, detail)} (${student})`,
    xLabel: 'demonstrations, %; accuracy %, upright: 95 % interval',
    xTicks: shares.map((share) => 100 * share),
    yLimits: [0, 100],
    series: lines.map(({ name, points }) => ({
      name,
      points: points.map(({ share, result }) => [100 * share, 100 * result.mean] as const),
      ranges: points.map(({ result }) => range(result)),
    })),
    ...(baseline === null ? {} : { level: { name: 'untouched student', y: 100 * baseline.mean } }),
  });
}

function familyDrawing(figure: FamilyFigure): Drawing | undefined {
  const { family, teacher, student, detail, bars, teachers } = figure;
  const tasks = [...new Set(bars.map(({ taskId }) => taskId))];
  return barDrawing({
    title: `Figure ${familyNumber(figure)}: ${family}, ${words(teacher, detail)} → ${student}`,
    xLabel: 'trained and tested on; accuracy %, upright: 95 % interval',
    names: BARS,
    levelName: 'the teacher itself, on training questions',
    limit: 100,
    groups: tasks.map((taskId) => {
      const level = teachers.find((one) => one.taskId === taskId)?.accuracy;
      return {
        label: taskId,
        bars: bars
          .filter((bar) => bar.taskId === taskId)
          .map(({ label, result }) => ({ name: label, y: 100 * result.mean, range: range(result) })),
        ...(level === undefined ? {} : { level: 100 * level }),
      };
    }),
  });
}

export const familyNumber = ({ additional, family }: FamilyFigure): 2 | 3 | 5 =>
  additional ? 5 : family === 'in-family' ? 2 : 3;

/** All figures of one student, in the order of their numbers. */
export function paperFigures({ student, results }: PaperSection): PaperFigure[] {
  const found: PaperFigure[] = [];
  const names = new Set<string>();
  const add = (number: PaperFigure['number'], drawing: Drawing | undefined, ...parts: string[]): void => {
    if (drawing === undefined) return;
    const wanted = slug([`figure ${number}`, student, ...parts].join(' ')).slice(0, 120);
    let fileName = wanted;
    for (let n = 2; names.has(fileName); n++) fileName = `${wanted}-${n}`;
    names.add(fileName);
    found.push({ number, fileName, drawing });
  };
  for (const figure of results.families) {
    add(familyNumber(figure), familyDrawing(figure), figure.teacher, figure.detail);
  }
  for (const figure of results.splits) {
    add(4, splitDrawing(figure, student), figure.taskId, 'trained on', figure.trainedOn, figure.detail);
  }
  return found.sort((a, b) => a.number - b.number);
}
