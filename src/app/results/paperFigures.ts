// paperFigures.ts: which figures there are of a session's answer, with titles, descriptions and file names. How they are drawn is
// figures.ts.
import { slug } from '../../base/slug';
import type { FamilyFigure, SplitFigure } from '../../session/protocol';
import type { FigurePlot, FigureTable, FigureTheme, Plot } from '../figure';
import { formatPercent } from '../format';
import { accuracyText } from './cells';
import { familyPlot, familyTable, splitPlot, splitTable } from './figures';

export interface PaperFigure {
  /** Told apart by this among its like. */
  title: string;
  description: string;
  plot: (theme: FigureTheme, plot: Plot, width: number) => FigurePlot;
  table: FigureTable;
  /** All numbers, where the table shows some. */
  csv?: () => string;
  note?: string;
  fileName: string;
}

const words = (...parts: readonly string[]): string => parts.filter((part) => part !== '').join(', ');
const percent = (share: number): string => `${Number((100 * share).toFixed(1))} %`;

/** Figure 4 for one trained and one tested task. */
export function splitFigure(figure: SplitFigure): PaperFigure {
  const { trainedOn, detail, taskId, baseline, lines } = figure;
  const title = `${taskId}, trained on ${words(trainedOn, detail)}`;
  const said = lines.map(
    ({ name, points }) =>
      `${name}: ${points.map(({ share, result }) => `${percent(share)} of the demonstrations gives ${accuracyText(result)} %`).join(', ')}.`,
  );
  return {
    title,
    description: [
      ...said,
      ...(baseline === null ? [] : [`The untouched student has ${accuracyText(baseline)} %.`]),
    ].join(' '),
    plot: (theme, plot, width) => splitPlot(figure, theme, plot, width),
    table: splitTable(figure),
    fileName: `figure-4-${slug(title)}`,
  };
}

/** Figures 2, 3 or 5 for one teacher. */
export function familyFigure(figure: FamilyFigure): PaperFigure {
  const { family, additional, teacher, detail, bars, teachers } = figure;
  const title = words(`${family} teacher: ${teacher}`, detail);
  const number = additional ? 5 : family === 'in-family' ? 2 : 3;
  const said = bars.map(({ taskId, label, result }) => `${taskId}, ${label}: ${accuracyText(result)} %.`);
  const lines = teachers.map(({ taskId, accuracy }) => `${taskId}, the teacher itself: ${formatPercent(accuracy)} %.`);
  return {
    title,
    description: [...said, ...lines].join(' '),
    plot: (theme, plot, width) => familyPlot(figure, theme, plot, width),
    table: familyTable(figure),
    fileName: `figure-${number}-${slug(title)}`,
  };
}
