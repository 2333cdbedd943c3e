// peft.ts: LoRA adapters in PEFT's files (`adapter_config.json`, `adapter_model.safetensors`), in and out. What other kinds
// of adapters would compute is refused, never ignored. It holds arrays; putting them on the GPU is model/adapter.ts.
// Source: PEFT 0.17, tuners/lora/config.py, utils/save_and_load.py, utils/other.py (get_pattern_key, match_target_against_key).
import { PupilError } from '../base/errors';
import { readWhole, type OpenFile } from './byteSource';
import { DAMAGED_JSON, JsonFields } from './jsonFields';
import { isJsonObject, parseJsonObject, showValue } from './jsonText';
import { dumpPythonJson, PythonFloat, type PythonJson } from './pythonJson';
import { readSafetensorsHeader, readTensorF32, type SafetensorsFile } from './safetensors';
import { compareNames, inLibraryOrder, writeSafetensors, type TensorData } from './safetensorsWrite';

const CONFIG_FILE = 'adapter_config.json';
const WEIGHTS_FILE = 'adapter_model.safetensors';
const PREFIX = 'base_model.model.';
const MAX_CONFIG_BYTES = 2 ** 24;

/** One low-rank factor. */
export interface AdapterMatrix {
  shape: readonly [number, number];
  data: Float32Array;
}

/** The factors of one linear layer: its output gains scale · B(A(x)), scale = α/R (α/√R with rsLoRA). */
export interface AdapterModule {
  a: AdapterMatrix; // (R, C)
  b: AdapterMatrix; // (O, R)
  /** Where the file gives this module an α of its own (`alpha_pattern`). */
  alpha?: number;
}

/** What PEFT's two files say. */
export interface AdapterFile {
  /** For messages: the folder. */
  name?: string;
  /** The rank of all modules but those whose matrices have another (`rank_pattern`). */
  r: number;
  alpha: number;
  /** Probability of dropping an input of A while training. */
  dropout: number;
  rsLora: boolean;
  /** Names of modules, or PEFT's regular expression or "all-linear". */
  targetModules: string | readonly string[];
  /** Whether the settings say that a module is adapted. Absent where they list none: an expression is not run. */
  adapts?: (path: string) => boolean;
  /** `base_model_name_or_path`; '' where the file has null. */
  baseModel: string;
  /** By module path, e.g. `model.layers.0.self_attn.q_proj`. */
  tensors: Map<string, AdapterModule>;
}

/** What B·A is multiplied by: α/R, or α/√R with rsLoRA, with the module's own α and rank where it has them. */
export function loraScale(module: AdapterModule, adapter: Pick<AdapterFile, 'alpha' | 'rsLora'>): number {
  const alpha = module.alpha ?? adapter.alpha;
  const rank = module.a.shape[0];
  return adapter.rsLora ? alpha / Math.sqrt(rank) : alpha / rank;
}

/**
 * Reads a PEFT adapter folder.
 * @param open finds a file by its path in the folder
 * @param folder the folder's name, for messages
 * @throws PupilError `checkpoint` where a file is missing, or the adapter is of a kind this engine does not compute (DoRA,
 *   trained biases, modules_to_save …), or factors are missing, misshapen or not finite, e.g.
 *   `adapter_model.safetensors: model.layers.0.self_attn.q_proj: lora_B: element 17 is NaN, expected a finite number`
 */
export async function readPeftAdapter(open: OpenFile, folder = 'adapter'): Promise<AdapterFile> {
  const source = async (path: string, hint: string) => {
    const found = await open(path);
    if (found !== undefined) return found;
    throw new PupilError('checkpoint', `${folder}: expected a file ${path}, there is none`, hint);
  };
  const configSource = await source(CONFIG_FILE, 'Choose the folder of a PEFT adapter.');
  const json = parseJsonObject(await readWhole(configSource, MAX_CONFIG_BYTES), configSource.name);
  const fields = new JsonFields(json, configSource.name, 'This engine computes plain LoRA only.');
  const settings = readSettings(fields);
  const weightsSource = await source(
    WEIGHTS_FILE,
    'Adapters in adapter_model.bin are not read: save them as safetensors.',
  );
  const file = await readSafetensorsHeader(weightsSource);
  const isTarget = readTargets(fields, settings.targetModules);
  const rankPattern = readPattern(fields, 'rank_pattern');
  const alphaPattern = readPattern(fields, 'alpha_pattern');
  const tensors = new Map<string, AdapterModule>();
  for (const [path, names] of pairNames(file)) {
    if (!isTarget(path)) {
      throw new PupilError(
        'checkpoint',
        `${file.source.name}: expected weights of the modules that ${configSource.name} adapts (target_modules ${showValue(settings.targetModules)}), got ${path}`,
        'PEFT would leave these weights out: the two files are not of one adapter, or one was edited.',
      );
    }
    const module = await readModule(file, path, names, patternValue(rankPattern, path) ?? settings.r);
    const alpha = patternValue(alphaPattern, path);
    tensors.set(path, alpha === undefined ? module : { ...module, alpha });
  }
  const { targetModules } = settings;
  const listed = isAllLinear(targetModules) || (typeof targetModules !== 'string' && targetModules.length > 0);
  return { name: folder, ...settings, ...(listed ? { adapts: isTarget } : {}), tensors };
}

/**
 * Whether PEFT would put factors on a module: `target_modules` (a list or "all-linear"; other expressions come from the
 * file and are not run), `exclude_modules` and `layers_to_transform`. An adapter that says nothing adapts what it has.
 */
function readTargets(fields: JsonFields, targets: string | readonly string[]): (path: string) => boolean {
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

function isAllLinear(targets: string | readonly string[]): boolean {
  return typeof targets === 'string' && targets.toLowerCase() === 'all-linear';
}

/** The settings, with everything refused that would make the adapter compute something else than plain LoRA. */
function readSettings(fields: JsonFields): Omit<AdapterFile, 'tensors'> {
  if (fields.json['peft_type'] !== 'LORA') fields.refuse('peft_type', '"LORA"');
  fields.only('task_type', 'CAUSAL_LM');
  for (const key of ['use_dora', 'use_qalora', 'fan_in_fan_out', 'lora_bias']) fields.only(key, false);
  fields.only('bias', 'none');
  for (const key of [
    'modules_to_save',
    'layer_replication',
    'target_parameters',
    'trainable_token_indices',
    'alora_invocation_tokens',
    'arrow_config',
  ]) {
    fields.empty(key);
  }
  const init = fields.json['init_lora_weights'];
  if (typeof init === 'string' && /^(pissa|olora|corda|loftq)/i.test(init)) {
    fields.refuse('init_lora_weights', 'an initialisation that leaves the base weights as they are');
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
function readPattern(fields: JsonFields, key: string): [name: string, value: number][] {
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

function patternValue(pattern: readonly [string, number][], path: string): number | undefined {
  return pattern.find(([name]) => matchesName(path, name))?.[1];
}

/** PEFT's rule for a listed name: the whole path, or its end behind a point. */
function matchesName(path: string, name: string): boolean {
  return path === name || path.endsWith(`.${name}`);
}

interface PairNames {
  A?: string;
  B?: string;
}

/**
 * The tensor names of each module's factors. Read are `base_model.model.<path>.lora_A.weight`, the same with an adapter's
 * name before `weight`, and the same without prefix; adapters of a bare decoder lack a `model.`, which is put back.
 */
function pairNames(file: SafetensorsFile): Map<string, PairNames> {
  const fail = (message: string, hint?: string): never => {
    throw new PupilError('checkpoint', `${file.source.name}: ${message}`, hint);
  };
  const modules = new Map<string, PairNames>();
  for (const name of file.tensors.keys()) {
    const match = /^(.+)\.lora_([AB])(?:\.[^.]+)?\.weight$/.exec(name);
    if (match === null) {
      return fail(
        `expected only lora_A and lora_B weights, got "${name}"`,
        'The adapter also changes other weights (DoRA, biases, saved modules, embeddings): this engine computes plain LoRA only.',
      );
    }
    const inner = match[1]!.startsWith(PREFIX) ? match[1]!.slice(PREFIX.length) : match[1]!;
    const path = inner.startsWith('layers.') ? `model.${inner}` : inner;
    const factor = match[2] as 'A' | 'B';
    const names = modules.get(path) ?? {};
    if (names[factor] !== undefined) {
      return fail(
        `${path}: expected one lora_${factor}, got "${names[factor]}" and "${name}"`,
        'Save one adapter per file.',
      );
    }
    modules.set(path, { ...names, [factor]: name });
  }
  if (modules.size === 0) return fail('expected lora_A and lora_B weights, the file has no tensors');
  return modules;
}

/** Both factors of a module, with shapes and values checked. */
async function readModule(file: SafetensorsFile, path: string, names: PairNames, r: number): Promise<AdapterModule> {
  const label = `${file.source.name}: ${path}`;
  const read = async (factor: 'A' | 'B', rankAxis: 0 | 1): Promise<AdapterMatrix> => {
    const name = names[factor];
    if (name === undefined) {
      throw new PupilError('checkpoint', `${label}: expected lora_A and lora_B, lora_${factor} is missing`);
    }
    const { shape } = file.tensors.get(name)!;
    if (shape.length !== 2 || shape[rankAxis] !== r) {
      const wanted = factor === 'A' ? `[${r}, inputs]` : `[outputs, ${r}]`;
      throw new PupilError(
        'checkpoint',
        `${label}: lora_${factor}: expected shape ${wanted}, got [${shape.join(', ')}]`,
        `The rank in ${CONFIG_FILE} (r, rank_pattern) is not that of the weights.`,
      );
    }
    const data = await readTensorF32(file, name);
    const bad = data.findIndex((value) => !Number.isFinite(value));
    if (bad >= 0) {
      throw new PupilError(
        'checkpoint',
        `${label}: lora_${factor}: element ${bad} is ${data[bad]}, expected a finite number`,
        'The adapter was saved after its training had diverged.',
      );
    }
    return { shape: [shape[0]!, shape[1]!], data };
  };
  return { a: await read('A', 0), b: await read('B', 1) };
}

/**
 * PEFT's two files, byte for byte as PEFT 0.17 writes them for the same settings and weights.
 * Modules whose rank or α differ from `r` and `alpha` are listed in `rank_pattern` and `alpha_pattern`.
 * @throws PupilError `shape` where the factors of a module do not fit each other
 */
export function writePeftAdapter(
  adapter: AdapterFile,
): Record<'adapter_config.json' | 'adapter_model.safetensors', Uint8Array<ArrayBuffer>> {
  const tensors: TensorData[] = [];
  const rankPattern: Record<string, number> = {};
  const alphaPattern: Record<string, number> = {};
  for (const path of Array.from(adapter.tensors.keys()).sort(compareNames)) {
    const { a, b, alpha } = adapter.tensors.get(path)!;
    const rank = a.shape[0];
    if (b.shape[1] !== rank) {
      throw new PupilError(
        'shape',
        `writePeftAdapter: ${path}: expected lora_B [outputs, ${rank}] for lora_A [${a.shape.join(', ')}], got [${b.shape.join(', ')}]`,
      );
    }
    if (rank !== adapter.r) rankPattern[path] = rank;
    if (alpha !== undefined && alpha !== adapter.alpha) alphaPattern[path] = alpha;
    tensors.push({ name: `${PREFIX}${path}.lora_A.weight`, dtype: 'f32', ...a });
    tensors.push({ name: `${PREFIX}${path}.lora_B.weight`, dtype: 'f32', ...b });
  }
  const { targetModules } = adapter;
  const config: Record<string, PythonJson> = {
    alpha_pattern: alphaPattern,
    auto_mapping: null,
    base_model_name_or_path: adapter.baseModel === '' ? null : adapter.baseModel,
    bias: 'none',
    corda_config: null,
    eva_config: null,
    exclude_modules: null,
    fan_in_fan_out: false,
    inference_mode: true,
    init_lora_weights: true,
    layer_replication: null,
    layers_pattern: null,
    layers_to_transform: null,
    loftq_config: {},
    lora_alpha: adapter.alpha,
    lora_bias: false,
    lora_dropout: new PythonFloat(adapter.dropout),
    megatron_config: null,
    megatron_core: 'megatron.core',
    modules_to_save: null,
    peft_type: 'LORA',
    qalora_group_size: 16,
    r: adapter.r,
    rank_pattern: rankPattern,
    revision: null,
    target_modules: typeof targetModules === 'string' ? targetModules : [...targetModules],
    target_parameters: null,
    task_type: 'CAUSAL_LM',
    trainable_token_indices: null,
    use_dora: false,
    use_qalora: false,
    use_rslora: adapter.rsLora,
  };
  return {
    'adapter_config.json': new TextEncoder().encode(dumpPythonJson(config, 2)),
    'adapter_model.safetensors': writeSafetensors(inLibraryOrder(tensors), { format: 'pt' }),
  };
}

/**
 * The module paths that PEFT would adapt, of those a model has.
 * @param spec a list of names (a whole path, or its end behind a point), "all-linear" (all but the output head), or a
 *   regular expression for the whole path; the expression runs in JavaScript's dialect and should come from the user only
 * @param linearPaths the model's linear layers
 * @throws PupilError `config` where the expression is invalid or nothing matches
 */
export function resolveTargetModules(
  spec: string | readonly string[],
  linearPaths: readonly string[],
  headPath = 'lm_head',
): string[] {
  const found = linearPaths.filter(targetFilter(spec, headPath));
  if (found.length === 0) {
    throw new PupilError(
      'config',
      `adapter targets: expected names of linear layers such as ${linearPaths.slice(0, 3).join(', ')}, ${showValue(spec)} matches none`,
      'List ends of module paths (q_proj, v_proj), or say "all-linear".',
    );
  }
  return found;
}

function targetFilter(spec: string | readonly string[], headPath: string): (path: string) => boolean {
  if (typeof spec !== 'string') return (path) => spec.some((name) => matchesName(path, name));
  if (isAllLinear(spec)) return (path) => path !== headPath;
  let pattern: RegExp;
  try {
    pattern = new RegExp(`^(?:${spec})$`);
  } catch (cause) {
    throw new PupilError(
      'config',
      `adapter targets: expected a regular expression, got ${showValue(spec)}`,
      'Use a list of module names.',
      { cause },
    );
  }
  return (path) => pattern.test(path);
}
