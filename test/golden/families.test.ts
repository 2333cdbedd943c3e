// families.test.ts: llama, mistral, qwen2, qwen3 and gemma2 against a plain PyTorch reference that knows nothing of this
// engine (test/fixtures/families: sixteen checkpoints with the features that change their results), through Student,
// Trainer and Generator. Tolerances are those of golden/README.md for tier f32. How the config files are read or refused is
// test/unit; other tiers are f16.test.ts.
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { memorySource } from '../../src/formats/byteSource';
import { openCheckpoint, type Checkpoint } from '../../src/formats/checkpointIndex';
import { parseModelConfig } from '../../src/formats/modelConfig';
import type { TensorReader } from '../../src/formats/safetensors';
import { writeSafetensors } from '../../src/formats/safetensorsWrite';
import type { Gpu } from '../../src/gpu/device';
import { Adapter } from '../../src/model/adapter';
import { packSequences, type PackedBatch } from '../../src/model/batch';
import { Generator } from '../../src/model/generator';
import { Student } from '../../src/model/student';
import { Trainer } from '../../src/model/trainer';
import { optimizer } from '../../src/optim/optimizer';
import * as nf4 from '../../src/reference/nf4';
import { testGpu } from '../kernels/device';
import { worst } from './compare';
import { FAMILIES, NAMES_HERE, ONE_OF_EACH } from './familyFiles';
import { adapterAt, checkpointAt, jsonAt, tensorsAt } from './files';

const LONG = process.env['PUPIL_TEST_LONG'] !== undefined;
const LIMITS = { tokens: 120, targets: 120, sequences: 4 };
/** Of logits, absolute; a feature that is ignored moves them by ten times as much at least (see the first test). */
const LOGITS = 1e-4;

interface Expected {
  windows: (number | null)[];
  lengths: number[];
  sequences: number[][];
  prompt_total_lengths: [number, number][];
  loss: number;
  n_loss_tokens: number;
  train_losses_before_step_then_final: number[];
  generation: { prompt: number[]; generated: number[] }[];
  sensitivity_max_abs_logit_change: Record<string, number>;
}

let gpu: Gpu;
beforeAll(async () => {
  gpu = await testGpu();
});
const owned: { destroy(): void }[] = [];
function own<T extends { destroy(): void }>(thing: T): T {
  owned.push(thing);
  return thing;
}
afterEach(() => owned.splice(0).forEach((thing) => thing.destroy()));

async function trainerOf(student: Student, adapter?: Adapter, activations?: 'keep' | 'recompute'): Promise<Trainer> {
  const trainer = own(
    new Trainer(student, adapter, {
      limits: LIMITS,
      ...(activations === undefined ? {} : { activations }),
      ...(adapter === undefined ? {} : { optimizer: optimizer('adamw') }),
    }),
  );
  await trainer.ready();
  return trainer;
}

/** Rows of a right-padded [B, L, …] tensor that belong to tokens, one sequence after the other. */
function unpadded(values: Float32Array, lengths: readonly number[]): Float32Array {
  const L = Math.max(...lengths);
  const rowSize = values.length / (lengths.length * L);
  const parts = lengths.map((T, b) => values.subarray(b * L * rowSize, (b * L + T) * rowSize));
  return Float32Array.from(parts.flatMap((part) => Array.from(part)));
}

const argmax = (row: Float32Array): number => row.reduce((best, value, i) => (value > row[best]! ? i : best), 0);

/** The checkpoint with each linear weight put through NF4 and back by reference/, all tensors as f32 in memory. */
async function dequantizedTwin(checkpoint: Checkpoint): Promise<Checkpoint> {
  const tensors = [];
  for (const name of checkpoint.tensorNames) {
    const { shape } = checkpoint.info(name);
    const values = await checkpoint.readF32(name);
    const linear = name.startsWith('model.layers.') && shape.length === 2;
    const single = linear ? nf4.nf4Quantize(values) : undefined;
    const data = single === undefined ? values : nf4.nf4Dequantize(single.packed, single.absmax, values.length);
    tensors.push({ name, dtype: 'f32' as const, shape, data });
  }
  const files = new Map([
    ['config.json', new TextEncoder().encode(JSON.stringify(checkpoint.config))],
    ['model.safetensors', writeSafetensors(tensors)],
  ]);
  return openCheckpoint((path) => {
    const bytes = files.get(path);
    return Promise.resolve(bytes === undefined ? undefined : memorySource(path, bytes));
  }, 'twin');
}

it('there are fixtures of five families, and every feature in them moves the logits by ten tolerances at least', async () => {
  const families = new Set<unknown>();
  for (const name of NAMES_HERE) {
    families.add((await jsonAt<{ model_type: string }>(join(FAMILIES, name, 'config.json'))).model_type);
    const expected = await jsonAt<Expected>(join(FAMILIES, name, 'expected.json'));
    const moved = Object.entries(expected.sensitivity_max_abs_logit_change);
    expect(moved.length).toBeGreaterThanOrEqual(5);
    for (const [feature, change] of moved) expect(change, `${name}: ${feature}`).toBeGreaterThan(10 * LOGITS);
  }
  expect(families).toEqual(new Set(['llama', 'mistral', 'qwen2', 'qwen3', 'gemma2']));
});

describe.each(NAMES_HERE)('%s', (name) => {
  const folder = join(FAMILIES, name);
  let expected: Expected;
  let golden: TensorReader;
  beforeAll(async () => {
    expected = await jsonAt<Expected>(join(folder, 'expected.json'));
    golden = await tensorsAt(join(folder, 'expected.safetensors'));
  });
  const load = async (quantize: 'none' | 'nf4' = 'none'): Promise<Student> =>
    own(await Student.load(gpu, await checkpointAt(folder), { quantize }));
  const adapterFor = async (student: Student): Promise<Adapter> =>
    own(Adapter.fromPeft(student, await adapterAt(join(folder, 'adapter'))));
  const supervised = (): PackedBatch =>
    packSequences(
      expected.sequences.map((ids, b) => ({
        ids,
        labels: ids.map((id, t) => (t < expected.prompt_total_lengths[b]![0] ? -100 : id)),
      })),
    );

  it('logits of three packed sequences, and of each alone, match within 1e-4', async () => {
    const trainer = await trainerOf(await load());
    const want = unpadded(await golden.readF32('logits'), expected.lengths);
    const packed = await trainer.logits(packSequences(expected.sequences.map((ids) => ({ ids }))));
    expect(worst(packed, want, LOGITS)).toBeLessThan(1);
    const alone: number[] = [];
    for (const ids of expected.sequences) alone.push(...(await trainer.logits(packSequences([{ ids }]))));
    expect(worst(alone, want, LOGITS)).toBeLessThan(1);
  });

  it('three greedy answers are exact: by the cache, by a fresh prefill at every token, and by the whole forward pass', async () => {
    const student = await load();
    const generate = async (prompts: number[][], batchSize: number, maxNewTokens: number): Promise<number[][]> => {
      const generator = own(
        new Generator(student, undefined, { batchSize, maxPromptTokens: 40, maxNewTokens, temperature: 0, eosIds: [] }),
      );
      await generator.ready();
      return (await generator.generate(prompts, { seed: 1, stream: 'golden' })).map(({ ids }) => [...ids]);
    };
    const answers = expected.generation.map(({ generated }) => generated);
    const prompts = expected.generation.map(({ prompt }) => prompt);
    expect(await generate(prompts, 3, 20)).toEqual(answers);
    expect(await generate(prompts, 1, 20)).toEqual(answers);
    const prefixes = expected.generation.flatMap(({ prompt, generated }) =>
      generated.map((_, t) => [...prompt, ...generated.slice(0, t)]),
    );
    expect((await generate(prefixes, 12, 1)).flat()).toEqual(answers.flat());
    const trainer = await trainerOf(student);
    for (const { prompt, generated } of expected.generation) {
      const logits = await trainer.logits(packSequences([{ ids: [...prompt, ...generated] }]));
      const V = student.config.vocabSize;
      const best = generated.map((_, t) => argmax(logits.subarray((prompt.length + t - 1) * V).subarray(0, V)));
      expect(best).toEqual(generated);
    }
  });

  // Recomputing repeats the same forward pass: that it does for each family's own parts, one fixture of it tells.
  const recomputed = LONG || ONE_OF_EACH.includes(name);
  it.each(recomputed ? (['keep', 'recompute'] as const) : (['keep'] as const))(
    'with an adapter: log-probabilities, loss and all gradients match, and three steps of AdamW (activations: %s)',
    async (activations) => {
      const student = await load();
      const trainer = await trainerOf(student, await adapterFor(student), activations);
      const batch = supervised();
      trainer.beginStep(0);
      await trainer.accumulateSupervised(batch, expected.n_loss_tokens);
      const gradients = await trainer.gradients();
      const names = golden.tensorNames.filter((one) => one.startsWith('grad.'));
      expect(names).toHaveLength(14 * student.config.layers);
      expect(gradients.size).toBe(names.length);
      for (const one of names) {
        const got = gradients.get(one.slice('grad.'.length));
        expect(got, one).toBeDefined();
        expect(worst(got!.data, await golden.readF32(one), 5e-6, 1e-4), one).toBeLessThanOrEqual(1);
      }
      // Entry t scores token t+1; targets come in the order of the packed batch.
      const scored = await golden.readF32('token_logps');
      const L = Math.max(...expected.lengths);
      const targets = expected.prompt_total_lengths.flatMap(([prompt, total], b) =>
        Array.from(scored.subarray(b * (L - 1) + prompt - 1, b * (L - 1) + total - 1)),
      );
      expect(worst(await trainer.tokenLogps(batch), targets, LOGITS)).toBeLessThan(1);

      const losses: number[] = [];
      for (let step = 1; step <= 4; step++) {
        trainer.beginStep(step - 1);
        await trainer.accumulateSupervised(batch, expected.n_loss_tokens);
        const learningRate = step <= 3 ? 1e-2 : 0;
        await trainer.update({ learningRate, weightDecay: step <= 3 ? 1e-4 : 0, maxNorm: 0, step });
        losses.push((await trainer.metrics()).loss);
      }
      expect(worst(losses.slice(0, 1), [expected.loss], 1e-4)).toBeLessThan(1);
      expect(worst(losses, expected.train_losses_before_step_then_final, 1e-4)).toBeLessThan(1);
    },
  );

  it('quantised to NF4 it gives the logits of its dequantised twin in f32 within 1e-4, and not its own', async () => {
    const batch = packSequences(expected.sequences.map((ids) => ({ ids })));
    const twin = own(await Student.load(gpu, await dequantizedTwin(await checkpointAt(folder)), { quantize: 'none' }));
    const want = await (await trainerOf(twin)).logits(batch);
    const got = await (await trainerOf(await load('nf4'))).logits(batch);
    expect(worst(got, want, LOGITS)).toBeLessThan(1);
    expect(worst(got, unpadded(await golden.readF32('logits'), expected.lengths), LOGITS)).toBeGreaterThan(10);
  });

  it('the first loss of DPO is ln 2 when the policy is the reference, and no reward is given', async () => {
    const student = await load('nf4');
    const trainer = await trainerOf(student, await adapterFor(student));
    const [long, short] = [expected.sequences[0]!, expected.sequences[1]!];
    const prompt = long.slice(0, 4);
    const answers = [long.slice(4), short.slice(4), short.slice(2, 9), long.slice(2, 11)];
    const batch = packSequences(
      answers.map((answer) => ({ ids: [...prompt, ...answer], labels: [...prompt.map(() => -100), ...answer] })),
    );
    const { sums } = await trainer.sequenceLogps(batch);
    trainer.beginStep(0);
    await trainer.accumulatePreference(batch, sums, { loss: 'sigmoid', beta: 0.1, labelSmoothing: 0, totalPairs: 2 });
    await trainer.update({ learningRate: 0, weightDecay: 0, maxNorm: 0, step: 1 });
    const { loss, pairs } = await trainer.metrics();
    expect(Math.abs(loss - Math.LN2)).toBeLessThan(1e-6);
    expect(Array.from(pairs!.rewardsChosen)).toEqual([0, 0]);
  });
});

describe('rotary positions of published models', async () => {
  const cases = await jsonAt<
    Record<string, { rope_theta: number; head_dim: number; rope_scaling: object | null; inv_freq: number[] }>
  >(join(FAMILIES, 'rope.json'));

  it.each(Object.entries(cases))('%s: the tables of the student', async (_, one) => {
    const positions = 300;
    const student = own(
      Student.initialize(
        gpu,
        parseModelConfig({
          architectures: ['LlamaForCausalLM'],
          model_type: 'llama',
          hidden_size: one.head_dim,
          head_dim: one.head_dim,
          intermediate_size: 8,
          num_hidden_layers: 1,
          num_attention_heads: 1,
          vocab_size: 8,
          max_position_embeddings: positions,
          rms_norm_eps: 1e-5,
          rope_theta: one.rope_theta,
          rope_scaling: one.rope_scaling,
          hidden_act: 'silu',
        }),
        1,
      ),
    );
    const angles = Array.from({ length: positions }, (__, p) => one.inv_freq.map((frequency) => p * frequency)).flat();
    expect(worst(await gpu.readF32(student.ropeCos), angles.map(Math.cos), 1e-7)).toBeLessThan(1);
    expect(worst(await gpu.readF32(student.ropeSin), angles.map(Math.sin), 1e-7)).toBeLessThan(1);
  });
});
