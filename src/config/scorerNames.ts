// scorerNames.ts: what the rows of an evaluation are called by how the answer was come by: string matching of one answer by one
// of the scorers, probing, or the vote of several answers. Only the names, wherever rows are told apart.
import { SCORERS } from './phaseSchema';

/** Probing chooses by the option's letter as the prompt has it ("A)"), or by its text; by Σ log π, or by its mean over tokens. */
export const PROBINGS = {
  letter: { sum: 'probing', mean: 'probing, per token' },
  text: { sum: 'probing by text', mean: 'probing by text, per token' },
} as const;
export type ProbedBy = keyof typeof PROBINGS;
export const PROBED_BY = Object.keys(PROBINGS) as ProbedBy[];

/** The row of a vote among so many answers. */
export const selfConsistencyScorer = (samples: number): string => `self-consistency (${samples})`;
export const isSelfConsistency = (scorer: string): boolean => scorer.startsWith('self-consistency (');

/** Whether a row is of one generated answer a question, matched against its target: what headlines and comparisons go by. */
export const matchesOneAnswer = (scorer: string): boolean => (SCORERS as readonly string[]).includes(scorer);
