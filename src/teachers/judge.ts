// judge.ts: the quality of answers as another model rates it, from 1 to 3: the prompt of Table 12, the rating in its reply, and
// averages as in Tables 13 and 14 (arXiv 2405.00402, appendix H). The judge is asked as any teacher behind an API is
// (apiTeacher.ts): here are only the questions for it and what its replies say.
import { clusterBootstrap, mean, standardDeviation, type Interval } from '../base/statistics';
import type { TeacherTask } from './demonstration';

/** An answer to be rated. */
export interface JudgedAnswer {
  id: string;
  /** As it was asked: instruction, question, choices. */
  question: string;
  answer: string;
}

export const RATINGS = [1, 2, 3] as const;
export type Rating = (typeof RATINGS)[number];

/** Table 12, word for word; an empty answer is shown as such. */
export function judgePrompt({ question, answer }: Pick<JudgedAnswer, 'question' | 'answer'>): string {
  return [
    'Please act as an impartial judge and evaluate the quality of the response provided by an AI assistant to the user ' +
      'instruction displayed below. Your evaluation should consider factors such as quality, accuracy, depth, and level ' +
      'of detail. Begin your assessment with a short explanation. Be as objective as possible. After providing your ' +
      'explanation, please rate the response on a scale of 1 to 3 strictly following this format: "[[rating]]", for ' +
      'example: "Rating: [[2]]".',
    '[question]',
    question,
    '[AI assistant’s response]',
    answer,
  ].join('\n');
}

/** What may be wrong with a reply. */
export type Unparsable = 'no rating' | 'not on the scale' | 'several ratings';
export type ParsedRating = { rating: Rating } | { unparsable: Unparsable };

/**
 * The rating that a judge's reply commits to: what stands in double brackets. The same one twice counts once; different ones
 * are no rating, since a judge that quotes the format ("[[2]]") and then rates would be read at random. A number without
 * brackets is no rating: the prompt asks for them strictly.
 */
export function parseRating(reply: string): ParsedRating {
  const said = [...reply.matchAll(/\[\[([^[\]]*)\]\]/g)].map((match) => match[1]!.trim());
  if (said.length === 0) return { unparsable: 'no rating' };
  const values = new Set(said.map((text) => (/^\d+(?:\.0*)?$/.test(text) ? Number(text) : Number.NaN)));
  if (values.size > 1) return { unparsable: 'several ratings' };
  const rating = RATINGS.find((one) => values.has(one));
  return rating === undefined ? { unparsable: 'not on the scale' } : { rating };
}

/**
 * The answers as items for a teacher behind an API: each is asked with its judge's prompt, and its reply comes back as the
 * answer of a demonstration with its id. `isCorrect` is whether the reply has a rating. Ids must differ; planLesson refuses
 * others.
 */
export function judgingTask(answers: readonly JudgedAnswer[]): TeacherTask {
  const byId = new Map(answers.map((one) => [one.id, one]));
  const prompt = ({ id, question }: { id: string; question: string }): string =>
    judgePrompt({ question, answer: byId.get(id)?.answer ?? '' });
  return {
    id: 'judge',
    items: answers.map(({ id, question }) => ({ id, question, target: '' })),
    plainPrompt: prompt,
    cotPrompt: prompt,
    isCorrect: (_, reply) => 'rating' in parseRating(reply),
  };
}

/** A cell of Tables 13 and 14. */
export interface Quality {
  /** Rated answers. */
  n: number;
  /** Of the ratings; absent where there is none. */
  mean?: number;
  /** The sample's (n − 1); absent with fewer than two. */
  sd?: number;
  /** Of the mean, 95 %: the bootstrap over questions; absent with fewer than two ratings, and no wider than they scatter. */
  interval?: Interval;
  counts: Record<Rating, number>;
  /** Replies without a rating, by what was wrong. They have no part in the mean. */
  unparsable: Record<Unparsable, number>;
  /** Answers to which no reply came. */
  missing: number;
}

/** What the judge replied to each of a cell's answers, in any order; undefined where there is no reply. */
export function summarizeQuality(replies: readonly (string | undefined)[]): Quality {
  const quality: Quality = {
    n: 0,
    counts: { 1: 0, 2: 0, 3: 0 },
    unparsable: { 'no rating': 0, 'not on the scale': 0, 'several ratings': 0 },
    missing: 0,
  };
  const ratings: Rating[] = [];
  for (const reply of replies) {
    const parsed = reply === undefined ? undefined : parseRating(reply);
    if (parsed === undefined) quality.missing++;
    else if ('unparsable' in parsed) quality.unparsable[parsed.unparsable]++;
    else {
      quality.counts[parsed.rating]++;
      ratings.push(parsed.rating);
    }
  }
  quality.n = ratings.length;
  if (ratings.length > 0) quality.mean = mean(ratings);
  if (ratings.length > 1) {
    quality.sd = standardDeviation(ratings);
    quality.interval = clusterBootstrap(ratings.map((rating) => ({ sum: rating, count: 1 })));
  }
  return quality;
}
