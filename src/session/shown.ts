// shown.ts: the texts of a run as events for whoever looks on: demonstrations, answers, pairs. Bounded, whatever the run: of many
// a few, spread evenly, and long texts cut with a note. The whole of them is in the run's artefacts.
import type { Generation } from '../model/generator';
import type { PreferencePair, RefineItem } from '../recipes/pairs';
import type { DemonstrationEvent, PairEvent, SampledEvent } from './lessonProtocol';
import type { Prepared } from './prepare';

/** Of each kind of text. */
export const MOST_SHOWN = 64;
/** Characters of one text. A demonstration has some hundreds. */
export const MOST_CHARACTERS = 2000;

/** Whether number `index` of `total` is among those that are shown: the first, and the others evenly behind it. */
export function isShown(index: number, total: number, most = MOST_SHOWN): boolean {
  if (total <= most) return true;
  return Math.floor((index * most) / total) !== Math.floor(((index - 1) * most) / total);
}

/** A text as it is shown: not longer than {@link MOST_CHARACTERS} and a note. Never cut within a character. */
export function shortened(text: string): string {
  if (text.length <= MOST_CHARACTERS) return text;
  const kept = text.slice(0, MOST_CHARACTERS).replace(/[\uD800-\uDBFF]$/u, '');
  return `${kept} … (cut: ${text.length} characters)`;
}

/** The demonstrations that are shown. */
export function shownDemonstrations({ demonstrations }: Pick<Prepared, 'demonstrations'>): DemonstrationEvent[] {
  const total = demonstrations.length;
  return demonstrations.flatMap((one, index) =>
    isShown(index, total)
      ? [
          {
            type: 'demonstration' as const,
            taskId: one.taskId,
            label: shortened(one.teacher),
            instruction: shortened(one.instruction),
            question: shortened(one.question),
            answer: shortened(one.answer),
            target: shortened(one.target),
            correct: one.correct,
            index,
            total,
          },
        ]
      : [],
  );
}

/** Answers from number `first` on, as far as they are shown. Several may be samples of one prompt, in a row. */
export function shownAnswers(
  which: SampledEvent['which'],
  answers: readonly Generation[],
  {
    items,
    samplesPerPrompt,
    first,
    decode,
  }: { items: readonly RefineItem[]; samplesPerPrompt: number; first: number; decode: Prepared['decode'] },
): SampledEvent[] {
  const total = items.length * samplesPerPrompt;
  return answers.flatMap((answer, i) => {
    const index = first + i;
    if (!isShown(index, total)) return [];
    const item = items[Math.floor(index / samplesPerPrompt)]!;
    const text = decode(answer.ids);
    return [
      {
        type: 'sampled' as const,
        which,
        taskId: item.taskId,
        prompt: shortened((which === 'y' ? item.plain : item.cot).text),
        text: shortened(text),
        target: shortened(item.target),
        correct: item.isCorrect(text),
        index,
        total,
      },
    ];
  });
}

/** The pairs that are shown. */
export function shownPairs(pairs: readonly PreferencePair[]): PairEvent[] {
  const total = pairs.length;
  return pairs.flatMap(({ taskId, prompt, chosen, rejected, target, cases }, index) =>
    isShown(index, total)
      ? [
          {
            type: 'pair' as const,
            taskId,
            prompt: shortened(prompt.text),
            chosen: shortened(chosen.text),
            rejected: shortened(rejected.text),
            target: shortened(target),
            chosenFrom: chosen.from,
            cases: [...cases],
            index,
            total,
          },
        ]
      : [],
  );
}
