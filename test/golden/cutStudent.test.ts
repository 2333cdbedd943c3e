// cutStudent.test.ts: a student most of whose matrices exceed a binding of the adapter does what it does where they fit:
// logits, log-probabilities, greedy answers, and steps of training, dense and in NF4. The limit is the engine's own, lowered
// while commands are prepared; matrices that exceed an adapter's true limit are in test/kernels/cutWeights.test.ts.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { memorySource } from '../../src/formats/byteSource';
import { openCheckpoint } from '../../src/formats/checkpointIndex';
import { parseModelConfig } from '../../src/formats/modelConfig';
import { inLibraryOrder, writeSafetensors } from '../../src/formats/safetensorsWrite';
import { RandomStream } from '../../src/base/random';
import type { Gpu } from '../../src/gpu/device';
import { Adapter } from '../../src/model/adapter';
import { packSequences } from '../../src/model/batch';
import { Generator } from '../../src/model/generator';
import { parameterShapes } from '../../src/model/parameterShapes';
import { Student } from '../../src/model/student';
import { Trainer } from '../../src/model/trainer';
import { optimizer } from '../../src/optim/optimizer';
import { withBindingLimit } from '../../src/selfcheck/cases/samples';
import { freshGpu } from '../kernels/device';
import { SEQUENCES, TARGETS, withNonZeroB } from './awkward';
import { SECOND_DRIVER } from './familyFiles';

let gpu: Gpu;
beforeAll(async () => {
  gpu = await freshGpu();
});
const owned: { destroy(): void }[] = [];
function own<T extends { destroy(): void }>(thing: T): T {
  owned.push(thing);
  return thing;
}
afterAll(() => owned.forEach((thing) => thing.destroy()));

const LIMITS = { tokens: 18, targets: 18, sequences: 4 };

function config(hidden: number, intermediate: number): Record<string, unknown> {
  return {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    hidden_size: hidden,
    intermediate_size: intermediate,
    num_hidden_layers: 2,
    num_attention_heads: 6,
    num_key_value_heads: 2,
    head_dim: 20,
    vocab_size: 211,
    max_position_embeddings: 64,
    rms_norm_eps: 1e-5,
    rope_theta: 10000,
    hidden_act: 'silu',
    tie_word_embeddings: false,
    bos_token_id: 1,
    eos_token_id: 2,
  };
}

/** In f32 the embedding, the head and all layers but k and v exceed 40,000 bytes. */
const DENSE = { hidden: 130, intermediate: 150, limit: 40_000 };
/** In NF4 gate, up and down exceed 50,000 bytes, and no activation does; of the dense tensors embedding and head do. */
const NF4 = { hidden: 192, intermediate: 600, limit: 50_000 };

async function nf4Student(): Promise<Student> {
  const json = config(NF4.hidden, NF4.intermediate);
  const { matrices, vectors } = parameterShapes(parseModelConfig(json));
  const tensors = [...matrices, ...vectors].map(({ name, shape }) => {
    const random = new RandomStream(7, name);
    const count = shape.reduce((product, size) => product * size, 1);
    const centre = shape.length === 1 ? 1 : 0;
    return {
      name,
      dtype: 'f32' as const,
      shape,
      data: Float32Array.from({ length: count }, () => centre + 0.05 * random.nextNormal()),
    };
  });
  const files: Record<string, Uint8Array> = {
    'config.json': new TextEncoder().encode(JSON.stringify(json)),
    'model.safetensors': writeSafetensors(inLibraryOrder(tensors), { format: 'pt' }),
  };
  const checkpoint = await openCheckpoint((path) => {
    const bytes = files[path];
    return Promise.resolve(bytes === undefined ? undefined : memorySource(path, bytes));
  }, 'cut');
  return own(await Student.load(gpu, checkpoint, { quantize: 'nf4-double' }));
}

const denseStudent = (): Student =>
  own(Student.initialize(gpu, parseModelConfig(config(DENSE.hidden, DENSE.intermediate)), 11));

function largestDifference(a: Float32Array, b: Float32Array): number {
  expect(a.length).toBe(b.length);
  return a.reduce((worst, value, i) => Math.max(worst, Math.abs(value - b[i]!)), 0);
}

const norm = (values: Float32Array): number => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));

/** Logits, log-probabilities and greedy answers under a limit. */
async function inference(student: Student, adapter: Adapter | undefined, limit: number | undefined) {
  const [trainer, generator] = withBindingLimit(gpu, limit, () => [
    own(new Trainer(student, adapter, { limits: LIMITS, scoringOnly: true })),
    own(
      new Generator(student, adapter, {
        batchSize: 3,
        maxPromptTokens: 6,
        maxNewTokens: 12,
        temperature: 0,
        eosIds: [2],
      }),
    ),
  ]);
  await gpu.settled();
  const batch = packSequences(SEQUENCES);
  const logps = await trainer.tokenLogps(batch);
  // Prepares its commands at once, before it first waits.
  const logits = await withBindingLimit(gpu, limit, () => trainer.logits(batch));
  const answers = await generator.generate([[1, 5, 9], [1], [1, 6, 8, 12, 13, 200]], { seed: 1, stream: 'cut' });
  return { logps, logits, answers: answers.map(({ ids }) => Array.from(ids)) };
}

/** Gradient of the first step, and the parameters after three. */
async function training(student: Student, adapter: Adapter | undefined, limit: number | undefined) {
  const trainer = withBindingLimit(gpu, limit, () =>
    own(new Trainer(student, adapter, { limits: LIMITS, optimizer: optimizer('adamw') })),
  );
  await trainer.ready();
  const trained = adapter?.parameters ?? student.parameters!;
  const start = await trained.read();
  const losses: number[] = [];
  let gradient: Float32Array | undefined;
  for (let step = 0; step < 3; step++) {
    trainer.beginStep(step);
    await trainer.accumulateSupervised(packSequences(SEQUENCES), 11);
    gradient ??= await gpu.readF32(trained.gradient);
    await trainer.update({ learningRate: 1e-3, weightDecay: 1e-2, maxNorm: 0.5, step: step + 1 });
    losses.push((await trainer.metrics()).loss);
  }
  const end = await trained.read();
  trained.write(start);
  return { gradient: gradient!, moved: end.map((value, i) => value - start[i]!), losses };
}

async function expectSameTraining(student: Student, adapter: Adapter | undefined, limit: number): Promise<void> {
  const whole = await training(student, adapter, undefined);
  const cut = await training(student, adapter, limit);
  expect(whole.losses[2]).toBeLessThan(whole.losses[0]!);
  cut.losses.forEach((loss, i) => expect(Math.abs(loss - whole.losses[i]!)).toBeLessThan(1e-5));
  expect(largestDifference(cut.gradient, whole.gradient)).toBeLessThan(1e-5 * norm(whole.gradient));
  // AdamW's first steps go by the sign: an entry whose gradient is rounding alone may go either way.
  expect(norm(cut.moved.map((value, i) => value - whole.moved[i]!))).toBeLessThan(1e-2 * norm(whole.moved));
}

const bound = (student: Student): number => Math.max(...student.layers.map(({ linear }) => bytesOf(linear.gate_proj)));
function bytesOf(weight: Student['layers'][number]['linear']['gate_proj']): number {
  return (weight.kind === 'nf4' ? weight.packed : weight.data).sizeBytes;
}

// A hundred pipelines, which lavapipe takes minutes to compile; its true limit is cutWeights.test.ts.
const here = it.skipIf(SECOND_DRIVER);

here('a dense student of cut matrices: log-probabilities and logits are equal, greedy answers exactly', async () => {
  const student = denseStudent();
  expect(bound(student)).toBeGreaterThan(DENSE.limit);
  const whole = await inference(student, undefined, undefined);
  const cut = await inference(student, undefined, DENSE.limit);
  expect(Array.from(cut.logits)).toEqual(Array.from(whole.logits));
  expect(largestDifference(cut.logps, whole.logps)).toBeLessThan(1e-5); // the vocabulary is summed in other chunks
  expect(cut.answers).toEqual(whole.answers);
  expect(whole.answers.some((ids) => ids.length === 12)).toBe(true);
});

here('a dense student of cut matrices trains in all its parameters as a whole one', async () => {
  await expectSameTraining(denseStudent(), undefined, DENSE.limit);
});

here('an NF4 student of cut matrices with an adapter: answers exactly, logits and training equal', async () => {
  const student = await nf4Student();
  expect(bound(student)).toBeGreaterThan(NF4.limit);
  const settings = { rank: 3, alpha: 6, dropout: 0, rsLora: false, targets: TARGETS };
  const adapter = await withNonZeroB(own(Adapter.create(student, settings, 3)));
  const whole = await inference(student, adapter, undefined);
  const cut = await inference(student, adapter, NF4.limit);
  expect(Array.from(cut.logits)).toEqual(Array.from(whole.logits));
  expect(cut.answers).toEqual(whole.answers);
  await expectSameTraining(student, adapter, NF4.limit);
});
