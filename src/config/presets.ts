// presets.ts: experiments by name. `lesson` and `smoke` are the bundled lesson (lessonPresets.ts); `paper` follows arXiv
// 2405.00402 to the letter where it says something; `practical` is what we would run. Relative paths in them resolve
// against the project's experiments/ folder, as those of the files there do.
import { PupilError } from '../base/errors';
import { parseExperiment } from './experiment';
import { LESSON, SMOKE } from './lessonPresets';
import type { Experiment, ExperimentInput } from './schema';

const multiArith: ExperimentInput['tasks'][number] = {
  id: 'multiarith',
  name: 'MultiArith',
  files: { all: ['{data}/zero_shot_cot/dataset/MultiArith/MultiArith.json'] },
  split: { trainCount: 420 },
};
const csqa: ExperimentInput['tasks'][number] = {
  id: 'csqa',
  name: 'CSQA',
  files: {
    train: ['{data}/zero_shot_cot/dataset/CommonsenseQA/train_rand_split.jsonl'],
    test: ['{data}/zero_shot_cot/dataset/CommonsenseQA/dev_rand_split.jsonl'],
  },
  split: { trainCount: 4000, balanceTargets: true },
  use: ['evaluate'],
};
const multiArithTeacher: NonNullable<ExperimentInput['demonstrations']>[number] = {
  label: 'GPT-3.5 class',
  task: 'MultiArith',
  files: ['{data}/llm_adapters/dataset/MultiArith/multiarith_1.json'],
  format: 'llm-adapters',
  family: 'out-family',
};

const paper: ExperimentInput = {
  name: 'Paper: Llama-2-7b on MultiArith',
  notes:
    'Hyperparameters of arXiv 2405.00402; batch 128 of phase 1, LoRA rank, targets, dropout and clip are not given there and follow Alpaca and QLoRA. 1000 steps at batch 128 repeat this small set many times.',
  student: { source: { kind: 'directory', path: '{data}/weights/Llama-2-7b-hf' }, quantize: 'nf4-double' },
  adapter: { rank: 64, alpha: 16, dropout: 0.1 },
  prompt: { wrapper: 'alpaca' },
  tasks: [multiArith, csqa],
  demonstrations: [{ ...multiArithTeacher, keepWrong: true }],
  phases: {
    baseline: true,
    instruct: {
      epochs: 4,
      learningRate: 2e-5,
      weightDecay: 1e-4,
      schedule: 'cosine',
      warmupRatio: 0.03,
      batchSize: 128,
      clip: 0.3,
    },
    selfRefine: {
      beta: 0.1,
      loss: 'sigmoid',
      learningRate: 1e-6,
      warmupSteps: 100,
      batchSize: 128,
      maxSteps: 1000,
      sampling: { temperature: 0.1 },
      wrongTeacher: 'keep',
      keepBest: 'lowest-validation-loss',
    },
  },
  evaluation: { temperature: 0.1, probing: true },
};

const practical: ExperimentInput = {
  ...paper,
  name: 'Practical: Llama-2-7b on MultiArith',
  notes:
    'As `paper`, but learning rates that suit LoRA, three epochs of refinement in place of 1000 steps, wrong demonstrations dropped, and samples that differ from one another.',
  demonstrations: [{ ...multiArithTeacher, keepWrong: false }],
  phases: {
    baseline: true,
    instruct: { epochs: 3, learningRate: 2e-4, weightDecay: 1e-4, warmupRatio: 0.03, batchSize: 16 },
    selfRefine: {
      learningRate: 1e-5,
      warmupRatio: 0.1,
      batchSize: 32,
      epochs: 3,
      evaluateEverySteps: 10,
      sampling: { temperature: 0.7 },
      wrongTeacher: 'drop',
    },
  },
};

const PRESETS = { lesson: LESSON, smoke: SMOKE, paper, practical } as const;
export type PresetName = keyof typeof PRESETS;
export const PRESET_NAMES = Object.keys(PRESETS) as PresetName[];

/** @throws PupilError `config` where there is no such preset. */
export function preset(name: string): Experiment {
  if (!(PRESET_NAMES as string[]).includes(name)) {
    throw new PupilError(
      'config',
      `preset: expected one of ${PRESET_NAMES.join(', ')}, got ${JSON.stringify(name)}`,
      'Name a preset, or give the path of an experiment file.',
    );
  }
  return parseExperiment(PRESETS[name as PresetName]);
}
