// trainerSteps.test.ts: what a trainer promises beside its numbers: a refused batch or a step that is given up leaves no
// trace, a lost device is told by its name, nothing is allocated while stepping, and scoring needs no backward.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Gpu } from '../../src/gpu/device';
import { Adapter } from '../../src/model/adapter';
import { packSequences, type Sequence } from '../../src/model/batch';
import type { Student } from '../../src/model/student';
import { Trainer, type TrainerOptions } from '../../src/model/trainer';
import { optimizer } from '../../src/optim/optimizer';
import { freshGpu, testGpu } from '../kernels/device';
import { awkwardStudent, LIMITS, SEQUENCES, TARGETS, withNonZeroB } from './awkward';

let gpu: Gpu;
let student: Student;
let adapter: Adapter;
beforeAll(async () => {
  gpu = await testGpu();
  student = own(awkwardStudent(gpu));
  const settings = { rank: 2, alpha: 4, dropout: 0.3, rsLora: false, targets: TARGETS };
  adapter = await withNonZeroB(own(Adapter.create(student, settings, 3)));
}, 300_000);
const owned: { destroy(): void }[] = [];
function own<T extends { destroy(): void }>(thing: T): T {
  owned.push(thing);
  return thing;
}
afterAll(() => owned.forEach((thing) => thing.destroy()));

async function makeTrainer(options: Partial<TrainerOptions> = {}): Promise<Trainer> {
  const trainer = own(new Trainer(student, adapter, { limits: LIMITS, optimizer: optimizer('adamw'), ...options }));
  await trainer.ready();
  return trainer;
}

const PAIR = packSequences([SEQUENCES[0]!, SEQUENCES[2]!]);
const DPO = { loss: 'sigmoid', beta: 0.1, labelSmoothing: 0, totalPairs: 1 } as const;
const UPDATE = { learningRate: 1e-3, weightDecay: 0, maxNorm: 1 };
const later = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Runs the work and returns every promise rejection that nobody has taken. */
async function unhandled(work: () => Promise<void>): Promise<unknown[]> {
  const found: unknown[] = [];
  const note = (reason: unknown): void => void found.push(reason);
  const others = process.listeners('unhandledRejection');
  process.removeAllListeners('unhandledRejection');
  process.on('unhandledRejection', note);
  try {
    await work();
    await later(100);
  } finally {
    process.off('unhandledRejection', note);
    others.forEach((listener) => process.on('unhandledRejection', listener));
  }
  return found;
}

describe('a refused batch', () => {
  const refused: [string, Sequence[], number, string][] = [
    ['a label outside the vocabulary', [{ ids: [1, 2], labels: [-100, 71] }], 11, 'label 71'],
    ['an id outside the vocabulary', [{ ids: [1, 71], labels: [-100, 3] }], 11, 'token id 71'],
    ['no target', [{ ids: [1, 2], labels: [-100, -100] }], 11, 'no target tokens'],
    ['fewer targets in all than in the batch', SEQUENCES, 3, 'totalTargets'],
    ['too many sequences', Array.from({ length: 5 }, () => SEQUENCES[1]!), 11, 'exceeds the limits'],
    ['more positions than the context', [{ ids: Array.from({ length: 65 }, () => 1) }, SEQUENCES[1]!], 11, 'exceeds'],
  ];
  it('adds nothing, and the step goes on with the same dropout masks', async () => {
    const trainer = await makeTrainer();
    const gradient = async (between: () => Promise<void>): Promise<Float32Array> => {
      trainer.beginStep(4);
      await trainer.accumulateSupervised(packSequences(SEQUENCES.slice(0, 2)), 11);
      await between();
      await trainer.accumulateSupervised(packSequences(SEQUENCES.slice(2)), 11);
      return gpu.readF32(adapter.parameters.gradient);
    };
    const undisturbed = await gradient(() => Promise.resolve());
    const disturbed = await gradient(async () => {
      for (const [name, sequences, total, text] of refused) {
        await expect(trainer.accumulateSupervised(packSequences(sequences), total), name).rejects.toThrow(text);
      }
    });
    expect(Array.from(disturbed)).toEqual(Array.from(undisturbed));
  });

  it('of pairs: odd sequences, missing references, an empty answer, too small a global batch', async () => {
    const trainer = await makeTrainer();
    trainer.beginStep(0);
    const one = packSequences([SEQUENCES[0]!]);
    await expect(trainer.accumulatePreference(one, new Float32Array(1), DPO)).rejects.toThrow('1 sequences');
    await expect(trainer.accumulatePreference(PAIR, new Float32Array(1), DPO)).rejects.toThrow('1 references');
    const none = packSequences([SEQUENCES[0]!, { ids: [1, 2] }]);
    await expect(trainer.accumulatePreference(none, new Float32Array(2), DPO)).rejects.toThrow(
      'rejected answer of pair 0',
    );
    const zero = { ...DPO, totalPairs: 0 };
    await expect(trainer.accumulatePreference(PAIR, new Float32Array(2), zero)).rejects.toThrow('totalPairs');
    expect((await gpu.readF32(adapter.parameters.gradient)).every((value) => value === 0)).toBe(true);
  });
});

describe('a step that is given up', () => {
  it('leaves nothing to the next one', async () => {
    const trainer = await makeTrainer();
    const step = async (): Promise<unknown> => {
      trainer.beginStep(0);
      const { sums } = await trainer.sequenceLogps(PAIR);
      await trainer.accumulatePreference(PAIR, sums, DPO);
      await trainer.update({ ...UPDATE, learningRate: 0, step: 1 });
      return trainer.metrics();
    };
    const first = await step();
    trainer.beginStep(0);
    await trainer.accumulatePreference(PAIR, Float32Array.of(-100, -1), DPO);
    await trainer.accumulatePreference(PAIR, Float32Array.of(-100, -1), DPO);
    expect(await step()).toEqual(first);
    // And more of them than there are slots to read back through.
    for (let i = 0; i < 40; i++) {
      trainer.beginStep(0);
      await trainer.accumulatePreference(PAIR, Float32Array.of(-100, -1), DPO);
    }
    expect(await step()).toEqual(first);
  });

  it('has no result that fails with nobody to hear it, when the trainer goes while it is on its way', async () => {
    const trainer = await makeTrainer();
    const found = await unhandled(async () => {
      trainer.beginStep(0);
      await trainer.accumulatePreference(PAIR, Float32Array.of(-9, -9), DPO);
      trainer.destroy();
    });
    expect(found).toEqual([]);
  });

  it('by a lost device: every call says gpu-device-lost, none hangs', async () => {
    const own = await freshGpu();
    const tiny = awkwardStudent(own);
    const settings = { rank: 1, alpha: 1, dropout: 0, rsLora: false, targets: ['q_proj'] };
    const tinyAdapter = Adapter.create(tiny, settings, 3);
    const trainer = new Trainer(tiny, tinyAdapter, { limits: LIMITS, optimizer: optimizer('adamw') });
    await trainer.ready();
    const found = await unhandled(async () => {
      trainer.beginStep(0);
      await trainer.accumulatePreference(PAIR, Float32Array.of(-9, -9), DPO);
      own.device.destroy(); // as a driver would, without telling Gpu
      const lost = { code: 'gpu-device-lost' };
      await expect(trainer.metrics()).rejects.toMatchObject(lost);
      await expect(trainer.update({ ...UPDATE, step: 1 })).rejects.toMatchObject(lost);
      await expect(trainer.accumulateSupervised(PAIR, 10)).rejects.toMatchObject(lost);
      await expect(trainer.sequenceLogps(PAIR)).rejects.toMatchObject(lost);
      await expect(trainer.optimizerState()).rejects.toMatchObject(lost);
      expect(() => trainer.beginStep(1)).toThrow('GPU device lost');
      trainer.destroy();
      tinyAdapter.destroy();
      tiny.destroy();
    });
    expect(found).toEqual([]);
  }, 300_000);
});

describe('memory', () => {
  it.each(['keep', 'recompute'] as const)(
    'no step, score or validation creates a GPU buffer (%s)',
    async (activations) => {
      const trainer = await makeTrainer({ activations });
      let created = 0;
      for (let step = 0; step < 4; step++) {
        if (step === 1) created = gpu.account.buffersCreated;
        trainer.beginStep(step);
        await trainer.accumulateSupervised(packSequences(SEQUENCES.slice(0, 1 + (step % 3))), 11);
        await trainer.update({ ...UPDATE, step: step + 1 });
        await trainer.metrics();
        await trainer.tokenLogps(PAIR);
        const { sums } = await trainer.sequenceLogps(PAIR);
        trainer.beginStep(step);
        await trainer.accumulatePreference(PAIR, sums, DPO);
        await trainer.update({ ...UPDATE, step: step + 1 });
        await trainer.metrics();
      }
      expect(gpu.account.buffersCreated).toBe(created);
    },
  );

  it('a trainer that cannot be made gives back what it had taken', () => {
    void adapter.parameters.gradient; // the adapter's own, made at first use
    const before = [gpu.account.current, gpu.account.buffersAlive];
    const refuse = (): never => {
      throw new Error('no room');
    };
    expect(() => new Trainer(student, adapter, { limits: LIMITS, optimizer: refuse })).toThrow('no room');
    expect([gpu.account.current, gpu.account.buffersAlive]).toEqual(before);
  });

  it('the largest rank that an adapter takes is one that the kernels take', () => {
    const settings = { alpha: 1, dropout: 0, rsLora: false, targets: ['q_proj'] };
    const largest = own(Adapter.create(student, { ...settings, rank: 256 }, 3));
    expect(() => own(new Trainer(student, largest, { limits: LIMITS }))).not.toThrow();
    const beyond = (): unknown => Adapter.create(student, { ...settings, rank: 257 }, 3);
    expect(beyond).toThrow(expect.objectContaining({ code: 'config' }) as Error);
  });

  it('moments of another optimiser or adapter are refused', async () => {
    const trainer = await makeTrainer();
    const { m, v } = await trainer.optimizerState();
    const wrong = { code: 'shape' };
    const load = (state: { m: Float32Array; v: Float32Array }) => (): void => trainer.loadOptimizerState(state);
    expect(load({ m: new Float32Array(0), v })).toThrow(expect.objectContaining(wrong) as Error);
    expect(load({ m, v: v.subarray(64) })).toThrow(expect.objectContaining(wrong) as Error);
    expect(load({ m, v })).not.toThrow();
  });
});

describe('scoring only', () => {
  it('gives the bits of a trainer that could train, in a fraction of its bytes, and refuses to train', async () => {
    const whole = await makeTrainer();
    const scorer = await makeTrainer({ scoringOnly: true });
    const batch = packSequences(SEQUENCES);
    expect(Array.from(await scorer.tokenLogps(batch))).toEqual(Array.from(await whole.tokenLogps(batch)));
    expect(await scorer.sequenceLogps(batch)).toEqual(await whole.sequenceLogps(batch));
    expect(Array.from(await scorer.logits(batch))).toEqual(Array.from(await whole.logits(batch)));
    expect(scorer.sizeBytes).toBeLessThan(whole.sizeBytes);
    expect(scorer.activationPolicy).toBe('none');
    await expect(scorer.accumulateSupervised(batch, 11)).rejects.toThrow('scoring only');
    expect(() => scorer.beginStep(0)).toThrow('scoring only');
  });

  it('of a batch without targets is empty, and of its sequences 0', async () => {
    const scorer = await makeTrainer({ scoringOnly: true });
    const batch = packSequences([{ ids: [1, 2, 3] }, { ids: [4] }]);
    expect(await scorer.tokenLogps(batch)).toEqual(new Float32Array(0));
    expect(await scorer.sequenceLogps(batch)).toEqual({ sums: new Float32Array(2), means: new Float32Array(2) });
  });
});

describe('full-parameter training with a tied head', () => {
  it.each(['keep', 'recompute'] as const)(
    'the gradient agrees with a central difference along itself (%s)',
    async (activations) => {
      const tied = own(awkwardStudent(gpu));
      const trainer = own(new Trainer(tied, undefined, { limits: LIMITS, activations }));
      await trainer.ready();
      const flat = tied.parameters!;
      const batch = packSequences(SEQUENCES);
      trainer.beginStep(0);
      await trainer.accumulateSupervised(batch, 11);
      const gradient = await gpu.readF32(flat.gradient);
      // The one matrix that is both embedding and head, and all the others.
      const rows = flat.entries.get('model.embed_tokens.weight')!;
      const parts: [string, (i: number) => boolean][] = [
        ['embedding', (i) => i >= rows.offset && i < rows.offset + 71 * 30],
        ['the rest', (i) => i < rows.offset || i >= rows.offset + 71 * 30],
      ];
      const start = await flat.read();
      for (const [name, within] of parts) {
        const along = gradient.map((g, i) => (within(i) ? g : 0));
        const norm = Math.sqrt(along.reduce((sum, g) => sum + g * g, 0));
        expect(norm, name).toBeGreaterThan(0);
        const lossAt = async (h: number): Promise<number> => {
          flat.write(start.map((value, i) => value + (h * along[i]!) / norm));
          return -(await trainer.tokenLogps(batch)).reduce((sum, logp) => sum + logp, 0) / 11;
        };
        const slope = async (h: number): Promise<number> => ((await lossAt(h)) - (await lossAt(-h))) / (2 * h);
        // Two steps, extrapolated to 0: weights this small bend the loss within a step that rounding does not swallow.
        const extrapolated = (4 * (await slope(5e-3)) - (await slope(1e-2))) / 3;
        expect(Math.abs(extrapolated - norm) / norm, name).toBeLessThan(2e-4);
      }
      flat.write(start);
    },
  );
});
