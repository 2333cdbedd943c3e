// seriesTables.ts: the tables of a series' page that do not depend on its layout: every result, comparisons, scorers side by
// side, runs. It draws what SeriesReport says.
import { duration, escapeHtml, number, percent, pValue } from './escape';
import type { SeriesComparison, SeriesReport, SeriesResult, SeriesScorers } from './series';
import { signedPoints, systemLabel, table, type Column } from './tables';

/** One entry a seed: a long list breaks between entries, never within one, so that a table stays inside its column. */
const list = (entries: readonly string[]): string => entries.map((entry) => entry.replaceAll(' ', '\u00a0')).join(', ');

/** Names of one row of a table: its cell, and the system as this cell calls it. */
export function systemName(report: SeriesReport, result: Pick<SeriesResult, 'cell' | 'system' | 'prompt'>): string {
  return report.cells[result.cell]!.systems[result.system] ?? systemLabel(result);
}

/** `96.3 ± 1.2`, with how many runs it is of, and n unless the table has said it; a single run has no ±. */
export function accuracy(result: SeriesResult | undefined, seeds: number, n?: number): string {
  if (result === undefined || result.runs.length === 0) return '<span class="soft">–</span>';
  const spread = result.sd === undefined ? '' : ` ± ${percent(result.sd)}`;
  const notes = [
    ...(n === undefined ? [`n = ${sizes([result]).join(', ')}`] : []),
    ...(result.runs.length < seeds ? [`${result.runs.length} of ${seeds} seeds`] : []),
  ];
  const note = notes.length === 0 ? '' : ` <span class="soft">(${notes.join(', ')})</span>`;
  return `<b>${percent(result.mean)}</b>${spread}${note}`;
}

/** Numbers of questions that occur. */
const sizes = (results: readonly SeriesResult[]): number[] => [
  ...new Set(results.flatMap(({ runs }) => runs.map(({ n }) => n))),
];

/** The one number of questions, to be said once for a whole table; undefined where each cell must say its own. */
export function commonSize(results: readonly SeriesResult[]): number | undefined {
  const [n, ...others] = sizes(results);
  return others.length === 0 ? n : undefined;
}

export const sizeText = (n: number | undefined): string => (n === undefined ? '' : `, n = ${n} questions in each run`);

const interval = ({ interval: { low, high } }: Pick<SeriesResult, 'interval'>): string =>
  Number.isFinite(low) ? `${percent(low)} – ${percent(high)}` : '–';

export function resultTable(report: SeriesReport, caption: string, results: readonly SeriesResult[]): string {
  const columns: Column[] = [
    ...report.series.axes.map(({ name }) => ({ title: name })),
    { title: 'System', className: 'name' },
    { title: 'Task' },
    { title: 'Prompt' },
    { title: 'Scorer' },
    { title: 'Accuracy %, mean ± sd over seeds', numeric: true },
    { title: '95 % interval', numeric: true },
    { title: 'from' },
    { title: 'Correct, by seed', numeric: true, className: 'list' },
  ];
  return table(
    caption,
    columns,
    results.map((result) => [
      ...report.cells[result.cell]!.labels.map(escapeHtml),
      escapeHtml(systemName(report, result)),
      escapeHtml(result.taskId),
      result.prompt === 'cot' ? 'CoT' : 'plain',
      escapeHtml(result.scorer),
      accuracy(result, report.seeds.length),
      interval(result),
      result.interval.method === 'Wilson' ? 'Wilson' : `${number(result.interval.clusters)} clusters`,
      list(result.runs.map((run) => `${run.correct}`)),
    ]),
  );
}

/** The rows to show: the untouched student once, where it gave the same answers in every cell. */
function scorerRowsShown(report: SeriesReport): { row: SeriesScorers; labels: readonly string[] }[] {
  const { prompt } = report.series.table;
  const rows = (report.scorers ?? []).filter((row) => row.prompt === prompt || row.system === 'Baseline');
  return rows.flatMap((row) => {
    const { labels, systems } = report.cells[row.cell]!;
    if (row.system !== 'Baseline' || systems.Baseline !== undefined) return [{ row, labels }];
    const alike = rows.filter(
      (other) => other.system === row.system && other.taskId === row.taskId && other.prompt === row.prompt,
    );
    const runs = JSON.stringify(row.runs);
    if (alike.length < 2 || alike.some((other) => JSON.stringify(other.runs) !== runs)) return [{ row, labels }];
    return alike[0] === row ? [{ row, labels: labels.map(() => 'all') }] : [];
  });
}

/** Strict against lenient over seeds; nothing where no run says it. */
export function scorerTable(report: SeriesReport): string {
  const rows = scorerRowsShown(report);
  if (rows.length === 0) return '';
  const share = (row: SeriesScorers, scorer: keyof SeriesScorers['means']): string =>
    `<b>${percent(row.means[scorer])}</b>${row.sds === undefined ? '' : ` ± ${percent(row.sds[scorer])}`}`;
  return table(
    'The same answers by three scorers, accuracy %, mean ± sd over seeds',
    [
      ...report.series.axes.map(({ name: title }) => ({ title })),
      { title: 'Task' },
      { title: 'System', className: 'name' },
      { title: 'Prompt' },
      { title: 'n', numeric: true },
      { title: 'Strict', numeric: true },
      { title: 'Literal (lenient)', numeric: true },
      { title: 'Literal − strict, points', numeric: true },
      { title: 'Paper-compat', numeric: true },
    ],
    rows.map(({ row, labels }) => [
      ...labels.map(escapeHtml),
      escapeHtml(row.taskId),
      escapeHtml(systemName(report, row)),
      row.prompt === 'cot' ? 'CoT' : 'plain',
      [...new Set(row.runs.map(({ n }) => n))].join(', '),
      share(row, 'strict'),
      share(row, 'literal'),
      signedPoints(row.difference),
      share(row, 'paper-compat'),
    ]),
  );
}

/** Named pairs of systems, with every seed's test. */
export function comparisonTable(report: SeriesReport): string {
  if (report.comparisons.length === 0) return '';
  const name = ({ cell, prompt }: SeriesComparison, system: SeriesResult['system']): string =>
    escapeHtml(report.cells[cell]!.systems[system] ?? systemLabel({ system, prompt }));
  const rows = table(
    'Same questions, two systems',
    [
      ...report.series.axes.map(({ name: title }) => ({ title })),
      { title: 'Task' },
      { title: 'First → second', className: 'name' },
      { title: 'Points', numeric: true },
      { title: '95 % interval', numeric: true },
      { title: 'First : second', numeric: true, className: 'list' },
      { title: 'p (Holm)', numeric: true, className: 'list' },
    ],
    report.comparisons.map((row) => [
      ...report.cells[row.cell]!.labels.map(escapeHtml),
      escapeHtml(row.taskId),
      `${name(row, row.first)} → ${name(row, row.second)}`,
      `<b>${percent(row.difference)}</b>`,
      interval(row),
      list(row.runs.map(({ onlyFirst, onlySecond }) => `${onlyFirst} : ${onlySecond}`)),
      list(row.runs.map(({ holm }) => pValue(holm))),
    ]),
  );
  return (
    rows +
    `<p class="soft">Points: accuracy of the second less that of the first, with its interval. First : second are the questions that only the first and only the second answered correctly, one pair a seed; p is McNemar’s exact test of that seed, by Holm among all ${report.tests} tests of this table.</p>`
  );
}

export function runTable(report: SeriesReport): string {
  return table(
    'All runs of the series, each in the folder of its name',
    [
      { title: 'Run' },
      { title: 'Cell' },
      { title: 'Seed', numeric: true },
      { title: 'State' },
      { title: 'Work', numeric: true },
    ],
    report.runs.map((run) => [
      escapeHtml(run.id),
      escapeHtml(report.cells[run.cell]!.labels.join(', ')),
      number(run.seed),
      `<span class="${run.state}">${run.state}</span>`,
      run.seconds === undefined ? '' : duration(run.seconds),
    ]),
  );
}
