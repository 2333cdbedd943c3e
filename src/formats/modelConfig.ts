// modelConfig.ts: Hugging Face `config.json` → what the engine needs to know, checked; and a refusal, by key and value, of
// everything the engine would otherwise compute wrongly. One reader per model family in families/. It reads no weights.
// Not read: attention_dropout (this engine has dropout in LoRA only), initializer_range, pretraining_tp, use_cache, dtype.
import { PupilError } from '../base/errors';
import { UNSUPPORTED, type Decoder, type Family } from './families/family';
import { gemma2 } from './families/gemma2';
import { llama } from './families/llama';
import { mistral } from './families/mistral';
import { qwen2, qwen3 } from './families/qwen';
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

/** A checkpoint's `config.json`: what its decoder computes, and how its weights are stored. */
export interface ModelConfig extends Decoder {
  readonly modelType: string;
  readonly quantization: QuantizationInfo | undefined;
  /** The file as it stands, for export. */
  readonly raw: JsonObject;
}

const FAMILIES: ReadonlyMap<string, Family> = new Map(
  [llama, mistral, qwen2, qwen3, gemma2].map((family) => [family.modelType, family]),
);

/** `model_type` of every family that this engine has a decoder for. */
export const MODEL_TYPES: readonly string[] = [...FAMILIES.keys()];

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
  const family = typeof modelType === 'string' ? FAMILIES.get(modelType) : undefined;
  if (family === undefined) {
    const known = MODEL_TYPES.map(showValue).join(' or ');
    return fields.refuse('model_type', known, 'This engine has no decoder of that family: choose another student.');
  }
  return {
    ...family.read(fields),
    modelType: family.modelType,
    quantization: readQuantization(value['quantization_config'], fileName),
    raw: value,
  };
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
