// taskSchema.ts: the settings of one task of an experiment: which benchmark, its files and columns, its split, its use. Like
// schema.ts it checks single fields only.
import * as v from 'valibot';
import { field, fileList, integer, nonEmptyText, pathHint, real } from './fields';

export const TASK_IDS = [
  'obqa',
  'csqa',
  'piqa',
  'siqa',
  'gsm8k',
  'multiarith',
  'math',
  'mmlu',
  'strategyqa',
  'svamp',
  'addsub',
  'singleeq',
  'custom',
  'lesson',
  'lesson-stories',
  'lesson-sums',
  'lesson-kinds',
  'lesson-tools',
] as const;
export const TASK_USES = ['instruct', 'selfRefine', 'evaluate'] as const;

const SplitSchema = v.strictObject({
  order: v.optional(
    field(v.picklist(['shuffled', 'file']), 'Order', 'Shuffle by the split’s seed, or keep the order of the files.', {
      origin: 'ours',
    }),
    'shuffled',
  ),
  seed: v.optional(
    field(
      integer(0, 0xffffffff),
      'Split seed',
      'Its own seed, so that runs that differ in `seed` only are tested on the same questions.',
      { origin: 'ours' },
    ),
    0,
  ),
  trainCount: v.exactOptional(
    field(integer(0), 'Training items', 'How many unique questions go into training. MultiArith in the paper: 420.', {
      unit: 'items',
      origin: 'paper',
      section: 'Table 8',
    }),
  ),
  trainFraction: v.exactOptional(
    field(
      real(0, 1),
      'Training share',
      'The same as a share. Give a count, a share, or neither (all of a training file).',
      { origin: 'ours' },
    ),
  ),
  balanceTargets: v.optional(
    field(v.boolean(), 'Equal targets', 'Choose training items with equally distributed target letters.', {
      origin: 'paper',
      section: '§3.1',
    }),
    false,
  ),
  testLimit: v.exactOptional(
    field(integer(1), 'Test items at most', 'The first so many test items in split order.', {
      unit: 'items',
      origin: 'ours',
    }),
  ),
});

/** Where a file of one's own holds what. */
export const MappingSchema = v.strictObject({
  question: field(nonEmptyText, 'Question column', 'The column, or key of a JSON row, that holds the question.'),
  choices: v.exactOptional(
    field(
      v.union([nonEmptyText, v.pipe(v.array(nonEmptyText), v.minLength(2))]),
      'Options column',
      'Where there are options: one column with a list of them (in CSV a JSON list, or texts parted by "|"), or several columns with one each, in letter order.',
    ),
  ),
  target: field(
    nonEmptyText,
    'Answer column',
    'The right answer: a letter, an option’s text or number; without options a number, or yes or no.',
  ),
  id: v.exactOptional(field(nonEmptyText, 'Id column', 'What a row is called in predictions; else file and line.')),
  content: v.exactOptional(
    field(nonEmptyText, 'Content column', 'Rows of one content are not independent: errors are counted by content.'),
  ),
});

export const TaskSchema = v.strictObject({
  id: field(v.picklist(TASK_IDS), 'Task', 'Which benchmark: its loader, prompts and answer extractor.'),
  name: field(nonEmptyText, 'Name', 'Unique in this experiment; demonstrations refer to it.'),
  files: field(
    v.union([
      v.strictObject({ all: field(fileList, 'One pool', 'Split into training and test items by the split below.') }),
      v.strictObject({
        train: v.optional(
          field(v.array(nonEmptyText), 'Training files', 'None for a task that is only evaluated.'),
          [],
        ),
        test: field(fileList, 'Test files', 'Never trained on.'),
      }),
    ]),
    'Files',
    `Either one pool to be split ("all") or separate training and test files; a task that is only evaluated needs no training files. A .lst file among them holds the labels of the file with the same name. ${pathHint}`,
  ),
  // Without a default: experiments written before it existed stay the same documents, and their runs can be resumed.
  mapping: v.exactOptional(
    field(MappingSchema, 'Columns', 'For the task custom: which columns hold what. Guessed where it is left out.'),
  ),
  split: v.optional(field(SplitSchema, 'Split', 'Which items are trained on, which are tested.'), {}),
  use: v.optional(
    field(
      v.pipe(v.array(v.picklist(TASK_USES)), v.minLength(1)),
      'Used for',
      'Training phases that take this task’s demonstrations, and evaluation. Cross Self-refine: instruct on one task, self-refine on another.',
      { origin: 'paper', section: '§4.3' },
    ),
    [...TASK_USES],
  ),
});
