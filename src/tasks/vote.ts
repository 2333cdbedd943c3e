// vote.ts: self-consistency (Wang et al. 2023, arXiv:2203.11171): several sampled answers to one question, and what most of
// them say. It counts answers that were extracted already; sampling and judging are elsewhere.
import type { Extraction } from './extract/answerText';

/** What most samples say. */
export interface Vote {
  /** Absent where no sample has an answer. */
  answer?: string;
  /** Samples that give it, those that give any answer, and all. */
  votes: number;
  answered: number;
  samples: number;
}

/**
 * The most frequent answer. Samples without one do not vote; of answers equally frequent the one that came first wins, so
 * that the result does not depend on anything but the samples and their order.
 * @param same when two answers are one: by text, unless the kind of task knows better (`sameExpression`, say). It should
 *   be transitive; an answer joins the first that it equals.
 */
export function majorityVote(
  extractions: readonly Pick<Extraction, 'answer'>[],
  same: (a: string, b: string) => boolean = (a, b) => a === b,
): Vote {
  const counts: { answer: string; votes: number }[] = [];
  for (const { answer } of extractions) {
    if (answer === undefined) continue;
    const known = counts.find((one) => same(one.answer, answer));
    if (known === undefined) counts.push({ answer, votes: 1 });
    else known.votes++;
  }
  const answered = counts.reduce((sum, { votes }) => sum + votes, 0);
  const samples = extractions.length;
  if (counts.length === 0) return { votes: 0, answered, samples };
  const best = counts.reduce((first, one) => (one.votes > first.votes ? one : first));
  return { ...best, answered, samples };
}
