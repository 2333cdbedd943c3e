// pretrain.test.ts: the pretraining recipe against a fake trainer: which documents a step takes, what it is divided by, where
// it can be left and entered again. What a trainer computes is tested with it.
import { describe, expect, it } from 'vitest';
import { PupilError } from '../../../src/base/errors';
import type { PackedBatch } from '../../../src/model/batch';
import type { StepMetrics, UpdateOptions } from '../../../src/model/trainer';
import {
  documentLoss,
  documentsOfStep,
  PRETRAIN_DEFAULTS,
  PRETRAIN_START,
  pretrain,
  pretrainBounds,
  type PretrainCursor,
  type PretrainingTrainer,
} from '../../../src/recipes/pretrain';

/** Document i has 3 + i mod 5 tokens, the second of which says i. */
const source = (i: number): number[] => [1, 10 + i, ...new Array<number>(i % 5).fill(7), 2];

const settings = {
  ...PRETRAIN_DEFAULTS,
  steps: 6,
  tokensPerStep: 16,
  warmupSteps: 2,
  decayFraction: 0.5,
  evaluateEverySteps: 3,
};

class FakeTrainer implements PretrainingTrainer {
  batches: PackedBatch[] = [];
  totals: number[] = [];
  updates: UpdateOptions[] = [];
  scored: PackedBatch[] = [];
  next: StepMetrics = { loss: 1, gradNorm: 2, nonFinite: false };
  beginStep(): void {}
  accumulateSupervised(batch: PackedBatch, totalTargets: number): Promise<void> {
    this.batches.push(batch);
    this.totals.push(totalTargets);
    return Promise.resolve();
  }
  update(options: UpdateOptions): Promise<void> {
    this.updates.push(options);
    return Promise.resolve();
  }
  metrics(): Promise<StepMetrics> {
    return Promise.resolve(this.next);
  }
  tokenLogps(batch: PackedBatch): Promise<Float32Array> {
    this.scored.push(batch);
    return Promise.resolve(new Float32Array(batch.targets.length).fill(-0.5));
  }
}

async function run(trainer: FakeTrainer, from: PretrainCursor = PRETRAIN_START) {
  const rows: { cursor: PretrainCursor; values: Record<string, number> }[] = [];
  await pretrain(trainer, source, settings, {
    from,
    development: [source(1), source(2)],
    onStep: (cursor, values) => {
      rows.push({ cursor, values });
      return Promise.resolve();
    },
  });
  return rows;
}

describe('pretrain', () => {
  it('takes every document once, whole, in order; the first token of each is not predicted', async () => {
    const trainer = new FakeTrainer();
    const rows = await run(trainer);
    const ids = trainer.batches.flatMap((batch) => [...batch.ids]);
    const last = rows.at(-1)!.cursor;
    expect(ids).toEqual(Array.from({ length: last.document }, (_, i) => source(i)).flat());
    expect(last.tokens).toBe(ids.length);
    for (const [i, batch] of trainer.batches.entries()) {
      expect(batch.ids.length).toBeLessThanOrEqual(16);
      expect(batch.targets.length).toBe(batch.ids.length - (batch.targetStarts.length - 1));
      expect(trainer.totals[i]).toBe(batch.targets.length);
      expect([...batch.targets]).not.toContain(1);
    }
  });

  it('passes the optimiser’s numbers on, and lets the rate rise, stay and fall', async () => {
    const trainer = new FakeTrainer();
    await run(trainer);
    expect(trainer.updates.map((update) => update.learningRate / 3e-3)).toEqual([0, 0.5, 1, 1, 2 / 3, 1 / 3]);
    expect(trainer.updates[0]).toMatchObject({ beta1: 0.9, beta2: 0.98, weightDecay: 0.05, maxNorm: 1, step: 1 });
  });

  it('entered again at any step it sees the same documents at the same rates', async () => {
    const whole = new FakeTrainer();
    const rows = await run(whole);
    for (let stop = 1; stop < settings.steps; stop++) {
      const rest = new FakeTrainer();
      await run(rest, rows[stop - 1]!.cursor);
      expect(rest.batches).toEqual(whole.batches.slice(stop));
      expect(rest.updates).toEqual(whole.updates.slice(stop));
    }
  });

  it('measures the development loss every so many steps and at the end', async () => {
    const rows = await run(new FakeTrainer());
    expect(rows.map(({ values }) => values['eval_loss'])).toEqual([
      undefined,
      undefined,
      0.5,
      undefined,
      undefined,
      0.5,
    ]);
  });

  it('ends at a step that is not finite', async () => {
    const trainer = new FakeTrainer();
    trainer.next = { loss: NaN, gradNorm: 1, nonFinite: true };
    await expect(run(trainer)).rejects.toThrow(/pretrain: expected a finite loss and gradient at step 1/);
  });
});

describe('documentsOfStep', () => {
  it('refuses a document that fits no step, by its number', () => {
    const long = (i: number): number[] => (i === 3 ? new Array<number>(17).fill(7) : source(i));
    expect(() => documentsOfStep(long, 1, 16)).toThrow(PupilError);
    expect(() => documentsOfStep(long, 1, 16)).toThrow(/document 3: expected 3 to 16 tokens, got 17/);
    expect(() => documentsOfStep(() => [1, 2], 0, 16)).toThrow(/document 0: expected 3 to 16 tokens, got 2/);
  });

  it('stays within the bounds that the trainer is made for', () => {
    const shortest = (): number[] => [1, 5, 2];
    const { documents, tokens } = documentsOfStep(shortest, 0, 16);
    const bounds = pretrainBounds({ tokensPerStep: 16 });
    expect(documents.length).toBe(bounds.sequences);
    expect(tokens).toBeLessThanOrEqual(bounds.tokens);
  });
});

it('documentLoss weighs every predicted token alike, however the documents are batched', async () => {
  const trainer = new FakeTrainer();
  trainer.tokenLogps = (batch) => Promise.resolve(Float32Array.from(batch.targets, (target) => -target));
  const documents = [0, 1, 2, 3, 4].map(source);
  const targets = documents.flatMap((ids) => ids.slice(1));
  const mean = targets.reduce((sum, target) => sum + target, 0) / targets.length;
  for (const size of [7, 12, 1000]) expect(await documentLoss(trainer, documents, size)).toBeCloseTo(mean, 10);
});
