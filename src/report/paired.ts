// paired.ts: two systems on the same test questions, of one run or of two: who was right where the other was wrong, McNemar's
// exact test, and the difference in accuracy with an interval for paired answers. Which runs there are is the caller's.
import { PupilError } from '../base/errors';
import { mcnemarExact, pairedDifferenceInterval, type PairedCounts } from '../base/statistics';
import { bootstrap, clustered, matched, verdicts, type AnswerRow, type Row, type Verdict } from './answers';

/** One side of a comparison. */
export interface PairedSide {
  row: Row;
  answers: readonly AnswerRow[];
}

/** What came of it; accuracies are those on the questions that both answered. */
export interface PairedResult {
  counts: PairedCounts;
  /** Questions that both answered. */
  n: number;
  /** Accuracy of the second less that of the first, as a share, with its 95 % interval. */
  difference: number;
  interval: { method: 'Newcombe, paired' | 'cluster bootstrap'; low: number; high: number; clusters: number };
  /** McNemar's exact test, two-sided. */
  p: number;
  /** Questions of one side only, and those of one id that ask something else: in none of the numbers. */
  unmatched: { first: number; second: number; different: number };
  /** What a reader must know before the numbers. */
  warnings: string[];
}

const sameQuestion = (a: Verdict, b: Verdict): boolean =>
  a.target === b.target && (a.question === undefined || b.question === undefined || a.question === b.question);

const plural = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`;

/**
 * Compares two systems question by question. Questions are matched by task and id; where both know the wording or the target
 * and these differ, they are no match. Where all questions are different ones the interval is Newcombe's for paired
 * proportions (base/statistics.ts); where several ask the same thing, whole groups of these are resampled.
 *
 * @throws PupilError `data` where one side has no such row, or the two have no question in common.
 */
export function comparePaired(first: PairedSide, second: PairedSide): PairedResult {
  if (first.row.taskId !== second.row.taskId) {
    throw new PupilError(
      'usage',
      `compare: expected one task, got ${first.row.taskId} and ${second.row.taskId}`,
      'Two systems can be compared on the same test questions only.',
    );
  }
  const [own, other] = [first, second].map(({ row, answers }) => {
    const found = verdicts(answers, row);
    if (found.length > 0) return found;
    throw new PupilError(
      'data',
      `compare: expected answers of ${row.system} to ${row.taskId} (${row.prompt} prompt, ${row.scorer}), there are none`,
      'The run was not evaluated in this way, or its predictions are not stored.',
    );
  }) as [Verdict[], Verdict[]];
  const byId = matched(own, other);
  const pairs = byId.filter((pair) => sameQuestion(pair.first, pair.second));
  const different = byId.length - pairs.length;
  const unmatched = { first: own.length - byId.length, second: other.length - byId.length, different };
  if (pairs.length === 0) {
    throw new PupilError(
      'data',
      `compare: expected test questions that both answered, of ${own.length} and ${other.length} none match` +
        (different > 0 ? ` (${plural(different, 'question')} of one id ask something else)` : ''),
      'Compare runs that were tested on the same questions: the same task, split and test limit.',
    );
  }
  const counts: PairedCounts = { both: 0, onlyFirst: 0, onlySecond: 0, neither: 0 };
  for (const { first: a, second: b } of pairs) {
    counts[a.correct ? (b.correct ? 'both' : 'onlyFirst') : b.correct ? 'onlySecond' : 'neither']++;
  }
  const values = pairs.map(({ first: a, second: b }) => ({
    cluster: a.cluster,
    value: Number(b.correct) - Number(a.correct),
  }));
  const clusters = clustered(values).length;
  const n = pairs.length;
  const independent = clusters === n;
  return {
    counts,
    n,
    difference: (counts.onlySecond - counts.onlyFirst) / n,
    interval: independent
      ? { method: 'Newcombe, paired', ...pairedDifferenceInterval(counts), clusters }
      : { ...bootstrap(values), method: 'cluster bootstrap' },
    p: mcnemarExact(counts.onlyFirst, counts.onlySecond),
    unmatched,
    warnings: warningsOf({
      n,
      clusters,
      unmatched,
      same: first.row.prompt === second.row.prompt && first.row.scorer === second.row.scorer,
    }),
  };
}

function warningsOf(of: {
  n: number;
  clusters: number;
  unmatched: PairedResult['unmatched'];
  same: boolean;
}): string[] {
  const { first, second, different } = of.unmatched;
  return [
    ...(first + second > 0
      ? [
          `The test questions differ: ${of.n} match, ${first} are answered by the first only, ${second} by the second only. The numbers are of those that match.`,
        ]
      : []),
    ...(different > 0
      ? [`${plural(different, 'question')} of one id ask something else in the other run and are left out.`]
      : []),
    ...(of.clusters < of.n
      ? [
          `Of ${of.n} questions ${of.clusters} are different: the interval resamples those together that ask the same; the test counts them as independent, so its p is too small.`,
        ]
      : []),
    ...(of.same ? [] : ['The two were asked or scored in different ways: the difference is of these, too.']),
  ];
}
