// f16.test.ts: tier f16 through Student, Trainer and Generator against the same float32 numbers of transformers and PEFT
// as model.test.ts, at this tier's own tolerances, and its refusal where the adapter lacks shader-f16. It runs where an
// adapter offers halves (lavapipe, hardware) and says by name that it did not elsewhere. It says nothing about speed.
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { f16ToNumber, numberToF16 } from '../../src/base/dtypes';
import type { Checkpoint } from '../../src/formats/checkpointIndex';
import { encodeFloats } from '../../src/formats/tensorBytes';
import type { Gpu } from '../../src/gpu/device';
import { Adapter } from '../../src/model/adapter';
import { packSequences, type PackedBatch } from '../../src/model/batch';
import { Generator } from '../../src/model/generator';
import { Student } from '../../src/model/student';
import { Trainer } from '../../src/model/trainer';
import { optimizer } from '../../src/optim/optimizer';
import { freshGpu, testGpu } from '../kernels/device';
import { adapterAt, checkpointAt, GOLDEN, jsonAt, tensorsAt } from './files';

/**
 * Tier f16 stores the frozen dense matrices as halves and computes in f32. A half has 11 significant bits, so each weight
 * moves by at most 2^-11 = 4.9e-4 of itself; nothing else differs from tier f32. `limit` is two to three times what
 * lavapipe gives (`seen`, largest |Δ| to float32 PyTorch); `f32` is what tier f32 keeps to in model.test.ts.
 */
const TOLERANCE = {
  logits: { seen: 4.5e-3, limit: 1e-2, f32: 1e-4 }, // of up to 4.1
  gradients: { seen: 1.8e-4, limit: 5e-4, f32: 2.2e-5 }, // of up to 0.17; f32: 5e-6 + 1e-4 of that
  loss: { seen: 1.6e-4, limit: 4e-4, f32: 1e-4 },
  trainingLosses: { seen: 5.4e-4, limit: 1.5e-3, f32: 1e-4 },
  gradientNorms: { seen: 7.4e-4, limit: 2e-3, f32: 1e-3 },
};

const LIMITS = { tokens: 200, targets: 200, sequences: 8 };

interface LoraExpected {
  loss: number;
  sequences: number[][];
  prompt_total_lengths: [number, number][];
  train: { loss_before_step_then_final: number[]; grad_norms: number[] };
}
interface LlamaExpected {
  generation: { prompt: number[]; generated: number[] }[];
}

function largestError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  expect(actual.length).toBe(expected.length);
  let worst = 0;
  for (let i = 0; i < expected.length; i++) {
    const error = Math.abs(actual[i]! - expected[i]!);
    worst = Number.isNaN(error) ? Infinity : Math.max(worst, error);
  }
  return worst;
}

const { features, adapter: adapterReport } = await testGpu();

describe.skipIf(features.f16)('tier f16 without shader-f16 (needs an adapter that lacks it)', () => {
  it('is refused with a code, the adapter’s name and what to do', async () => {
    await expect(freshGpu({ tier: 'f16' })).rejects.toMatchObject({
      code: 'gpu-feature-missing',
      message: expect.stringMatching(/tier f16 needs the feature shader-f16/) as string,
      hint: expect.stringContaining('tier f32') as string,
    });
    expect(adapterReport.tiers).not.toContain('f16');
  });
});

describe.skipIf(!features.f16)('tier f16 (needs an adapter with shader-f16)', { timeout: 600_000 }, () => {
  let gpu: Gpu;
  let student: Student;
  let trainer: Trainer;
  let expected: LoraExpected;
  let batch: PackedBatch;
  const path = (name: string): string => join(GOLDEN, name);

  beforeAll(async () => {
    gpu = await freshGpu({ tier: 'f16' });
    student = await Student.load(gpu, await checkpointAt(path('llama-tiny')), { quantize: 'none' });
    const adapter = Adapter.fromPeft(student, await adapterAt(path('lora-llama-tiny/adapter_init')));
    trainer = new Trainer(student, adapter, { limits: LIMITS, optimizer: optimizer('adamw') });
    await trainer.ready();
    expected = await jsonAt<LoraExpected>(path('lora-llama-tiny/expected.json'));
    batch = packSequences(
      expected.sequences.map((ids, b) => ({
        ids,
        labels: ids.map((id, t) => (t < expected.prompt_total_lengths[b]![0] ? -100 : id)),
      })),
    );
  }, 600_000);
  afterAll(() => gpu?.destroy());

  it('the device and the report name the tier', () => {
    expect(gpu.tier).toBe('f16');
    expect(gpu.adapter.tiers).toContain('f16');
    expect([student.embedding, student.head, student.layers[0]!.linear.q_proj].map(({ kind }) => kind)).toEqual([
      'f16',
      'f16',
      'f16',
    ]);
  });

  it('logits of llama-tiny with a LoRA adapter: close to transformers, and not those of tier f32', async () => {
    const golden = await tensorsAt(path('lora-llama-tiny/expected.safetensors'));
    const padded = await golden.readF32('logits');
    const [, L, V] = golden.info('logits').shape as [number, number, number];
    const want = expected.sequences.flatMap((ids, b) => [...padded.subarray(b * L * V, (b * L + ids.length) * V)]);
    const error = largestError(await trainer.logits(batch), want);
    expect(error).toBeLessThan(TOLERANCE.logits.limit);
    // Tier f32 stays below its limit on every adapter (model.test.ts): more than that is the halves' doing.
    expect(error).toBeGreaterThan(TOLERANCE.logits.f32);
  });

  it('only the rounding differs: tier f32 over matrices rounded to halves gives the same logits', async () => {
    const f32 = await testGpu();
    const checkpoint = await checkpointAt(path('llama-tiny'));
    const rounded: Checkpoint = {
      ...checkpoint,
      readBytes: async (name, start, end) => {
        expect(checkpoint.info(name).dtype).toBe('f32');
        const bytes = await checkpoint.readBytes(name, start, end);
        if (name.includes('norm')) return bytes;
        const values = new Float32Array(bytes.slice().buffer);
        return encodeFloats(
          values.map((value) => f16ToNumber(numberToF16(value))),
          'f32',
        );
      },
    };
    const twin = await Student.load(f32, rounded, { quantize: 'none' });
    const adapter = Adapter.fromPeft(twin, await adapterAt(path('lora-llama-tiny/adapter_init')));
    const twinTrainer = new Trainer(twin, adapter, { limits: LIMITS });
    await twinTrainer.ready();
    expect(twin.embedding.kind).toBe('f32');
    const error = largestError(await trainer.logits(batch), await twinTrainer.logits(batch));
    expect(error).toBeLessThan(1e-5);
    for (const thing of [twinTrainer, adapter, twin]) thing.destroy();
  });

  it('loss and all 28 LoRA gradients', async () => {
    const golden = await tensorsAt(path('lora-llama-tiny/expected.safetensors'));
    trainer.beginStep(0);
    await trainer.accumulateSupervised(batch, 30);
    const gradients = await trainer.gradients();
    const names = golden.tensorNames.filter((name) => name.startsWith('grad.'));
    expect(names).toHaveLength(28);
    let worst = 0;
    for (const name of names) {
      const want = await golden.readF32(name);
      const error = largestError(gradients.get(name.slice(5))!.data, want);
      expect(error, name).toBeLessThan(TOLERANCE.gradients.limit);
      worst = Math.max(worst, error);
    }
    expect(worst).toBeGreaterThan(TOLERANCE.gradients.f32);
  });

  it('five AdamW steps follow PEFT’s losses and gradient norms', async () => {
    const losses: number[] = [];
    const norms: number[] = [];
    for (let step = 1; step <= 6; step++) {
      trainer.beginStep(step - 1);
      await trainer.accumulateSupervised(batch, 30);
      await trainer.update({ learningRate: step <= 5 ? 1e-2 : 0, weightDecay: step <= 5 ? 1e-4 : 0, maxNorm: 0, step });
      const metrics = await trainer.metrics();
      losses.push(metrics.loss);
      if (step <= 5) norms.push(metrics.gradNorm);
    }
    const { loss_before_step_then_final: wantLosses, grad_norms: wantNorms } = expected.train;
    expect(Math.abs(losses[0]! - expected.loss)).toBeLessThan(TOLERANCE.loss.limit);
    expect(largestError(losses, wantLosses)).toBeLessThan(TOLERANCE.trainingLosses.limit);
    expect(largestError(norms, wantNorms)).toBeLessThan(TOLERANCE.gradientNorms.limit);
  });

  it('greedy continuations are those of transformers', async () => {
    const { generation } = await jsonAt<LlamaExpected>(path('llama-tiny/expected.json'));
    const limits = { batchSize: 3, maxPromptTokens: 16, maxNewTokens: 16 };
    const generator = new Generator(student, undefined, { ...limits, temperature: 0, eosIds: [] });
    await generator.ready();
    const answers = await generator.generate(
      generation.map((g) => g.prompt),
      { seed: 1, stream: 'golden' },
    );
    expect(answers.map((a) => a.ids)).toEqual(generation.map((g) => g.generated));
  });
});
