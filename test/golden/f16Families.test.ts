// f16Families.test.ts: tier f16 on every family against the same PyTorch reference as families.test.ts, at that tier's own
// tolerances (f16.test.ts says where they come from). It runs where an adapter offers halves and says so by name elsewhere.
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Gpu } from '../../src/gpu/device';
import { Adapter } from '../../src/model/adapter';
import { packSequences } from '../../src/model/batch';
import { Student } from '../../src/model/student';
import { Trainer } from '../../src/model/trainer';
import { optimizer } from '../../src/optim/optimizer';
import { freshGpu, testGpu } from '../kernels/device';
import { FAMILIES, FAMILY_NAMES } from './familyFiles';
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
const largest = (values: ArrayLike<number>): number => largestError(values, new Float32Array(values.length));

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

  it.each(FAMILY_NAMES)('%s: logits, loss and all gradients, with vectors in float32', async (name) => {
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
    let share = 0;
    for (const one of names) {
      const wanted = await golden.readF32(one);
      share = Math.max(share, largestError(gradients.get(one.slice(5))!.data, wanted) / largest(wanted));
    }
    await trainer.update({ learningRate: 0, weightDecay: 0, maxNorm: 0, step: 1 });
    const loss = Math.abs((await trainer.metrics()).loss - expected.loss);
    console.log('E2E f16', name, JSON.stringify({ logits, of: largest(want), loss, share }));
    expect(logits).toBeLessThan(1e-2);
    expect(loss).toBeLessThan(4e-4);
    expect(share).toBeLessThan(1e-2);
  });
});
