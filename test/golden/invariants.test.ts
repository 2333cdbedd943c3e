// invariants.test.ts: what must hold for any student, tried on small random ones of awkward shapes: packed = alone, cached =
// full forward, dropout and resume are functions of their counters, a step allocates nothing.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Gpu } from '../../src/gpu/device';
import { Adapter } from '../../src/model/adapter';
import { packSequences } from '../../src/model/batch';
import { Generator } from '../../src/model/generator';
import type { Student } from '../../src/model/student';
import { Trainer } from '../../src/model/trainer';
import { optimizer } from '../../src/optim/optimizer';
import { testGpu } from '../kernels/device';
import { awkwardStudent, LIMITS, SEQUENCES, TARGETS, withNonZeroB } from './awkward';

let gpu: Gpu;
beforeAll(async () => {
  gpu = await testGpu();
});
const owned: { destroy(): void }[] = [];
function own<T extends { destroy(): void }>(thing: T): T {
  owned.push(thing);
  return thing;
}
afterAll(() => owned.forEach((thing) => thing.destroy()));

const student = (): Student => own(awkwardStudent(gpu));

describe('invariants', () => {
  it('packed sequences score bit for bit as each one alone', async () => {
    const trainer = own(new Trainer(student(), undefined, { limits: LIMITS }));
    await trainer.ready();
    const packed = await trainer.tokenLogps(packSequences(SEQUENCES));
    const alone: number[] = [];
    for (const sequence of SEQUENCES) alone.push(...(await trainer.tokenLogps(packSequences([sequence]))));
    expect(Array.from(packed)).toEqual(alone);
  });

  it('a later token has no influence on earlier logits, bit for bit', async () => {
    const s = student();
    const trainer = own(new Trainer(s, undefined, { limits: LIMITS }));
    await trainer.ready();
    const V = s.config.vocabSize;
    const before = await trainer.logits(packSequences([{ ids: [1, 5, 9, 33, 70] }]));
    const after = await trainer.logits(packSequences([{ ids: [1, 5, 9, 33, 7] }]));
    expect(Array.from(after.subarray(0, 4 * V))).toEqual(Array.from(before.subarray(0, 4 * V)));
    expect(Array.from(after.subarray(4 * V))).not.toEqual(Array.from(before.subarray(4 * V)));
  });

  it('greedy decoding with the cache takes the argmax of full forwards', async () => {
    const s = student();
    const adapter = await withNonZeroB(
      own(Adapter.create(s, { rank: 3, alpha: 5, dropout: 0, rsLora: true, targets: TARGETS }, 3)),
    );
    const trainer = own(new Trainer(s, adapter, { limits: LIMITS, optimizer: optimizer('adamw') }));
    const generator = own(
      new Generator(s, adapter, { batchSize: 2, maxPromptTokens: 9, maxNewTokens: 12, temperature: 0, eosIds: [] }),
    );
    await generator.ready();
    const prompts = [[1, 5, 9], [1], [1, 6, 8, 12, 13, 14, 15, 16, 3]];
    const answers = await generator.generate(prompts, { seed: 1, stream: 'test' });
    const V = s.config.vocabSize;
    for (const [p, prompt] of prompts.entries()) {
      const ids = [...prompt, ...answers[p]!.ids];
      const logits = await trainer.logits(packSequences([{ ids }]));
      for (let t = prompt.length - 1; t < ids.length - 1; t++) {
        const row = logits.subarray(t * V, (t + 1) * V);
        expect(row[ids[t + 1]!]!).toBeGreaterThanOrEqual(Math.max(...row) - 1e-5);
      }
    }
  });

  it('a sampled answer does not depend on its batch', async () => {
    const s = student();
    const prompts = [[1, 5, 9], [1], [1, 6, 8, 12, 13, 14, 15, 16, 3], [1, 70], [1, 2, 3, 4]];
    const run = async (batchSize: number): Promise<unknown> => {
      const generator = own(
        new Generator(s, undefined, {
          batchSize,
          maxPromptTokens: 9,
          maxNewTokens: 10,
          temperature: 1,
          topP: 0.9,
          eosIds: [2, 17],
        }),
      );
      await generator.ready();
      return generator.generate(prompts, { seed: 5, stream: 'y' });
    };
    const one = await run(1);
    expect(await run(2)).toEqual(one);
    expect(await run(5)).toEqual(one);
  });

  it('dropout draws by (seed, step, micro-batch): equal counters repeat, others differ, and the gradient follows the mask', async () => {
    const s = student();
    const adapter = await withNonZeroB(
      own(Adapter.create(s, { rank: 3, alpha: 5, dropout: 0.4, rsLora: false, targets: TARGETS }, 3)),
    );
    const gradientAt = async (
      completed: number,
      activations: 'keep' | 'recompute',
      flat?: Float32Array,
    ): Promise<{ g: Float32Array; loss: number }> => {
      const trainer = own(
        new Trainer(s, adapter, { limits: LIMITS, dropoutSeed: 9, activations, optimizer: optimizer('adamw') }),
      );
      await trainer.ready();
      if (flat !== undefined) adapter.writeParameters(flat);
      trainer.beginStep(completed);
      await trainer.accumulateSupervised(packSequences(SEQUENCES), 11);
      const g = await gpu.readF32(adapter.parameters.gradient);
      await trainer.update({ learningRate: 0, weightDecay: 0, maxNorm: 0, step: completed + 1 });
      return { g, loss: (await trainer.metrics()).loss };
    };
    const a = await gradientAt(4, 'keep');
    const b = await gradientAt(4, 'recompute');
    const c = await gradientAt(5, 'keep');
    expect(Array.from(b.g)).toEqual(Array.from(a.g));
    expect(c.loss).not.toBe(a.loss);
    // Directional derivative under the fixed mask.
    const start = await adapter.readParameters();
    const norm = Math.sqrt(a.g.reduce((sum, x) => sum + x * x, 0));
    const h = 1e-2;
    const at = (sign: number): Promise<{ loss: number }> =>
      gradientAt(
        4,
        'keep',
        start.map((x, i) => x + (sign * h * a.g[i]!) / norm),
      );
    const slope = ((await at(1)).loss - (await at(-1)).loss) / (2 * h);
    expect(Math.abs(slope - norm) / norm).toBeLessThan(5e-3);
  });

  it('save and resume in the middle ends with the same bits as never stopping', async () => {
    const s = student();
    const settings = { rank: 2, alpha: 4, dropout: 0.1, rsLora: false, targets: ['q_proj', 'down_proj'] };
    const steps = async (trainer: Trainer, from: number, to: number): Promise<void> => {
      for (let step = from; step < to; step++) {
        trainer.beginStep(step);
        await trainer.accumulateSupervised(packSequences(SEQUENCES.slice(0, 2)), 11);
        await trainer.accumulateSupervised(packSequences(SEQUENCES.slice(2)), 11);
        await trainer.update({ learningRate: 1e-2, weightDecay: 1e-2, maxNorm: 0.5, step: step + 1 });
      }
    };
    const adapter = own(Adapter.create(s, settings, 3));
    const whole = own(new Trainer(s, adapter, { limits: LIMITS, dropoutSeed: 4, optimizer: optimizer('adamw') }));
    await whole.ready();
    await steps(whole, 0, 6);
    const undisturbed = await adapter.readParameters();

    const first = own(Adapter.create(s, settings, 3));
    const before = own(new Trainer(s, first, { limits: LIMITS, dropoutSeed: 4, optimizer: optimizer('adamw') }));
    await before.ready();
    await steps(before, 0, 3);
    const saved = { parameters: await first.readParameters(), optimizer: await before.optimizerState() };
    const second = own(Adapter.create(s, settings, 99));
    second.writeParameters(saved.parameters);
    const after = own(new Trainer(s, second, { limits: LIMITS, dropoutSeed: 4, optimizer: optimizer('adamw') }));
    await after.ready();
    after.loadOptimizerState(saved.optimizer);
    await steps(after, 3, 6);
    expect(Array.from(await second.readParameters())).toEqual(Array.from(undisturbed));
    expect(Array.from(undisturbed)).not.toEqual(Array.from(saved.parameters));
  });

  it('a training step creates no GPU buffer', async () => {
    const s = student();
    const adapter = own(Adapter.create(s, { rank: 2, alpha: 4, dropout: 0, rsLora: false, targets: TARGETS }, 3));
    const trainer = own(new Trainer(s, adapter, { limits: LIMITS, optimizer: optimizer('adamw') }));
    await trainer.ready();
    let created = 0;
    for (let step = 0; step < 5; step++) {
      if (step === 1) created = gpu.account.buffersCreated;
      trainer.beginStep(step);
      await trainer.accumulateSupervised(packSequences(SEQUENCES.slice(0, 1 + (step % 3))), 11);
      await trainer.update({ learningRate: 1e-3, weightDecay: 0, maxNorm: 1, step: step + 1 });
      await trainer.metrics();
    }
    expect(gpu.account.buffersCreated).toBe(created);
  });

  it('a NaN in the adapter is reported and the update is skipped', async () => {
    const s = student();
    const adapter = own(Adapter.create(s, { rank: 2, alpha: 4, dropout: 0, rsLora: false, targets: ['q_proj'] }, 3));
    const flat = await adapter.readParameters();
    flat[0] = NaN;
    adapter.writeParameters(flat);
    const trainer = own(new Trainer(s, adapter, { limits: LIMITS, optimizer: optimizer('adamw') }));
    await trainer.ready();
    trainer.beginStep(0);
    await trainer.accumulateSupervised(packSequences(SEQUENCES), 11);
    await trainer.update({ learningRate: 1e-2, weightDecay: 0, maxNorm: 1, step: 1 });
    expect((await trainer.metrics()).nonFinite).toBe(true);
    expect(Array.from(await adapter.readParameters())).toEqual(Array.from(flat));
  });

  it('the adapter gradient agrees with a central difference along itself', async () => {
    const s = student();
    const adapter = await withNonZeroB(
      own(Adapter.create(s, { rank: 2, alpha: 4, dropout: 0, rsLora: false, targets: TARGETS }, 3)),
    );
    const trainer = own(new Trainer(s, adapter, { limits: LIMITS, optimizer: optimizer('adamw') }));
    await trainer.ready();
    trainer.beginStep(0);
    await trainer.accumulateSupervised(packSequences(SEQUENCES), 11);
    const flat = await adapter.readParameters();
    const g = await gpu.readF32(adapter.parameters.gradient);
    const norm = Math.sqrt(g.reduce((sum, x) => sum + x * x, 0));
    const lossAt = async (h: number): Promise<number> => {
      adapter.writeParameters(flat.map((x, i) => x + (h * g[i]!) / norm));
      return -(await trainer.tokenLogps(packSequences(SEQUENCES))).reduce((sum, x) => sum + x, 0) / 11;
    };
    const slope = (await lossAt(1e-2)) - (await lossAt(-1e-2));
    expect(Math.abs(slope / 2e-2 - norm) / norm).toBeLessThan(2e-3);
  });
});
