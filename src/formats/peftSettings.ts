// peftSettings.ts: what PEFT's `adapter_config.json` says, checked: plain LoRA's own settings, and the refusal by name of all
// that would compute something else. The factors are peft.ts.
// Source: PEFT 0.17 (and the keys of 0.3 to 0.18), tuners/lora/config.py, utils/other.py (get_pattern_key,
//   match_target_against_key).
import { DAMAGED_JSON, type JsonFields } from './jsonFields';
import { isJsonObject, showValue } from './jsonText';

/** LoRA's settings, as the file has them. */
export interface AdapterSettings {
  /** The rank of all modules but those whose matrices have another (`rank_pattern`). */
  r: number;
  alpha: number;
  /** Probability of dropping an input of A while training. */
  dropout: number;
  rsLora: boolean;
  /** Names of modules, or PEFT's regular expression or "all-linear". */
  targetModules: string | readonly string[];
  /** `base_model_name_or_path`; '' where the file has null. */
  baseModel: string;
}

/**
 * Whether PEFT would put factors on a module: `target_modules` (a list or "all-linear"; other expressions come from the
 * file and are not run), `exclude_modules` and `layers_to_transform`. An adapter that says nothing adapts what it has.
 */
export function readTargets(fields: JsonFields, targets: string | readonly string[]): (path: string) => boolean {
  const names = (key: string): readonly string[] => {
    const value = fields.json[key] ?? [];
    return Array.isArray(value) ? value.filter((name): name is string => typeof name === 'string') : [];
  };
  const excluded = names('exclude_modules');
  const layers = [fields.json['layers_to_transform'] ?? []].flat();
  const everywhere = typeof targets === 'string' || targets.length === 0;
  const allLinear = isAllLinear(targets);
  return (path) => {
    if (excluded.some((name) => matchesName(path, name))) return false;
    const layer = /(?:^|\.)layers\.(\d+)\./.exec(path)?.[1];
    if (layers.length > 0 && layer !== undefined && !layers.includes(Number(layer))) return false;
    return everywhere ? !allLinear || path !== 'lm_head' : targets.some((name) => matchesName(path, name));
  };
}

export function isAllLinear(targets: string | readonly string[]): boolean {
  return typeof targets === 'string' && targets.toLowerCase() === 'all-linear';
}

/** Settings that are read below, or in {@link readTargets} and {@link readPattern}. */
const READ_KEYS = [
  'peft_type',
  'task_type',
  'bias',
  'fan_in_fan_out',
  'init_lora_weights',
  'r',
  'lora_alpha',
  'lora_dropout',
  'use_rslora',
  'target_modules',
  'exclude_modules',
  'layers_to_transform',
  'rank_pattern',
  'alpha_pattern',
  'base_model_name_or_path',
];
/** Settings that say how an adapter was made or is run, whatever they say: it computes the same. */
const INERT_KEYS = [
  'auto_mapping',
  'peft_version',
  'revision',
  'inference_mode',
  'merge_weights',
  'layers_pattern',
  'megatron_config',
  'megatron_core',
  'runtime_config',
  'qalora_group_size',
  // Of initialisations: those that change the base's weights are told by init_lora_weights.
  'loftq_config',
  'eva_config',
  'corda_config',
  'lora_ga_config',
];
/** Initialisations that leave the base's weights as they are. (PiSSA, OLoRA, CorDA, LoftQ and LoRA-GA do not.) */
const PLAIN_INITS = [true, false, 'gaussian', 'eva', 'orthogonal'];

/**
 * The settings, with everything refused that would make the adapter compute something else than plain LoRA. PEFT has a new
 * variant with every version, each with a key of its own: a key that is not known here must be null, false or empty.
 */
export function readSettings(fields: JsonFields): AdapterSettings {
  if (fields.json['peft_type'] !== 'LORA') fields.refuse('peft_type', '"LORA"');
  fields.only('task_type', 'CAUSAL_LM');
  fields.only('fan_in_fan_out', false);
  fields.only('bias', 'none');
  const init = fields.json['init_lora_weights'] ?? true;
  if (!PLAIN_INITS.includes(init as boolean | string)) {
    fields.refuse('init_lora_weights', 'an initialisation that leaves the base weights as they are');
  }
  for (const key of Object.keys(fields.json)) {
    if (READ_KEYS.includes(key) || INERT_KEYS.includes(key) || fields.json[key] === false) continue;
    fields.empty(key);
  }
  const dropout = fields.json['lora_dropout'] ?? 0;
  if (!(typeof dropout === 'number' && dropout >= 0 && dropout < 1)) {
    return fields.refuse('lora_dropout', 'a number from 0 to below 1', DAMAGED_JSON);
  }
  const targets = fields.json['target_modules'] ?? [];
  const isList = Array.isArray(targets) && targets.every((name) => typeof name === 'string');
  if (typeof targets !== 'string' && !isList) {
    return fields.refuse('target_modules', 'a list of module names, or a pattern', DAMAGED_JSON);
  }
  const base = fields.json['base_model_name_or_path'] ?? '';
  if (typeof base !== 'string') return fields.refuse('base_model_name_or_path', 'a name or null', DAMAGED_JSON);
  return {
    r: fields.size('r'),
    alpha: fields.positive('lora_alpha'),
    dropout,
    rsLora: fields.flag('use_rslora', false),
    targetModules: targets as string | string[],
    baseModel: base,
  };
}

/** `rank_pattern` or `alpha_pattern`: numbers by module name. PEFT takes regular expressions here; plain names are read. */
export function readPattern(fields: JsonFields, key: string): [name: string, value: number][] {
  if (!fields.has(key)) return [];
  const pattern = fields.json[key];
  if (!isJsonObject(pattern)) return fields.refuse(key, 'an object', DAMAGED_JSON);
  return Object.entries(pattern).map(([name, value]) => {
    if (!/^[\w.]+$/.test(name)) {
      return fields.refuse(
        key,
        `plain module names as keys, not ${showValue(name)}`,
        'Write out the modules it stands for.',
      );
    }
    const whole = key !== 'rank_pattern' || Number.isInteger(value);
    if (!(typeof value === 'number' && Number.isFinite(value) && value > 0 && whole)) {
      return fields.refuse(key, 'numbers above 0 as values', DAMAGED_JSON);
    }
    return [name, value];
  });
}

export function patternValue(pattern: readonly [string, number][], path: string): number | undefined {
  return pattern.find(([name]) => matchesName(path, name))?.[1];
}

/** PEFT's rule for a listed name: the whole path, or its end behind a point. */
export function matchesName(path: string, name: string): boolean {
  return path === name || path.endsWith(`.${name}`);
}
