// pairWords.ts: why a preference pair came out as it did, in sentences. The cases are counted by the session.
import type { PairEvent } from '../../session/protocol';

/** What decided the chosen answer, and what is worth knowing of the rejected one. */
export function whyPair({ chosenFrom, cases }: Pick<PairEvent, 'chosenFrom' | 'cases'>): string[] {
  const has = (name: string): boolean => cases.includes(name);
  const sentences = [
    chosenFrom === 'teacher'
      ? 'ŷ missed the target, so the teacher’s answer is chosen in its place.'
      : 'ŷ reached the target, so the student’s own reasoning is chosen.',
  ];
  if (has('teacher_wrong')) sentences.push('The teacher missed it as well.');
  sentences.push(
    has('plain_correct')
      ? 'y is rejected although it is right: the method prefers reasoning to a bare answer.'
      : 'y is rejected, and it is wrong.',
  );
  if (has('plain_reasons')) sentences.push('y reasons too, although it was not asked to.');
  if (has('chosen_cut_off') || has('cot_cut_off') || has('plain_cut_off')) {
    sentences.push('An answer was cut off by the limit of tokens.');
  }
  return sentences;
}
