// compareWords.ts: what a paired comparison says, in words that a student understands; and several tasks taken together. The
// comparison of one task is the session's.
import { mcnemarExact, pairedDifferenceInterval, type Interval, type PairedCounts } from '../../base/statistics';
import type { PairedResult } from '../../session/protocol';
import { formatCount, formatNumber } from '../format';

/** One task, or several together. */
export interface Compared {
  counts: PairedCounts;
  n: number;
  difference: number;
  p: number;
  /** Absent where several tasks are taken together and questions of one repeat each other. */
  interval?: Interval;
}

/** What is usually called significant; it decides about words only. */
const HARDLY_CHANCE = 0.05;

/**
 * Counts of several tasks added up: their questions are different ones, so McNemar's test and Newcombe's interval hold for the
 * sum as for each. Where a task has questions that ask the same, Newcombe's does not, and there is no interval.
 */
export function together(results: readonly PairedResult[]): Compared {
  const sum = (of: keyof PairedCounts): number => results.reduce((total, { counts }) => total + counts[of], 0);
  const counts: PairedCounts = {
    both: sum('both'),
    onlyFirst: sum('onlyFirst'),
    onlySecond: sum('onlySecond'),
    neither: sum('neither'),
  };
  const n = counts.both + counts.onlyFirst + counts.onlySecond + counts.neither;
  const independent = results.every(({ interval }) => interval.method === 'Newcombe, paired');
  return {
    counts,
    n,
    difference: n === 0 ? 0 : (counts.onlySecond - counts.onlyFirst) / n,
    p: mcnemarExact(counts.onlyFirst, counts.onlySecond),
    ...(independent ? { interval: pairedDifferenceInterval(counts) } : {}),
  };
}

/** `Of 100 questions B got 31 right that A did not, and A got 4 right that B did not.` */
export const splitWords = ({ counts, n }: Compared): string =>
  `Of ${formatCount(n, 'question')} B got ${formatNumber(counts.onlySecond)} right that A did not, and A got ${formatNumber(counts.onlyFirst)} right that B did not.`;

/** Whether that can be chance, and what the test asks. */
export function chanceWords({ counts, p }: Compared): string {
  const apart = counts.onlyFirst + counts.onlySecond;
  if (apart === 0) return 'No question tells the two apart: there is nothing to test.';
  const verdict = p < HARDLY_CHANCE ? 'Such a difference is hardly chance' : 'Such a difference may well be chance';
  const coins =
    apart === 1 ? 'that one question is the toss of a coin' : `each of these ${apart} is the toss of a coin`;
  return `${verdict}: if both are equally good, ${coins}, and coins fall this unevenly or more so ${oftenWords(p)}.`;
}

function oftenWords(p: number): string {
  if (p >= 0.995) return 'every time';
  if (p >= 0.1) return `about ${Math.round(100 * p)} times in 100`;
  if (p >= 0.001) return `about ${Math.round(1000 * p)} times in 1,000`;
  return 'less than once in 1,000 times';
}
