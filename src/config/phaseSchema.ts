// phaseSchema.ts: the settings of the two training phases: instruction-tuning and self-refine. Part of schema.ts, which
// says what the origins mean.
import * as v from 'valibot';
import { field, integer, positive, real, type FieldInfo } from './fields';

/** Where the paper gives the numbers of both phases. */
const MODELS_SETUP = { origin: 'paper', section: '§3.2.1' } as const;

const learningRate = (text: string, standard: number) =>
  v.optional(field(positive(1), 'Learning rate', text, MODELS_SETUP), standard);
const warmupRatio = (ofPaper: string, info: FieldInfo = {}) =>
  v.exactOptional(
    field(
      real(0, 1),
      'Warm-up ratio',
      `Share of all steps. Give a ratio or a number of steps, not both. ${ofPaper}`,
      info,
    ),
  );
const warmupSteps = (ofPaper: string, info: FieldInfo = {}) =>
  v.exactOptional(
    field(
      integer(0),
      'Warm-up steps',
      `Optimiser steps over which the learning rate rises linearly from 0. ${ofPaper}`,
      {
        unit: 'steps',
        ...info,
      },
    ),
  );
const schedule = (info: FieldInfo) =>
  field(
    v.picklist(['cosine', 'linear', 'constant']),
    'Schedule',
    'How the learning rate falls after the warm-up.',
    info,
  );
const microBatchTokens = v.optional(
  field(
    integer(1),
    'Micro-batch',
    'Upper bound of tokens in one forward and backward pass. Gradients are accumulated over the batch, so it changes memory and speed, not the result beyond rounding.',
    { unit: 'tokens', origin: 'ours' },
  ),
  4096,
);
const demonstrationFraction = v.optional(
  field(
    positive(1),
    'Share of demonstrations',
    'Nested seeded subset used in this phase (Figure 4: 25, 50, 75, 100 %).',
    { origin: 'paper', section: 'App. C.1' },
  ),
  1,
);

export const InstructSchema = v.strictObject({
  epochs: v.optional(
    field(positive(1000), 'Epochs', 'Passes over the demonstrations.', { unit: 'epochs', ...MODELS_SETUP }),
    4,
  ),
  maxSteps: v.exactOptional(
    field(integer(1), 'Steps at most', 'Stops earlier than `epochs` would; the schedule is laid out for this length.', {
      unit: 'steps',
      origin: 'ours',
    }),
  ),
  learningRate: learningRate('Peak learning rate of phase 1.', 2e-5),
  weightDecay: v.optional(field(real(0, 10), 'Weight decay', 'Decoupled.', MODELS_SETUP), 1e-4),
  schedule: v.optional(schedule(MODELS_SETUP), 'cosine'),
  warmupRatio: warmupRatio('The paper: 0.03.', MODELS_SETUP),
  warmupSteps: warmupSteps('The paper gives a ratio in this phase.', { origin: 'ours' }),
  batchSize: v.optional(
    field(integer(1), 'Batch', 'Demonstrations per optimiser step. Not given in the paper; Alpaca uses 128.', {
      unit: 'demonstrations',
      origin: 'Alpaca',
    }),
    128,
  ),
  microBatchTokens,
  clip: v.optional(
    field(real(0, 1e6), 'Clip', 'Global gradient norm is cut to this; 0 = off.', { origin: 'QLoRA' }),
    0.3,
  ),
  optimizer: v.optional(
    field(v.picklist(['adamw']), 'Optimiser', 'AdamW with β 0.9, 0.999 and ε 1e-8.', { origin: 'ours' }),
    'adamw',
  ),
  fraction: demonstrationFraction,
});

/** Only what a control may differ in: everything else is phase 1's, so that nothing but the steps is compared. */
export const ControlSchema = v.strictObject({
  steps: field(
    integer(1),
    'Steps',
    'Further optimiser steps of instruction-tuning; as many as self-refine takes make a fair control.',
    { unit: 'steps', origin: 'ours' },
  ),
  learningRate: v.exactOptional(
    field(positive(1), 'Learning rate', 'Peak of its own schedule. Absent: that of phase 1.', { origin: 'ours' }),
  ),
});

const SamplingSchema = v.strictObject({
  temperature: v.optional(
    field(
      real(0, 10),
      'Temperature',
      '0 = greedy. The paper does not give it for y and ŷ; 0.1 is its temperature of evaluation (App. C.2).',
      { origin: 'ours' },
    ),
    0.1,
  ),
  topK: v.optional(field(integer(0), 'Top-k', '0 = off.', { origin: 'ours' }), 0),
  topP: v.optional(field(positive(1), 'Top-p', '1 = off.', { origin: 'ours' }), 1),
  maxNewTokens: v.optional(
    field(
      integer(1),
      'New tokens at most',
      'Texts cut off here get no end-of-text token and are counted. Not given in the paper.',
      { unit: 'tokens', origin: 'ours' },
    ),
    256,
  ),
  samplesPerPrompt: v.optional(
    field(integer(1, 64), 'Samples per prompt', 'Pairs made from one demonstration.', { origin: 'ours' }),
    1,
  ),
  batchSize: v.optional(
    field(
      integer(1, 65535),
      'Sampling batch',
      'Prompts generated at once; changes speed, not the texts’ distribution.',
      {
        unit: 'prompts',
        origin: 'ours',
      },
    ),
    32,
  ),
});

export const SCORERS = ['strict', 'literal', 'paper-compat'] as const;

export const scorer = v.optional(
  field(
    v.picklist(SCORERS),
    'Scorer',
    'strict: the task’s extractor decides. literal: the target as a bare substring. paper-compat: regular expression, then difflib ratio ≥ 0.6, as in the authors’ earlier code.',
    { origin: 'ours' },
  ),
  'strict',
);

export const SelfRefineSchema = v.strictObject({
  direction: v.optional(
    field(
      v.picklist(['cot', 'answer']),
      'Direction',
      'cot: DPO_CoT (eq. 3–4), the reasoned answer is chosen. answer: DPO_answer (eq. 5), the ablation.',
      { origin: 'paper', section: 'App. B' },
    ),
    'cot',
  ),
  beta: v.optional(field(positive(100), 'β', 'Strength of the tie to the instructed student.', MODELS_SETUP), 0.1),
  loss: v.optional(
    field(v.picklist(['sigmoid', 'ipo', 'hinge', 'robust']), 'Loss', 'Of a pair. The paper uses sigmoid.', {
      origin: 'paper',
      section: 'eq. 3',
    }),
    'sigmoid',
  ),
  labelSmoothing: v.optional(
    field(real(0, 0.49), 'Label smoothing ε', 'Assumed share of flipped pairs; for sigmoid and robust.', {
      origin: 'trainer default',
    }),
    0,
  ),
  learningRate: learningRate('Peak learning rate of phase 2.', 1e-6),
  weightDecay: v.optional(
    field(real(0, 10), 'Weight decay', 'Decoupled; AdamW only.', { origin: 'trainer default' }),
    0,
  ),
  schedule: v.optional(schedule({ origin: 'trainer default' }), 'linear'),
  warmupRatio: warmupRatio('The paper gives steps in this phase.', { origin: 'ours' }),
  warmupSteps: warmupSteps('The paper: 100.', MODELS_SETUP),
  batchSize: v.optional(
    field(integer(1), 'Batch', 'Pairs per optimiser step.', { unit: 'pairs', ...MODELS_SETUP }),
    128,
  ),
  microBatchTokens,
  maxSteps: v.exactOptional(
    field(
      integer(1),
      'Steps at most',
      'The paper: 1000. Pairs are repeated as often as it takes unless `epochs` ends first.',
      { unit: 'steps', ...MODELS_SETUP },
    ),
  ),
  epochs: v.exactOptional(
    field(positive(1000), 'Epochs', 'Passes over the pairs. The paper counts steps.', {
      unit: 'epochs',
      origin: 'ours',
    }),
  ),
  clip: v.optional(
    field(real(0, 1e6), 'Clip', 'Global gradient norm is cut to this; 0 = off.', { origin: 'trainer default' }),
    1,
  ),
  optimizer: v.optional(
    field(v.picklist(['adamw', 'rmsprop']), 'Optimiser', 'The reference DPO code uses RMSprop.', { origin: 'ours' }),
    'adamw',
  ),
  fraction: demonstrationFraction,
  validationFraction: v.optional(
    field(
      real(0, 0.9),
      'Validation share',
      'Pairs held out to choose the checkpoint; the paper names no validation set.',
      {
        origin: 'ours',
      },
    ),
    0.05,
  ),
  minValidationPairs: v.optional(
    field(integer(0), 'Validation pairs at least', 'Lower bound of the held-out pairs.', {
      unit: 'pairs',
      origin: 'ours',
    }),
    8,
  ),
  evaluateEverySteps: v.optional(
    field(integer(1), 'Validate every', 'Steps between two measurements on the validation pairs.', {
      unit: 'steps',
      origin: 'ours',
    }),
    50,
  ),
  sampling: v.optional(
    field(SamplingSchema, 'Sampling', 'How the instructed student writes y and ŷ, from which pairs are made.'),
    {},
  ),
  scorer,
  wrongTeacher: v.optional(
    field(
      v.picklist(['keep', 'drop']),
      'When ŷ and the teacher are both wrong',
      'keep: the wrong teacher answer is chosen all the same (the paper’s text has no exception). drop: no pair. Counted either way.',
      { origin: 'paper', section: 'eq. 4' },
    ),
    'keep',
  ),
  rejectOnlyWrong: v.optional(
    field(v.boolean(), 'Reject only wrong answers', 'Make no pair where the plain answer y is right.', {
      origin: 'ours',
    }),
    false,
  ),
  keepBest: v.optional(
    field(
      v.picklist(['lowest-validation-loss', 'highest-chosen-logp', 'last']),
      'Checkpoint kept',
      'The paper keeps the lowest validation loss; the highest validation log-probability of the chosen answers is gentler out of domain.',
      MODELS_SETUP,
    ),
    'lowest-validation-loss',
  ),
});
