// phases.ts: the training phases of a run: instruction-tuning, making pairs, self-refinement. Each makes its trainer or
// generator, hands the work to its recipe, and keeps the book; each can be left and entered again at any step.
import { streamId } from '../base/random';
import type { Experiment, InstructConfig, SelfRefineConfig } from '../config/experiment';
import type { Adapter } from '../model/adapter';
import { Generator, type Generation } from '../model/generator';
import type { Student } from '../model/student';
import { Trainer } from '../model/trainer';
import { optimizer } from '../optim/optimizer';
import { controlSettings, instruct, planInstruct, type InstructPlan } from '../recipes/instruct';
import { buildPairs, describeCounts, splitValidation } from '../recipes/pairs';
import { answerPrompts, repeatPrompts } from '../recipes/sampling';
import { planSelfRefine, scorePairs, selfRefine, type SelfRefinePlan } from '../recipes/selfRefine';
import type { PhaseName } from '../report/types';
import type { RunBook } from './book';
import type { Prepared } from './prepare';
import { shownAnswers, shownPairs } from './shown';

/** What the phases work with. */
export interface RunAssets {
  experiment: Experiment;
  student: Student;
  /** The one adapter of the run; each phase writes the parameters it starts from. */
  adapter: Adapter;
  prepared: Prepared;
  /** Ids that end an answer. */
  eosIds: readonly number[];
}

/** Phase 1. Leaves the instructed parameters in the state. */
export async function instructPhase(book: RunBook, assets: RunAssets): Promise<void> {
  const settings = assets.experiment.phases.instruct;
  const { state } = book;
  if (settings === false) return;
  state.tensors.instructed = await instructionSteps(book, assets, 'instruct', settings);
}

/**
 * The control: as phase 1 from the instructed parameters on, with moments of 0 and a schedule of its own. Leaves the
 * parameters in the state, beside the instructed ones, from which self-refine starts as if there were no control.
 */
export async function controlPhase(book: RunBook, assets: RunAssets): Promise<void> {
  const { instruct: settings, control = false } = assets.experiment.phases;
  if (settings === false || control === false) return;
  const { tensors } = book.state;
  assets.adapter.writeParameters(tensors.instructed!);
  tensors.control = await instructionSteps(book, assets, 'control', controlSettings(settings, control));
}

/** The trainer of phase 1, or of its control. */
export function instructTrainer(
  { experiment, student, adapter }: RunAssets,
  phase: 'instruct' | 'control',
  { bounds }: InstructPlan,
  settings: InstructConfig,
): Trainer {
  return new Trainer(student, adapter, {
    limits: bounds,
    optimizer: optimizer(settings.optimizer),
    // Masks depend on the seed and the step: the control's steps must not see those of phase 1 again.
    dropoutSeed: phase === 'instruct' ? experiment.seed : (experiment.seed ^ streamId(phase)) >>> 0,
  });
}

/** The trainer of phase 2. */
export function selfRefineTrainer(
  { student, adapter }: RunAssets,
  { bounds }: SelfRefinePlan,
  settings: SelfRefineConfig,
): Trainer {
  return new Trainer(student, adapter, { limits: bounds, optimizer: optimizer(settings.optimizer) });
}

/** Trains the adapter on the demonstrations from the parameters it holds, or from where an earlier sitting was. */
async function instructionSteps(
  book: RunBook,
  assets: RunAssets,
  phase: 'instruct' | 'control',
  settings: InstructConfig,
): Promise<Float32Array> {
  const { experiment, adapter, prepared } = assets;
  const plan = planInstruct(prepared.examples, settings);
  book.log('info', `${phase}: ${plan.units.length} demonstrations, ${plan.totalSteps} steps of ${settings.batchSize}`);
  const trainer = instructTrainer(assets, phase, plan, settings);
  try {
    await trainer.ready();
    restore(book, trainer, adapter);
    book.training = { trainer, adapter };
    await instruct(trainer, plan, settings, {
      phase,
      seed: experiment.seed,
      completedSteps: book.state.step,
      onStep: (step, totalSteps, values) => trainingStep(book, phase, step, totalSteps, values),
    });
    return await adapter.readParameters();
  } finally {
    book.training = undefined;
    trainer.destroy();
  }
}

/** Parameters and optimiser state of an interrupted phase; at step 0 the adapter already holds its beginning. */
function restore(book: RunBook, trainer: Trainer, adapter: Adapter): void {
  const { step, tensors } = book.state;
  if (step === 0) return;
  adapter.writeParameters(tensors.adapter!);
  trainer.loadOptimizerState({ m: tensors.m!, v: tensors.v! });
}

async function trainingStep(
  book: RunBook,
  phase: PhaseName,
  step: number,
  totalSteps: number,
  values: Record<string, number>,
): Promise<void> {
  book.state.step = step;
  book.charge(values['tokens'] ?? 0, step === 0 ? 0 : 1);
  book.metrics({ phase, step, totalSteps, values });
  book.progress({ task: phase, done: step, total: totalSteps, unit: 'steps' });
  await book.stepDone(step);
}

/** The instructed student's answers to all plain and all CoT prompts, and the pairs made of them. */
export async function generatePairsPhase(book: RunBook, assets: RunAssets): Promise<void> {
  const { experiment, student, adapter, prepared } = assets;
  const settings = experiment.phases.selfRefine;
  const { state } = book;
  if (settings === false) return;
  adapter.writeParameters(state.tensors.instructed!);
  const { sampling } = settings;
  const items = prepared.refineItems;
  const answers = { plain: state.plainAnswers, cot: undefined as Generation[] | undefined };
  if (items.length > 0) {
    const generator = new Generator(student, adapter, {
      batchSize: sampling.batchSize,
      maxPromptTokens: items.reduce((most, item) => Math.max(most, item.plain.ids.length, item.cot.ids.length), 1),
      maxNewTokens: sampling.maxNewTokens,
      temperature: sampling.temperature,
      topK: sampling.topK,
      topP: sampling.topP,
      eosIds: assets.eosIds,
    });
    try {
      await generator.ready();
      const tell = (stream: 'y' | 'y-hat', answers: readonly Generation[], first: number): void => {
        const { samplesPerPrompt } = sampling;
        const shown = shownAnswers(stream, answers, { items, samplesPerPrompt, first, decode: prepared.decode });
        for (const event of shown) book.emit(event);
      };
      // Of an earlier sitting: a listener has not heard them.
      if (state.plainAnswers !== undefined) tell('y', state.plainAnswers, 0);
      if (state.pending?.job === 'y' || state.pending?.job === 'y-hat')
        tell(state.pending.job, state.pending.answers, 0);
      // y from x, then ŷ from x̂; each with random numbers of its own.
      const sample = (stream: 'y' | 'y-hat', prompts: readonly (readonly number[])[]): Promise<Generation[]> =>
        answerPrompts(
          generator,
          repeatPrompts(prompts, sampling.samplesPerPrompt),
          {
            seed: experiment.seed,
            stream,
            batchSize: sampling.batchSize,
            signal: book.control.signal,
            onBatch: async (soFar) => {
              const before = state.pending?.job === stream ? state.pending.answers.length : 0;
              const fresh = soFar.slice(before);
              state.pending = { job: stream, answers: [...soFar] };
              book.charge(fresh.reduce((sum, answer) => sum + answer.ids.length, 0));
              tell(stream, fresh, before);
              const total = items.length * sampling.samplesPerPrompt;
              book.progress({ task: `sampling ${stream}`, done: soFar.length, total, unit: 'answers' });
              await book.batchDone();
            },
          },
          state.pending?.job === stream ? state.pending.answers : [],
        );
      answers.plain ??= await sample(
        'y',
        items.map((item) => item.plain.ids),
      );
      state.plainAnswers = answers.plain;
      answers.cot = await sample(
        'y-hat',
        items.map((item) => item.cot.ids),
      );
    } finally {
      generator.destroy();
    }
  }
  makePairs(book, assets, settings, answers.plain ?? [], answers.cot ?? []);
  // One at a time, so that a person can hold it at each; all answers are kept until the last, for a stop in between.
  for (const event of shownPairs(state.pairs!.pairs)) {
    book.emit(event);
    await book.pairShown();
  }
  delete state.pending;
  delete state.plainAnswers;
}

function makePairs(
  book: RunBook,
  { experiment, student, prepared }: RunAssets,
  settings: SelfRefineConfig,
  plain: readonly Generation[],
  cot: readonly Generation[],
): void {
  const { pairs, counts } = buildPairs(prepared.refineItems, plain, cot, {
    direction: settings.direction,
    samplesPerPrompt: settings.sampling.samplesPerPrompt,
    wrongTeacher: settings.wrongTeacher,
    rejectOnlyWrong: settings.rejectOnlyWrong,
    maxTokens: student.config.maxPositions,
    eosId: prepared.eosId,
    decode: prepared.decode,
  });
  const split = splitValidation(pairs, {
    fraction: settings.validationFraction,
    least: settings.minValidationPairs,
    seed: experiment.seed,
  });
  counts.training_pairs = split.training.length;
  counts.validation_pairs = split.validation.length;
  book.state.pairs = { pairs, counts, ...split };
  book.emit({ type: 'pairs', counts });
  for (const line of describeCounts(counts)) book.log('info', `pairs: ${line}`);
  book.log(
    'info',
    settings.direction === 'cot'
      ? 'pairs: eq. 3 taken literally: the rejected answer y was sampled from the plain prompt x, and is scored under the CoT prompt x̂'
      : 'pairs: eq. 5 taken literally: the rejected answer ŷ was sampled from the CoT prompt x̂, and is scored under the plain prompt x',
  );
}

/** Phase 2 proper. Leaves the refined parameters in the state. */
export async function selfRefinePhase(book: RunBook, assets: RunAssets): Promise<void> {
  const { experiment, adapter } = assets;
  const settings = experiment.phases.selfRefine;
  const { state } = book;
  if (settings === false || state.pairs === undefined) return;
  const { pairs, training, validation } = state.pairs;
  const plan = planSelfRefine(pairs, { training, validation }, settings);
  const instructed = state.tensors.instructed!;
  adapter.writeParameters(instructed);
  if (plan.totalSteps === 0) {
    book.log('warning', 'self-refine: no pair could be made, so the refined student is the instructed one');
    state.tensors.refined = instructed;
    state.kept = { step: 0, rule: settings.keepBest };
    return;
  }
  if (validation.length === 0) {
    book.log('warning', 'self-refine: no pairs are held out, so the last adapter is kept');
  }
  book.log('info', `self-refine: ${training.length} pairs, ${plan.totalSteps} steps of ${settings.batchSize}`);
  const trainer = selfRefineTrainer(assets, plan, settings);
  try {
    await trainer.ready();
    // The reference is the instructed adapter, which the trainer holds until the first step.
    if ((state.tensors.reference?.length ?? 0) < 2 * pairs.length) {
      state.tensors.reference = await scorePairs(
        trainer,
        plan.units,
        settings,
        state.tensors.reference,
        async (scores) => {
          state.tensors.reference = scores.slice();
          book.progress({ task: 'reference', done: scores.length / 2, total: pairs.length, unit: 'pairs' });
          await book.batchDone();
        },
      );
    }
    restore(book, trainer, adapter);
    book.training = { trainer, adapter };
    await selfRefine(trainer, plan, state.tensors.reference!, settings, {
      seed: experiment.seed,
      completedSteps: state.step,
      best: state.best,
      onBest: async (kept) => {
        state.best = kept;
        state.tensors.best = await adapter.readParameters();
      },
      onStep: (step, totalSteps, values) => trainingStep(book, 'self-refine', step, totalSteps, values),
    });
  } finally {
    book.training = undefined;
    trainer.destroy();
  }
  state.tensors.refined = state.tensors.best!;
  state.kept = { ...state.best!, rule: settings.keepBest };
  delete state.tensors.best;
  delete state.tensors.reference;
  delete state.best;
}
