// compareSeries.ts: a series made again against the one that was published: the same counts on the same machine, and within
// the errors of sampling on another. Pure; who reads the files is scripts/lessonVerify.mjs.
import { PupilError } from '../base/errors';
import type { SeriesReport, SeriesResult } from './series';
import type { EnvironmentReport } from './types';

/** One row of the table, in both series, over the seeds that both have. */
export interface ComparedResult {
  /** The cell's labels, the system, task, prompt and scorer. */
  name: string;
  seeds: number[];
  /** Right answers and questions of all these runs. */
  published: { correct: number; n: number };
  again: { correct: number; n: number };
  /** Whether every seed has the same count. */
  equal: boolean;
  /**
   * |difference of accuracies| / √(2·p̄·(1−p̄)/n), n the questions of all these runs: how many standard errors of the
   * difference apart they are, if every answer were drawn by itself. 0 where both are equal.
   */
  standardErrors: number;
}

export interface SeriesAgreement {
  /** Adapter, kernel variants, tier and version are the same: counts must be equal. */
  sameMachine: boolean;
  results: ComparedResult[];
  /** Rows that one of them has and the other lacks. */
  missing: string[];
  unequal: number;
  /** More than two, and more than four standard errors apart. */
  beyondTwo: number;
  beyondFour: number;
  agrees: boolean;
}

/** Of all rows, how many may lie more than two standard errors apart: 3 of 16, as the prototype's table is judged. */
export const SHARE_BEYOND_TWO = 3 / 16;

/** What the numbers depend on; the host does not matter, nor does the name of the program around it. */
const machine = ({ userAgent: _userAgent, host: _host, ...same }: EnvironmentReport): string => JSON.stringify(same);

function rowName(report: SeriesReport, { cell, system, taskId, prompt, scorer }: SeriesResult): string {
  const { labels, systems } = report.cells[cell]!;
  return [...labels, systems[system] ?? system, taskId, prompt, scorer].join(' · ');
}

const rowsOf = (report: SeriesReport): Map<string, SeriesResult> =>
  new Map(report.results.map((result) => [rowName(report, result), result]));

const total = (runs: SeriesResult['runs']): { correct: number; n: number } => ({
  correct: runs.reduce((sum, { correct }) => sum + correct, 0),
  n: runs.reduce((sum, { n }) => sum + n, 0),
});

function compareRow(name: string, published: SeriesResult, again: SeriesResult): ComparedResult | undefined {
  const pairs = published.runs.flatMap((before) => {
    const now = again.runs.find(({ seed }) => seed === before.seed);
    return now === undefined ? [] : [{ before, now }];
  });
  if (pairs.length === 0) return undefined;
  const [first, second] = [total(pairs.map(({ before }) => before)), total(pairs.map(({ now }) => now))];
  if (first.n !== second.n) {
    throw new PupilError(
      'data',
      `compareSeries: ${name}: expected ${first.n} questions as published, got ${second.n}`,
      'Compare with a series of the same file.',
    );
  }
  const p = (first.correct + second.correct) / (first.n + second.n);
  const difference = Math.abs(first.correct - second.correct) / first.n;
  return {
    name,
    seeds: pairs.map(({ before: { seed } }) => seed),
    published: first,
    again: second,
    equal: pairs.every(({ before, now }) => before.correct === now.correct && before.n === now.n),
    // Where all answers are right, or all wrong, there is no difference either.
    standardErrors: difference === 0 ? 0 : difference / Math.sqrt((2 * p * (1 - p)) / first.n),
  };
}

/**
 * Compares the strict accuracies (and those by probing) of two reports of one series, over the seeds that both have.
 *
 * On the same machine they agree where every count is equal. On another one, rounding differs, and training carries it
 * on: they agree where at most 3 of 16 rows lie more than two standard errors apart and none more than four.
 *
 * @throws PupilError `data` for reports of different questions, or with no seed in common.
 */
export function compareSeries(published: SeriesReport, again: SeriesReport): SeriesAgreement {
  const [before, now] = [rowsOf(published), rowsOf(again)];
  const missing = [
    ...[...before.keys()].filter((name) => !now.has(name)),
    ...[...now.keys()].filter((name) => !before.has(name)),
  ];
  const results = [...before].flatMap(([name, row]) => {
    const other = now.get(name);
    return other === undefined ? [] : (compareRow(name, row, other) ?? []);
  });
  if (results.length === 0) {
    throw new PupilError('data', 'compareSeries: expected results of the same seeds, the two have none in common');
  }
  const machines = new Set([...published.environments, ...again.environments].map(machine));
  const sameMachine = machines.size === 1;
  const unequal = results.filter(({ equal }) => !equal).length;
  const beyondTwo = results.filter(({ standardErrors }) => standardErrors > 2).length;
  const beyondFour = results.filter(({ standardErrors }) => standardErrors > 4).length;
  const close = beyondFour === 0 && beyondTwo <= SHARE_BEYOND_TWO * results.length;
  return {
    sameMachine,
    results,
    missing,
    unequal,
    beyondTwo,
    beyondFour,
    agrees: missing.length === 0 && (sameMachine ? unequal === 0 : close),
  };
}
