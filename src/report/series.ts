// series.ts: the numbers of a series of runs: accuracies over seeds, comparisons question by question, with their errors. It
// draws nothing (seriesHtml.ts) and reads no files; runs that are not finished are listed and counted nowhere.
//
// What is legitimate (docs/series.md): runs of several seeds answer the same questions, so their answers are not
// independent trials. Wilson's interval stands only where there is one run and no two questions of one content; everywhere
// else whole questions are resampled, with all their seeds.
import { holm, mcnemarExact, mean, standardDeviation, wilsonInterval } from '../base/statistics';
import type { Experiment } from '../config/experiment';
import type { Series, SeriesCell } from '../config/series';
import { matchesOneAnswer } from '../config/scorerNames';
import { SYSTEM_NAMES } from '../config/systems';
import {
  bootstrap,
  clustered,
  matched,
  rowKey,
  verdicts,
  type AnswerRow,
  type Row,
  type SeriesInterval,
} from './answers';
import type { EnvironmentReport, PromptKind, RunReport, ScorerRow, SystemName } from './types';

/** One run of the series, as far as it got. */
export interface SeriesRunResult {
  id: string;
  /** Index of its cell. */
  cell: number;
  seed: number;
  /** `waiting`: not begun, or begun and without a report yet. */
  state: RunReport['state'] | 'waiting';
  /** Of a finished run. */
  report?: RunReport;
  answers?: readonly AnswerRow[];
}

/** One system of one cell on one task: an entry for every finished run. */
export interface SeriesResult {
  cell: number;
  system: SystemName;
  taskId: string;
  prompt: PromptKind;
  scorer: string;
  runs: { seed: number; correct: number; n: number; cutOff: number }[];
  /** Of the runs' accuracies. */
  mean: number;
  /** Sample standard deviation over seeds; absent for one seed, which has no spread. */
  sd?: number;
  interval: SeriesInterval;
}

/** Two systems of one cell on the same questions. */
export interface SeriesComparison {
  cell: number;
  taskId: string;
  prompt: PromptKind;
  scorer: string;
  first: SystemName;
  second: SystemName;
  /** McNemar's exact test of each run, and its p-value by Holm among all tests of the series. */
  runs: { seed: number; onlyFirst: number; onlySecond: number; p: number; holm: number }[];
  /** Accuracy of the second less that of the first, over the questions of all these runs, with its interval. */
  difference: number;
  interval: SeriesInterval;
}

/** The answers of one system of one cell judged by every scorer, as shares: an entry for every finished run. */
export interface SeriesScorers {
  cell: number;
  system: SystemName;
  taskId: string;
  prompt: PromptKind;
  runs: { seed: number; n: number; correct: ScorerRow['correct'] }[];
  /** By scorer, of the runs' accuracies. */
  means: ScorerRow['correct'];
  /** Sample standard deviations over seeds; absent for one seed. */
  sds?: ScorerRow['correct'];
  /** Mean of literal less strict. */
  difference: number;
}

/** series.json. */
export interface SeriesReport {
  format: 'pupil-series-report';
  version: 1;
  series: Series;
  cells: SeriesCell[];
  seeds: number[];
  runs: (Omit<SeriesRunResult, 'report' | 'answers'> & { seconds?: number })[];
  results: SeriesResult[];
  comparisons: SeriesComparison[];
  /** Of runs that say it: reports of earlier versions do not. */
  scorers?: SeriesScorers[];
  /** Tests that Holm's correction counts. */
  tests: number;
  /** Each once; numbers of different adapters need not agree in their last digits. */
  environments: EnvironmentReport[];
  /** Of the first finished run. */
  student?: RunReport['student'];
  experiment?: Experiment;
}

function resultOf(cell: number, row: Row, runs: readonly SeriesRunResult[]): SeriesResult {
  const own = runs.flatMap((run) => {
    const found = run.report?.evaluations.find((one) => rowKey(one) === rowKey(row));
    return found === undefined || found.n === 0 ? [] : [{ run, row: found }];
  });
  const accuracies = own.map(({ row: { correct, n } }) => correct / n);
  const values = own.flatMap(({ run }) =>
    verdicts(run.answers, row).map(({ cluster, correct }) => ({ cluster, value: correct ? 1 : 0 })),
  );
  const [only] = own;
  const independent = own.length === 1 && clustered(values).length === only!.row.n;
  return {
    cell,
    system: row.system,
    taskId: row.taskId,
    prompt: row.prompt,
    scorer: row.scorer,
    runs: own.map(({ run: { seed }, row: { correct, n, cutOff } }) => ({ seed, correct, n, cutOff })),
    mean: mean(accuracies),
    ...(own.length > 1 ? { sd: standardDeviation(accuracies) } : {}),
    interval: independent
      ? { method: 'Wilson', ...wilsonInterval(only!.row.correct, only!.row.n), clusters: only!.row.n }
      : bootstrap(values),
  };
}

/** Rows of these runs, each once: systems in the order of their names, then tasks, prompts and scorers as evaluated. */
function rowsOf(runs: readonly SeriesRunResult[]): Row[] {
  const rows = new Map(runs.flatMap((run) => run.report?.evaluations ?? []).map((row) => [rowKey(row), row]));
  return [...rows.values()].sort((a, b) => SYSTEM_NAMES.indexOf(a.system) - SYSTEM_NAMES.indexOf(b.system));
}

/** Every scorer of one cell's runs, over seeds; systems in the order of their names. */
function scorersOf(cell: number, runs: readonly SeriesRunResult[]): SeriesScorers[] {
  const own = runs.flatMap(({ seed, report }) =>
    (report?.scorers ?? []).filter(({ n }) => n > 0).map((row) => ({ seed, row })),
  );
  const key = ({ system, taskId, prompt }: ScorerRow): string => JSON.stringify([system, taskId, prompt]);
  const groups = [...new Set(own.map(({ row }) => key(row)))].map((one) => own.filter(({ row }) => key(row) === one));
  return groups
    .map((group): SeriesScorers => {
      const { system, taskId, prompt } = group[0]!.row;
      const over = (of: (shares: readonly number[]) => number): ScorerRow['correct'] => {
        const by = (scorer: keyof ScorerRow['correct']): number =>
          of(group.map(({ row }) => row.correct[scorer] / row.n));
        return { strict: by('strict'), literal: by('literal'), 'paper-compat': by('paper-compat') };
      };
      const means = over(mean);
      return {
        cell,
        system,
        taskId,
        prompt,
        runs: group.map(({ seed, row: { n, correct } }) => ({ seed, n, correct })),
        means,
        ...(group.length > 1 ? { sds: over(standardDeviation) } : {}),
        difference: means.literal - means.strict,
      };
    })
    .sort((a, b) => SYSTEM_NAMES.indexOf(a.system) - SYSTEM_NAMES.indexOf(b.system));
}

function compare(
  cell: number,
  runs: readonly SeriesRunResult[],
  [first, second]: readonly [SystemName, SystemName],
  row: Row,
): SeriesComparison | undefined {
  const differences: { cluster: string; value: number }[] = [];
  const tests = runs.flatMap((run) => {
    const both = matched(
      verdicts(run.answers, { ...row, system: first }),
      verdicts(run.answers, { ...row, system: second }),
    ).map(({ first: before, second: after }) => ({
      cluster: before.cluster,
      value: Number(after.correct) - Number(before.correct),
    }));
    if (both.length === 0) return [];
    differences.push(...both);
    const onlyFirst = both.filter(({ value }) => value < 0).length;
    const onlySecond = both.filter(({ value }) => value > 0).length;
    return [{ seed: run.seed, onlyFirst, onlySecond, p: mcnemarExact(onlyFirst, onlySecond), holm: 1 }];
  });
  if (tests.length === 0) return undefined;
  const { taskId, prompt, scorer } = row;
  const difference = mean(differences.map(({ value }) => value));
  return { cell, taskId, prompt, scorer, first, second, runs: tests, difference, interval: bootstrap(differences) };
}

/**
 * The report of a series as far as it has got. Deterministic in its arguments.
 *
 * @param runs all of the series, in the order in which they are made.
 */
export function summariseSeries(
  series: Series,
  cells: readonly SeriesCell[],
  runs: readonly SeriesRunResult[],
): SeriesReport {
  const finished = runs.filter((run) => run.state === 'finished' && run.report !== undefined);
  const ofCell = (cell: number): SeriesRunResult[] => finished.filter((run) => run.cell === cell);
  const results = cells.flatMap((_, c) => rowsOf(ofCell(c)).map((row) => resultOf(c, row, ofCell(c))));
  const comparisons = cells.flatMap((_, c) =>
    rowsOf(ofCell(c))
      .filter(({ prompt, scorer }) => prompt === series.table.prompt && matchesOneAnswer(scorer))
      .flatMap((row) =>
        series.table.compare
          .filter(([, second]) => second === row.system)
          .flatMap((pair) => compare(c, ofCell(c), pair, row) ?? []),
      ),
  );
  const tests = comparisons.flatMap((comparison) => comparison.runs);
  holm(tests.map(({ p }) => p)).forEach((adjusted, i) => (tests[i]!.holm = adjusted));
  const environments = new Map(
    finished.map(({ report }) => {
      const { userAgent: _userAgent, ...same } = report!.environment;
      return [JSON.stringify(same), report!.environment];
    }),
  );
  const first = finished[0]?.report;
  return {
    format: 'pupil-series-report',
    version: 1,
    series,
    cells: [...cells],
    seeds: [...new Set(runs.map(({ seed }) => seed))],
    runs: runs.map(({ report, answers: _answers, ...run }) => ({
      ...run,
      ...(report === undefined ? {} : { seconds: report.timings.reduce((sum, { seconds }) => sum + seconds, 0) }),
    })),
    results,
    comparisons,
    scorers: cells.flatMap((_, c) => scorersOf(c, ofCell(c))),
    tests: tests.length,
    environments: [...environments.values()],
    ...(first === undefined ? {} : { student: first.student, experiment: first.experiment }),
  };
}
