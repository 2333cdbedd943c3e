// Claims about the container (formats/gguf.ts), about names, hyperparameters and rearranged rows (formats/ggufModel.ts), and
// about adapters (formats/ggufAdapter.ts), read back by a reader that was written from the specification alone, and by Hugging
// Face's own where it is installed.
import { writeFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { writeGguf, type GgufMetadata, type GgufTensor, type GgufValue } from '../../../src/formats/gguf';
import { factorBytes, ggufAdapter } from '../../../src/formats/ggufAdapter';
import {
  ggufArchitecture,
  ggufHyperparameters,
  ggufTensorName,
  interleaveHeads,
  isInterleaved,
  ropeFactors,
  type GgufConfig,
} from '../../../src/formats/ggufModel';
import { parseModelConfig } from '../../../src/formats/modelConfig';
import type { AdapterFile } from '../../../src/formats/peft';
import { encodeFloats } from '../../../src/formats/tensorBytes';
import { anyText, expectRefusal } from './files';
import { collect, elementsOf, readGguf } from './ggufReader';

type Tensor = GgufTensor & { data: Float32Array };

async function* bytesOf({ data, dtype }: Tensor): AsyncGenerator<Uint8Array> {
  const bytes = encodeFloats(data, dtype);
  const half = Math.floor(bytes.byteLength / 2);
  yield await Promise.resolve(bytes.subarray(0, half));
  yield bytes.subarray(half);
}

const written = (metadata: GgufMetadata, tensors: readonly Tensor[] = []): Promise<Uint8Array> =>
  collect(writeGguf(metadata, tensors, bytesOf).parts());

const EVERYTHING = new Map<string, GgufValue>([
  ['general.architecture', { type: 'string', value: 'llama' }],
  ['a.u32', { type: 'u32', value: 4_294_967_295 }],
  ['a.i32', { type: 'i32', value: -2_147_483_648 }],
  ['a.f32', { type: 'f32', value: 1e-5 }],
  ['a.yes', { type: 'bool', value: true }],
  ['a.no', { type: 'bool', value: false }],
  ['b.strings', { type: 'strings', value: ['', 'é', '😀 "x"'] }],
  ['b.i32s', { type: 'i32s', value: [1, -1] }],
  ['b.f32s', { type: 'f32s', value: [0.5, -1000] }],
]);
const TENSORS: Tensor[] = [
  { name: 'token_embd.weight', dtype: 'f16', shape: [3, 5], data: Float32Array.from({ length: 15 }, (_, i) => i / 8) },
  { name: 'output_norm.weight', dtype: 'f32', shape: [5], data: Float32Array.of(1, 2, 3, 4, 5) },
  { name: 'blk.0.ffn_up.weight', dtype: 'bf16', shape: [2, 5], data: new Float32Array(10).fill(-0.75) },
];

describe('the container', () => {
  it('holds every type of value, and tensors at aligned places with their sizes the other way round', async () => {
    const { metadata, tensors } = readGguf(await written(EVERYTHING, TENSORS));
    const types = { u32: 4, i32: 5, f32: 6, bool: 7, string: 8, strings: 9, i32s: 9, f32s: 9 };
    for (const [key, { type, value }] of EVERYTHING) {
      const expected = type === 'f32' ? Math.fround(value) : value;
      expect(metadata.get(key), key).toEqual({ type: types[type], value: expected });
    }
    expect([...tensors.keys()]).toEqual(TENSORS.map(({ name }) => name));
    expect([...tensors.values()].map(({ dims, type }) => [dims, type])).toEqual([
      [[5, 3], 1],
      [[5], 0],
      [[5, 2], 30],
    ]);
    for (const { name, data } of TENSORS) expect([...elementsOf(tensors.get(name)!)]).toEqual([...data]);
  });

  it('is as long as it says beforehand, and the same each time', async () => {
    const parts = writeGguf(EVERYTHING, TENSORS, bytesOf);
    const [once, again] = [await collect(parts.parts()), await collect(parts.parts())];
    expect(once.byteLength).toBe(parts.totalBytes);
    expect(Buffer.from(once).equals(again)).toBe(true);
    expect(parts.header.byteLength % 32).toBe(0);
  });

  it('any texts and numbers read back as given, also many of them', async () => {
    const values = fc.record({
      texts: fc.array(anyText(), { maxLength: 40 }),
      numbers: fc.array(fc.nat(), { maxLength: 9 }),
    });
    await fc.assert(
      fc.asyncProperty(values, fc.nat(20_000), async ({ texts, numbers }, many) => {
        const strings = [...texts, ...Array.from({ length: many % 9_000 }, (_, i) => `token ${i}`)];
        const metadata = new Map<string, GgufValue>([
          ['a', { type: 'strings', value: strings }],
          ['b', { type: 'i32s', value: numbers }],
        ]);
        const read = readGguf(await written(metadata)).metadata;
        expect(read.get('a')!.value).toEqual(strings);
        expect(read.get('b')!.value).toEqual(numbers);
      }),
      { numRuns: 15 },
    );
  });

  const refused: [string, GgufMetadata, Tensor[], string][] = [
    ['a key with capitals', new Map([['General.name', { type: 'bool', value: true }]]), [], 'General.name'],
    ['a key without a word', new Map([['general..name', { type: 'bool', value: true }]]), [], 'general..name'],
    ['a number that is no u32', new Map([['a', { type: 'u32', value: -1 }]]), [], 'got -1'],
    ['a number that is no whole one', new Map([['a', { type: 'i32s', value: [1, 0.5] }]]), [], 'got 0.5'],
    ['two tensors of one name', new Map(), [TENSORS[0]!, TENSORS[0]!], 'token_embd.weight'],
    ['a name of 64 bytes', new Map(), [{ ...TENSORS[0]!, name: 'x'.repeat(64) }], '63 bytes'],
    ['five dimensions', new Map(), [{ ...TENSORS[0]!, shape: [1, 1, 1, 3, 5] }], '1 to 4 sizes'],
    ['bytes that do not fit', new Map(), [{ ...TENSORS[0]!, shape: [3, 4] }], 'expected 24 bytes'],
  ];
  it.each(refused)('%s is refused', async (_, metadata, tensors, words) => {
    await expectRefusal(() => written(metadata, tensors), 'shape', words);
  });

  it('reads the same by Hugging Face’s reader (skipped where it is not installed)', async ({ skip }) => {
    const name = '@huggingface/gguf'; // a name that TypeScript does not look up
    const library = (await import(/* @vite-ignore */ name).catch(() => undefined)) as
      | {
          gguf: (
            path: string,
            options: object,
          ) => Promise<{ metadata: Record<string, unknown>; tensorInfos: object[] }>;
        }
      | undefined;
    if (library === undefined) return skip();
    const folder = mkdtempSync(join(tmpdir(), 'pupil-gguf-'));
    try {
      writeFileSync(join(folder, 'm.gguf'), await written(EVERYTHING, TENSORS));
      const { metadata, tensorInfos } = await library.gguf(join(folder, 'm.gguf'), { allowLocalFile: true });
      expect(metadata).toMatchObject({ version: 3, tensor_count: 3n, 'a.i32': -2_147_483_648, 'b.f32s': [0.5, -1000] });
      expect(metadata['b.strings']).toEqual(['', 'é', '😀 "x"']);
      expect(tensorInfos).toMatchObject([
        { name: 'token_embd.weight', shape: [5n, 3n], dtype: 1, offset: 0n },
        { name: 'output_norm.weight', shape: [5n], dtype: 0, offset: 32n },
        { name: 'blk.0.ffn_up.weight', shape: [5n, 2n], dtype: 30, offset: 64n },
      ]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

/** A config of a family; what `keys` does not say has small sizes. */
function config(modelType: string, keys: Record<string, unknown> = {}): GgufConfig {
  return parseModelConfig({
    model_type: modelType,
    hidden_size: 32,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    head_dim: 8,
    intermediate_size: 48,
    vocab_size: 100,
    max_position_embeddings: 8192,
    rms_norm_eps: 1e-6,
    sliding_window: null,
    ...keys,
  });
}
const LLAMA3 = {
  rope_type: 'llama3',
  factor: 32,
  low_freq_factor: 1,
  high_freq_factor: 4,
  original_max_position_embeddings: 8192,
};
const GEMMA = { query_pre_attn_scalar: 8, sliding_window: 64, attn_logit_softcapping: 50, final_logit_softcapping: 30 };

describe('tensor names', () => {
  const layer = (part: string): string => `model.layers.1.${part}`;
  it.each([
    ['llama', 'model.embed_tokens.weight', 'token_embd.weight'],
    ['llama', 'lm_head.weight', 'output.weight'],
    ['mistral', 'model.norm.weight', 'output_norm.weight'],
    ['llama', layer('self_attn.o_proj.weight'), 'blk.1.attn_output.weight'],
    ['llama', layer('post_attention_layernorm.weight'), 'blk.1.ffn_norm.weight'],
    ['qwen2', layer('self_attn.v_proj.bias'), 'blk.1.attn_v.bias'],
    ['qwen3', layer('self_attn.k_norm.weight'), 'blk.1.attn_k_norm.weight'],
    ['gemma2', layer('input_layernorm.weight'), 'blk.1.attn_norm.weight'],
    ['gemma2', layer('post_attention_layernorm.weight'), 'blk.1.post_attention_norm.weight'],
    ['gemma2', layer('pre_feedforward_layernorm.weight'), 'blk.1.ffn_norm.weight'],
    ['gemma2', layer('post_feedforward_layernorm.weight'), 'blk.1.post_ffw_norm.weight'],
    ['gemma2', layer('mlp.gate_proj.weight'), 'blk.1.ffn_gate.weight'],
  ])('%s: %s is %s', (modelType, name, expected) => {
    expect(ggufTensorName(ggufArchitecture({ modelType }), name)).toBe(expected);
  });

  it('of tensors and families that llama.cpp does not have are refused', async () => {
    const llama = ggufArchitecture({ modelType: 'llama' });
    for (const name of ['model.layers.0.mlp.experts.weight', 'model.layers.0.norm.weight', 'constructor.weight', 'x']) {
      await expectRefusal(() => ggufTensorName(llama, name), 'checkpoint', name);
    }
    await expectRefusal(() => ggufArchitecture({ modelType: 'phi3' }), 'config', 'phi3', 'qwen3');
    await expectRefusal(() => ggufArchitecture({ modelType: 'toString' }), 'config', 'toString');
  });
});

describe('rows of heads', () => {
  it('row 2j + p of a head is row p·K/2 + j: what llama.cpp’s converter makes of them', () => {
    // numpy: arange(12).reshape(12, 1), n_head 2: .reshape(2, 2, 3, 1).swapaxes(1, 2).reshape(12, 1)
    const rows = Float32Array.from({ length: 12 }, (_, i) => i);
    expect([...interleaveHeads(rows, 1, 6)]).toEqual([0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11]);
    const pairs = Float32Array.from({ length: 8 }, (_, i) => i); // (4, 2)
    expect([...interleaveHeads(pairs, 2, 4)]).toEqual([0, 1, 4, 5, 2, 3, 6, 7]);
  });

  it('are rearranged for q and k of llama only', () => {
    const [llama, qwen] = [ggufArchitecture({ modelType: 'mistral' }), ggufArchitecture({ modelType: 'qwen2' })];
    const name = (part: string): string => `model.layers.0.self_attn.${part}`;
    expect(['q_proj.weight', 'k_proj.bias', 'q_proj'].map((part) => isInterleaved(llama, name(part)))).toEqual([
      true,
      true,
      true,
    ]);
    expect(['v_proj.weight', 'o_proj.weight', 'q_norm.weight'].map((part) => isInterleaved(llama, name(part)))).toEqual(
      [false, false, false],
    );
    expect(isInterleaved(qwen, name('q_proj.weight'))).toBe(false);
  });
});

describe('hyperparameters', () => {
  const of = (
    modelType: string,
    raw?: Record<string, unknown>,
  ): { values: Record<string, unknown>; notes: string[] } => {
    const made = ggufHyperparameters(ggufArchitecture({ modelType }), config(modelType, raw));
    return { values: Object.fromEntries(made.metadata.map(([key, { value }]) => [key, value])), notes: made.notes };
  };

  it('of llama: all that the specification requires', () => {
    const { values, notes } = of('llama', { rope_theta: 500_000 });
    expect(values).toEqual({
      'llama.block_count': 2,
      'llama.context_length': 8192,
      'llama.embedding_length': 32,
      'llama.feed_forward_length': 48,
      'llama.attention.head_count': 4,
      'llama.attention.head_count_kv': 2,
      'llama.attention.key_length': 8,
      'llama.attention.value_length': 8,
      'llama.attention.layer_norm_rms_epsilon': 1e-6,
      'llama.vocab_size': 100,
      'llama.rope.freq_base': 500_000,
      'llama.rope.dimension_count': 8,
    });
    expect(notes).toEqual([]);
  });

  it('rope_theta in rope_parameters (transformers 5), and none', () => {
    expect(
      of('qwen3', { rope_parameters: { rope_theta: 1e6, rope_type: 'default' } }).values['qwen3.rope.freq_base'],
    ).toBe(1e6);
    expect(of('qwen2').values['qwen2.rope.freq_base']).toBe(10_000);
  });

  it('linear scaling, by either name of its type', () => {
    for (const key of ['type', 'rope_type']) {
      const { values } = of('llama', { rope_scaling: { [key]: 'linear', factor: 4 } });
      expect(values).toMatchObject({ 'llama.rope.scaling.type': 'linear', 'llama.rope.scaling.factor': 4 });
    }
  });

  it('llama3 scaling of other families is refused', async () => {
    await expectRefusal(() => of('qwen2', { rope_scaling: LLAMA3 }), 'config', 'rope_type', 'llama3');
    await expectRefusal(() => of('gemma2', { ...GEMMA, rope_scaling: LLAMA3 }), 'config', 'rope_type', 'llama3');
  });

  it('llama3 scaling as factors: 1 for short waves, the factor for long ones, and what lies between', () => {
    // Llama-3.2-1B: the values of llama.cpp's converter (conversion/llama.py) by hand for i = 0, 14, 17, 31.
    const raw = { rope_theta: 500_000, rope_scaling: LLAMA3 };
    const factors = ropeFactors({ ...config('llama', raw), headSize: 64 })!;
    expect(factors).toHaveLength(32);
    expect([factors[0], factors[14], factors[31]]).toEqual([1, 1, 32]);
    const wavelength = 2 * Math.PI * 500_000 ** (34 / 64); // i = 17
    const smooth = (8192 / wavelength - 1) / 3;
    expect(smooth).toBeGreaterThan(0);
    expect(smooth).toBeLessThan(1);
    expect(factors[17]).toBeCloseTo(1 / ((1 - smooth) / 32 + smooth), 5);
    expect(ropeFactors(config('llama'))).toBeUndefined();
    expect(of('llama', raw).values['llama.rope.scaling.type']).toBeUndefined();
  });

  it('a sliding window that llama.cpp does not compute is told', () => {
    expect(of('mistral', { sliding_window: 4096 }).notes).toEqual([
      expect.stringMatching(/^warning: .*4096 tokens only/),
    ]);
    expect(of('mistral', { sliding_window: null }).notes).toEqual([]);
    expect(of('mistral', { sliding_window: 8192 }).notes).toEqual([]);
    expect(of('qwen2', { sliding_window: 4096, use_sliding_window: false }).notes).toEqual([]);
    const some = { sliding_window: 64, use_sliding_window: true, max_window_layers: 1 };
    expect(of('qwen2', some).notes).toEqual([expect.stringMatching(/ 64 tokens only/)]);
    expect(of('qwen2', { ...some, max_window_layers: 2 }).notes).toEqual([]); // no layer has it
  });

  it('biases that llama.cpp has no place for are refused', async () => {
    await expectRefusal(() => of('qwen3', { attention_bias: true }), 'config', 'attention_bias', 'o_proj', 'qwen3');
    await expectRefusal(() => of('gemma2', { ...GEMMA, attention_bias: true }), 'config', 'attention_bias', 'gemma2');
    expect(of('llama', { attention_bias: true, mlp_bias: true }).notes).toEqual([]);
    expect(of('qwen2').notes).toEqual([]);
  });

  it('of Gemma-2: soft-caps and window; what llama.cpp takes for granted is refused where it is otherwise', async () => {
    expect(of('gemma2', GEMMA).values).toMatchObject({
      'gemma2.attention.sliding_window': 64,
      'gemma2.attn_logit_softcapping': 50,
      'gemma2.final_logit_softcapping': 30,
    });
    await expectRefusal(() => of('gemma2', { ...GEMMA, query_pre_attn_scalar: 16 }), 'config', 'query_pre_attn_scalar');
    await expectRefusal(
      () => of('gemma2', { ...GEMMA, final_logit_softcapping: null }),
      'config',
      'final_logit_softcapping',
    );
    // What the file leaves out, its family gives: 50, 30 and a window of 4096.
    expect(of('gemma2', { query_pre_attn_scalar: 8, sliding_window: undefined }).values).toMatchObject({
      'gemma2.attention.sliding_window': 4096,
      'gemma2.attn_logit_softcapping': 50,
      'gemma2.final_logit_softcapping': 30,
    });
    const layer_types = ['full_attention', 'sliding_attention'];
    await expectRefusal(() => of('gemma2', { ...GEMMA, layer_types }), 'config', 'layer_types');
    expect(of('gemma2', { ...GEMMA, layer_types: layer_types.slice().reverse() }).notes).toEqual([]);
  });
});

describe('adapters', () => {
  const Q = 'model.layers.0.self_attn.q_proj';
  const UP = 'model.layers.0.mlp.up_proj';
  const factor = (rows: number, columns: number): { shape: [number, number]; data: Float32Array } => ({
    shape: [rows, columns],
    data: Float32Array.from({ length: rows * columns }, (_, i) => i + 1),
  });
  const adapter = (changes: Partial<AdapterFile> = {}): AdapterFile => ({
    name: 'phase-2',
    r: 2,
    alpha: 4,
    dropout: 0,
    rsLora: false,
    targetModules: [],
    baseModel: '',
    tensors: new Map([
      [Q, { a: factor(2, 3), b: factor(4, 2) }],
      [UP, { a: factor(1, 3), b: factor(4, 1), alpha: 8 }],
    ]),
    ...changes,
  });
  const made = (file: AdapterFile) => ggufAdapter(ggufArchitecture({ modelType: 'llama' }), file, 4, 'f32');

  it('names, ranks and sizes; an alpha of its own goes into B; rows of q are rearranged', async () => {
    const { metadata, tensors, notes } = made(adapter());
    const file = readGguf(await collect(writeGguf(metadata, tensors, factorBytes).parts()));
    expect(Object.fromEntries([...file.metadata].map(([key, { value }]) => [key, value]))).toEqual({
      'general.architecture': 'llama',
      'general.type': 'adapter',
      'general.name': 'phase-2',
      'general.quantization_version': 2,
      'adapter.type': 'lora',
      'adapter.lora.alpha': 4,
    });
    expect([...file.tensors].map(([name, { dims }]) => [name, dims])).toEqual([
      ['blk.0.attn_q.weight.lora_a', [3, 2]],
      ['blk.0.attn_q.weight.lora_b', [2, 4]],
      ['blk.0.ffn_up.weight.lora_a', [3, 1]],
      ['blk.0.ffn_up.weight.lora_b', [1, 4]],
    ]);
    const values = (name: string): number[] => [...elementsOf(file.tensors.get(name)!)];
    expect(values('blk.0.attn_q.weight.lora_b')).toEqual([1, 2, 5, 6, 3, 4, 7, 8]);
    // scale 8/1, which the file's 4/1 is half of
    expect(values('blk.0.ffn_up.weight.lora_b')).toEqual([2, 4, 6, 8]);
    expect(notes).toEqual([expect.stringContaining(`the scale of 1 others is in their B (${UP})`) as string]);
  });

  it('rsLoRA is an alpha of √R times as much', () => {
    const tensors = new Map([[Q, { a: factor(2, 3), b: factor(4, 2) }]]);
    const { metadata, notes, tensors: out } = made(adapter({ rsLora: true, tensors }));
    expect(metadata.get('adapter.lora.alpha')).toEqual({ type: 'f32', value: 4 * Math.SQRT2 });
    expect([...out[1]!.data].sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(notes).toEqual([expect.stringContaining('rsLoRA') as string]);
  });

  it('values that f16 cannot hold are refused', async () => {
    const large = factor(4, 2);
    large.data[3] = 1e6;
    const { metadata, tensors } = ggufAdapter(
      ggufArchitecture({ modelType: 'llama' }),
      adapter({ tensors: new Map([[UP, { a: factor(2, 3), b: large }]]) }),
      4,
      'f16',
    );
    const file = collect(writeGguf(metadata, tensors, factorBytes).parts());
    await expectRefusal(() => file, 'checkpoint', 'lora_b', 'element 3 is 1000000', 'f16');
  });
});
