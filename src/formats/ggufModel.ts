// ggufModel.ts: a Hugging Face decoder under llama.cpp's names: which architecture it is there, its hyperparameters as
// metadata, its tensors' names, and how values are to be rearranged. Keys and rules are those of llama.cpp's converter, so
// that its loader finds what it expects. No bytes are written here (gguf.ts), no vocabulary (ggufVocabulary.ts).
// Source: llama.cpp conversion/base.py (TextModel.set_gguf_parameters), conversion/{llama,qwen,gemma}.py,
//   gguf-py/gguf/constants.py (Keys, TENSOR_NAMES), gguf-py/gguf/tensor_mapping.py.
import { PupilError } from '../base/errors';
import type { GgufValue } from './gguf';
import { isJsonObject, showValue, type JsonObject } from './jsonText';
import type { ModelConfig } from './modelConfig';

/** What is needed of a config; what only some families have is read from `raw`. */
export type GgufConfig = Pick<
  ModelConfig,
  | 'modelType'
  | 'hiddenSize'
  | 'layers'
  | 'heads'
  | 'kvHeads'
  | 'headSize'
  | 'intermediateSize'
  | 'vocabSize'
  | 'maxPositions'
  | 'rmsNormEps'
  | 'raw'
>;

/** llama.cpp's idea of a family. */
export interface GgufArchitecture {
  /** `general.architecture`, and the prefix of its keys. */
  readonly name: 'llama' | 'qwen2' | 'qwen3' | 'gemma2';
  /**
   * llama.cpp rotates neighbouring elements of a head for `llama`, halves (as Hugging Face does) for the others: there, the
   * rows of q and k are interleaved on the way.
   */
  readonly interleavesHeads: boolean;
  /** What is added to the weights of norms: Gemma stores them less one, llama.cpp multiplies by what it finds. */
  readonly normOffset: 0 | 1;
  /** Names of a block's norms, by Hugging Face's names. */
  readonly norms: Readonly<Record<string, string>>;
}

const PRE_NORMS = { input_layernorm: 'attn_norm', post_attention_layernorm: 'ffn_norm' };
const LLAMA: GgufArchitecture = { name: 'llama', interleavesHeads: true, normOffset: 0, norms: PRE_NORMS };

const ARCHITECTURES: Readonly<Record<string, GgufArchitecture>> = {
  llama: LLAMA,
  mistral: LLAMA,
  qwen2: { name: 'qwen2', interleavesHeads: false, normOffset: 0, norms: PRE_NORMS },
  qwen3: { name: 'qwen3', interleavesHeads: false, normOffset: 0, norms: PRE_NORMS },
  gemma2: {
    name: 'gemma2',
    interleavesHeads: false,
    normOffset: 1,
    norms: {
      input_layernorm: 'attn_norm',
      post_attention_layernorm: 'post_attention_norm',
      pre_feedforward_layernorm: 'ffn_norm',
      post_feedforward_layernorm: 'post_ffw_norm',
    },
  },
};

/** @throws PupilError `config` naming the model type and those that there are */
export function ggufArchitecture(config: Pick<ModelConfig, 'modelType'>): GgufArchitecture {
  const found = Object.hasOwn(ARCHITECTURES, config.modelType) ? ARCHITECTURES[config.modelType] : undefined;
  if (found !== undefined) return found;
  throw new PupilError(
    'config',
    `export: GGUF: expected model_type ${Object.keys(ARCHITECTURES).join(', ')}, got ${config.modelType}`,
    'Export it as merged safetensors: llama.cpp’s own converter may know the family.',
  );
}

const TOP_NAMES: Readonly<Record<string, string>> = {
  'model.embed_tokens': 'token_embd',
  'model.norm': 'output_norm',
  lm_head: 'output',
};
const BLOCK_NAMES: Readonly<Record<string, string>> = {
  'self_attn.q_proj': 'attn_q',
  'self_attn.k_proj': 'attn_k',
  'self_attn.v_proj': 'attn_v',
  'self_attn.o_proj': 'attn_output',
  'self_attn.q_norm': 'attn_q_norm',
  'self_attn.k_norm': 'attn_k_norm',
  'mlp.gate_proj': 'ffn_gate',
  'mlp.up_proj': 'ffn_up',
  'mlp.down_proj': 'ffn_down',
};

/**
 * A tensor's name in the file, e.g. `blk.0.attn_q.weight` for `model.layers.0.self_attn.q_proj.weight`.
 * @throws PupilError `checkpoint` for a tensor that the architecture does not have
 */
export function ggufTensorName(architecture: GgufArchitecture, name: string): string {
  const match = /^(?:model\.layers\.(\d+)\.)?(.+)\.(weight|bias)$/.exec(name);
  const [, layer, path, kind] = match ?? [];
  const names = layer === undefined ? TOP_NAMES : { ...BLOCK_NAMES, ...architecture.norms };
  const found = path !== undefined && Object.hasOwn(names, path) ? names[path] : undefined;
  if (found === undefined) {
    throw new PupilError('checkpoint', `export: GGUF: ${architecture.name} has no tensor for "${name}"`);
  }
  return layer === undefined ? `${found}.${kind}` : `blk.${layer}.${found}.${kind}`;
}

/** Whether the rows of a tensor (a q or k projection's weight, bias or LoRA B) are interleaved by {@link interleaveHeads}. */
export function isInterleaved(architecture: GgufArchitecture, name: string): boolean {
  return architecture.interleavesHeads && /\.self_attn\.[qk]_proj\./.test(`${name}.`);
}

/**
 * The rows of whole heads as llama.cpp's `llama` wants them: row 2j + p of a head is row p·K/2 + j of Hugging Face's (p = 0
 * the first half, 1 the second), so that the pairs which rotate together are neighbours.
 * Source: conversion/llama.py, LlamaModel.permute.
 * @param values (rows, columns); rows a multiple of headSize
 */
export function interleaveHeads(values: Float32Array, columns: number, headSize: number): Float32Array {
  const out = new Float32Array(values.length);
  const half = headSize / 2;
  for (let row = 0; row * columns < values.length; row++) {
    const inHead = row % headSize;
    const from = row - inHead + (inHead % 2) * half + Math.floor(inHead / 2);
    out.set(values.subarray(from * columns, (from + 1) * columns), row * columns);
  }
  return out;
}

/** How positions turn, as config.json says: `rope_parameters` (transformers 5), or `rope_theta` and `rope_scaling`. */
function ropeOf(raw: JsonObject): { type: string; theta: number; parameters: JsonObject } {
  const nested = raw['rope_parameters'] ?? raw['rope_scaling'];
  const parameters = isJsonObject(nested) ? nested : {};
  const theta = raw['rope_theta'] ?? parameters['rope_theta'] ?? 10_000;
  const type = parameters['rope_type'] ?? parameters['type'] ?? 'default';
  return { type: String(type), theta: Number(theta), parameters };
}

function numberOf(json: JsonObject, key: string): number {
  const value = json[key];
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  throw new PupilError('config', `export: GGUF: config.json: ${key}: expected a number, got ${showValue(value)}`);
}

/**
 * What the frequencies of `llama3` rotary positions are divided by (`rope_freqs.weight`, K/2 numbers); undefined for
 * positions without such a rule.
 * Source: conversion/llama.py, generate_extra_tensors; transformers, modeling_rope_utils.py, _compute_llama3_parameters.
 */
export function ropeFactors({ raw, headSize }: GgufConfig): Float32Array | undefined {
  const { type, theta, parameters } = ropeOf(raw);
  if (type !== 'llama3') return undefined;
  const factor = numberOf(parameters, 'factor');
  const low = numberOf(parameters, 'low_freq_factor');
  const high = numberOf(parameters, 'high_freq_factor');
  const context = numberOf(parameters, 'original_max_position_embeddings');
  return Float32Array.from({ length: headSize / 2 }, (_, i) => {
    const wavelength = 2 * Math.PI * theta ** ((2 * i) / headSize);
    if (wavelength < context / high) return 1;
    if (wavelength > context / low) return factor;
    const smooth = (context / wavelength - low) / (high - low);
    return 1 / ((1 - smooth) / factor + smooth);
  });
}

/**
 * The hyperparameters as metadata, and what a person should know of them.
 * @throws PupilError `config` for what llama.cpp would compute otherwise
 */
export function ggufHyperparameters(
  architecture: GgufArchitecture,
  config: GgufConfig,
): { metadata: [string, GgufValue][]; notes: string[] } {
  const { raw } = config;
  const metadata: [string, GgufValue][] = [];
  const notes: string[] = [];
  const set = (key: string, type: 'u32' | 'f32', value: number): void => {
    metadata.push([`${architecture.name}.${key}`, { type, value }]);
  };
  set('block_count', 'u32', config.layers);
  set('context_length', 'u32', config.maxPositions);
  set('embedding_length', 'u32', config.hiddenSize);
  set('feed_forward_length', 'u32', config.intermediateSize);
  set('attention.head_count', 'u32', config.heads);
  set('attention.head_count_kv', 'u32', config.kvHeads);
  set('attention.key_length', 'u32', config.headSize);
  set('attention.value_length', 'u32', config.headSize);
  set('attention.layer_norm_rms_epsilon', 'f32', config.rmsNormEps);
  set('vocab_size', 'u32', config.vocabSize);
  const rope = ropeOf(raw);
  set('rope.freq_base', 'f32', rope.theta);
  if (architecture.name === 'llama') set('rope.dimension_count', 'u32', config.headSize);
  if (rope.type === 'linear') {
    metadata.push([`${architecture.name}.rope.scaling.type`, { type: 'string', value: 'linear' }]);
    set('rope.scaling.factor', 'f32', numberOf(rope.parameters, 'factor'));
  } else if (rope.type !== 'default' && !(rope.type === 'llama3' && architecture.name === 'llama')) {
    throw new PupilError(
      'config',
      `export: GGUF: rope_type: expected default, linear${architecture.name === 'llama' ? ' or llama3' : ''} for ${architecture.name}, got ${rope.type}`,
    );
  }
  const window = raw['sliding_window'];
  if (architecture.name === 'gemma2') {
    expectGemma2(config);
    set('attention.sliding_window', 'u32', typeof window === 'number' ? window : 4096);
    for (const key of ['attn_logit_softcapping', 'final_logit_softcapping']) set(key, 'f32', numberOf(raw, key));
  } else if (typeof window === 'number' && window < config.maxPositions && raw['use_sliding_window'] !== false) {
    notes.push(
      `warning: llama.cpp lets every token of ${config.modelType} see all before it, this student has a sliding window: the answers are the same for texts of up to ${window} tokens only`,
    );
  }
  return { metadata, notes };
}

/** What llama.cpp takes for granted of Gemma-2 (src/models/gemma2.cpp): the scale of scores, and which layers have windows. */
function expectGemma2({ raw, layers, hiddenSize, heads, headSize }: GgufConfig): void {
  const scalar = raw['query_pre_attn_scalar'] ?? 256;
  const expected = layers === 46 ? hiddenSize / heads : headSize; // 46 layers: the 27B model
  if (scalar !== expected) {
    throw new PupilError(
      'config',
      `export: GGUF: query_pre_attn_scalar: expected ${expected}, which llama.cpp takes for granted, got ${showValue(scalar)}`,
      'Export it as merged safetensors.',
    );
  }
  const types = raw['layer_types'];
  const alternates = (type: unknown, i: number): boolean =>
    type === (i % 2 === 0 ? 'sliding_attention' : 'full_attention');
  if (Array.isArray(types) && !types.every(alternates)) {
    throw new PupilError(
      'config',
      `export: GGUF: layer_types: expected sliding and full attention in turns, which llama.cpp takes for granted, got ${showValue(types)}`,
      'Export it as merged safetensors.',
    );
  }
}
