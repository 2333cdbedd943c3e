// paperRows.ts: every number of the paper's tables and figures as a row for programs (CSV), and the texts that tables for people
// share. It computes nothing.
import type { JudgeCell } from './judgeRows';
import { percentText } from './cells';
import { percent } from './escape';
import { familyNumber } from './paperFigures';
import type { PaperReport, PaperSection } from './paperReport';
import type { SeriesResult } from './series';

type Spread = Pick<SeriesResult, 'mean'> & { sd?: number };

/** `89.1 ± 0.8`; one seed has no ±. */
export const accuracyText = ({ mean, sd }: Spread): string =>
  `${percent(mean)}${sd === undefined ? '' : ` ± ${percent(sd)}`}`;

/** `54.1 – 68.9`, or '' where there is none. */
export const intervalText = (interval: { low: number; high: number } | undefined): string =>
  interval === undefined || !Number.isFinite(interval.low)
    ? ''
    : `${percent(interval.low)} – ${percent(interval.high)}`;

/** `2.43 ± 0.11` */
export const ratingText = ({ mean, sd }: Spread): string =>
  `${mean.toFixed(2)}${sd === undefined ? '' : ` ± ${sd.toFixed(2)}`}`;

/** Numbers of questions that occur: `500`, or `420, 500`. */
export const sizesText = (runs: readonly { n: number }[]): string => [...new Set(runs.map(({ n }) => n))].join(', ');

/** Every seed with its count: `0: 450/500, 1: 444/500`. */
export const seedsText = (runs: readonly { seed: number; correct: number; n: number }[]): string =>
  runs.map(({ seed, correct, n }) => `${seed}: ${correct}/${n}`).join(', ');

type Row = Record<string, string | number | null>;

const rounded = (share: number | undefined): number | null =>
  share === undefined || !Number.isFinite(share) ? null : Number((100 * share).toFixed(4));

const numbers = (result: SeriesResult): Row => ({
  mean_percent: rounded(result.mean),
  sd_percent: rounded(result.sd),
  low_percent: rounded(result.interval.low),
  high_percent: rounded(result.interval.high),
  interval_by: result.interval.method,
  n: sizesText(result.runs),
  seeds: result.runs.length,
  seed_correct_n: seedsText(result.runs),
});

/** Table 1, 10 or 11: a row for every cell. */
export const gridRows = ({ student, results, published }: PaperSection): Row[] =>
  results.grid.blocks.flatMap(({ trainedOn, detail, rows }, b) =>
    rows.flatMap(({ label, cells }, r) => {
      const paper = published.find(({ block, row }) => block === b && row === r);
      return cells.flatMap((cell, c) =>
        cell === null
          ? []
          : [
              {
                student,
                trained_on: trainedOn,
                experiment: detail,
                row: label,
                tested_on: results.grid.tasks[c]!,
                place: cell.place ?? '',
                ...numbers(cell.result),
                paper_percent: paper?.values[c] ?? null,
              },
            ],
      );
    }),
  );

/** Figures 2 to 5: a row for every point and bar. */
export const figureRows = ({ student, results: { splits, families } }: PaperSection): Row[] => [
  ...families.flatMap((figure) =>
    figure.bars.map(({ taskId, label, share, result }) => ({
      figure: familyNumber(figure),
      student,
      teacher: figure.teacher,
      family: figure.family,
      experiment: figure.detail,
      trained_on: taskId,
      tested_on: taskId,
      line: label,
      demonstrations: share === undefined ? '' : percentText(share),
      ...numbers(result),
    })),
  ),
  ...splits.flatMap(({ trainedOn, detail, taskId, baseline, lines }) =>
    [
      ...(baseline === null ? [] : [{ name: 'untouched student', points: [{ share: undefined, result: baseline }] }]),
      ...lines,
    ].flatMap(({ name, points }) =>
      points.map(({ share, result }) => ({
        figure: 4,
        student,
        teacher: '',
        family: '',
        experiment: detail,
        trained_on: trainedOn,
        tested_on: taskId,
        line: name,
        demonstrations: share === undefined ? '' : percentText(share),
        ...numbers(result),
      })),
    ),
  ),
];

/** Table 5. */
export const teacherRows = ({ teachers }: PaperReport): Row[] =>
  teachers.map(({ taskId, label, family, mean, sd, interval, runs, published }) => ({
    task: taskId,
    teacher: label,
    family,
    questions: 'training, CoT prompt',
    mean_percent: rounded(mean),
    sd_percent: rounded(sd),
    low_percent: rounded(interval?.low),
    high_percent: rounded(interval?.high),
    n: sizesText(runs),
    seeds: runs.length,
    seed_correct_n: seedsText(runs),
    paper_percent: published ?? null,
  }));

/** Tables 13 and 14: a row for every task of every system, and one over all tasks. */
export const qualityRows = ({ quality }: PaperReport): Row[] =>
  quality.rows.flatMap(({ student, detail, system, judge, cells, all, published }) =>
    [...quality.tasks.map((task) => [task, cells[task]] as const), ['all', all] as const].flatMap(([task, cell]) =>
      cell === undefined || cell === null
        ? []
        : [
            {
              student,
              experiment: detail,
              system,
              judge,
              task,
              ...ratingOf(cell),
              paper: task === 'all' ? (published ?? null) : null,
            },
          ],
    ),
  );

const ratingOf = ({ mean, sd, interval, runs, unparsable, missing }: JudgeCell): Row => ({
  mean,
  sd: sd ?? null,
  low: interval?.low ?? null,
  high: interval?.high ?? null,
  n: runs.map(({ seed, n }) => `${seed}: ${n}`).join(', '),
  unparsable,
  missing,
});

/** What is not in the tables, and why: a row for each. */
export const missingRows = (report: PaperReport): Row[] => [
  ...report.grids.flatMap(({ from, name, missing }) =>
    missing.map(({ cell, runs, why }) => ({ kind: 'cell', what: `${name}: ${cell}`, runs, from, why: why.join('; ') })),
  ),
  ...report.pending.map(({ name, seed, state, how, from }) => ({
    kind: `run ${state}`,
    what: seed === undefined ? name : `${name}, seed ${seed}`,
    runs: 1,
    from,
    why: how,
  })),
  ...report.repeated.map(({ runId, newer }) => ({
    kind: 'repeated run',
    what: runId,
    runs: 1,
    from: '',
    why: `${newer} is the same experiment with the same seed, and newer`,
  })),
  ...report.left.map(({ from, reason }) => ({ kind: 'file', what: from, runs: null, from, why: reason })),
];
