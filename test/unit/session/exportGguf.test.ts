// Claims about session/exportGguf.ts for families with tensors of their own: which values each tensor of the file has. That
// whole files give the student's logits is test/golden/exportGguf.test.ts.
import { describe, expect, it } from 'vitest';
import { RandomStream } from '../../../src/base/random';
import { memorySource } from '../../../src/formats/byteSource';
import { openCheckpoint } from '../../../src/formats/checkpointIndex';
import { parseModelConfig } from '../../../src/formats/modelConfig';
import { writeSafetensors } from '../../../src/formats/safetensorsWrite';
import { exportGguf } from '../../../src/session/exportGguf';
import type { MergeJob } from '../../../src/session/mergeJob';
import type { MergedSpec } from '../../../src/session/mergedTensor';
import { openFileRoot } from '../../../src/sources/fileRoot';
import { elementsOf, readGguf, type ReadGguf } from '../formats/ggufReader';

const C = 8;
const K = 4;
const BLOCK: Record<string, number[]> = {
  'self_attn.q_proj.weight': [2 * K, C],
  'self_attn.k_proj.weight': [K, C],
  'self_attn.v_proj.weight': [K, C],
  'self_attn.o_proj.weight': [C, 2 * K],
  'mlp.gate_proj.weight': [6, C],
  'mlp.up_proj.weight': [6, C],
  'mlp.down_proj.weight': [C, 6],
  'input_layernorm.weight': [C],
  'post_attention_layernorm.weight': [C],
};
const BIASES = { 'self_attn.q_proj.bias': [2 * K], 'self_attn.k_proj.bias': [K], 'self_attn.v_proj.bias': [K] };
const HEAD_NORMS = { 'self_attn.q_norm.weight': [K], 'self_attn.k_norm.weight': [K] };
const POST_NORMS = { 'pre_feedforward_layernorm.weight': [C], 'post_feedforward_layernorm.weight': [C] };

/** A student of one layer, its tensors random in f32; the file, and the values by Hugging Face's names. */
async function exported(
  modelType: string,
  block: Record<string, number[]>,
  keys: Record<string, unknown> = {},
): Promise<{ file: ReadGguf; values: Map<string, Float32Array>; notes: string[] }> {
  const shapes: [string, number[]][] = [
    ['model.embed_tokens.weight', [5, C]],
    ['model.norm.weight', [C]],
    ...Object.entries({ ...BLOCK, ...block }).map(([name, shape]): [string, number[]] => [
      `model.layers.0.${name}`,
      shape,
    ]),
  ];
  const tensors = shapes.map(([name, shape]) => {
    const random = new RandomStream(1, name);
    const data = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => random.nextNormal());
    return { name, dtype: 'f32' as const, shape, data };
  });
  const json = {
    model_type: modelType,
    hidden_size: C,
    num_hidden_layers: 1,
    num_attention_heads: 2,
    num_key_value_heads: 1,
    head_dim: K,
    intermediate_size: 6,
    vocab_size: 5,
    max_position_embeddings: 64,
    rms_norm_eps: 1e-6,
    sliding_window: null,
    ...keys,
  };
  const files: Record<string, Uint8Array> = {
    'config.json': new TextEncoder().encode(JSON.stringify(json)),
    'model.safetensors': writeSafetensors(tensors),
  };
  const open = (path: string) => Promise.resolve(files[path] && memorySource(path, files[path]));
  const out: Record<string, Uint8Array> = {};
  const root = openFileRoot({ kind: 'memory', files: out });
  const job: MergeJob = {
    settings: {
      checkpoint: await openCheckpoint(open, 'models/tiny'),
      adapter: { r: 1, alpha: 1, dropout: 0, rsLora: false, targetModules: [], baseModel: '', tensors: new Map() },
      quantize: undefined,
      dtype: 'f32',
    },
    account: { rounding: 0, update: 0 },
    out: root,
    written: [],
    write: (path, bytes) => root.write(path, bytes),
    advance: () => undefined,
  };
  const specs = shapes.map(([name, shape]): MergedSpec => ({ name, shape, dtype: 'f32' }));
  const { notes } = await exportGguf(job, open, parseModelConfig(json), specs);
  return { file: readGguf(out['model.gguf']!), values: new Map(tensors.map(({ name, data }) => [name, data])), notes };
}

const elements = (file: ReadGguf, name: string): number[] => [...elementsOf(file.tensors.get(name)!)];

describe('tensors of families', () => {
  it('Qwen2: biases go along in f32, and no row changes its place', async () => {
    const { file, values, notes } = await exported('qwen2', BIASES);
    for (const part of ['q', 'k', 'v']) {
      for (const kind of ['weight', 'bias']) {
        const stored = values.get(`model.layers.0.self_attn.${part}_proj.${kind}`)!;
        expect(elements(file, `blk.0.attn_${part}.${kind}`)).toEqual([...stored]);
      }
    }
    expect(file.tensors.get('blk.0.attn_q.bias')!.type).toBe(0);
    expect(file.metadata.get('general.architecture')!.value).toBe('qwen2');
    expect(file.metadata.get('general.name')!.value).toBe('tiny');
    expect(notes.join()).toContain('token ids only');
  });

  it('Llama with biases: rows of q and k, and their biases, are rearranged alike; v is not', async () => {
    const { file, values } = await exported('llama', BIASES, { attention_bias: true });
    const order = [0, 2, 1, 3, 4, 6, 5, 7]; // two heads of four
    const bias = values.get('model.layers.0.self_attn.q_proj.bias')!;
    expect(elements(file, 'blk.0.attn_q.bias')).toEqual(order.map((row) => bias[row]));
    const weight = values.get('model.layers.0.self_attn.q_proj.weight')!;
    expect(elements(file, 'blk.0.attn_q.weight')).toEqual(
      order.flatMap((row) => [...weight.slice(row * C, (row + 1) * C)]),
    );
    expect(elements(file, 'blk.0.attn_v.bias')).toEqual([...values.get('model.layers.0.self_attn.v_proj.bias')!]);
  });

  it('Qwen3: norms of heads', async () => {
    const { file, values } = await exported('qwen3', HEAD_NORMS);
    expect(elements(file, 'blk.0.attn_q_norm.weight')).toEqual([
      ...values.get('model.layers.0.self_attn.q_norm.weight')!,
    ]);
    expect(file.tensors.has('blk.0.attn_k_norm.weight')).toBe(true);
  });

  it('Gemma-2: every norm has one added, in float32, and its own name; matrices stay', async () => {
    const raw = {
      query_pre_attn_scalar: K,
      sliding_window: 8,
      attn_logit_softcapping: 50,
      final_logit_softcapping: 30,
    };
    const { file, values } = await exported('gemma2', POST_NORMS, raw);
    const names = {
      input_layernorm: 'attn_norm',
      post_attention_layernorm: 'post_attention_norm',
      pre_feedforward_layernorm: 'ffn_norm',
      post_feedforward_layernorm: 'post_ffw_norm',
    };
    for (const [stored, written] of Object.entries(names)) {
      const plusOne = values.get(`model.layers.0.${stored}.weight`)!.map((value) => value + 1);
      expect(elements(file, `blk.0.${written}.weight`), stored).toEqual([...plusOne]);
    }
    expect(elements(file, 'output_norm.weight')).toEqual([
      ...values.get('model.norm.weight')!.map((value) => value + 1),
    ]);
    expect(elements(file, 'token_embd.weight')).toEqual([...values.get('model.embed_tokens.weight')!]);
    expect(file.tensors.has('output.weight')).toBe(false);
  });

  it('Llama-3’s positions bring their factors', async () => {
    const rope_scaling = {
      rope_type: 'llama3',
      factor: 8,
      low_freq_factor: 1,
      high_freq_factor: 4,
      original_max_position_embeddings: 64,
    };
    const { file } = await exported('llama', {}, { rope_theta: 500, rope_scaling });
    expect(file.tensors.get('rope_freqs.weight')).toMatchObject({ dims: [K / 2], type: 0 });
    expect(elements(file, 'rope_freqs.weight')[0]).toBe(1); // a wave of 2π is short
    expect(elements(file, 'rope_freqs.weight')[1]).toBe(8); // one of 140 is longer than 64
  });
});
