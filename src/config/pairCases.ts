// pairCases.ts: the cases in which preference pairs come out, with what each means: names of counts in the run log, in reports
// and on the page. How pairs are made is recipes/pairs.ts.

/** Every case that is counted, with what it means; the order is that of the run log. */
export const PAIR_CASES = {
  prompts: 'prompts sampled (demonstrations × samples each)',
  cot_correct: 'target found in ŷ',
  teacher_fallback: 'target not in ŷ: the teacher’s answer is chosen instead',
  teacher_wrong: 'of these, the teacher’s answer misses the target too',
  teacher_wrong_dropped: 'of these, dropped (wrongTeacher: drop)',
  plain_correct: 'y is correct',
  plain_correct_skipped: 'of these, no pair made (rejectOnlyWrong)',
  plain_reasons: 'y reasons although it was not asked to (more than 12 words)',
  cot_cut_off: 'ŷ cut off by the token limit: gets no end of text',
  plain_cut_off: 'y cut off by the token limit: gets no end of text',
  chosen_cut_off: 'chosen answers that were cut off',
  empty: 'y or ŷ is empty',
  identical_skipped: 'chosen and rejected are the same text: no pair',
  too_long: 'prompt and answer exceed the student’s context: no pair',
  pairs: 'pairs made',
  training_pairs: 'pairs trained on',
  validation_pairs: 'pairs held out for validation',
} as const;
export type PairCase = keyof typeof PAIR_CASES;
