// hostileStudents.test.ts: students that must be refused (damaged, of another model, asked for the impossible): the error
// names file or tensor and what was expected, and not a byte stays on the GPU. And one student in every form in which it may
// be stored: the logits are the same to the last bit. All checkpoints are random and made in memory.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { bf16ToNumber, f16ToNumber, numberToBf16, numberToF16 } from '../../src/base/dtypes';
import { PupilError } from '../../src/base/errors';
import { createDynamicMap } from '../../src/base/nf4';
import { RandomStream } from '../../src/base/random';
import { bnb4bitTensors, withBnb4bitConfig } from '../../src/formats/bnb4bit';
import { memorySource } from '../../src/formats/byteSource';
import { openCheckpoint, type Checkpoint } from '../../src/formats/checkpointIndex';
import type { JsonObject } from '../../src/formats/jsonText';
import { parseModelConfig } from '../../src/formats/modelConfig';
import { inLibraryOrder, writeSafetensors, type TensorData } from '../../src/formats/safetensorsWrite';
import type { Gpu } from '../../src/gpu/device';
import { packSequences } from '../../src/model/batch';
import { Student } from '../../src/model/student';
import type { LoadOptions } from '../../src/model/studentLoading';
import { parameterShapes } from '../../src/model/parameterShapes';
import { Trainer } from '../../src/model/trainer';
import { nf4Quantize, nf4QuantizeAbsmax } from '../../src/reference/nf4';
import { testGpu } from '../kernels/device';

let gpu: Gpu;
beforeAll(async () => {
  gpu = await testGpu();
});

type Files = Record<string, Uint8Array>;
type Weights = Map<string, { shape: number[]; values: Float32Array }>;

const CONFIG: JsonObject = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  hidden_size: 24,
  intermediate_size: 37,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  vocab_size: 29,
  max_position_embeddings: 32,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  hidden_act: 'silu',
  tie_word_embeddings: true,
  bos_token_id: 1,
  eos_token_id: 2,
};
const UNTIED: JsonObject = { ...CONFIG, tie_word_embeddings: false };

/** Random weights of a config, each rounded by `round`. */
function randomWeights(config: JsonObject, round: (value: number) => number = Math.fround): Weights {
  const { matrices, vectors } = parameterShapes(parseModelConfig(config));
  const entries = [...matrices, ...vectors].map(({ name, shape }) => {
    const random = new RandomStream(11, name);
    const [centre, spread] = shape.length === 1 ? [1, 0.1] : [0, 0.2];
    const count = shape.reduce((product, size) => product * size, 1);
    const values = Float32Array.from({ length: count }, () => round(centre + spread * random.nextNormal()));
    return [name, { shape, values }] as const;
  });
  return new Map(entries);
}

type Form = 'f32' | 'f16' | 'bf16';
function tensor(name: string, shape: readonly number[], values: Float32Array, form: Form = 'f32'): TensorData {
  const encode = form === 'f16' ? numberToF16 : numberToBf16;
  return { name, dtype: form, shape, data: form === 'f32' ? values : Uint16Array.from(values, encode) };
}
const tensorsOf = (weights: Weights, form: Form = 'f32'): TensorData[] =>
  Array.from(weights, ([name, { shape, values }]) => tensor(name, shape, values, form));

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const file = (tensors: readonly TensorData[]): Uint8Array =>
  writeSafetensors(inLibraryOrder(tensors), { format: 'pt' });
const folder = (config: JsonObject, tensors: readonly TensorData[]): Files => {
  return { 'config.json': encode(JSON.stringify(config)), 'model.safetensors': file(tensors) };
};

function open(files: Files): Promise<Checkpoint> {
  const find = (path: string) => {
    const bytes = files[path];
    return Promise.resolve(bytes === undefined ? undefined : memorySource(path, bytes));
  };
  return openCheckpoint(find, 'pupil');
}

async function load(files: Files, options: Partial<LoadOptions> = {}): Promise<Student> {
  return Student.load(gpu, await open(files), { quantize: 'none', ...options });
}

const BNB_LINEAR = /^model\.layers\..*_proj\.weight$/;
/** The checkpoint that bitsandbytes would save of these weights. */
function bnb4bitFiles(weights: Weights, config: JsonObject, double: boolean): Files {
  const tensors = Array.from(weights).flatMap(([name, { shape, values }]) => {
    if (!BNB_LINEAR.test(name)) return [tensor(name, shape, values)];
    const { packed, absmax } = nf4Quantize(values);
    const nested = { ...nf4QuantizeAbsmax(absmax), nestedMap: createDynamicMap() };
    return bnb4bitTensors(name, {
      packed,
      shape: [shape[0]!, shape[1]!],
      absmax: double ? nested : absmax,
      blockSize: 64,
      dtype: 'f32',
    });
  });
  return folder(withBnb4bitConfig(config, double), tensors);
}

describe('a student that cannot be loaded', () => {
  const Q = 'model.layers.1.self_attn.q_proj.weight';
  const NORM = 'model.layers.1.post_attention_layernorm.weight';
  /** The sound checkpoint, with one tensor's values or shape changed, or without it (null). */
  const changed = (name: string, change: ((t: TensorData) => TensorData) | null): Files => {
    const tensors = tensorsOf(randomWeights(CONFIG));
    expect(tensors.some((t) => t.name === name)).toBe(true);
    return folder(
      CONFIG,
      tensors.flatMap((t) => (t.name !== name ? [t] : change === null ? [] : [change(t)])),
    );
  };
  const withValue = (name: string, at: number, value: number): Files =>
    changed(name, (t) => tensor(name, t.shape, (t.data as Float32Array).with(at, value)));
  const without = (key: string): Files =>
    folder(
      Object.fromEntries(Object.entries(CONFIG).filter(([name]) => name !== key)),
      tensorsOf(randomWeights(CONFIG)),
    );
  const bnb4bit = (): Files => bnb4bitFiles(randomWeights(CONFIG), CONFIG, true);
  const bnb4bitWith = (name: string, change: (t: TensorData) => TensorData[]): Files => {
    const { packed, absmax } = nf4Quantize(randomWeights(CONFIG).get(Q)!.values);
    const stored = bnb4bitTensors(Q, { packed, shape: [24, 24], absmax, blockSize: 64, dtype: 'f32' });
    const rest = tensorsOf(randomWeights(CONFIG)).filter((t) => t.name !== Q);
    expect(stored.some((t) => t.name === name)).toBe(true);
    const tensors = [...rest, ...stored.flatMap((t) => (t.name === name ? change(t) : [t]))];
    return folder(withBnb4bitConfig(CONFIG, false), tensors);
  };
  const pointer = encode(
    'version https://git-lfs.github.com/spec/v1\noid sha256:' + '4d7a'.repeat(16) + '\nsize 1234567\n',
  );
  const sound = (): Files => folder(CONFIG, tensorsOf(randomWeights(CONFIG)));

  const cases: [what: string, files: () => Files, options: Partial<LoadOptions>, code: string, says: string[]][] = [
    ['a NaN weight', () => withValue(Q, 5, NaN), {}, 'checkpoint', [Q, 'element 5', 'NaN', 'expected a finite number']],
    [
      'a NaN weight, to be quantised',
      () => withValue(Q, 575, NaN),
      { quantize: 'nf4-double' },
      'checkpoint',
      [Q, 'element 575', 'expected a finite number'],
    ],
    [
      'a NaN weight, to be trained',
      () => withValue(Q, 0, NaN),
      { trainable: true },
      'checkpoint',
      [Q, 'element 0', 'expected a finite number'],
    ],
    ['an infinite norm', () => withValue(NORM, 23, -Infinity), {}, 'checkpoint', [NORM, '-Infinity', 'finite']],
    [
      'a matrix of another shape than config.json says',
      () => changed(Q, (t) => tensor(Q, [12, 48], t.data as Float32Array)),
      {},
      'checkpoint',
      [Q, 'expected shape [24, 24] from config.json', '[12, 48]'],
    ],
    [
      'a norm with one dimension more',
      () => changed(NORM, (t) => tensor(NORM, [1, 24], t.data as Float32Array)),
      {},
      'checkpoint',
      [NORM, 'expected shape [24]', '[1, 24]'],
    ],
    [
      'integers for weights',
      () => changed(Q, (t) => ({ ...t, dtype: 'i32' })),
      {},
      'checkpoint',
      [Q, 'model.safetensors', 'I32', 'expected'],
    ],
    ['a missing matrix', () => changed(Q, null), {}, 'checkpoint', [`expected a tensor "${Q}"`]],
    ['a missing norm', () => changed(NORM, null), { trainable: true }, 'checkpoint', [`expected a tensor "${NORM}"`]],
    [
      'a head that config.json calls untied and nobody stored',
      () => ({ ...sound(), 'config.json': encode(JSON.stringify(UNTIED)) }),
      {},
      'checkpoint',
      ['expected a tensor "lm_head.weight"'],
    ],
    [
      'no rms_norm_eps',
      () => without('rms_norm_eps'),
      {},
      'checkpoint',
      ['config.json: rms_norm_eps: expected a number'],
    ],
    [
      'no hidden_size',
      () => without('hidden_size'),
      {},
      'checkpoint',
      ['config.json: hidden_size: expected an integer'],
    ],
    [
      'a Git-LFS pointer for weights',
      () => ({ ...sound(), 'model.safetensors': pointer }),
      {},
      'format',
      ['model.safetensors: expected safetensors, got a Git-LFS pointer'],
    ],
    [
      'a file cut off',
      () => ({ ...sound(), 'model.safetensors': sound()['model.safetensors']!.slice(0, -4) }),
      {},
      'format',
      ['model.safetensors', 'expected'],
    ],
    [
      'quantisation of what is quantised',
      bnb4bit,
      { quantize: 'nf4' },
      'config',
      ['already quantised (bitsandbytes NF4)', 'quantize "nf4"'],
    ],
    [
      'training of NF4 weights',
      sound,
      { quantize: 'nf4', trainable: true },
      'config',
      ['cannot be trained as a whole'],
    ],
    ['training of a bnb-4bit checkpoint', bnb4bit, { trainable: true }, 'config', ['cannot be trained as a whole']],
    [
      'a bnb-4bit weight without its scales',
      () => bnb4bitWith(`${Q}.absmax`, () => []),
      {},
      'checkpoint',
      [`expected a tensor "${Q}.absmax"`],
    ],
    [
      'a bnb-4bit weight with an infinite scale',
      () => bnb4bitWith(`${Q}.absmax`, (t) => [{ ...t, data: (t.data as Float32Array).with(2, Infinity) }]),
      {},
      'checkpoint',
      [`${Q}.absmax`, 'expected finite numbers', 'Infinity at element 2'],
    ],
  ];

  let before: { student: number; current: number; alive: number };
  const account = (): typeof before => {
    const { current, buffersAlive: alive } = gpu.account;
    return { student: new Map(gpu.account.entries()).get('student') ?? 0, current, alive };
  };
  beforeEach(() => {
    before = account();
  });

  for (const [what, files, options, code, says] of cases) {
    it(`${what}: refused by name, nothing stays on the GPU`, async () => {
      const error: unknown = await load(files(), options).then(
        (student) => {
          student.destroy();
          return 'it was loaded';
        },
        (reason: unknown) => reason,
      );
      expect(error).toBeInstanceOf(PupilError);
      const { code: came, message } = error as PupilError;
      for (const part of says) expect(message).toContain(part);
      expect(came).toBe(code);
      if (code === 'checkpoint') expect(message).toMatch(/^(pupil|model\.safetensors|config\.json)/);
      expect(account()).toEqual(before);
    });
  }

  it('a sound one does take bytes, also beside a refused one, and gives them back', async () => {
    const student = await load(sound());
    expect(account().student - before.student).toBe(student.sizeBytes);
    expect(student.sizeBytes).toBeGreaterThan(0);
    await expect(load(withValue(Q, 5, NaN))).rejects.toBeInstanceOf(PupilError);
    expect(account().student - before.student).toBe(student.sizeBytes);
    student.destroy();
    expect(account()).toEqual(before);
  });
});

describe('one student in many forms gives the same logits, bit for bit', () => {
  const SEQUENCES = [{ ids: [1, 7, 28, 3, 14] }, { ids: [1, 0] }];
  const known = new Map<string, Promise<number[]>>();

  /** Bits of the logits (7, V). */
  async function logits(files: Files, options: Partial<LoadOptions> = {}): Promise<number[]> {
    const student = await load(files, options);
    const trainer = new Trainer(student, undefined, { limits: { tokens: 7, targets: 1, sequences: 2 } });
    try {
      await trainer.ready();
      const values = await trainer.logits(packSequences(SEQUENCES));
      expect(values).toHaveLength(7 * 29);
      expect(values.every(Number.isFinite)).toBe(true);
      expect(new Set(values).size).toBeGreaterThan(100);
      return Array.from(new Uint32Array(values.buffer, values.byteOffset, values.length));
    } finally {
      trainer.destroy();
      student.destroy();
    }
  }
  afterAll(() => known.clear());

  const ROUND: Record<Form, (value: number) => number> = {
    f32: Math.fround,
    f16: (value) => f16ToNumber(numberToF16(value)),
    bf16: (value) => bf16ToNumber(numberToBf16(value)),
  };
  const CONFIGS = { tied: CONFIG, untied: UNTIED };
  type Tie = keyof typeof CONFIGS;

  /** From one f32 file of the rounded values. */
  function plain(tie: Tie, form: Form): Promise<number[]> {
    const key = `${tie} ${form}`;
    const found = known.get(key);
    if (found !== undefined) return found;
    const made = logits(folder(CONFIGS[tie], tensorsOf(randomWeights(CONFIGS[tie], ROUND[form]))));
    known.set(key, made);
    return made;
  }

  /** Tensors dealt in turn to `count` shards, with their index. */
  function sharded(config: JsonObject, tensors: readonly TensorData[], count: number): Files {
    const path = (i: number): string => `model-0000${(i % count) + 1}-of-0000${count}.safetensors`;
    const shards = Array.from({ length: count }, (_, shard) => [
      path(shard),
      file(tensors.filter((_, i) => i % count === shard)),
    ]);
    const index = { metadata: {}, weight_map: Object.fromEntries(tensors.map(({ name }, i) => [name, path(i)])) };
    return {
      'config.json': encode(JSON.stringify(config)),
      'model.safetensors.index.json': encode(JSON.stringify(index)),
      ...(Object.fromEntries(shards) as Files),
    };
  }

  for (const tie of ['tied', 'untied'] as const) {
    for (const form of ['f16', 'bf16'] as const) {
      it(`${form}, ${tie}: as the f32 file of its values`, async () => {
        const tensors = tensorsOf(randomWeights(CONFIGS[tie]), form);
        expect(await logits(folder(CONFIGS[tie], tensors))).toEqual(await plain(tie, form));
      });
    }

    it(`bf16 in three shards with an index, ${tie}`, async () => {
      const tensors = tensorsOf(randomWeights(CONFIGS[tie]), 'bf16');
      expect(await logits(sharded(CONFIGS[tie], tensors, 3))).toEqual(await plain(tie, 'bf16'));
    });

    it(`trainable as a whole, ${tie}`, async () => {
      // Full-parameter weights are f32 on every tier; on the f16 tier frozen ones are halves, so the values are halves here.
      const files = folder(CONFIGS[tie], tensorsOf(randomWeights(CONFIGS[tie], ROUND.f16)));
      const trainable = (await logits(files, { trainable: true })).map(bitsToFloat);
      const frozen = (await plain(tie, 'f16')).map(bitsToFloat);
      if (gpu.tier === 'f32') expect(trainable).toEqual(frozen);
      else trainable.forEach((value, i) => expect(Math.abs(value - frozen[i]!)).toBeLessThan(1e-4));
    });
  }

  it('the tied matrix stored as lm_head.weight only, or as a second copy that is called untied', async () => {
    const weights = randomWeights(CONFIG);
    const head = weights.get('model.embed_tokens.weight')!;
    const tensors = tensorsOf(weights);
    const copy = tensor('lm_head.weight', head.shape, head.values);
    const headOnly = [...tensors.filter(({ name }) => name !== 'model.embed_tokens.weight'), copy];
    expect(await logits(folder(CONFIG, headOnly))).toEqual(await plain('tied', 'f32'));
    expect(await logits(folder(UNTIED, [...tensors, copy]))).toEqual(await plain('tied', 'f32'));
  });

  it('and these comparisons can fail: untied, or rounded to bf16, it is another student', async () => {
    expect(await plain('untied', 'f32')).not.toEqual(await plain('tied', 'f32'));
    expect(await plain('tied', 'bf16')).not.toEqual(await plain('tied', 'f32'));
  });

  for (const double of [false, true]) {
    it(`NF4 ${double ? 'double' : 'single'}: quantised on the GPU, and as a bnb-4bit checkpoint of the same weights`, async () => {
      const weights = randomWeights(UNTIED);
      const here = await logits(folder(UNTIED, tensorsOf(weights)), { quantize: double ? 'nf4-double' : 'nf4' });
      expect(here).toEqual(await logits(bnb4bitFiles(weights, UNTIED, double)));
      expect(here).not.toEqual(await plain('untied', 'f32'));
    });
  }

  function bitsToFloat(bits: number): number {
    return new Float32Array(Uint32Array.of(bits).buffer)[0]!;
  }
});
