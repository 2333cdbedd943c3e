// Claims about formats/ggufModel.ts: names, hyperparameters and rearranged rows of every family, and what is refused because
// llama.cpp would compute something else. The container and adapters are gguf.test.ts.
import { describe, expect, it } from 'vitest';
import { SHAPES, tensorsOf } from '../../../scripts/studentShapes.mjs';
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
import { expectRefusal } from './files';

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

it.each(Object.entries(SHAPES))(
  '%s, as published, has a name for every tensor and nothing that cannot be said',
  (_, json) => {
    const published = parseModelConfig(json);
    const architecture = ggufArchitecture(published);
    const names = tensorsOf(json).map(({ name }) => ggufTensorName(architecture, name));
    expect(new Set(names).size).toBe(names.length);
    expect(names).toContain(`blk.${published.layers - 1}.ffn_down.weight`);
    const { metadata, notes } = ggufHyperparameters(architecture, published);
    expect(new Set(metadata.map(([key]) => key)).size).toBe(metadata.length);
    const windowed = published.modelType === 'mistral';
    expect(notes).toEqual(windowed ? [expect.stringMatching(/texts of up to 4096 tokens only/)] : []);
  },
);

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
