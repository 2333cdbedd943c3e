// tinyRun.ts: a whole run small enough for a unit test: a random student (hidden 32, 2 layers) over the lesson's words and
// its task C, all files in memory. Tests only.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { RandomStream } from '../../../src/base/random';
import { parseModelConfig } from '../../../src/formats/modelConfig';
import { inLibraryOrder, writeSafetensors } from '../../../src/formats/safetensorsWrite';
import { parameterShapes } from '../../../src/model/parameterShapes';
import { PUPIL_VERSION } from '../../../src/session/load';
import type { RunState } from '../../../src/session/runState';

const LESSON = fileURLToPath(new URL('../../fixtures/lesson/', import.meta.url));
type Json = Record<string, unknown>;
const text = (value: string): Uint8Array => new TextEncoder().encode(value);

/** Files of the run: student/, vocab.json, train.jsonl, test.jsonl. `family`: keys of config.json that another family has. */
export function tinyFiles(family: Json = {}): Record<string, Uint8Array> {
  const vocab = readFileSync(`${LESSON}vocab.json`, 'utf8');
  const lines = (name: string, count: number): string =>
    readFileSync(`${LESSON}${name}`, 'utf8').split('\n').slice(0, count).join('\n');
  const config = {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    hidden_size: 32,
    intermediate_size: 48,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    vocab_size: (JSON.parse(vocab) as string[]).length,
    max_position_embeddings: 192,
    rms_norm_eps: 1e-5,
    rope_theta: 10000,
    hidden_act: 'silu',
    tie_word_embeddings: true,
    bos_token_id: 1,
    eos_token_id: 2,
    pad_token_id: 0,
    ...family,
  };
  const { matrices, vectors } = parameterShapes(parseModelConfig(config));
  const scaling = new Map(
    vectors.filter(({ name }) => name.endsWith('norm.weight')).map((v) => [v.name, 1 - v.offset]),
  );
  const tensors = [...matrices, ...vectors].map(({ name, shape }) => {
    const random = new RandomStream(7, name);
    const count = shape.reduce((product, size) => product * size, 1);
    const data = Float32Array.from({ length: count }, () => scaling.get(name) ?? 0.08 * random.nextNormal());
    return { name, dtype: 'f32' as const, shape, data };
  });
  return {
    'student/config.json': text(JSON.stringify(config)),
    'student/model.safetensors': writeSafetensors(inLibraryOrder(tensors), { format: 'pt' }),
    'vocab.json': text(vocab),
    'train.jsonl': text(lines('task-C-train-in-seed0.jsonl', 12)),
    'test.jsonl': text(lines('task-C-test.jsonl', 5)),
  };
}

/** The experiment over these files; `changes` replaces whole top-level keys. */
export function tinyExperiment(changes: Json = {}): Json {
  return {
    name: 'Tiny',
    seed: 3,
    student: {
      source: { kind: 'directory', path: 'student' },
      tokenizer: { kind: 'words', path: 'vocab.json' },
      quantize: 'nf4-double',
      tier: 'f32',
    },
    // With dropout, so that a resumed run must draw the same masks again.
    adapter: { rank: 4, alpha: 8, dropout: 0.1 },
    prompt: { wrapper: 'none', promptSuffix: '\n' },
    tasks: [
      { id: 'lesson', name: 'C', files: { train: ['train.jsonl'], test: ['test.jsonl'] }, split: { order: 'file' } },
    ],
    demonstrations: [{ label: 'scripted', task: 'C', files: ['train.jsonl'], format: 'lesson', family: 'in-family' }],
    phases: {
      baseline: true,
      instruct: { epochs: 2, batchSize: 4, microBatchTokens: 256, learningRate: 0.01, warmupRatio: 0.1, clip: 1 },
      selfRefine: {
        learningRate: 0.005,
        batchSize: 4,
        microBatchTokens: 512,
        maxSteps: 5,
        warmupSteps: 1,
        minValidationPairs: 2,
        evaluateEverySteps: 2,
        sampling: { temperature: 0.7, maxNewTokens: 8, batchSize: 5 },
      },
    },
    evaluation: { prompts: ['plain', 'cot'], maxNewTokens: 6, batchSize: 3, probing: true },
    limits: { checkpointEverySteps: 2 },
    ...changes,
  };
}

/** The state of some run in the middle of phase 1. */
export function state(): RunState {
  return {
    startedAt: '2026-01-01T00:00:00.000Z',
    experiment: { seed: 1 },
    environment: {
      vendor: 'v',
      architecture: 'a',
      device: 'd',
      description: 'x',
      software: true,
      tier: 'f32',
      variants: { linear: 'register' },
      host: 'node',
      userAgent: 'u',
      pupilVersion: PUPIL_VERSION,
    },
    student: {
      source: 's',
      parameters: 1,
      layers: 1,
      hiddenSize: 1,
      vocabSize: 1,
      quantize: 'none',
      fingerprint: 'f',
    },
    data: 'd',
    phase: 'instruct',
    step: 3,
    sequence: 2,
    metrics: [{ phase: 'instruct', step: 3, totalSteps: 9, values: { loss: 1.5 } }],
    evaluations: [],
    predictions: [],
    pending: { job: 'y', answers: [{ ids: [1, 2], stopped: 'eos' }] },
    timings: [],
    checkpointBytes: 0,
    adapterFileBytes: 0,
    gpuPeak: 0,
    log: [],
    tensors: { adapter: Float32Array.of(1, -0, 3e-40), m: new Float32Array(0) },
  };
}
