// f16Families.test.ts: tier f16 on every family against the same PyTorch reference as families.test.ts, at that tier's own
// tolerances (f16.test.ts says where they come from). It runs where an adapter offers halves and says so by name elsewhere.
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { RandomStream } from '../../src/base/random';
import { decodeF32Into } from '../../src/formats/tensorBytes';
import type { Gpu } from '../../src/gpu/device';
import { Adapter } from '../../src/model/adapter';
import { packSequences } from '../../src/model/batch';
import { Student } from '../../src/model/student';
import { Trainer } from '../../src/model/trainer';
import { optimizer } from '../../src/optim/optimizer';
import { freshGpu, testGpu } from '../kernels/device';
import { worst } from './compare';
import { changed, checkpointIn, FAMILIES, familyFiles, NAMES_HERE } from './familyFiles';
import { adapterAt, checkpointAt, jsonAt, tensorsAt } from './files';

const { features } = await testGpu();

interface Expected {
  lengths: number[];
  sequences: number[][];
  prompt_total_lengths: [number, number][];
  loss: number;
  n_loss_tokens: number;
}

function largestError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  expect(actual.length).toBe(expected.length);
  let worst = 0;
  for (let i = 0; i < expected.length; i++) {
    const error = Math.abs(actual[i]! - expected[i]!);
    worst = Math.max(worst, Number.isNaN(error) ? Infinity : error);
  }
  return worst;
}

describe.skipIf(!features.f16)('tier f16 (needs an adapter with shader-f16)', { timeout: 600_000 }, () => {
  let gpu: Gpu;
  beforeAll(async () => {
    gpu = await freshGpu({ tier: 'f16' });
  });
  afterAll(() => gpu.destroy());
  const owned: { destroy(): void }[] = [];
  const own = <T extends { destroy(): void }>(thing: T): T => {
    owned.push(thing);
    return thing;
  };
  afterEach(() => owned.splice(0).forEach((thing) => thing.destroy()));

  it.each(NAMES_HERE)('%s: logits, loss and all gradients, with vectors in float32', async (name) => {
    const folder = join(FAMILIES, name);
    const expected = await jsonAt<Expected>(join(folder, 'expected.json'));
    const golden = await tensorsAt(join(folder, 'expected.safetensors'));
    const student = own(await Student.load(gpu, await checkpointAt(folder), { quantize: 'none' }));
    expect(student.layers[0]!.linear.q_proj.kind).toBe('f16');
    for (const { norms, biases } of student.layers) {
      for (const vector of Object.values({ ...norms, ...biases })) expect(vector.dtype).toBe('f32');
    }
    const limits = { tokens: 120, targets: 120, sequences: 4 };
    const bare = own(new Trainer(student, undefined, { limits, scoringOnly: true }));
    await bare.ready();
    const padded = await golden.readF32('logits');
    const [, L, V] = golden.info('logits').shape as [number, number, number];
    const want = expected.sequences.flatMap((ids, b) => [...padded.subarray(b * L * V, (b * L + ids.length) * V)]);
    // Weights stored in 16 bits are halves already (bf16 has fewer bits, and none here is tiny): nothing is rounded.
    const rounds = (await checkpointAt(folder)).info('model.embed_tokens.weight').dtype === 'f32';
    const logits = largestError(await bare.logits(packSequences(expected.sequences.map((ids) => ({ ids })))), want);

    const adapter = own(Adapter.fromPeft(student, await adapterAt(join(folder, 'adapter'))));
    const trainer = own(new Trainer(student, adapter, { limits, optimizer: optimizer('adamw') }));
    await trainer.ready();
    const batch = packSequences(
      expected.sequences.map((ids, b) => ({
        ids,
        labels: ids.map((id, t) => (t < expected.prompt_total_lengths[b]![0] ? -100 : id)),
      })),
    );
    trainer.beginStep(0);
    await trainer.accumulateSupervised(batch, expected.n_loss_tokens);
    const gradients = await trainer.gradients();
    const names = golden.tensorNames.filter((one) => one.startsWith('grad.'));
    expect(names).toHaveLength(14 * student.config.layers);
    const [absolute, relative] = rounds ? [5e-4, 1e-2] : [5e-6, 1e-4];
    for (const one of names) {
      const got = gradients.get(one.slice('grad.'.length))!.data;
      expect(worst(got, await golden.readF32(one), absolute, relative), one).toBeLessThanOrEqual(1);
    }
    await trainer.update({ learningRate: 0, weightDecay: 0, maxNorm: 0, step: 1 });
    expect(logits).toBeLessThan(rounds ? 1e-2 : 1e-4);
    if (rounds) expect(logits).toBeGreaterThan(1e-4);
    expect(Math.abs((await trainer.metrics()).loss - expected.loss)).toBeLessThan(rounds ? 4e-4 : 1e-4);
  });

  it.each(['mistral-window', 'qwen2-tied', 'qwen3-bias-window', 'gemma2-tied'])(
    '%s with weights that are no halves: close to tier f32, and not the same',
    async (name) => {
      const random = new RandomStream(3, name);
      const files = await changed(familyFiles(name), {}, (tensor) => {
        const count = tensor.shape.reduce((product, size) => product * size, 1);
        const values = new Float32Array(count);
        decodeF32Into(values, 0, tensor.data as Uint8Array, tensor.dtype as 'bf16');
        return [{ ...tensor, dtype: 'f32', data: values.map((value) => value * (1 + 0.01 * random.nextNormal())) }];
      });
      const { sequences } = await jsonAt<Expected>(join(FAMILIES, name, 'expected.json'));
      const [half, single] = await Promise.all(
        [gpu, await testGpu()].map(async (device) => {
          const student = await Student.load(device, await checkpointIn(files), { quantize: 'none' });
          const trainer = new Trainer(student, undefined, {
            limits: { tokens: 120, targets: 120, sequences: 4 },
            scoringOnly: true,
          });
          await trainer.ready();
          const logits = await trainer.logits(packSequences(sequences.map((ids) => ({ ids }))));
          for (const thing of [trainer, student]) thing.destroy();
          return logits;
        }),
      );
      const error = largestError(half!, single!);
      expect(error).toBeLessThan(2e-2);
      expect(error).toBeGreaterThan(1e-4);
    },
  );
});
