// modelConfig.ts: Hugging Face `config.json` → what the engine needs to know, checked; and a refusal, by key and value, of
// everything the engine would otherwise compute wrongly. One reader per model family in FAMILIES. It reads no weights.
// Not read: attention_dropout (this engine has dropout in LoRA only), initializer_range, pretraining_tp, use_cache, dtype.
import { PupilError } from '../base/errors';
import { DAMAGED_JSON, JsonFields } from './jsonFields';
import { isJsonObject, showValue, type JsonObject } from './jsonText';

/** How the linear weights of a checkpoint are quantised. */
export interface QuantizationInfo {
  readonly method: 'bitsandbytes';
  readonly quantType: 'nf4';
  readonly doubleQuantized: boolean;
  /** Modules that were left alone, as the config lists them (lm_head is always left alone). */
  readonly skippedModules: readonly string[];
}

/** A decoder's dimensions and constants. */
export interface ModelConfig {
  readonly modelType: string;
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
  readonly ropeTheta: number;
  readonly rmsNormEps: number;
  readonly tiedEmbeddings: boolean;
  readonly bosTokenId: number | undefined;
  /** Generation stops at any of these; may be empty. */
  readonly eosTokenIds: readonly number[];
  /** undefined also where the file names an id outside the vocabulary: padding never reaches the embedding here. */
  readonly padTokenId: number | undefined;
  readonly quantization: QuantizationInfo | undefined;
  /** The file as it stands, for export. */
  readonly raw: JsonObject;
}

type FamilyReader = (fields: JsonFields) => Omit<ModelConfig, 'modelType' | 'quantization' | 'raw'>;

const FAMILIES: Readonly<Record<string, FamilyReader>> = { llama: readLlama };

const UNSUPPORTED = 'This engine does not compute that variant: choose another student.';

/**
 * Reads a `config.json`.
 * @param value the parsed JSON
 * @param fileName for messages
 * @throws PupilError `checkpoint`, naming key, value and what is supported, e.g.
 *   `config.json: hidden_act: expected "silu", got "gelu"`
 */
export function parseModelConfig(value: unknown, fileName = 'config.json'): ModelConfig {
  if (!isJsonObject(value)) {
    throw new PupilError('checkpoint', `${fileName}: expected a JSON object, got ${showValue(value)}`);
  }
  const fields = new JsonFields(value, fileName, UNSUPPORTED);
  const modelType = value['model_type'];
  const reader = typeof modelType === 'string' && Object.hasOwn(FAMILIES, modelType) ? FAMILIES[modelType] : undefined;
  if (reader === undefined) {
    const known = Object.keys(FAMILIES).map(showValue).join(' or ');
    return fields.refuse('model_type', known, 'This engine has no decoder of that family: choose another student.');
  }
  return {
    ...reader(fields),
    modelType: modelType as string,
    quantization: readQuantization(value['quantization_config'], fileName),
    raw: value,
  };
}

/** Token ids under a key: a number or a list, each inside the vocabulary; absent means `fallback`, null means none. */
function tokenIds(fields: JsonFields, key: string, vocabSize: number, fallback: readonly number[]): number[] {
  const value = fields.json[key];
  if (value === undefined) return fallback.filter((id) => id < vocabSize);
  if (value === null) return [];
  const ids: unknown[] = Array.isArray(value) ? value : [value];
  if (!ids.every((id) => Number.isInteger(id) && (id as number) >= 0 && (id as number) < vocabSize)) {
    return fields.refuse(key, `token ids from 0 to ${vocabSize - 1} (vocab_size − 1)`, DAMAGED_JSON);
  }
  return Array.from(new Set(ids as number[]));
}

/**
 * Llama: RMSNorm, rotary positions, grouped-query attention, SwiGLU, no biases.
 * Defaults for absent keys are those of transformers' LlamaConfig; the sizes and the norm's ε have none here.
 */
function readLlama(fields: JsonFields): ReturnType<FamilyReader> {
  const hiddenSize = fields.size('hidden_size');
  const layers = fields.size('num_hidden_layers');
  const heads = fields.size('num_attention_heads');
  const intermediateSize = fields.size('intermediate_size');
  const vocabSize = fields.size('vocab_size');
  const maxPositions = fields.size('max_position_embeddings');
  const rmsNormEps = fields.positive('rms_norm_eps');
  const kvHeads = fields.size('num_key_value_heads', heads);
  if (heads % kvHeads !== 0) {
    fields.refuse('num_key_value_heads', `a divisor of num_attention_heads (${heads})`, DAMAGED_JSON);
  }
  if (!fields.has('head_dim') && hiddenSize % heads !== 0) {
    fields.refuse('hidden_size', `a multiple of num_attention_heads (${heads}), as head_dim is absent`, DAMAGED_JSON);
  }
  const headSize = fields.size('head_dim', hiddenSize / heads);
  if (headSize % 2 !== 0) {
    const key = fields.has('head_dim') ? 'head_dim' : 'hidden_size';
    fields.refuse(key, `an even head size for rotary positions, not ${headSize}`, DAMAGED_JSON);
  }
  const architectures = fields.json['architectures'];
  if (fields.has('architectures') && !(Array.isArray(architectures) && architectures.includes('LlamaForCausalLM'))) {
    fields.refuse('architectures', 'a list with "LlamaForCausalLM"', 'Only language models can be students.');
  }
  fields.only('hidden_act', 'silu', 'swish');
  fields.only('attention_bias', false);
  fields.only('mlp_bias', false);
  fields.only('partial_rotary_factor', 1);
  if (fields.json['use_sliding_window'] !== false) fields.only('sliding_window');
  const layerTypes = fields.json['layer_types'];
  if (Array.isArray(layerTypes) && layerTypes.some((type) => type !== 'full_attention')) {
    fields.refuse('layer_types', 'only "full_attention"');
  }
  const pad = fields.json['pad_token_id'];
  const padInside = Number.isInteger(pad) && (pad as number) >= 0 && (pad as number) < vocabSize;
  return {
    hiddenSize,
    layers,
    heads,
    kvHeads,
    headSize,
    intermediateSize,
    vocabSize,
    maxPositions,
    ropeTheta: readRopeTheta(fields, 10_000),
    rmsNormEps,
    tiedEmbeddings: fields.flag('tie_word_embeddings', false),
    bosTokenId: tokenIds(fields, 'bos_token_id', vocabSize, [1])[0],
    eosTokenIds: tokenIds(fields, 'eos_token_id', vocabSize, [2]),
    padTokenId: padInside ? (pad as number) : undefined,
  };
}

/**
 * θ of plain rotary positions: `rope_theta` at the top, or in `rope_parameters` (transformers 5). Any scaling of the
 * positions (`rope_scaling`, `rope_type` other than "default") is refused.
 */
function readRopeTheta(fields: JsonFields, fallback: number): number {
  let theta = fields.has('rope_theta') ? fields.positive('rope_theta') : undefined;
  for (const key of ['rope_parameters', 'rope_scaling']) {
    if (!fields.has(key)) continue;
    const rope = fields.json[key];
    if (!isJsonObject(rope)) return fields.refuse(key, 'an object or null', DAMAGED_JSON);
    const inner = new JsonFields(rope, `${fields.fileName}: ${key}`, UNSUPPORTED);
    inner.only('rope_type', 'default');
    inner.only('type', 'default');
    inner.only('partial_rotary_factor', 1);
    if (Object.values(rope).some(isJsonObject)) fields.refuse(key, 'one set of parameters for all layers');
    if (!inner.has('rope_theta')) continue;
    const nested = inner.positive('rope_theta');
    if (theta !== undefined && theta !== nested)
      fields.refuse(key, `the same rope_theta as elsewhere (${theta})`, DAMAGED_JSON);
    theta = nested;
  }
  return theta ?? fallback;
}

/** `quantization_config`: none, or bitsandbytes NF4 with byte storage. */
function readQuantization(value: unknown, fileName: string): QuantizationInfo | undefined {
  if (value === undefined || value === null) return undefined;
  const label = `${fileName}: quantization_config`;
  const hint = 'Of quantised checkpoints only bitsandbytes NF4 is read: take the original model and quantise it here.';
  if (!isJsonObject(value)) {
    throw new PupilError('checkpoint', `${label}: expected an object, got ${showValue(value)}`, DAMAGED_JSON);
  }

  const fields = new JsonFields(value, label, hint);
  if (value['quant_method'] !== 'bitsandbytes') fields.refuse('quant_method', '"bitsandbytes"');
  if (value['load_in_4bit'] !== true) fields.refuse('load_in_4bit', 'true');
  if (value['bnb_4bit_quant_type'] !== 'nf4') fields.refuse('bnb_4bit_quant_type', '"nf4"');
  const storage = value['bnb_4bit_quant_storage'];
  if (storage !== undefined && storage !== 'uint8') fields.refuse('bnb_4bit_quant_storage', '"uint8"');
  const skipped = value['llm_int8_skip_modules'] ?? [];
  if (!Array.isArray(skipped) || !skipped.every((name) => typeof name === 'string')) {
    return fields.refuse('llm_int8_skip_modules', 'a list of module names or null', DAMAGED_JSON);
  }
  return {
    method: 'bitsandbytes',
    quantType: 'nf4',
    doubleQuantized: fields.flag('bnb_4bit_use_double_quant', false),
    skippedModules: skipped as string[],
  };
}
