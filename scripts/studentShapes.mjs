// studentShapes.mjs: config.json of published models, and the tensors that a checkpoint of such a config holds, by Hugging
// Face's names and rules: for scripts/randomStudent.mjs and its test. Written apart from src/model/parameterShapes.ts, so
// that the loader is tried on files that do not come from its own list. No weights here.

/**
 * @typedef {Record<string, unknown> & {
 *   model_type: string, hidden_size: number, intermediate_size: number, num_hidden_layers: number,
 *   num_attention_heads: number, vocab_size: number, num_key_value_heads?: number, head_dim?: number | null,
 *   tie_word_embeddings?: boolean, attention_bias?: boolean, mlp_bias?: boolean, layer_types?: string[] | null,
 * }} Config
 * @typedef {{ name: string, shape: number[], fill: 'random' | 'one' | 'zero' }} TensorPlan
 */

const LLAMA2 = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  hidden_act: 'silu',
  max_position_embeddings: 4096,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  tie_word_embeddings: false,
  torch_dtype: 'float16',
  vocab_size: 32000,
  bos_token_id: 1,
  eos_token_id: 2,
};

/** Keys that every config of transformers has and that change nothing here. */
const COMMON = { attention_dropout: 0, initializer_range: 0.02, use_cache: true, torch_dtype: 'bfloat16' };

/** @type {Record<string, Config>} */
export const SHAPES = {
  'smollm2-135m': {
    ...COMMON,
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    attention_bias: false,
    bos_token_id: 1,
    eos_token_id: 2,
    hidden_act: 'silu',
    hidden_size: 576,
    initializer_range: 0.041666666666666664,
    intermediate_size: 1536,
    is_llama_config: true,
    max_position_embeddings: 8192,
    mlp_bias: false,
    num_attention_heads: 9,
    num_hidden_layers: 30,
    num_key_value_heads: 3,
    pad_token_id: 2,
    pretraining_tp: 1,
    rms_norm_eps: 1e-5,
    rope_interleaved: false,
    rope_scaling: null,
    rope_theta: 100000,
    tie_word_embeddings: true,
    vocab_size: 49152,
  },
  'qwen2.5-0.5b': {
    ...COMMON,
    architectures: ['Qwen2ForCausalLM'],
    model_type: 'qwen2',
    bos_token_id: 151643,
    eos_token_id: 151645,
    hidden_act: 'silu',
    hidden_size: 896,
    intermediate_size: 4864,
    max_position_embeddings: 32768,
    max_window_layers: 21,
    num_attention_heads: 14,
    num_hidden_layers: 24,
    num_key_value_heads: 2,
    rms_norm_eps: 1e-6,
    rope_theta: 1000000,
    sliding_window: 32768,
    tie_word_embeddings: true,
    use_sliding_window: false,
    vocab_size: 151936,
  },
  'qwen3-0.6b': {
    ...COMMON,
    architectures: ['Qwen3ForCausalLM'],
    model_type: 'qwen3',
    attention_bias: false,
    bos_token_id: 151643,
    eos_token_id: 151645,
    head_dim: 128,
    hidden_act: 'silu',
    hidden_size: 1024,
    intermediate_size: 3072,
    max_position_embeddings: 40960,
    max_window_layers: 28,
    num_attention_heads: 16,
    num_hidden_layers: 28,
    num_key_value_heads: 8,
    rms_norm_eps: 1e-6,
    rope_scaling: null,
    rope_theta: 1000000,
    sliding_window: null,
    tie_word_embeddings: true,
    use_sliding_window: false,
    vocab_size: 151936,
  },
  'tinyllama-1.1b': {
    ...LLAMA2,
    max_position_embeddings: 2048,
    hidden_size: 2048,
    intermediate_size: 5632,
    num_hidden_layers: 22,
    num_attention_heads: 32,
    num_key_value_heads: 4,
  },
  'llama-3.2-1b': {
    ...COMMON,
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    attention_bias: false,
    bos_token_id: 128000,
    eos_token_id: [128001, 128008, 128009],
    head_dim: 64,
    hidden_act: 'silu',
    hidden_size: 2048,
    intermediate_size: 8192,
    max_position_embeddings: 131072,
    mlp_bias: false,
    num_attention_heads: 32,
    num_hidden_layers: 16,
    num_key_value_heads: 8,
    pretraining_tp: 1,
    rms_norm_eps: 1e-5,
    rope_scaling: {
      factor: 32,
      high_freq_factor: 4,
      low_freq_factor: 1,
      original_max_position_embeddings: 8192,
      rope_type: 'llama3',
    },
    rope_theta: 500000,
    tie_word_embeddings: true,
    vocab_size: 128256,
  },
  'gemma-2-2b': {
    ...COMMON,
    architectures: ['Gemma2ForCausalLM'],
    model_type: 'gemma2',
    attention_bias: false,
    attn_logit_softcapping: 50,
    bos_token_id: 2,
    cache_implementation: 'hybrid',
    eos_token_id: [1, 107],
    final_logit_softcapping: 30,
    head_dim: 256,
    hidden_act: 'gelu_pytorch_tanh',
    hidden_activation: 'gelu_pytorch_tanh',
    hidden_size: 2304,
    intermediate_size: 9216,
    max_position_embeddings: 8192,
    num_attention_heads: 8,
    num_hidden_layers: 26,
    num_key_value_heads: 4,
    pad_token_id: 0,
    query_pre_attn_scalar: 256,
    rms_norm_eps: 1e-6,
    rope_theta: 10000,
    sliding_window: 4096,
    vocab_size: 256000,
  },
  'llama-2-7b': {
    ...LLAMA2,
    hidden_size: 4096,
    intermediate_size: 11008,
    num_hidden_layers: 32,
    num_attention_heads: 32,
    num_key_value_heads: 32,
  },
  'mistral-7b': {
    ...COMMON,
    architectures: ['MistralForCausalLM'],
    model_type: 'mistral',
    bos_token_id: 1,
    eos_token_id: 2,
    hidden_act: 'silu',
    hidden_size: 4096,
    intermediate_size: 14336,
    max_position_embeddings: 32768,
    num_attention_heads: 32,
    num_hidden_layers: 32,
    num_key_value_heads: 8,
    rms_norm_eps: 1e-5,
    rope_theta: 10000,
    sliding_window: 4096,
    tie_word_embeddings: false,
    vocab_size: 32000,
  },
  'llama-2-13b': {
    ...LLAMA2,
    hidden_size: 5120,
    intermediate_size: 13824,
    num_hidden_layers: 40,
    num_attention_heads: 40,
    num_key_value_heads: 40,
  },
};

/** model_type of every family whose tensors are known here. */
export const FAMILIES = ['llama', 'mistral', 'qwen2', 'qwen3', 'gemma2'];

/**
 * The tensors of a checkpoint, in the order of the model's modules. Norms are to be filled so that they scale by 1: ones, or
 * zeros where the family adds 1 to them.
 * @param {Config} config of one of FAMILIES
 * @returns {TensorPlan[]}
 */
export function tensorsOf(config) {
  const { model_type: family, hidden_size: C, intermediate_size: F, num_attention_heads: H, vocab_size: V } = config;
  const K = config.head_dim ?? C / H;
  const wide = H * K;
  const narrow = (config.num_key_value_heads ?? H) * K;
  const qkvBias = family === 'qwen2' || config.attention_bias === true;
  const oBias = family !== 'qwen2' && config.attention_bias === true;
  const mlpBias = family === 'llama' && config.mlp_bias === true;
  /** @type {TensorPlan[]} */
  const plans = [{ name: 'model.embed_tokens.weight', shape: [V, C], fill: 'random' }];
  /** @param {string} name @param {number} size */
  const norm = (name, size) => plans.push({ name, shape: [size], fill: family === 'gemma2' ? 'zero' : 'one' });
  /** @param {string} path @param {number} outputs @param {number} inputs @param {boolean} bias */
  const linear = (path, outputs, inputs, bias) => {
    plans.push({ name: `${path}.weight`, shape: [outputs, inputs], fill: 'random' });
    if (bias) plans.push({ name: `${path}.bias`, shape: [outputs], fill: 'random' });
  };
  for (let i = 0; i < config.num_hidden_layers; i++) {
    const at = `model.layers.${i}`;
    norm(`${at}.input_layernorm.weight`, C);
    linear(`${at}.self_attn.q_proj`, wide, C, qkvBias);
    linear(`${at}.self_attn.k_proj`, narrow, C, qkvBias);
    linear(`${at}.self_attn.v_proj`, narrow, C, qkvBias);
    linear(`${at}.self_attn.o_proj`, C, wide, oBias);
    if (family === 'qwen3') {
      norm(`${at}.self_attn.q_norm.weight`, K);
      norm(`${at}.self_attn.k_norm.weight`, K);
    }
    norm(`${at}.post_attention_layernorm.weight`, C);
    if (family === 'gemma2') {
      norm(`${at}.pre_feedforward_layernorm.weight`, C);
      norm(`${at}.post_feedforward_layernorm.weight`, C);
    }
    linear(`${at}.mlp.gate_proj`, F, C, mlpBias);
    linear(`${at}.mlp.up_proj`, F, C, mlpBias);
    linear(`${at}.mlp.down_proj`, C, F, mlpBias);
  }
  norm('model.norm.weight', C);
  const tied = config.tie_word_embeddings ?? family === 'gemma2';
  if (!tied) plans.push({ name: 'lm_head.weight', shape: [V, C], fill: 'random' });
  return plans;
}
