// seriesText.ts: the table of a series as plain text for a terminal: a row a system of a cell, a column a task, as in the
// paper's tables. The whole of it, with intervals, tests and curves, is series.html.
import { percent } from './escape';
import { systemName } from './seriesTables';
import type { SeriesReport, SeriesResult } from './series';

/** Rows of cells as columns as wide as their widest; the first ones to the left, numbers to the right. */
function aligned(rows: readonly string[][], left: number): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows
    .map((row) =>
      row
        .map((text, column) => (column < left ? text.padEnd(widths[column]!) : text.padStart(widths[column]!)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/**
 * Strict accuracy in %, mean ± sd over the seeds, of the prompt that the series' table is about; '' before there is any.
 */
export function seriesText(report: SeriesReport): string {
  const { axes, table } = report.series;
  const shown = report.results.filter(({ scorer, prompt }) => scorer === 'strict' && prompt === table.prompt);
  if (shown.length === 0) return '';
  const tasks = [...new Set(shown.map(({ taskId }) => taskId))];
  const rows = new Map<string, { head: string[]; results: Map<string, SeriesResult> }>();
  for (const result of shown) {
    const key = JSON.stringify([result.cell, result.system]);
    const labels = axes.map((_, i) => report.cells[result.cell]!.labels[i] ?? '');
    const row = rows.get(key) ?? { head: [...labels, systemName(report, result)], results: new Map() };
    row.results.set(result.taskId, result);
    rows.set(key, row);
  }
  const value = (result: SeriesResult | undefined): string =>
    result === undefined || result.runs.length === 0
      ? '–'
      : `${percent(result.mean)}${result.sd === undefined ? '' : ` ± ${percent(result.sd)}`}`;
  const heads = [...axes.map(({ name }) => name), 'System'];
  const lines = [
    [...heads, ...tasks],
    ...[...rows.values()].map(({ head, results }) => [...head, ...tasks.map((task) => value(results.get(task)))]),
  ];
  return `${aligned(lines, heads.length)}\nstrict accuracy %, mean ± sd over seeds`;
}
