// ggufModel.ts: a Hugging Face decoder under llama.cpp's names: which architecture it is there, its hyperparameters as
// metadata, its tensors' names, and how values are to be rearranged. Keys and rules are those of llama.cpp's converter, so
// that its loader finds what it expects. No bytes are written here (gguf.ts), no vocabulary (ggufVocabulary.ts).
// Source: llama.cpp conversion/base.py (TextModel.set_gguf_parameters), conversion/{llama,qwen,gemma}.py,
//   gguf-py/gguf/constants.py (Keys, TENSOR_NAMES), gguf-py/gguf/tensor_mapping.py.
import { PupilError } from '../base/errors';
import { LINEAR_NAMES, type LinearName } from '../base/linearNames';
import type { GgufValue } from './gguf';
import { showValue } from './jsonText';
import type { ModelConfig } from './modelConfig';

/** What is needed of a config. */
export type GgufConfig = Omit<ModelConfig, 'quantization' | 'raw'>;

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
  /** Linear layers whose bias llama.cpp adds where the file has one. */
  readonly biases: readonly LinearName[];
}

const PRE_NORMS = { input_layernorm: 'attn_norm', post_attention_layernorm: 'ffn_norm' };
const LLAMA: GgufArchitecture = {
  name: 'llama',
  interleavesHeads: true,
  normOffset: 0,
  norms: PRE_NORMS,
  biases: LINEAR_NAMES,
};

const ARCHITECTURES: Readonly<Record<string, GgufArchitecture>> = {
  llama: LLAMA,
  mistral: LLAMA,
  qwen2: {
    name: 'qwen2',
    interleavesHeads: false,
    normOffset: 0,
    norms: PRE_NORMS,
    biases: ['q_proj', 'k_proj', 'v_proj'],
  },
  qwen3: { name: 'qwen3', interleavesHeads: false, normOffset: 0, norms: PRE_NORMS, biases: [] },
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
    biases: [],
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

/**
 * What the frequencies of `llama3` rotary positions are divided by (`rope_freqs.weight`, K/2 numbers); undefined for
 * positions without such a rule.
 * Source: conversion/llama.py, generate_extra_tensors; transformers, modeling_rope_utils.py, _compute_llama3_parameters.
 */
export function ropeFactors({ rope, headSize }: GgufConfig): Float32Array | undefined {
  const { theta, scaling } = rope;
  if (scaling?.kind !== 'llama3') return undefined;
  const { factor, lowFreqFactor: low, highFreqFactor: high, originalMaxPositionEmbeddings: context } = scaling;
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
  const { rope, windows } = config;
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
  set('rope.freq_base', 'f32', rope.theta);
  if (architecture.name === 'llama') set('rope.dimension_count', 'u32', config.headSize);
  if (rope.scaling?.kind === 'linear') {
    metadata.push([`${architecture.name}.rope.scaling.type`, { type: 'string', value: 'linear' }]);
    set('rope.scaling.factor', 'f32', rope.scaling.factor);
  } else if (rope.scaling !== undefined && architecture.name !== 'llama') {
    throw unsayable('rope_type', `default or linear for ${architecture.name}`, rope.scaling.kind);
  }
  const added = config.biases.filter((name) => !architecture.biases.includes(name));
  if (added.length > 0) throw unsayable('attention_bias', `none on ${added.join(', ')} of ${architecture.name}`, true);
  if (architecture.name === 'gemma2') {
    expectGemma2(config);
    set('attention.sliding_window', 'u32', windows[0]!);
    set('attn_logit_softcapping', 'f32', config.attentionSoftcap!);
    set('final_logit_softcapping', 'f32', config.finalSoftcap!);
    return { metadata, notes };
  }
  const window = Math.min(...windows.map((one) => one ?? Infinity));
  if (window < config.maxPositions) {
    notes.push(
      `warning: llama.cpp lets every token of ${config.modelType} see all before it, this student has a sliding window: the answers are the same for texts of up to ${window} tokens only`,
    );
  }
  return { metadata, notes };
}

/** What llama.cpp takes for granted of Gemma-2 (src/models/gemma2.cpp): caps, the scale of scores, where windows are. */
function expectGemma2(config: GgufConfig): void {
  const { windows, layers, hiddenSize, heads, headSize } = config;
  const size = layers === 46 ? hiddenSize / heads : headSize; // 46 layers: the 27B model
  const scalar = config.attentionScale ** -2;
  if (Math.abs(scalar - size) > 1e-6 * size) {
    throw unsayable('query_pre_attn_scalar', String(size), Number(scalar.toPrecision(6)));
  }
  if (config.attentionSoftcap === undefined) throw unsayable('attn_logit_softcapping', 'a number', null);
  if (config.finalSoftcap === undefined) throw unsayable('final_logit_softcapping', 'a number', null);
  if (windows[0] === undefined || windows.some((one, i) => one !== (i % 2 === 0 ? windows[0] : undefined))) {
    const types = windows.map((one) => (one === undefined ? 'full_attention' : 'sliding_attention'));
    throw unsayable('layer_types', 'sliding and full attention in turns', types);
  }
}

function unsayable(key: string, expected: string, got: unknown): PupilError {
  return new PupilError(
    'config',
    `export: GGUF: ${key}: expected ${expected}, which llama.cpp takes for granted, got ${showValue(got)}`,
    'Export it as merged safetensors.',
  );
}
