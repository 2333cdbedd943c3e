// lessonPresets.ts: the lesson as experiments: the bundled student, four families of questions, scripted teachers, everything
// generated or served with the page, nothing asked of the network. Settings were chosen on the development part
// (docs/lesson.md); the test part is only reported.
import type { ExperimentInput } from './schema';

type TaskInput = ExperimentInput['tasks'][number];
type Family = 'stories' | 'sums' | 'kinds' | 'tools';

/** Names as docs/lesson.md and reports have them. */
const FAMILIES: Readonly<Record<Family, { id: TaskInput['id']; name: string }>> = {
  stories: { id: 'lesson-stories', name: 'A stories' },
  sums: { id: 'lesson-sums', name: 'B sums' },
  kinds: { id: 'lesson-kinds', name: 'C kinds' },
  tools: { id: 'lesson-tools', name: 'D tools' },
};

interface LessonTask {
  /** Demonstrations at 100 %. */
  trainCount: number;
  testLimit: number;
  /** Without it the family is evaluated only. */
  use?: TaskInput['use'];
}

/**
 * Rows of the training part: questions, and with a teacher the demonstrations of the same questions. Three in ten stories
 * have one step: taught on two steps only, a student adds a second step to everything.
 */
const trainFile = (family: Family): string =>
  `lesson:${family}/train?seed={seed}&count=400${family === 'stories' ? '&one=0.3' : ''}&teacher=in-family`;

function task(family: Family, { trainCount, testLimit, use }: LessonTask): TaskInput {
  return {
    ...FAMILIES[family],
    files: { train: [trainFile(family)], test: [`lesson:${family}/test?count=1000`] },
    // Right letters are equally frequent in every beginning of a generated file.
    split: { order: 'file', trainCount, testLimit },
    ...(use === undefined ? {} : { use }),
  };
}

const teacher = (family: Family, fraction = 1): NonNullable<ExperimentInput['demonstrations']>[number] => ({
  label: 'scripted, in-family',
  task: FAMILIES[family].name,
  files: [trainFile(family)],
  format: 'lesson',
  family: 'in-family',
  fraction,
});

const student: ExperimentInput['student'] = {
  source: { kind: 'bundled', name: 'lesson' },
  quantize: 'nf4-double',
  tier: 'f32',
};

/** A line break ends the question: without it the plain prompt would be a beginning of the CoT prompt. */
const prompt: ExperimentInput['prompt'] = {
  wrapper: 'none',
  promptSuffix: '\n',
  maxPromptTokens: 96,
  maxAnswerTokens: 96,
};

/** The preset `lesson`: taught on one family, tested on all four. */
export const LESSON: ExperimentInput = {
  name: 'The lesson',
  notes:
    'A student of 0.9 million parameters, pretrained on a generated world, is shown 60 worked answers to arithmetic stories by a scripted teacher, then refines itself on pairs of its own answers. It is tested on such stories, on sums (stories in one step, as three in ten of those shown), and on two families of questions of which it was shown none. All that it says it has read before: the lesson elicits reasoning, it does not teach from nothing.',
  seed: 0,
  student,
  adapter: { rank: 16, alpha: 32, dropout: 0 },
  prompt,
  tasks: [
    task('stories', { trainCount: 120, testLimit: 100 }),
    task('sums', { trainCount: 120, testLimit: 100, use: ['evaluate'] }),
    task('kinds', { trainCount: 120, testLimit: 100, use: ['evaluate'] }),
    task('tools', { trainCount: 120, testLimit: 100, use: ['evaluate'] }),
  ],
  demonstrations: [teacher('stories', 0.5)],
  phases: {
    baseline: true,
    instruct: {
      epochs: 4,
      learningRate: 8e-4,
      weightDecay: 1e-4,
      schedule: 'cosine',
      warmupRatio: 0.03,
      batchSize: 16,
      microBatchTokens: 2048,
      clip: 1,
    },
    selfRefine: {
      beta: 0.1,
      loss: 'sigmoid',
      learningRate: 2e-4,
      schedule: 'constant',
      batchSize: 16,
      microBatchTokens: 4096,
      maxSteps: 40,
      validationFraction: 0.1,
      minValidationPairs: 1,
      evaluateEverySteps: 10,
      sampling: { temperature: 0.7, maxNewTokens: 80, batchSize: 64 },
    },
  },
  evaluation: { prompts: ['cot'], temperature: 0.1, maxNewTokens: 80, probing: false, batchSize: 64 },
  limits: { checkpointEverySteps: 10 },
};

/** The preset `smoke`: the lesson cut to less than a minute, for tests; it shows that all of it works, and teaches little. */
export const SMOKE: ExperimentInput = {
  ...LESSON,
  name: 'Smoke',
  notes: 'Every step of the lesson, too short to learn much.',
  adapter: { rank: 4, alpha: 8, dropout: 0 },
  tasks: [
    task('stories', { trainCount: 12, testLimit: 8 }),
    task('kinds', { trainCount: 12, testLimit: 8, use: ['evaluate'] }),
  ],
  demonstrations: [teacher('stories')],
  phases: {
    instruct: { epochs: 2, learningRate: 8e-4, batchSize: 4, microBatchTokens: 512, clip: 1 },
    selfRefine: {
      learningRate: 2e-4,
      batchSize: 4,
      microBatchTokens: 1024,
      maxSteps: 4,
      minValidationPairs: 2,
      evaluateEverySteps: 2,
      sampling: { temperature: 0.7, maxNewTokens: 64, batchSize: 12 },
    },
  },
  evaluation: { maxNewTokens: 64, probing: true, batchSize: 8 },
  limits: { checkpointEverySteps: 2 },
};
