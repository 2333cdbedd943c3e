// studentPlanMeasured.test.ts: what a student's plan says of the GPU, against the account while that student is loaded, made
// ready for training and made ready to answer: over made checkpoints of many shapes and settings.
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { RandomStream } from '../../../src/base/random';
import { memorySource } from '../../../src/formats/byteSource';
import { openCheckpoint } from '../../../src/formats/checkpointIndex';
import { parseModelConfig } from '../../../src/formats/modelConfig';
import { inLibraryOrder, writeSafetensors } from '../../../src/formats/safetensorsWrite';
import type { Gpu } from '../../../src/gpu/device';
import { Adapter } from '../../../src/model/adapter';
import { Generator } from '../../../src/model/generator';
import { parameterShapes } from '../../../src/model/parameterShapes';
import { Student } from '../../../src/model/student';
import { planStudent, STUDENT_SETTINGS, type StudentSettings } from '../../../src/model/studentPlan';
import { Trainer } from '../../../src/model/trainer';
import { optimizer } from '../../../src/optim/optimizer';
import { testGpu } from '../../kernels/device';

vi.setConfig({ testTimeout: 600_000 });

let gpu: Gpu;
beforeAll(async () => {
  gpu = await testGpu();
});

const BASE = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  hidden_size: 128,
  intermediate_size: 256,
  num_hidden_layers: 3,
  num_attention_heads: 4,
  num_key_value_heads: 4,
  vocab_size: 1024,
  max_position_embeddings: 1024,
  rms_norm_eps: 1e-5,
  tie_word_embeddings: true,
};

const QWEN3 = { model_type: 'qwen3', architectures: ['Qwen3ForCausalLM'], head_dim: 64 };
const GEMMA2 = {
  model_type: 'gemma2',
  architectures: ['Gemma2ForCausalLM'],
  head_dim: 48,
  num_key_value_heads: 2,
  sliding_window: 64,
  hidden_activation: 'gelu_pytorch_tanh',
};

/** What differs, of the config and of the settings. */
const GRID: [string, object, Partial<StudentSettings>][] = [
  ['tied, NF4', {}, {}],
  ['untied, dense', { tie_word_embeddings: false }, { quantize: 'none' }],
  [
    'untied, double quantisation, RMSprop',
    { tie_word_embeddings: false },
    { quantize: 'nf4-double', optimizer: 'rmsprop' },
  ],
  ['a large vocabulary', { vocab_size: 40_000 }, { length: 256, batch: 2, rank: 8 }],
  [
    'a vocabulary whose logits are cut',
    { vocab_size: 70_000, hidden_size: 64 },
    { length: 1024, newTokens: 8, rank: 4 },
  ],
  ['grouped queries, two heads a layer', { num_key_value_heads: 1, head_dim: 64 }, { length: 256, newTokens: 32 }],
  ['activations kept', {}, { activations: 'keep', length: 512, batch: 2 }],
  ['activations recomputed', {}, { activations: 'recompute', length: 512, batch: 2 }],
  [
    'a high rank on few layers',
    {},
    { rank: 128, targets: ['q_proj', 'v_proj'], dropout: false, length: 64, newTokens: 16 },
  ],
  [
    'qwen2: biases on grouped queries',
    { model_type: 'qwen2', architectures: ['Qwen2ForCausalLM'], num_key_value_heads: 2 },
    { length: 256, newTokens: 32, rank: 8 },
  ],
  [
    'qwen3: norms of heads larger than C/H, activations kept',
    { ...QWEN3, num_key_value_heads: 2 },
    { activations: 'keep', length: 512, batch: 2, rank: 8 },
  ],
  [
    'qwen3 with biases, activations recomputed, double quantisation',
    { ...QWEN3, attention_bias: true },
    { activations: 'recompute', quantize: 'nf4-double', length: 512, batch: 2, rank: 8, dropout: false },
  ],
  [
    'gemma2: norms of branches, activations kept',
    { ...GEMMA2, vocab_size: 4096 },
    { activations: 'keep', length: 512, batch: 2, rank: 8 },
  ],
  [
    'gemma2, dense, activations recomputed',
    { ...GEMMA2, attention_bias: true },
    { activations: 'recompute', quantize: 'none', length: 512, rank: 4, newTokens: 64, answers: 16 },
  ],
  ['many answers side by side', {}, { answers: 64, length: 512, newTokens: 384, rank: 4 }],
];

/** Every second one, and all where all tests run. */
const GRID_HERE = process.env['PUPIL_TEST_LONG'] === undefined ? GRID.filter((_, i) => i % 2 === 0) : GRID;

describe('a student’s plan and the account', () => {
  it.each(GRID_HERE)('%s: peak, training and answering differ by less than 10 in 100', async (_, changes, said) => {
    const json = { ...BASE, ...changes };
    const config = parseModelConfig(json);
    const settings = { ...STUDENT_SETTINGS, ...said };
    const plan = planStudent(config, settings);

    const { matrices, vectors } = parameterShapes(config);
    const random = new RandomStream(5, 'weights');
    const tensors = [...matrices, ...vectors].map(({ name, shape }) => {
      const count = shape.reduce((product, size) => product * size, 1);
      return {
        name,
        dtype: 'f32' as const,
        shape,
        data: Float32Array.from({ length: count }, () => random.nextUnit()),
      };
    });
    const files: Record<string, Uint8Array> = {
      'config.json': new TextEncoder().encode(JSON.stringify(json)),
      'model.safetensors': writeSafetensors(inLibraryOrder(tensors), { format: 'pt' }),
    };
    const checkpoint = await openCheckpoint((path) =>
      Promise.resolve(files[path] === undefined ? undefined : memorySource(path, files[path])),
    );

    // What earlier students left to the device (uniforms of their commands) is not this one's.
    const before = gpu.account.current;
    const held = async (work: () => Promise<void>): Promise<number> => {
      gpu.account.restartPeak();
      await work();
      return gpu.account.peak - before;
    };
    let student!: Student;
    const loading = await held(async () => {
      student = await Student.load(gpu, checkpoint, { quantize: settings.quantize });
    });
    const { rank, targets, dropout, batch, length } = settings;
    const adapter = Adapter.create(student, { rank, targets, alpha: 16, dropout: dropout ? 0.1 : 0, rsLora: false }, 1);
    const training = await held(async () => {
      const trainer = new Trainer(student, adapter, {
        limits: { tokens: batch * length, targets: batch * (length - 1), sequences: batch },
        optimizer: optimizer(settings.optimizer),
        ...(dropout ? { dropoutSeed: 1 } : {}),
        ...(settings.activations === 'auto' ? {} : { activations: settings.activations }),
      });
      await trainer.ready();
      expect(trainer.activationPolicy).toBe(plan.activations);
      await adapter.readParameters(); // as for a checkpoint
      trainer.destroy();
    });
    const generation = await held(async () => {
      const generator = new Generator(student, adapter, {
        batchSize: settings.answers,
        maxPromptTokens: Math.max(1, length - settings.newTokens),
        maxNewTokens: settings.newTokens,
        temperature: 0,
        eosIds: [2],
      });
      await generator.ready();
      generator.destroy();
    });
    adapter.destroy();
    student.destroy();

    const said10 = (planned: number, measured: number, what: string): void => {
      expect(planned / measured, `${what}: planned ${planned}, held ${measured}`).toBeGreaterThan(0.9);
      expect(planned / measured, `${what}: planned ${planned}, held ${measured}`).toBeLessThan(1.1);
    };
    const planned = Object.fromEntries(plan.stages.map(({ stage, parts }) => [stage, parts.totalBytes]));
    said10(plan.peak.totalBytes, Math.max(loading, training, generation), 'peak');
    said10(planned['training']!, training, 'training');
    said10(planned['generation']!, generation, 'generation');
    expect(planned['loading']!).toBeGreaterThan(0.95 * loading); // an upper bound, but for uniforms
  });
});
