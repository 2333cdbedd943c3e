// family.ts: what a model family is to this engine: a reader that turns its `config.json` into a Decoder, the declarative
// description that model/decoder.ts computes; and the readers of fields that families share. To add a family, write one file
// beside this one and list it in modelConfig.ts; a family that needs a computation which Decoder cannot say extends Decoder.
import type { LinearName } from '../../base/linearNames';
import { DAMAGED_JSON, JsonFields } from '../jsonFields';
import { isJsonObject } from '../jsonText';

/** How a rotary pair's angle grows with the position: θ^(−2i/K), corrected where the checkpoint asks for it. */
export interface RopeRule {
  readonly theta: number;
  readonly scaling?: RopeScaling;
}

export type RopeScaling =
  /** All positions divided by a factor (position interpolation, Chen et al. 2023, arXiv:2306.15595). */
  | { readonly kind: 'linear'; readonly factor: number }
  /** Llama 3: long wavelengths divided by the factor, short ones kept, a ramp between them. */
  | {
      readonly kind: 'llama3';
      readonly factor: number;
      readonly lowFreqFactor: number;
      readonly highFreqFactor: number;
      readonly originalMaxPositionEmbeddings: number;
    };

/** Everything that decides what a decoder computes from its weights. */
export interface Decoder {
  /** C */
  readonly hiddenSize: number;
  readonly layers: number;
  /** H */
  readonly heads: number;
  /** Key/value heads; divides `heads`. */
  readonly kvHeads: number;
  /** K; even. heads · headSize need not equal hiddenSize. */
  readonly headSize: number;
  /** F */
  readonly intermediateSize: number;
  /** V */
  readonly vocabSize: number;
  readonly maxPositions: number;
  readonly rope: RopeRule;
  readonly rmsNormEps: number;
  /** Added to every RMSNorm's stored weight: 1 where a family stores w for a factor of 1 + w. */
  readonly normOffset: 0 | 1;
  /** Whether a block's two branches are normalised once more before they join the residual stream. */
  readonly branchNorms: boolean;
  /** Whether queries and keys are normalised per head, before the rotation. */
  readonly qkNorms: boolean;
  /** Linear layers that add a bias. */
  readonly biases: readonly LinearName[];
  /** Of the gated feed-forward block; `gelu-tanh` is GELU's tanh approximation. */
  readonly activation: 'silu' | 'gelu-tanh';
  /** What token embeddings are multiplied by. */
  readonly embeddingScale: number;
  /** Factor of q·k before the softmax. */
  readonly attentionScale: number;
  /** c of s ← c·tanh(s/c), before masking. */
  readonly attentionSoftcap: number | undefined;
  /** The same of the logits. */
  readonly finalSoftcap: number | undefined;
  /** Of each layer: how many keys a query sees, itself included; undefined: all before it. */
  readonly windows: readonly (number | undefined)[];
  readonly tiedEmbeddings: boolean;
  readonly bosTokenId: number | undefined;
  /** Generation stops at any of these; may be empty. */
  readonly eosTokenIds: readonly number[];
  /** undefined also where the file names an id outside the vocabulary: padding never reaches the embedding here. */
  readonly padTokenId: number | undefined;
}

export interface Family {
  /** `model_type` */
  readonly modelType: string;
  /** The one of `architectures` that is a language model. */
  readonly architecture: string;
  /** @throws PupilError `checkpoint` for every key that would change the result and is not computed */
  readonly read: (fields: JsonFields) => Decoder;
}

export const UNSUPPORTED = 'This engine does not compute that variant: choose another student.';

/** Sizes and token ids that all families name alike, and what most of them have in common. */
export function readCommon(
  fields: JsonFields,
  defaults: {
    architecture: string;
    kvHeads?: number;
    /** Where the family does not derive it from hidden_size. */
    headSize?: number;
    tied: boolean;
    bos: number | undefined;
    eos: number | undefined;
    pad?: number;
  },
): Decoder {
  const hiddenSize = fields.size('hidden_size');
  const layers = fields.size('num_hidden_layers');
  const heads = fields.size('num_attention_heads');
  const vocabSize = fields.size('vocab_size');
  const kvHeads = fields.size('num_key_value_heads', defaults.kvHeads ?? heads);
  if (heads % kvHeads !== 0) {
    fields.refuse('num_key_value_heads', `a divisor of num_attention_heads (${heads})`, DAMAGED_JSON);
  }
  const headSize = readHeadSize(fields, hiddenSize, heads, defaults.headSize);
  const architectures = fields.json['architectures'];
  if (fields.has('architectures') && !(Array.isArray(architectures) && architectures.includes(defaults.architecture))) {
    fields.refuse('architectures', `a list with "${defaults.architecture}"`, 'Only language models can be students.');
  }
  fields.only('partial_rotary_factor', 1);
  for (const key of ELSEWHERE) fields.only(key, false);
  const pad = fields.json['pad_token_id'] === undefined ? defaults.pad : fields.json['pad_token_id'];
  const padInside = Number.isInteger(pad) && (pad as number) >= 0 && (pad as number) < vocabSize;
  return {
    hiddenSize,
    layers,
    heads,
    kvHeads,
    headSize,
    intermediateSize: fields.size('intermediate_size'),
    vocabSize,
    maxPositions: fields.size('max_position_embeddings'),
    rope: readRope(fields, 10_000),
    rmsNormEps: fields.positive('rms_norm_eps'),
    normOffset: 0,
    branchNorms: false,
    qkNorms: false,
    biases: [],
    activation: 'silu',
    embeddingScale: 1,
    attentionScale: 1 / Math.sqrt(headSize),
    attentionSoftcap: undefined,
    finalSoftcap: undefined,
    windows: new Array<number | undefined>(layers).fill(undefined),
    tiedEmbeddings: fields.flag('tie_word_embeddings', defaults.tied),
    bosTokenId: tokenIds(fields, 'bos_token_id', vocabSize, defaults.bos)[0],
    eosTokenIds: tokenIds(fields, 'eos_token_id', vocabSize, defaults.eos),
    padTokenId: padInside ? (pad as number) : undefined,
  };
}

/** Keys by which relatives of these families change the result; a file of ours that has one is not what it says. */
const ELSEWHERE = [
  'clip_qkv',
  'use_qk_norm',
  'embedding_multiplier',
  'residual_multiplier',
  'attention_multiplier',
  'logits_scaling',
  'logit_scale',
  'num_experts',
  'num_local_experts',
  'no_rope_layers',
  'use_bidirectional_attention',
];

function readHeadSize(fields: JsonFields, hiddenSize: number, heads: number, fallback?: number): number {
  if (!fields.has('head_dim') && fallback === undefined && hiddenSize % heads !== 0) {
    fields.refuse('hidden_size', `a multiple of num_attention_heads (${heads}), as head_dim is absent`, DAMAGED_JSON);
  }
  const headSize = fields.size('head_dim', fallback ?? hiddenSize / heads);
  if (headSize % 2 !== 0) {
    const key = fields.has('head_dim') ? 'head_dim' : 'hidden_size';
    fields.refuse(key, `an even head size for rotary positions, not ${headSize}`, DAMAGED_JSON);
  }
  return headSize;
}

/** Token ids under a key: a number or a list, each inside the vocabulary; absent means `fallback`, null means none. */
function tokenIds(fields: JsonFields, key: string, vocabSize: number, fallback: number | undefined): number[] {
  const value = fields.json[key];
  if (value === undefined) return fallback === undefined || fallback >= vocabSize ? [] : [fallback];
  if (value === null) return [];
  const ids: unknown[] = Array.isArray(value) ? value : [value];
  if (!ids.every((id) => Number.isInteger(id) && (id as number) >= 0 && (id as number) < vocabSize)) {
    return fields.refuse(key, `token ids from 0 to ${vocabSize - 1} (vocab_size − 1)`, DAMAGED_JSON);
  }
  return Array.from(new Set(ids as number[]));
}

/**
 * `rope_theta` at the top and `rope_scaling` (transformers 4), or both in `rope_parameters` (transformers 5). Rules other
 * than default, linear and llama3 (dynamic, yarn, longrope) are refused by name.
 */
function readRope(fields: JsonFields, fallback: number): RopeRule {
  let theta = fields.has('rope_theta') ? fields.positive('rope_theta') : undefined;
  let scaling: RopeScaling | undefined;
  for (const key of ['rope_parameters', 'rope_scaling']) {
    if (!fields.has(key)) continue;
    const rope = fields.json[key];
    if (!isJsonObject(rope)) return fields.refuse(key, 'an object or null', DAMAGED_JSON);
    const inner = new JsonFields(rope, `${fields.fileName}: ${key}`, UNSUPPORTED);
    inner.only('partial_rotary_factor', 1);
    if (Object.values(rope).some(isJsonObject)) fields.refuse(key, 'one set of parameters for all layers');
    scaling = readScaling(inner) ?? scaling;
    if (!inner.has('rope_theta')) continue;
    const nested = inner.positive('rope_theta');
    if (theta !== undefined && theta !== nested) {
      fields.refuse(key, `the same rope_theta as elsewhere (${theta})`, DAMAGED_JSON);
    }
    theta = nested;
  }
  return { theta: theta ?? fallback, ...(scaling === undefined ? {} : { scaling }) };
}

function readScaling(inner: JsonFields): RopeScaling | undefined {
  const key = inner.has('rope_type') ? 'rope_type' : 'type';
  if (!inner.has(key)) return undefined;
  for (const name of ['rope_type', 'type']) inner.only(name, 'default', 'linear', 'llama3');
  if (inner.has('type') && inner.json[key] !== inner.json['type']) {
    inner.refuse('type', `the same as rope_type (${String(inner.json['rope_type'])})`, DAMAGED_JSON);
  }
  switch (inner.json[key]) {
    case 'linear':
      return { kind: 'linear', factor: inner.positive('factor') };
    case 'llama3': {
      const [lowFreqFactor, highFreqFactor] = [inner.positive('low_freq_factor'), inner.positive('high_freq_factor')];
      if (highFreqFactor <= lowFreqFactor) {
        inner.refuse('high_freq_factor', `more than low_freq_factor (${lowFreqFactor})`, DAMAGED_JSON);
      }
      return {
        kind: 'llama3',
        factor: inner.positive('factor'),
        lowFreqFactor,
        highFreqFactor,
        originalMaxPositionEmbeddings: inner.size('original_max_position_embeddings'),
      };
    }
    default:
      return undefined;
  }
}

/** `hidden_act` of the families whose feed-forward block is SwiGLU. */
export function expectSilu(fields: JsonFields): void {
  fields.only('hidden_act', 'silu', 'swish');
}

/** Refuses Gemma's soft caps in a family that has none. */
export function refuseSoftcaps(fields: JsonFields): void {
  fields.only('attn_logit_softcapping');
  fields.only('final_logit_softcapping');
}

/**
 * The window of each layer. `layer_types` decides where it is given; else `windowed` does. transformers hides a key from a
 * query that is `sliding_window` or more positions behind it.
 */
export function readWindows(
  fields: JsonFields,
  layers: number,
  window: number | undefined,
  windowed: (layer: number) => boolean,
): (number | undefined)[] {
  const types = fields.json['layer_types'];
  if (!fields.has('layer_types')) {
    return Array.from({ length: layers }, (_, layer) => (windowed(layer) ? window : undefined));
  }
  const known = ['full_attention', 'sliding_attention'];
  if (!Array.isArray(types) || types.length !== layers || !types.every((type) => known.includes(type as string))) {
    return fields.refuse('layer_types', `${layers} of "full_attention" or "sliding_attention"`);
  }
  if (types.includes('sliding_attention') && window === undefined) {
    fields.refuse('layer_types', 'only "full_attention", as there is no sliding window');
  }
  return types.map((type) => (type === 'sliding_attention' ? window : undefined));
}
