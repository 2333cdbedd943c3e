// Claims about formats/families/: what each family's config.json says beside Llama's, with the defaults of transformers for
// absent keys; and a refusal, by key, of what would change the result and is not computed.
import { describe, expect, it } from 'vitest';
import { parseModelConfig } from '../../../src/formats/modelConfig';
import { expectRefusal } from './files';

const SIZES = {
  hidden_size: 64,
  num_hidden_layers: 4,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  intermediate_size: 172,
  vocab_size: 256,
  max_position_embeddings: 512,
  rms_norm_eps: 1e-5,
};

describe('mistral', () => {
  const config = { ...SIZES, model_type: 'mistral', architectures: ['MistralForCausalLM'] };

  it('every layer has the window; absent is 4096, null is none', () => {
    expect(parseModelConfig({ ...config, sliding_window: 8 }).windows).toEqual([8, 8, 8, 8]);
    expect(parseModelConfig(config).windows).toEqual([4096, 4096, 4096, 4096]);
    expect(parseModelConfig({ ...config, sliding_window: null }).windows).toEqual(new Array(4).fill(undefined));
  });

  it('eight key/value heads where the file says none, and a head size apart from hidden_size', () => {
    const { num_key_value_heads: _absent, ...rest } = config;
    const many = { ...rest, num_attention_heads: 16, head_dim: 32 };
    expect(parseModelConfig(many)).toMatchObject({ kvHeads: 8, headSize: 32, attentionScale: 1 / Math.sqrt(32) });
  });

  it.each([{ attention_bias: true }, { mlp_bias: true }, { final_logit_softcapping: 30 }, { sliding_window: 0 }])(
    '%j is refused',
    async (change) => {
      await expectRefusal(() => parseModelConfig({ ...config, ...change }), 'checkpoint', Object.keys(change)[0]!);
    },
  );
});

describe('qwen2', () => {
  const config = { ...SIZES, model_type: 'qwen2', architectures: ['Qwen2ForCausalLM'], tie_word_embeddings: true };

  it('biases of q, k and v; no begin or end of text of its own', () => {
    expect(parseModelConfig(config)).toMatchObject({
      biases: ['q_proj', 'k_proj', 'v_proj'],
      tiedEmbeddings: true,
      bosTokenId: undefined,
      eosTokenIds: [],
      qkNorms: false,
    });
  });

  it('a window counts only with use_sliding_window, from layer max_window_layers on, or as layer_types say', () => {
    const windows = (change: object): unknown => parseModelConfig({ ...config, ...change }).windows;
    const none = new Array(4).fill(undefined);
    expect(windows({ sliding_window: 8, max_window_layers: 1 })).toEqual(none);
    expect(windows({ sliding_window: 8, use_sliding_window: true, max_window_layers: 1 })).toEqual([
      undefined,
      8,
      8,
      8,
    ]);
    expect(windows({ sliding_window: 8, use_sliding_window: true, max_window_layers: 0 })).toEqual([8, 8, 8, 8]);
    expect(windows({ sliding_window: 8, use_sliding_window: true })).toEqual(none);
    expect(windows({ sliding_window: null, use_sliding_window: true, max_window_layers: 0 })).toEqual(none);
    const [full, sliding] = ['full_attention', 'sliding_attention'];
    const types = { layer_types: [full, sliding, full, sliding], max_window_layers: 4 };
    expect(windows({ sliding_window: 8, use_sliding_window: true, ...types })).toEqual([undefined, 8, undefined, 8]);
  });

  it.each([
    { layer_types: ['sliding_attention', 'full_attention', 'full_attention', 'full_attention'] },
    { layer_types: ['full_attention'] },
    { layer_types: ['full_attention', 'full_attention', 'full_attention', 'chunked_attention'] },
    { attention_bias: false },
    { hidden_act: 'gelu' },
    { rope_scaling: { rope_type: 'yarn', factor: 4 } },
    { architectures: ['Qwen2ForSequenceClassification'] },
  ])('%j is refused', async (change) => {
    await expectRefusal(() => parseModelConfig({ ...config, ...change }), 'checkpoint', Object.keys(change)[0]!);
  });
});

describe('qwen3', () => {
  const config = { ...SIZES, model_type: 'qwen3', architectures: ['Qwen3ForCausalLM'] };

  it('norms of queries and keys; heads of 128 where the file says nothing; biases where it says so', () => {
    expect(parseModelConfig(config)).toMatchObject({ qkNorms: true, headSize: 128, biases: [], tiedEmbeddings: false });
    const biased = parseModelConfig({ ...config, attention_bias: true, head_dim: 24 });
    expect(biased).toMatchObject({ headSize: 24, biases: ['q_proj', 'k_proj', 'v_proj', 'o_proj'] });
  });
});

describe('gemma2', () => {
  const config = { ...SIZES, model_type: 'gemma2', architectures: ['Gemma2ForCausalLM'], head_dim: 32 };

  it('norms of 1 + w and of branches, GeGLU, scaled embeddings, caps, every other layer windowed', () => {
    expect(parseModelConfig({ ...config, sliding_window: 8 })).toMatchObject({
      normOffset: 1,
      branchNorms: true,
      activation: 'gelu-tanh',
      embeddingScale: 8,
      attentionScale: 1 / 16,
      attentionSoftcap: 50,
      finalSoftcap: 30,
      windows: [8, undefined, 8, undefined],
      tiedEmbeddings: true,
      bosTokenId: 2,
      eosTokenIds: [1],
      padTokenId: 0,
    });
  });

  it('a null cap is none, and query_pre_attn_scalar is honoured', () => {
    const change = { attn_logit_softcapping: null, final_logit_softcapping: null, query_pre_attn_scalar: 144 };
    expect(parseModelConfig({ ...config, ...change })).toMatchObject({
      attentionSoftcap: undefined,
      finalSoftcap: undefined,
      attentionScale: 1 / 12,
    });
  });

  it.each([
    { hidden_activation: 'gelu' },
    { hidden_act: 'silu' },
    { attn_logit_softcapping: 0 },
    { query_pre_attn_scalar: -1 },
    { use_bidirectional_attention: true },
  ])('%j is refused', async (change) => {
    await expectRefusal(() => parseModelConfig({ ...config, ...change }), 'checkpoint', Object.keys(change)[0]!);
  });
});
