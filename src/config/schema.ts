// schema.ts: every setting of an experiment file with its default, limits, unit and words. It checks single fields only;
// parsing and errors are in experiment.ts, rules between fields in rules.ts, path placeholders in paths.ts.
//
// Origins: "paper" = arXiv 2405.00402; where it is silent or contradicts itself the field's description says so.
import * as v from 'valibot';
import { LINEAR_NAMES } from '../base/linearNames';
import { ControlSchema, InstructSchema, scorer, SelfRefineSchema } from './phaseSchema';
import { field, fileList, integer, nonEmptyText, pathHint, positive, real } from './fields';
import { REPO_PATTERN, REVISION_PATTERN } from './hubName';
import { TaskSchema, type TASK_IDS, type TASK_USES } from './taskSchema';

/** A folder below `public/students/`, and no way out of it. */
const bundledName = v.pipe(
  v.string(),
  v.regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'the name of a bundled student: letters, digits, ".", "_" and "-"'),
);

const folder = field(nonEmptyText, 'Folder', pathHint);

export const StudentSchema = v.strictObject({
  source: field(
    v.variant('kind', [
      v.strictObject({ kind: v.literal('directory'), path: folder }),
      v.strictObject({ kind: v.literal('bundled'), name: bundledName }),
      v.strictObject({ kind: v.literal('url'), url: v.pipe(v.string(), v.url()) }),
      v.strictObject({
        kind: v.literal('hub'),
        repo: v.pipe(v.string(), v.regex(REPO_PATTERN, 'a model of the Hub: owner/name')),
        revision: v.exactOptional(v.pipe(v.string(), v.regex(REVISION_PATTERN, 'a branch, tag or commit'))),
        endpoint: v.exactOptional(v.pipe(v.string(), v.url(), v.regex(/^https?:\/\/[^/@?#]+[^@?#]*$/, 'a base URL'))),
      }),
    ]),
    'Student',
    `Where config.json, the safetensors and the tokenizer come from: a folder, a student that comes with Pupil (public/students/), an address, or a model of the Hugging Face Hub (revision: main where absent; endpoint: another server with the Hub’s layout). ${pathHint}`,
  ),
  tokenizer: v.optional(
    field(
      v.variant('kind', [
        v.strictObject({ kind: v.literal('student') }),
        v.strictObject({ kind: v.literal('directory'), path: folder }),
        v.strictObject({ kind: v.literal('words'), path: field(nonEmptyText, 'vocab.json', pathHint) }),
      ]),
      'Tokenizer',
      'The tokenizer.json beside the weights, one in another folder, or the word-level vocab.json of the lesson student.',
    ),
    { kind: 'student' },
  ),
  quantize: v.optional(
    field(
      v.picklist(['none', 'nf4', 'nf4-double']),
      'Quantisation of the base',
      'The paper trains with QLoRA: the frozen base in NF4 with double quantisation. Refused for a base that is quantised already.',
      { origin: 'QLoRA' },
    ),
    'nf4-double',
  ),
  tier: v.optional(
    field(
      v.picklist(['auto', 'f32', 'f16']),
      'Tier',
      'Precision of stored weights and activations; sums are f32 in every tier. "auto" takes f16 on a GPU that offers it, passes its self-check and measured no slower with it; else f32.',
      { origin: 'ours' },
    ),
    'auto',
  ),
});

const AdapterSchema = v.strictObject({
  rank: v.optional(field(integer(1, 256), 'Rank r', 'Not given in the paper; QLoRA uses 64.', { origin: 'QLoRA' }), 64),
  alpha: v.optional(
    field(positive(65536), 'Alpha α', 'The adapter is scaled by α/r (α/√r with rsLoRA).', { origin: 'QLoRA' }),
    16,
  ),
  dropout: v.optional(
    field(real(0, 0.95), 'Dropout', 'On the input of A, in instruction-tuning only. Phase 2 always runs without.', {
      origin: 'QLoRA',
    }),
    0.1,
  ),
  targets: v.optional(
    field(
      v.pipe(v.array(v.picklist(LINEAR_NAMES)), v.minLength(1)),
      'Layers with an adapter',
      'Linear layers of every decoder block that get a LoRA adapter.',
      { origin: 'QLoRA' },
    ),
    [...LINEAR_NAMES],
  ),
  rsLora: v.optional(
    field(v.boolean(), 'Rank-stabilised', 'Scale by α/√r in place of α/r.', { origin: 'ours' }),
    false,
  ),
});

const PromptSchema = v.strictObject({
  wrapper: v.optional(
    field(
      v.picklist(['none', 'alpaca', 'chat']),
      'Wrapper',
      'How instruction and input become a prompt in training, sampling and evaluation: bare, the Alpaca template, or the student’s own chat template. Baselines always use the bare prompt.',
      { origin: 'Alpaca' },
    ),
    'alpaca',
  ),
  promptSuffix: v.optional(
    field(
      v.string(),
      'Prompt suffix',
      'Ends every prompt, whatever the wrapper, baselines included (the lesson student needs a line break there).',
      { origin: 'ours', text: 'escaped' },
    ),
    '',
  ),
  maxPromptTokens: v.optional(
    field(integer(1), 'Longest prompt', 'Items with a longer prompt are left out and counted.', {
      unit: 'tokens',
      origin: 'ours',
    }),
    512,
  ),
  maxAnswerTokens: v.optional(
    field(
      integer(1),
      'Longest demonstration',
      'Longer teacher answers are left out and counted; they are never cut, a cut answer would teach to stop early.',
      { unit: 'tokens', origin: 'ours' },
    ),
    512,
  ),
});

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

const DemonstrationsSchema = v.strictObject({
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

const SelfConsistencySchema = v.strictObject({
  samples: field(
    integer(2, 1000),
    'Samples',
    'Answers to each question. Of answers equally frequent the one sampled first counts; samples without one do not vote.',
    { unit: 'samples' },
  ),
  temperature: v.optional(
    field(positive(10), 'Temperature', 'Of these samples; above 0, or all would be the same.', { origin: 'ours' }),
    0.7,
  ),
});

const EvaluationSchema = v.strictObject({
  prompts: v.optional(
    field(
      v.pipe(v.array(v.picklist(['plain', 'cot'])), v.minLength(1)),
      'Prompts',
      'Which prompt tuned students are asked with. Not given in the paper: CoT is the headline, plain beside it.',
      { origin: 'ours' },
    ),
    ['plain', 'cot'],
  ),
  temperature: v.optional(
    field(real(0, 10), 'Temperature', '0 = greedy.', { origin: 'paper', section: 'App. C.2' }),
    0.1,
  ),
  maxNewTokens: v.optional(
    field(integer(1), 'New tokens at most', 'Texts cut off here are counted.', { unit: 'tokens', origin: 'ours' }),
    256,
  ),
  scorer,
  probing: v.optional(
    field(
      v.boolean(),
      'Probing',
      'Also score choice tasks by the option with the highest probability: by its letter and by its text, each as a sum over tokens and as their mean.',
      { origin: 'paper', section: '§3.3' },
    ),
    false,
  ),
  // Without a default: experiments written before it existed stay the same documents, and their runs can be resumed.
  selfConsistency: v.exactOptional(
    field(
      v.union([v.literal(false), SelfConsistencySchema]),
      'Self-consistency',
      'Also answer each question several times by the CoT prompt and take what most samples say (Wang et al. 2023), or false.',
      { origin: 'ours' },
    ),
  ),
  batchSize: v.optional(
    field(integer(1, 65535), 'Batch', 'Prompts generated at once.', { unit: 'prompts', origin: 'ours' }),
    32,
  ),
  limit: v.exactOptional(
    field(integer(1), 'Items at most', 'The first so many test items of each task.', { unit: 'items', origin: 'ours' }),
  ),
});

const LimitsSchema = v.strictObject({
  checkpointEverySteps: v.optional(
    field(integer(1), 'Checkpoint every', 'Optimiser steps between checkpoints; every phase end writes one as well.', {
      unit: 'steps',
      origin: 'ours',
    }),
    50,
  ),
  maxGpuBytes: v.exactOptional(
    field(integer(1), 'GPU memory at most', 'Refuse to start, with the plan, where more would be needed.', {
      unit: 'bytes',
      origin: 'ours',
    }),
  ),
});

const off = v.literal(false);

export const ExperimentSchema = v.strictObject({
  $schema: v.exactOptional(v.string()),
  name: field(nonEmptyText, 'Name', 'What the run is called in lists and reports.'),
  notes: v.exactOptional(field(v.string(), 'Notes', 'Free text; the report shows it.', { text: 'lines' })),
  seed: v.optional(
    field(integer(0, 0xffffffff), 'Seed', 'Every random choice of the run follows from it. 0 … 2^32−1.', {
      origin: 'ours',
    }),
    0,
  ),
  student: field(StudentSchema, 'Student', 'The model that learns, and how it is held.'),
  adapter: v.optional(
    field(
      AdapterSchema,
      'Adapter',
      'The LoRA adapter: all that is trained; the student’s own weights stay as they are.',
    ),
    {},
  ),
  prompt: v.optional(field(PromptSchema, 'Prompts', 'How questions are put to the student.'), {}),
  demonstrations: v.optional(
    field(v.array(DemonstrationsSchema), 'Teachers', 'Whose demonstrations are trained on, for which task.'),
    [],
  ),
  tasks: field(v.pipe(v.array(TaskSchema), v.minLength(1)), 'Tasks', 'What is trained on and tested.'),
  phases: v.strictObject({
    baseline: v.optional(
      field(v.boolean(), 'Baselines', 'Evaluate the untouched student with the bare plain and CoT prompts first.', {
        origin: 'paper',
        section: '§4.1',
      }),
      true,
    ),
    instruct: field(v.union([off, InstructSchema]), 'Instruction-tuning', 'Phase 1 (§2.1), or false.', {
      origin: 'paper',
      section: '§2.1',
    }),
    // Without a default: experiments written before it existed stay the same documents, and their runs can be resumed.
    control: v.exactOptional(
      field(
        v.union([off, ControlSchema]),
        'Control',
        'More instruction-tuning from the instructed student, in place of self-refine: own optimiser state and schedule, everything else as in phase 1. Evaluated as a system of its own, beside self-refine where both are asked for.',
        { origin: 'ours' },
      ),
    ),
    selfRefine: field(v.union([off, SelfRefineSchema]), 'Self-refine', 'Phase 2 (§2.2), or false.', {
      origin: 'paper',
      section: '§2.2',
    }),
  }),
  evaluation: v.optional(field(EvaluationSchema, 'Evaluation', 'How every student is tested.'), {}),
  limits: v.optional(field(LimitsSchema, 'Limits', 'What a run may take; no number follows from them.'), {}),
});

/** An experiment as written in a file: defaults may be left out. */
export type ExperimentInput = v.InferInput<typeof ExperimentSchema>;
/** A complete experiment: every default filled in. */
export type Experiment = v.InferOutput<typeof ExperimentSchema>;
export type StudentConfig = Experiment['student'];
export type AdapterConfig = Experiment['adapter'];
export type PromptConfig = Experiment['prompt'];
export type DemonstrationsConfig = Experiment['demonstrations'][number];
export type TaskConfig = Experiment['tasks'][number];
export type SplitConfig = TaskConfig['split'];
export type ColumnMapping = NonNullable<TaskConfig['mapping']>;
export type TaskId = (typeof TASK_IDS)[number];
export type TaskUse = (typeof TASK_USES)[number];
export type InstructConfig = Exclude<Experiment['phases']['instruct'], false>;
export type ControlConfig = Exclude<Experiment['phases']['control'], false | undefined>;
export type SelfRefineConfig = Exclude<Experiment['phases']['selfRefine'], false>;
export type SamplingConfig = SelfRefineConfig['sampling'];
export type EvaluationConfig = Experiment['evaluation'];
export type ScorerName = EvaluationConfig['scorer'];
