// demonstrationsSchema.ts: the settings of one teacher of an experiment: whose demonstrations, of which task, read from which files
// and how, which of them are trained on. Like schema.ts it checks single fields only.
import * as v from 'valibot';
import { field, fileList, integer, nonEmptyText, pathHint, positive } from './fields';

export const DEMONSTRATION_FORMATS = [
  'llm-adapters',
  'alpaca',
  'prompt-completion',
  'chat',
  'sharegpt',
  'cot-aligned',
  'zero-shot-cot-log',
  'lesson',
  'jsonl',
  'fields',
] as const;

export const DemonstrationsSchema = v.strictObject({
  label: field(nonEmptyText, 'Teacher', 'The name under which this teacher appears in tables, e.g. "PaLM 540B".'),
  task: field(nonEmptyText, 'Task', 'The `name` of the task these demonstrations belong to.'),
  files: field(fileList, 'Files', `Read in numeric order (_10 after _9) and concatenated. ${pathHint}`),
  format: field(
    v.picklist(DEMONSTRATION_FORMATS),
    'Format',
    'llm-adapters: question, chain-of-thought, pred, answer. alpaca: instruction, input, output, answer. prompt-completion: prompt, completion (texts or messages). chat: messages of {role, content}. sharegpt: conversations of {from, value}. zero-shot-cot-log: the printed logs of zero-shot-CoT. fields: any rows, by the names in `fields`. cot-aligned: rationale strings aligned by index with `alignedWith`. lesson: rows of the lesson’s files. jsonl: Pupil’s own demonstrations.jsonl.',
  ),
  fields: v.exactOptional(
    field(
      v.strictObject({
        question: field(nonEmptyText, 'Question', 'Where a row has the question, or the whole prompt.'),
        answer: field(nonEmptyText, 'Answer', 'Where it has the teacher’s answer with its reasoning.'),
        choices: v.exactOptional(
          field(nonEmptyText, 'Choices', 'Where it has the list of choices: it tells questions of one wording apart.'),
        ),
        itemId: v.exactOptional(field(nonEmptyText, 'Item', 'Where it has the id of the item that is answered.')),
      }),
      'Fields',
      'For the format fields: what is where in a row. A path such as model.solution leads into nested rows.',
    ),
  ),
  alignedWith: v.exactOptional(
    field(fileList, 'Aligned with', 'For cot-aligned: the files whose rows the rationales belong to, in order.'),
  ),
  family: v.optional(
    field(
      v.picklist(['in-family', 'out-family']),
      'Family',
      'in-family: the teacher is of the student’s own model family.',
      { origin: 'paper', section: '§3.2' },
    ),
    'out-family',
  ),
  limit: v.exactOptional(
    field(integer(1), 'At most', 'Use at most so many demonstrations: the first in the order of the split.', {
      unit: 'demonstrations',
      origin: 'ours',
    }),
  ),
  fraction: v.optional(
    field(
      positive(1),
      'Fraction',
      'Share of the training split whose demonstrations are used; smaller shares are subsets of larger ones (Figure 4).',
      { origin: 'paper', section: 'App. C.1' },
    ),
    1,
  ),
  keepWrong: v.optional(
    field(
      v.boolean(),
      'Keep wrong answers',
      'Train on demonstrations whose answer misses the target. The paper does not say; the rate is reported.',
      { origin: 'ours' },
    ),
    true,
  ),
  truncateAt: v.optional(
    field(
      v.array(nonEmptyText),
      'Cut at',
      'The answer ends before the first of these texts, e.g. "\\n\\nQ:" where a teacher ran on into an invented question.',
      { origin: 'ours', text: 'escaped' },
    ),
    [],
  ),
  rationaleMarker: v.exactOptional(
    field(nonEmptyText, 'Rationale marker', 'Text between several rationales of one row, e.g. " llama rationale:".', {
      text: 'escaped',
    }),
  ),
  rationaleIndex: v.optional(
    field(integer(0), 'Rationale', 'Which of several rationales of one row to use, counted from 0.', {
      origin: 'ours',
    }),
    0,
  ),
  // Without defaults: experiments written before they existed stay the same documents, and their runs can be resumed.
  exclude: v.exactOptional(
    field(
      v.array(nonEmptyText),
      'Left out by hand',
      'Ids of demonstrations, as demonstrations.jsonl has them, that no phase trains on. The report counts them.',
    ),
  ),
  edits: v.exactOptional(
    field(
      v.array(
        v.strictObject({
          id: field(nonEmptyText, 'Demonstration', 'Its id.'),
          answer: field(nonEmptyText, 'Answer', 'What is trained on in place of the teacher’s answer.'),
        }),
      ),
      'Edited by hand',
      'Texts in place of the answers of demonstrations. The teacher’s own accuracy stays that of its own answers.',
    ),
  ),
});
