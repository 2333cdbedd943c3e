// The training recipes against a fake trainer: what is asked of it, step by step. What a trainer computes is tested with it.
import { describe, expect, it } from 'vitest';
import { PupilError } from '../../../src/base/errors';
import type { PackedBatch } from '../../../src/model/batch';
import type { StepMetrics, UpdateOptions } from '../../../src/model/trainer';
import {
  controlSettings,
  instruct,
  planInstruct,
  type InstructSettings,
  type SupervisedTrainer,
} from '../../../src/recipes/instruct';
import type { PreferencePair } from '../../../src/recipes/pairs';
import { preferenceValues } from '../../../src/recipes/preferenceValues';
import {
  isBetter,
  planSelfRefine,
  scorePairs,
  selfRefine,
  type KeptCheckpoint,
  type PreferenceTrainer,
  type SelfRefineSettings,
} from '../../../src/recipes/selfRefine';
import { answerPrompts, type AnswerGenerator } from '../../../src/recipes/sampling';

const examples = Array.from({ length: 10 }, (_, i) => ({
  prompt: [1, 10 + i],
  answer: [...new Array<number>(1 + (i % 4)).fill(20 + i), 2],
}));

const settings: InstructSettings = {
  epochs: 2,
  learningRate: 0.1,
  weightDecay: 0.01,
  schedule: 'cosine',
  warmupSteps: 2,
  batchSize: 4,
  microBatchTokens: 12,
  clip: 0.5,
};

class FakeTrainer implements SupervisedTrainer {
  calls: string[] = [];
  batches: { batch: PackedBatch; totalTargets: number }[][] = [];
  updates: UpdateOptions[] = [];
  next: StepMetrics = { loss: 1, gradNorm: 2, nonFinite: false };
  beginStep(completed: number): void {
    this.calls.push(`begin ${completed}`);
    this.batches.push([]);
  }
  accumulateSupervised(batch: PackedBatch, totalTargets: number): Promise<void> {
    this.batches.at(-1)!.push({ batch, totalTargets });
    return Promise.resolve();
  }
  update(options: UpdateOptions): Promise<void> {
    this.updates.push(options);
    return Promise.resolve();
  }
  metrics(): Promise<StepMetrics> {
    return Promise.resolve(this.next);
  }
}

describe('instruct', () => {
  const train = async (trainer: FakeTrainer, completedSteps = 0, change: Partial<InstructSettings> = {}) => {
    const rows: { step: number; values: Record<string, number> }[] = [];
    const own = { ...settings, ...change };
    await instruct(trainer, planInstruct(examples, own), own, {
      seed: 1,
      completedSteps,
      onStep: (step, _, values) => {
        rows.push({ step, values });
        return Promise.resolve();
      },
    });
    return rows;
  };

  it('every micro-batch is divided by the targets of the GLOBAL batch, so accumulation equals one batch', async () => {
    const trainer = new FakeTrainer();
    await train(trainer);
    expect(trainer.batches).toHaveLength(6); // 3 steps an epoch, 2 epochs
    for (const micro of trainer.batches) {
      const all = micro.reduce((sum, { batch }) => sum + batch.targets.length, 0);
      for (const { totalTargets } of micro) expect(totalTargets).toBe(all);
    }
    expect(trainer.batches.some((micro) => micro.length > 1)).toBe(true);
    // The same examples whatever the micro-batch.
    const large = new FakeTrainer();
    await train(large, 0, { microBatchTokens: 1000 });
    const targets = (fake: FakeTrainer): number[][] =>
      fake.batches.map((micro) => micro.flatMap(({ batch }) => [...batch.targets]));
    expect(targets(large)).toEqual(targets(trainer));
    expect(large.batches.every((micro) => micro.length === 1)).toBe(true);
  });

  it('the prompt is never a target', async () => {
    const trainer = new FakeTrainer();
    await train(trainer);
    const targets = trainer.batches.flatMap((micro) => micro.flatMap(({ batch }) => [...batch.targets]));
    expect(targets.every((id) => id === 2 || id >= 20)).toBe(true);
  });

  it('rates follow the schedule from 0; clip, decay and step number reach the optimiser', async () => {
    const trainer = new FakeTrainer();
    const rows = await train(trainer);
    expect(trainer.updates.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(trainer.updates[0]!.learningRate).toBe(0);
    expect(trainer.updates[1]!.learningRate).toBeCloseTo(0.05);
    expect(trainer.updates[2]!.learningRate).toBeCloseTo(0.1);
    expect(trainer.updates[5]!.learningRate).toBeGreaterThan(0);
    expect(trainer.updates[0]).toMatchObject({ weightDecay: 0.01, maxNorm: 0.5 });
    expect(rows[0]!.values).toMatchObject({ loss: 1, grad_norm: 2, learning_rate: 0 });
    expect(rows.at(-1)!.values['epoch']).toBe(2);
  });

  it('resumed at step 3 it does exactly what the undisturbed run does from there', async () => {
    const whole = new FakeTrainer();
    await train(whole);
    const rest = new FakeTrainer();
    await train(rest, 3);
    expect(rest.calls).toEqual(['begin 3', 'begin 4', 'begin 5']);
    expect(rest.updates).toEqual(whole.updates.slice(3));
    expect(rest.batches).toEqual(whole.batches.slice(3));
  });

  it('a control has the steps that it states, a schedule over these, and batches of its own', async () => {
    const own = controlSettings(settings, { steps: 8, learningRate: 0.3 });
    expect(own).toMatchObject({ batchSize: 4, weightDecay: 0.01, clip: 0.5, schedule: 'cosine', learningRate: 0.3 });
    expect(controlSettings(settings, { steps: 8 }).learningRate).toBe(0.1);
    const trainers = [new FakeTrainer(), new FakeTrainer()] as const;
    for (const [i, phase] of (['instruct', 'control'] as const).entries()) {
      const onStep = (): Promise<void> => Promise.resolve();
      await instruct(trainers[i]!, planInstruct(examples, own), own, { phase, seed: 1, completedSteps: 0, onStep });
    }
    const [first, control] = trainers;
    expect(control.updates).toEqual(first.updates);
    expect(control.updates).toHaveLength(8); // beyond the two epochs of phase 1
    expect(Math.max(...control.updates.map(({ learningRate }) => learningRate))).toBeCloseTo(0.3);
    expect(control.batches).not.toEqual(first.batches);
    const seen = (fake: FakeTrainer): number[] =>
      fake.batches
        .slice(0, 3)
        .flatMap((micro) => micro.flatMap(({ batch }) => [...batch.targets]))
        .sort((a, b) => a - b);
    expect(seen(control)).toEqual(seen(first)); // one epoch is every example once, in another order
  });

  it('a non-finite step is an error that says what to do, and is not reported as done', async () => {
    const trainer = new FakeTrainer();
    trainer.next = { loss: NaN, gradNorm: NaN, nonFinite: true };
    const failure = await train(trainer).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(PupilError);
    expect(failure).toMatchObject({ code: 'training', hint: expect.stringContaining('learning rate') as string });
  });

  it('nothing to train on, or an answer without tokens, is refused before the first step', () => {
    expect(() => planInstruct([], settings)).toThrow(/at least one demonstration/);
    expect(() => planInstruct([{ prompt: [1], answer: [] }], settings)).toThrow(/example 0/);
  });
});

const refineSettings: SelfRefineSettings = {
  beta: 0.1,
  loss: 'sigmoid',
  labelSmoothing: 0,
  learningRate: 0.1,
  weightDecay: 0,
  schedule: 'linear',
  warmupSteps: 0,
  batchSize: 2,
  microBatchTokens: 1000,
  maxSteps: 6,
  clip: 1,
  evaluateEverySteps: 2,
  keepBest: 'lowest-validation-loss',
};

function pairOf(i: number): PreferencePair {
  return {
    taskId: 't',
    itemId: String(i),
    sample: 0,
    target: '',
    prompt: { text: '', ids: [1] },
    chosen: { text: '', ids: [10 + i, 2], from: 'student' },
    rejected: { text: '', ids: [100 + i, 2], from: 'student' },
    cases: [],
  };
}

/** Scores: −(first id of the answer)/10, plus what the present "parameters" add to chosen answers. */
class FakePreferenceTrainer implements PreferenceTrainer {
  shift = 0;
  /** Shift after each update. */
  constructor(private readonly plan: readonly number[]) {}
  references: number[][] = [];
  totals: number[] = [];
  private updates = 0;
  private batch: PackedBatch | undefined;
  private scores(batch: PackedBatch): Float32Array {
    const S = batch.targetStarts.length - 1;
    return Float32Array.from({ length: S }, (_, s) => {
      const first = batch.targets[batch.targetStarts[s]!]!;
      return -first / 10 + (s % 2 === 0 ? this.shift : 0);
    });
  }
  sequenceLogps(batch: PackedBatch) {
    const sums = this.scores(batch);
    return Promise.resolve({ sums, means: sums.map((sum) => sum / 2) });
  }
  beginStep(): void {
    this.references.push([]);
  }
  accumulatePreference(batch: PackedBatch, reference: Float32Array, o: { totalPairs: number }): Promise<void> {
    this.batch = batch;
    this.references.at(-1)!.push(...reference);
    this.totals.push(o.totalPairs);
    return Promise.resolve();
  }
  update(): Promise<void> {
    this.shift = this.plan[this.updates++] ?? this.shift;
    return Promise.resolve();
  }
  metrics(): Promise<StepMetrics> {
    const policyLogps = this.scores(this.batch!);
    const P = policyLogps.length / 2;
    const rewards = new Float32Array(P).fill(0.5);
    return Promise.resolve({
      loss: 0.6,
      gradNorm: 1,
      nonFinite: false,
      pairs: { losses: rewards, rewardsChosen: rewards, rewardsRejected: new Float32Array(P), policyLogps },
    });
  }
}

describe('self-refine', () => {
  const pairs = Array.from({ length: 8 }, (_, i) => pairOf(i));
  const split = { training: [0, 1, 2, 3, 4], validation: [5, 6, 7] };

  const train = async (
    shifts: readonly number[],
    change: Partial<SelfRefineSettings> = {},
    validation = split.validation,
  ) => {
    const own = { ...refineSettings, ...change };
    const trainer = new FakePreferenceTrainer(shifts);
    const plan = planSelfRefine(pairs, { training: split.training, validation }, own);
    const reference = await scorePairs(trainer, plan.units, own);
    const kept: KeptCheckpoint[] = [];
    const rows: Record<string, number>[] = [];
    await selfRefine(trainer, plan, reference, own, {
      seed: 1,
      completedSteps: 0,
      best: undefined,
      onBest: (best) => {
        kept.push(best);
        return Promise.resolve();
      },
      onStep: (step, _, values) => {
        rows.push({ step, ...values });
        return Promise.resolve();
      },
    });
    return { kept, rows, trainer, reference };
  };

  it('the reference is scored once, in the order of the pairs, and each batch gets its own part of it', async () => {
    const { trainer, reference } = await train([]);
    expect([...reference]).toEqual(
      pairs.flatMap((_, i) => [Math.fround(-(10 + i) / 10), Math.fround(-(100 + i) / 10)]),
    );
    const legal = new Set(split.training.map((i) => `${reference[2 * i]},${reference[2 * i + 1]}`));
    for (const own of trainer.references) {
      for (let p = 0; p < own.length; p += 2) expect(legal).toContain(`${own[p]},${own[p + 1]}`);
    }
  });

  it('step 0 on the held-out pairs is exactly ln 2, and is never kept', async () => {
    const { rows, kept } = await train([-5, -5, -5, -5, -5, -5]); // training only hurts
    expect(rows[0]).toMatchObject({ step: 0 });
    expect(rows[0]!['eval_loss']).toBeCloseTo(Math.LN2, 12);
    expect(kept.every(({ step }) => step > 0)).toBe(true);
    expect(kept.length).toBeGreaterThan(0);
  });

  it('keeps the adapter of the lowest validation loss', async () => {
    const { kept, rows } = await train([1, 2, 3, 9, 4, 5]);
    expect(rows.filter((row) => row['eval_loss'] !== undefined).map((row) => row['step'])).toEqual([0, 2, 4, 6]);
    expect(kept.at(-1)).toMatchObject({ step: 4 }); // shift 9: the widest margin
  });

  it('or of the highest log-probability of the chosen answers, or the last', async () => {
    expect((await train([0, 7, 0, 5, 0, 6], { keepBest: 'highest-chosen-logp' })).kept.at(-1)).toMatchObject({
      step: 2,
    });
    expect((await train([0, 7, 0, 5, 0, 6], { keepBest: 'last' })).kept.at(-1)).toMatchObject({ step: 6 });
  });

  it('without validation pairs the last adapter is kept', async () => {
    const { kept, rows } = await train([9, 1, 1, 1, 1, 1], {}, []);
    expect(kept).toEqual([{ step: 6 }]);
    expect(rows.some((row) => 'eval_loss' in row)).toBe(false);
  });

  it('reports TRL’s metrics by TRL’s names', async () => {
    const { rows } = await train([]);
    expect(rows[1]).toMatchObject({
      'rewards/chosen': 0.5,
      'rewards/rejected': 0,
      'rewards/accuracies': 1,
      'rewards/margins': 0.5,
      loss: Math.fround(0.6) === 0.6 ? 0.6 : expect.closeTo(0.6, 6),
      grad_norm: 1,
      learning_rate: 0.1,
    });
  });

  it('ties keep the earlier checkpoint', () => {
    const at = (step: number, validationLoss: number): KeptCheckpoint => ({ step, validationLoss });
    expect(isBetter('lowest-validation-loss', at(4, 0.5), at(2, 0.5))).toBe(false);
    expect(isBetter('lowest-validation-loss', at(4, 0.4), at(2, 0.5))).toBe(true);
    expect(isBetter('last', at(4, 9), at(2, 0.5))).toBe(true);
  });

  it('scoring goes on where it was left', async () => {
    const trainer = new FakePreferenceTrainer([]);
    const plan = planSelfRefine(pairs, split, { ...refineSettings, microBatchTokens: 6 });
    const o = { loss: 'sigmoid' as const, microBatchTokens: 6 };
    let half = new Float32Array(0);
    const whole = await scorePairs(trainer, plan.units, o, half, (scores) => {
      if (half.length < 6) half = scores.slice();
      return Promise.resolve();
    });
    expect(half.length).toBe(6);
    expect(await scorePairs(trainer, plan.units, o, half)).toEqual(whole);
  });
});

describe('preference values', () => {
  it('ties are not counted as accurate', () => {
    const same = Float32Array.of(-1, -1, -2, -3);
    const values = preferenceValues(same, same, { loss: 'sigmoid', beta: 0.1, labelSmoothing: 0 }, 'eval_');
    expect(values['eval_rewards/accuracies']).toBe(0);
    expect(values['eval_loss']).toBeCloseTo(Math.LN2, 12);
    expect(values['eval_logps/chosen']).toBeCloseTo(-1.5);
    expect(values['eval_logps/rejected']).toBeCloseTo(-2);
  });
});

describe('answering prompts', () => {
  const prompts = Array.from({ length: 9 }, (_, i) => [i]);
  const asked: { first: number; count: number }[] = [];
  /** Completes answers in twos: the batch of three is never complete at the very moment. */
  const generator: AnswerGenerator = {
    generate: async (some, { firstSequence = 0, onAnswers }) => {
      asked.push({ first: firstSequence, count: some.length });
      const answers = some.map((prompt) => ({ ids: [...prompt], stopped: 'eos' as const }));
      for (let n = 2; n < answers.length + 2; n += 2) await onAnswers?.(answers.slice(0, n));
      return answers;
    },
  };

  it('tells of answers when a batch more is known and at the end, and goes on where it was left', async () => {
    asked.length = 0;
    const told: number[] = [];
    const run = {
      seed: 0,
      stream: 'y',
      batchSize: 3,
      onBatch: (answers: readonly unknown[]) => Promise.resolve(void told.push(answers.length)),
    };
    const all = await answerPrompts(generator, prompts, run);
    expect(all.map(({ ids }) => ids[0])).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
    expect(told).toEqual([4, 8, 9]);
    expect(await answerPrompts(generator, prompts, run, all.slice(0, 4))).toEqual(all);
    expect(told.slice(3)).toEqual([8, 9]);
    expect(await answerPrompts(generator, prompts, run, all)).toEqual(all);
    expect(asked).toEqual([
      { first: 0, count: 9 },
      { first: 4, count: 5 },
    ]);
  });

  it('whatever onBatch throws stops the work', async () => {
    const stop = answerPrompts(generator, prompts, {
      seed: 0,
      stream: 'y',
      batchSize: 3,
      onBatch: () => Promise.reject(new Error('stop here')),
    });
    await expect(stop).rejects.toThrow('stop here');
  });
});
