// chapterWidgets.ts: the interactive parts that a chapter may name, each with its settings and their defaults. What each of them
// computes is in src/app/lesson/chapters/widgets/; a document only chooses.
import * as v from 'valibot';
import { field, integer, real } from './fields';
import { TASK_IDS } from './taskSchema';

/** A chapter is read in minutes: larger texts are something else. */
export const text = (most: number) =>
  v.pipe(v.string(), v.regex(/\S/, 'a text that is not empty'), v.maxLength(most, `at most ${most} characters`));
export const list = <const Item extends v.GenericSchema>(item: Item, most: number) =>
  v.pipe(v.array(item), v.minLength(1), v.maxLength(most, `at most ${most} entries`));

export const PARAGRAPH = text(4000);
export const LINE = text(300);
const proportion = v.pipe(v.number(), v.finite(), v.minValue(1e-6, 'a number above 0'), v.maxValue(1, 'at most 1'));
const seed = field(integer(0, 2 ** 31 - 1), 'Seed', 'Of what the widget draws.');

/** The sizes that the first LoRA widget offers by name. */
export const LORA_SIZES = ['lesson-q', 'llama-7b-q', 'llama-7b-down', 'llama-7b-all', 'custom'] as const;
export const LORA_TARGETS = ['few-directions', 'drawing', 'noise'] as const;

const answerSchema = v.strictObject({
  text: LINE,
  probability: field(proportion, 'Probability', 'Of the reference, as weights: they are divided by their sum.'),
  traits: field(v.array(real(-10, 10)), 'Traits', 'How much of each trait the answer has.'),
});

/** Widgets by name, each with its settings. Everything has a default but the texts that a widget cannot invent. */
export const WIDGETS = [
  v.strictObject({
    kind: v.literal('widget'),
    widget: v.literal('lora-size'),
    settings: v.optional(
      v.strictObject({
        size: v.optional(v.picklist(LORA_SIZES), 'llama-7b-q'),
        rank: v.optional(integer(1, 256), 16),
      }),
      {},
    ),
  }),
  v.strictObject({
    kind: v.literal('widget'),
    widget: v.literal('lora-fit'),
    settings: v.optional(
      v.strictObject({
        target: v.optional(v.picklist(LORA_TARGETS), 'few-directions'),
        rank: v.optional(integer(1, 16), 1),
        seed: v.optional(seed, 0),
      }),
      {},
    ),
  }),
  v.strictObject({
    kind: v.literal('widget'),
    widget: v.literal('nf4-weight'),
    settings: v.optional(
      v.strictObject({
        seed: v.optional(seed, 0),
        weight: v.optional(field(integer(1, 64), 'Weight', 'Which of the 64 is dragged at first, from 1.'), 1),
      }),
      {},
    ),
  }),
  v.strictObject({
    kind: v.literal('widget'),
    widget: v.literal('dpo-pair'),
    settings: v.optional(v.strictObject({ beta: v.optional(real(0.01, 1), 0.1) }), {}),
  }),
  v.strictObject({
    kind: v.literal('widget'),
    widget: v.literal('dpo-answers'),
    settings: v.strictObject({
      question: v.exactOptional(LINE),
      traitNames: field(list(LINE, 6), 'Traits', 'What answers may share: one number is trained for each.'),
      answers: v.pipe(
        v.array(answerSchema),
        v.minLength(2, 'at least two answers'),
        v.maxLength(8, 'at most 8 answers'),
      ),
      chosen: field(integer(1, 8), 'Chosen', 'Number of the chosen answer, from 1.'),
      rejected: field(integer(1, 8), 'Rejected', 'Number of the rejected answer, from 1.'),
      beta: v.optional(real(0.01, 1), 0.1),
      learningRate: v.optional(real(0.01, 10), 1),
    }),
  }),
  v.strictObject({
    kind: v.literal('widget'),
    widget: v.literal('string-matching'),
    settings: v.strictObject({
      examples: list(
        v.strictObject({
          label: LINE,
          task: v.picklist(TASK_IDS),
          text: text(4000),
          target: LINE,
          choices: v.exactOptional(list(LINE, 26)),
          note: v.exactOptional(PARAGRAPH),
        }),
        30,
      ),
    }),
  }),
  v.strictObject({
    kind: v.literal('widget'),
    widget: v.literal('how-little-data'),
    settings: v.optional(
      v.strictObject({
        task: v.optional(v.picklist(['A stories', 'B sums']), 'A stories'),
        predict: v.optional(
          field(v.boolean(), 'Predict', 'Ask for a prediction first; one curve stays hidden until then.'),
          true,
        ),
      }),
      {},
    ),
  }),
] as const;
