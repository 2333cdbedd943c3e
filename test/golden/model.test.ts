// model.test.ts: the decoder, LoRA, SFT and DPO training against numbers of transformers, PEFT and TRL (tolerances of
// test/fixtures/golden/README.md), through Student, Trainer and Generator. The same through `inspect` is session-inspect.
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Gpu } from '../../src/gpu/device';
import { Adapter } from '../../src/model/adapter';
import { packSequences, type Sequence } from '../../src/model/batch';
import { Generator } from '../../src/model/generator';
import { Student } from '../../src/model/student';
import { Trainer } from '../../src/model/trainer';
import { optimizer } from '../../src/optim/optimizer';
import type { PreferenceLoss } from '../../src/kernels/loss';
import { testGpu } from '../kernels/device';
import { adapterAt, checkpointAt, GOLDEN, jsonAt, tensorsAt } from './files';

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

const LIMITS = { tokens: 200, targets: 200, sequences: 8 };

function largestError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  expect(actual.length).toBe(expected.length);
  let worst = 0;
  for (let i = 0; i < expected.length; i++) {
    const error = Math.abs(actual[i]! - expected[i]!);
    worst = Number.isNaN(error) ? Infinity : Math.max(worst, error);
  }
  return worst;
}

async function llamaTiny(trainable = false): Promise<Student> {
  return own(await Student.load(gpu, await checkpointAt(join(GOLDEN, 'llama-tiny')), { quantize: 'none', trainable }));
}

/** Rows of a padded [B, L, V] tensor that belong to real tokens, in packed order. */
function unpadded(values: Float32Array, lengths: readonly number[], L: number, V: number): Float32Array {
  const out = new Float32Array(lengths.reduce((a, b) => a + b, 0) * V);
  let at = 0;
  lengths.forEach((T, b) => {
    out.set(values.subarray(b * L * V, (b * L + T) * V), at);
    at += T * V;
  });
  return out;
}

interface LlamaExpected {
  lengths: number[];
  sequences: number[][];
  generation: { prompt: number[]; generated: number[] }[];
}
interface TrainRecord {
  loss_before_step_then_final: number[];
  grad_norms?: number[];
  grad_norms_before_clip?: number[];
}
interface LoraExpected {
  loss: number;
  sequences: number[][];
  prompt_total_lengths: [number, number][];
  train: TrainRecord;
  'train_clip0.3': TrainRecord;
}

async function loraBatch(): Promise<{ expected: LoraExpected; sequences: Sequence[] }> {
  const expected = await jsonAt<LoraExpected>(join(GOLDEN, 'lora-llama-tiny/expected.json'));
  const sequences = expected.sequences.map((ids, b) => ({
    ids,
    labels: ids.map((id, t) => (t < expected.prompt_total_lengths[b]![0] ? -100 : id)),
  }));
  return { expected, sequences };
}

describe('llama-tiny (transformers)', () => {
  it('logits match at 3 sequences of 24, 17, 9 tokens within 1e-4', async () => {
    const student = await llamaTiny();
    const expected = await jsonAt<LlamaExpected>(join(GOLDEN, 'llama-tiny/expected.json'));
    const golden = await (await tensorsAt(join(GOLDEN, 'llama-tiny/expected.safetensors'))).readF32('logits');
    const trainer = own(new Trainer(student, undefined, { limits: LIMITS }));
    await trainer.ready();
    const logits = await trainer.logits(packSequences(expected.sequences.map((ids) => ({ ids }))));
    expect(largestError(logits, unpadded(golden, expected.lengths, 24, 256))).toBeLessThan(1e-4);
  });

  it('greedy generations are exact, in one batch of three prompts', async () => {
    const student = await llamaTiny();
    const expected = await jsonAt<LlamaExpected>(join(GOLDEN, 'llama-tiny/expected.json'));
    const generator = own(
      new Generator(student, undefined, {
        batchSize: 3,
        maxPromptTokens: 16,
        maxNewTokens: 16,
        temperature: 0,
        eosIds: [],
      }),
    );
    await generator.ready();
    const answers = await generator.generate(
      expected.generation.map((g) => g.prompt),
      { seed: 1, stream: 'golden' },
    );
    expect(answers.map((a) => a.ids)).toEqual(expected.generation.map((g) => g.generated));
    expect(answers.map((a) => a.stopped)).toEqual(['length', 'length', 'length']);
  });
});

describe.each([
  ['lora-llama-tiny (PEFT)', 'llama-tiny', 'lora-llama-tiny'],
  [
    'qlora-llama-tiny-double (bitsandbytes + PEFT), the bnb-4bit checkpoint as it is',
    'qlora-llama-tiny-double/hf_bnb4bit',
    'qlora-llama-tiny-double',
  ],
])('%s', (_, base, folder) => {
  async function setUp(activations: 'keep' | 'recompute'): Promise<{ trainer: Trainer; adapter: Adapter }> {
    const student = own(await Student.load(gpu, await checkpointAt(join(GOLDEN, base)), { quantize: 'none' }));
    const adapter = own(Adapter.fromPeft(student, await adapterAt(join(GOLDEN, 'lora-llama-tiny/adapter_init'))));
    const trainer = own(new Trainer(student, adapter, { limits: LIMITS, activations, optimizer: optimizer('adamw') }));
    await trainer.ready();
    return { trainer, adapter };
  }

  it.each(['keep', 'recompute'] as const)('loss and all 28 gradients match (activations: %s)', async (activations) => {
    const { trainer } = await setUp(activations);
    const { sequences } = await loraBatch();
    const golden = await tensorsAt(join(GOLDEN, folder, 'expected.safetensors'));
    const { loss } = await jsonAt<{ loss: number }>(join(GOLDEN, folder, 'expected.json'));
    trainer.beginStep(0);
    await trainer.accumulateSupervised(packSequences(sequences), 30);
    const gradients = await trainer.gradients();
    const names = golden.tensorNames.filter((name) => name.startsWith('grad.'));
    expect(names).toHaveLength(28);
    for (const name of names) {
      const want = await golden.readF32(name);
      const got = gradients.get(name.slice(5));
      expect(got, name).toBeDefined();
      for (let i = 0; i < want.length; i++) {
        const allowed = 5e-6 + 1e-4 * Math.abs(want[i]!);
        if (!(Math.abs(got!.data[i]! - want[i]!) <= allowed)) {
          expect.fail(`${name}[${i}]: expected ${want[i]}, got ${got!.data[i]}`);
        }
      }
    }
    await trainer.update({ learningRate: 0, weightDecay: 0, maxNorm: 0, step: 1 });
    expect(Math.abs((await trainer.metrics()).loss - loss)).toBeLessThan(1e-4);
  });

  it('five AdamW steps follow the golden losses and gradient norms', async () => {
    const { trainer, adapter } = await setUp('keep');
    const { sequences } = await loraBatch();
    const batch = packSequences(sequences);
    const expected = await jsonAt<{
      train?: TrainRecord;
      train_loss_before_step_then_final?: number[];
      grad_norms?: number[];
    }>(join(GOLDEN, folder, 'expected.json'));
    const losses: number[] = [];
    const norms: number[] = [];
    for (let step = 1; step <= 6; step++) {
      trainer.beginStep(step - 1);
      await trainer.accumulateSupervised(batch, 30);
      await trainer.update({ learningRate: step <= 5 ? 1e-2 : 0, weightDecay: step <= 5 ? 1e-4 : 0, maxNorm: 0, step });
      const metrics = await trainer.metrics();
      losses.push(metrics.loss);
      if (step <= 5) norms.push(metrics.gradNorm);
      if (step === 5) {
        const final = await adapterAt(join(GOLDEN, folder, 'adapter_final'));
        const mine = await adapter.toPeft('llama-tiny');
        for (const [path, { a, b }] of final.tensors) {
          expect(largestError(mine.tensors.get(path)!.a.data, a.data), path).toBeLessThan(1e-3);
          expect(largestError(mine.tensors.get(path)!.b.data, b.data), path).toBeLessThan(1e-3);
        }
      }
    }
    expect(
      largestError(losses, expected.train?.loss_before_step_then_final ?? expected.train_loss_before_step_then_final!),
    ).toBeLessThan(1e-4);
    expect(largestError(norms, expected.train?.grad_norms ?? expected.grad_norms!)).toBeLessThan(1e-3);
  });
});

describe('lora-llama-tiny, further', () => {
  it('clipping to 0.3 follows the golden trajectory', async () => {
    const student = await llamaTiny();
    const adapter = own(Adapter.fromPeft(student, await adapterAt(join(GOLDEN, 'lora-llama-tiny/adapter_init'))));
    const trainer = own(new Trainer(student, adapter, { limits: LIMITS, optimizer: optimizer('adamw') }));
    await trainer.ready();
    const { expected, sequences } = await loraBatch();
    const losses: number[] = [];
    const norms: number[] = [];
    for (let step = 1; step <= 6; step++) {
      trainer.beginStep(step - 1);
      await trainer.accumulateSupervised(packSequences(sequences), 30);
      await trainer.update({ learningRate: 1e-2, weightDecay: 1e-4, maxNorm: 0.3, step });
      const metrics = await trainer.metrics();
      losses.push(metrics.loss);
      if (step <= 5) norms.push(metrics.gradNorm);
    }
    expect(largestError(losses, expected['train_clip0.3'].loss_before_step_then_final)).toBeLessThan(1e-4);
    expect(largestError(norms, expected['train_clip0.3'].grad_norms_before_clip!)).toBeLessThan(1e-3);
  });

  it('three micro-batches accumulate to the gradient of one batch', async () => {
    const student = await llamaTiny();
    const adapter = own(Adapter.fromPeft(student, await adapterAt(join(GOLDEN, 'lora-llama-tiny/adapter_init'))));
    const trainer = own(new Trainer(student, adapter, { limits: LIMITS, optimizer: optimizer('adamw') }));
    await trainer.ready();
    const { sequences } = await loraBatch();
    trainer.beginStep(0);
    await trainer.accumulateSupervised(packSequences(sequences), 30);
    const whole = await trainer.gradients();
    trainer.beginStep(0);
    for (const sequence of sequences) await trainer.accumulateSupervised(packSequences([sequence]), 30);
    for (const [name, { data }] of await trainer.gradients()) {
      expect(largestError(data, whole.get(name)!.data), name).toBeLessThan(2e-6);
    }
  });

  it('B = 0 leaves the base logits unchanged bit for bit', async () => {
    const student = await llamaTiny();
    const adapter = own(
      Adapter.create(
        student,
        { rank: 3, alpha: 6, dropout: 0, rsLora: false, targets: ['q_proj', 'v_proj', 'down_proj'] },
        7,
      ),
    );
    const batch = packSequences([{ ids: [5, 9, 200, 31, 7] }, { ids: [1, 2, 3] }]);
    const bare = own(new Trainer(student, undefined, { limits: LIMITS }));
    const adapted = own(new Trainer(student, adapter, { limits: LIMITS, optimizer: optimizer('adamw') }));
    await bare.ready();
    expect(Array.from(await adapted.logits(batch))).toEqual(Array.from(await bare.logits(batch)));
  });

  it('the full-parameter gradient agrees with a central difference along itself', async () => {
    const student = await llamaTiny(true);
    const trainer = own(new Trainer(student, undefined, { limits: LIMITS }));
    await trainer.ready();
    const { sequences } = await loraBatch();
    const batch = packSequences(sequences);
    const flat = student.parameters!;
    trainer.beginStep(0);
    await trainer.accumulateSupervised(batch, 30);
    const gradient = await gpu.readF32(flat.gradient);
    const norm = Math.sqrt(gradient.reduce((sum, g) => sum + g * g, 0));
    const start = await flat.read();
    const lossAt = async (h: number): Promise<number> => {
      flat.write(start.map((value, i) => value + (h * gradient[i]!) / norm));
      return -(await trainer.tokenLogps(batch)).reduce((sum, logp) => sum + logp, 0) / 30;
    };
    const h = 1e-2;
    const slope = ((await lossAt(h)) - (await lossAt(-h))) / (2 * h);
    expect(Math.abs(slope - norm) / norm).toBeLessThan(2e-3);
  });
});

describe('dpo (TRL)', () => {
  interface DpoExpected {
    pairs: { prompt_input_ids: number[]; chosen_input_ids: number[]; rejected_input_ids: number[] }[];
    variants: Record<string, { beta: number; label_smoothing: number; loss: number }>;
    train_from_init: { losses?: number[]; [key: string]: unknown };
  }
  async function setUp(
    policy: string,
  ): Promise<{ trainer: Trainer; adapter: Adapter; expected: DpoExpected; sequences: Sequence[]; student: Student }> {
    const student = await llamaTiny();
    const expected = await jsonAt<DpoExpected>(join(GOLDEN, 'dpo/expected.json'));
    const adapter = own(Adapter.fromPeft(student, await adapterAt(join(GOLDEN, policy))));
    const trainer = own(new Trainer(student, adapter, { limits: LIMITS, optimizer: optimizer('adamw') }));
    await trainer.ready();
    const sequences = expected.pairs.flatMap((pair) =>
      [pair.chosen_input_ids, pair.rejected_input_ids].map((answer) => ({
        ids: [...pair.prompt_input_ids, ...answer],
        labels: [...pair.prompt_input_ids.map(() => -100), ...answer],
      })),
    );
    return { trainer, adapter, expected, sequences, student };
  }

  it.each(['sigmoid', 'sigmoid_ls0.1', 'ipo', 'sigmoid_beta0.5'])(
    'variant %s: log-probabilities, losses, rewards and gradients',
    async (variant) => {
      const { trainer, adapter, expected, sequences } = await setUp('lora-llama-tiny/adapter_final');
      const golden = await tensorsAt(join(GOLDEN, 'dpo/expected.safetensors'));
      const { beta, label_smoothing: labelSmoothing, loss } = expected.variants[variant]!;
      const kind: PreferenceLoss = variant === 'ipo' ? 'ipo' : 'sigmoid';
      const batch = packSequences(sequences);
      const policyParameters = await adapter.readParameters();
      const init = own(
        Adapter.fromPeft(trainer.student, await adapterAt(join(GOLDEN, 'lora-llama-tiny/adapter_init'))),
      );
      adapter.writeParameters(await init.readParameters());
      const scores = await trainer.sequenceLogps(batch);
      const reference = kind === 'ipo' ? scores.means : scores.sums;
      adapter.writeParameters(policyParameters);

      trainer.beginStep(0);
      await trainer.accumulatePreference(batch, reference, { loss: kind, beta, labelSmoothing, totalPairs: 4 });
      const gradients = await trainer.gradients();
      await trainer.update({ learningRate: 0, weightDecay: 0, maxNorm: 0, step: 1 });
      const metrics = await trainer.metrics();
      const pairs = metrics.pairs!;
      const read = (name: string): Promise<Float32Array> => golden.readF32(`${variant}.${name}`);
      const even = (x: Float32Array): number[] => Array.from(x).filter((_, i) => i % 2 === 0);
      const odd = (x: Float32Array): number[] => Array.from(x).filter((_, i) => i % 2 === 1);
      expect(largestError(even(pairs.policyLogps), await read('policy_chosen_logps'))).toBeLessThan(1e-3);
      expect(largestError(odd(pairs.policyLogps), await read('policy_rejected_logps'))).toBeLessThan(1e-3);
      expect(largestError(even(reference), await read('ref_chosen_logps'))).toBeLessThan(1e-3);
      expect(largestError(odd(reference), await read('ref_rejected_logps'))).toBeLessThan(1e-3);
      expect(largestError(pairs.losses, await read('losses'))).toBeLessThan(1e-4);
      expect(largestError(pairs.rewardsChosen, await read('chosen_rewards'))).toBeLessThan(1e-3);
      expect(largestError(pairs.rewardsRejected, await read('rejected_rewards'))).toBeLessThan(1e-3);
      expect(Math.abs(metrics.loss - loss)).toBeLessThan(1e-4);
      const names = golden.tensorNames.filter((name) => name.startsWith(`${variant}.grad.`));
      expect(names).toHaveLength(28);
      for (const name of names) {
        const want = await golden.readF32(name);
        const got = gradients.get(name.slice(`${variant}.grad.`.length))!.data;
        for (let i = 0; i < want.length; i++) {
          if (!(Math.abs(got[i]! - want[i]!) <= 5e-6 + 1e-4 * Math.abs(want[i]!))) {
            expect.fail(`${name}[${i}]: expected ${want[i]}, got ${got[i]}`);
          }
        }
      }
    },
  );

  it('the first loss is ln 2 when the policy is the reference', async () => {
    const { trainer, sequences } = await setUp('lora-llama-tiny/adapter_init');
    const batch = packSequences(sequences);
    const { sums } = await trainer.sequenceLogps(batch);
    trainer.beginStep(0);
    await trainer.accumulatePreference(batch, sums, { loss: 'sigmoid', beta: 0.1, labelSmoothing: 0, totalPairs: 4 });
    await trainer.update({ learningRate: 0, weightDecay: 0, maxNorm: 0, step: 1 });
    const { loss, pairs } = await trainer.metrics();
    expect(Math.abs(loss - Math.LN2)).toBeLessThan(1e-6);
    expect(Array.from(pairs!.rewardsChosen)).toEqual([0, 0, 0, 0]);
  });

  it('five steps of DPO training follow TRL', async () => {
    const { trainer, adapter, expected, sequences } = await setUp('lora-llama-tiny/adapter_init');
    const train = expected.train_from_init as { loss_before_step_then_final: number[] };
    const batch = packSequences(sequences);
    const { sums } = await trainer.sequenceLogps(batch);
    const losses: number[] = [];
    for (let step = 1; step <= 6; step++) {
      trainer.beginStep(step - 1);
      await trainer.accumulatePreference(batch, sums, { loss: 'sigmoid', beta: 0.1, labelSmoothing: 0, totalPairs: 4 });
      await trainer.update({ learningRate: step <= 5 ? 1e-2 : 0, weightDecay: step <= 5 ? 1e-4 : 0, maxNorm: 0, step });
      losses.push((await trainer.metrics()).loss);
    }
    expect(largestError(losses, train.loss_before_step_then_final)).toBeLessThan(1e-4);
    const final = await adapterAt(join(GOLDEN, 'dpo/adapter_after_dpo_5_steps'));
    const mine = await adapter.toPeft('llama-tiny');
    for (const [path, { a, b }] of final.tensors) {
      expect(largestError(mine.tensors.get(path)!.a.data, a.data), path).toBeLessThan(1e-3);
      expect(largestError(mine.tensors.get(path)!.b.data, b.data), path).toBeLessThan(1e-3);
    }
  });
});
