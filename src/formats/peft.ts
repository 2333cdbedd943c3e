// peft.ts: LoRA adapters in PEFT's files (`adapter_config.json`, `adapter_model.safetensors`), in and out. What other kinds
// of adapters would compute is refused, never ignored. It holds arrays; putting them on the GPU is model/adapter.ts.
// Source: PEFT 0.17, utils/save_and_load.py. The settings are peftSettings.ts.
import { PupilError } from '../base/errors';
import { readWhole, type OpenFile } from './byteSource';
import { JsonFields } from './jsonFields';
import { parseJsonObject, showValue } from './jsonText';
import {
  isAllLinear,
  matchesName,
  patternValue,
  readPattern,
  readSettings,
  readTargets,
  type AdapterSettings,
} from './peftSettings';
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
export interface AdapterFile extends AdapterSettings {
  /** For messages: the folder. */
  name?: string;
  /** Whether the settings say that a module is adapted. Absent where they list none: an expression is not run. */
  adapts?: (path: string) => boolean;
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

interface PairNames {
  A?: string;
  B?: string;
}

/** Parts of a path that torch.compile, FSDP, activation checkpointing and DDP put around modules, and some tools save. */
const WRAPPERS = new Set(['_orig_mod', '_fsdp_wrapped_module', '_checkpoint_wrapped_module', 'module']);

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
    const whole = match[1]!
      .split('.')
      .filter((part) => !WRAPPERS.has(part))
      .join('.');
    const inner = whole.startsWith(PREFIX) ? whole.slice(PREFIX.length) : whole;
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
