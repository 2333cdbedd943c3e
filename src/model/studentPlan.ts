// studentPlan.ts: a student that is not here yet, from its config.json alone: how large it is, what it will hold on the GPU
// while it is loaded, trained and asked, whether that fits an adapter and a budget, and which settings would make it fit. The
// sums are memory.ts; what a whole experiment needs is session/plan.ts. No file is read and no GPU touched.
import { elementCount } from '../base/dtypes';
import { PupilError } from '../base/errors';
import type { ModelConfig } from '../formats/modelConfig';
import {
  activationPolicy,
  adapterElements,
  planMemory,
  storedQuantization,
  weightBytes,
  type MemoryParts,
  type MemoryRequest,
  type MemoryStage,
} from './memory';
import { LINEAR_NAMES } from '../base/linearNames';
import { parameterShapes, type Quantization } from './parameterShapes';

/** What the student is wanted for. */
export interface StudentSettings {
  quantize: Quantization;
  /** How frozen dense weights are stored. */
  tier: 'f32' | 'f16';
  rank: number;
  targets: readonly string[];
  /** Sequences of one micro-batch, and tokens of each. */
  batch: number;
  length: number;
  activations: 'auto' | 'keep' | 'recompute';
  optimizer: 'adamw' | 'rmsprop';
  dropout: boolean;
  /** Answers side by side, and the tokens of one; prompts are as long as `length` leaves room. */
  answers: number;
  newTokens: number;
}

/** QLoRA's recipe at one sequence of 512 tokens, and one answer at a time. */
export const STUDENT_SETTINGS: StudentSettings = {
  quantize: 'nf4',
  tier: 'f32',
  rank: 64,
  targets: LINEAR_NAMES,
  batch: 1,
  length: 512,
  activations: 'auto',
  optimizer: 'adamw',
  dropout: true,
  answers: 1,
  newTokens: 256,
};

/** {@link STUDENT_SETTINGS} with what a person said; lengths that nobody named are no longer than the student's context. */
export function settingsFor(config: ModelConfig, said: Partial<StudentSettings> = {}): StudentSettings {
  const context = config.maxPositions;
  const length = said.length ?? Math.min(STUDENT_SETTINGS.length, context);
  const newTokens = said.newTokens ?? Math.min(STUDENT_SETTINGS.newTokens, Math.max(1, Math.floor(context / 2)));
  return { ...STUDENT_SETTINGS, ...said, length, newTokens };
}

/** Of the adapter; absent where none is known. */
export interface PlanLimits {
  maxBufferSize: number;
  maxStorageBufferBindingSize: number;
}

export interface PlannedTensor {
  name: string;
  sizeBytes: number;
  /** `split`: bound in several pieces; `refused`: larger than a buffer or a binding that has to hold it whole. */
  fit: 'split' | 'refused';
}

/** A change of settings that lowers the peak. */
export interface Remedy {
  setting: keyof StudentSettings;
  from: string | number;
  to: string | number;
  /** What it costs, in a few words. */
  costs: string;
  /** The peak with this change alone, and with all before it. */
  aloneBytes: number;
  togetherBytes: number;
  /** Whether it fits with this and all before it. */
  fits: boolean;
}

/** What a plan is held against, and what it may propose. */
export interface PlanOptions {
  /** Of the adapter; absent, nothing is said of single tensors. */
  limits?: PlanLimits;
  /** What may be held at most. */
  budgetBytes?: number;
  /** Settings that no remedy changes, e.g. those that whoever asks cannot set. */
  fixed?: readonly (keyof StudentSettings)[];
}

export interface StudentPlan {
  modelType: string;
  parameters: number;
  /** Of the LoRA adapter. */
  trainedParameters: number;
  settings: StudentSettings;
  /** What one loading, training or generating holds; the largest is the peak. */
  stages: { stage: 'loading' | 'training' | 'generation'; parts: MemoryParts }[];
  peak: MemoryParts;
  peakStage: 'loading' | 'training' | 'generation';
  /** Whether all blocks keep their activations. */
  activations: 'keep' | 'recompute';
  budgetBytes?: number;
  limits?: PlanLimits;
  /** Tensors that do not fit one binding. Empty also where no limits are known. */
  tensors: PlannedTensor[];
  /** `unknown`: neither a budget nor limits were given. */
  verdict: 'fits' | 'too-large' | 'unknown';
  /** Why it does not fit, a sentence each. */
  reasons: string[];
  /** In order of least harm; ends with the first that makes it fit. Empty where it fits. */
  remedies: Remedy[];
}

function stagesOf(settings: StudentSettings): MemoryStage[] {
  const { batch: S, length: T, activations, optimizer, dropout, answers, newTokens } = settings;
  // Every token but the first of a sequence may be a target.
  const limits = { tokens: S * T, targets: S * Math.max(1, T - 1), sequences: S };
  const policy = activations === 'auto' ? {} : { activations };
  return [
    { kind: 'training', limits, optimizer, dropout, ...policy },
    {
      kind: 'generation',
      batchSize: answers,
      maxPromptTokens: promptTokens(settings),
      maxNewTokens: newTokens,
      adapted: true,
    },
  ];
}

const promptTokens = ({ length, newTokens }: StudentSettings): number => Math.max(1, length - newTokens);

const requestOf = (settings: StudentSettings): MemoryRequest => ({
  quantize: settings.quantize,
  tier: settings.tier,
  adapter: { rank: settings.rank, targets: settings.targets },
  stages: stagesOf(settings),
});

/** @throws PupilError `config` naming the setting. */
function expectSettings(config: ModelConfig, settings: StudentSettings): void {
  for (const name of ['rank', 'batch', 'length', 'answers', 'newTokens'] as const) {
    if (!Number.isInteger(settings[name]) || settings[name] < 1) {
      throw new PupilError('config', `planStudent: ${name}: expected a whole number from 1, got ${settings[name]}`);
    }
  }
  const longest = Math.max(settings.length, promptTokens(settings) + settings.newTokens);
  if (longest > config.maxPositions) {
    throw new PupilError(
      'config',
      `planStudent: expected at most ${config.maxPositions} tokens, the student’s context, got ${longest}`,
      'Lower the length or the number of new tokens.',
    );
  }
}

/**
 * The plan.
 * @throws PupilError `config` for settings that cannot be
 */
export function planStudent(config: ModelConfig, settings: StudentSettings, options: PlanOptions = {}): StudentPlan {
  expectSettings(config, settings);
  const { limits, budgetBytes } = options;
  const memory = planMemory(config, requestOf(settings));
  const named = [
    { stage: 'loading' as const, parts: memory.loading },
    { stage: 'training' as const, parts: memory.stages[0]! },
    { stage: 'generation' as const, parts: memory.stages[1]! },
  ];
  const peak = named.reduce((a, b) => (b.parts.totalBytes > a.parts.totalBytes ? b : a));
  const tensors = limits === undefined ? [] : oversized(config, settings, limits);
  const reasons = reasonsOf(peak.parts.totalBytes, tensors, options);
  const unknown = limits === undefined && budgetBytes === undefined;
  const { activations, rank, batch, length } = settings;
  return {
    modelType: config.modelType,
    parameters: memory.parameters,
    trainedParameters: trainedParameters(config, settings),
    settings,
    stages: named,
    peak: peak.parts,
    peakStage: peak.stage,
    activations: activations === 'auto' ? activationPolicy(config, rank, batch * length) : activations,
    ...(budgetBytes === undefined ? {} : { budgetBytes }),
    ...(limits === undefined ? {} : { limits }),
    tensors,
    verdict: reasons.length > 0 ? 'too-large' : unknown ? 'unknown' : 'fits',
    reasons,
    remedies: reasons.length === 0 ? [] : remediesFor(config, settings, options),
  };
}

/** Numbers of the adapter, without what its tensors are padded by. */
function trainedParameters(config: ModelConfig, { rank, targets }: StudentSettings): number {
  const wanted = new Set(targets.map((name) => `.${name}.weight`));
  return parameterShapes(config)
    .matrices.filter(({ name }) => [...wanted].some((end) => name.endsWith(end)))
    .reduce((sum, { shape }) => sum + rank * (shape[0]! + shape[1]!), 0);
}

function reasonsOf(
  totalBytes: number,
  tensors: readonly PlannedTensor[],
  { limits, budgetBytes }: PlanOptions,
): string[] {
  const reasons: string[] = [];
  if (budgetBytes !== undefined && totalBytes > budgetBytes) {
    reasons.push(`it needs ${totalBytes} bytes on the GPU at its peak, the budget is ${budgetBytes}`);
  }
  for (const { name, sizeBytes, fit } of tensors) {
    if (fit !== 'refused') continue;
    const { maxBufferSize, maxStorageBufferBindingSize } = limits!;
    reasons.push(
      sizeBytes > maxBufferSize
        ? `${name} takes ${sizeBytes} bytes, the largest buffer of this adapter is ${maxBufferSize}`
        : `${name} takes ${sizeBytes} bytes and is bound as one, this adapter binds at most ${maxStorageBufferBindingSize}`,
    );
  }
  return reasons;
}

/**
 * The largest tensors against the limits. Weights can be bound in pieces; logits of training and the optimiser's arrays are
 * cut by their own kernels; activations, caches and the logits of answers have to be bound as one.
 */
function oversized(config: ModelConfig, settings: StudentSettings, limits: PlanLimits): PlannedTensor[] {
  const { hiddenSize: C, intermediateSize: F, heads: H, kvHeads, headSize: K, vocabSize: V } = config;
  const { tier, answers, newTokens, batch, length } = settings;
  const quantize = storedQuantization(config, settings.quantize);
  const dense = tier === 'f16' ? 2 : 4;
  const found: PlannedTensor[] = [];
  const look = (name: string, sizeBytes: number, pieces: boolean): void => {
    if (sizeBytes > limits.maxBufferSize) found.push({ name, sizeBytes, fit: 'refused' });
    else if (sizeBytes > limits.maxStorageBufferBindingSize)
      found.push({ name, sizeBytes, fit: pieces ? 'split' : 'refused' });
  };
  for (const { name, shape } of parameterShapes(config).matrices) {
    const packed = name.startsWith('model.layers.') && quantize !== 'none';
    look(name, packed ? Math.ceil(elementCount(shape) / 2) : dense * elementCount(shape), true);
  }
  const elements = adapterElements(config, { rank: settings.rank, targets: settings.targets });
  for (const name of ['adapter', 'gradients of the adapter']) look(name, 4 * elements, true);
  const widest = Math.max(C, F, H * K, kvHeads * K);
  look('activations of a block', 4 * batch * length * widest, false);
  look('cached keys of a block', 4 * answers * (promptTokens(settings) + newTokens) * kvHeads * K, false);
  look('logits of answers', 4 * answers * V, false);
  return found;
}

type Change = Partial<StudentSettings>;

/** Settings that lower the peak, the least harmful first; each as a series of ever stronger values. */
function changesOf(config: ModelConfig, settings: StudentSettings): { costs: string; changes: Change[] }[] {
  const halves = (from: number, least: number): number[] => {
    const values: number[] = [];
    for (let value = Math.floor(from / 2); value >= least; value = Math.floor(value / 2)) values.push(value);
    return values;
  };
  const already = config.quantization !== undefined;
  const quantize: Change[] = [];
  if (!already && settings.quantize === 'none') quantize.push({ quantize: 'nf4' });
  if (!already && settings.quantize !== 'nf4-double') quantize.push({ quantize: 'nf4-double' });
  return [
    { costs: 'a second forward of each block; the same numbers', changes: [{ activations: 'recompute' }] },
    { costs: 'more passes a step; the same gradient', changes: halves(settings.batch, 1).map((batch) => ({ batch })) },
    {
      costs: 'slower answering; the same answers',
      changes: halves(settings.answers, 1).map((answers) => ({ answers })),
    },
    { costs: 'weights of 4 bits, scales of 8', changes: quantize },
    { costs: 'dense weights of 16 bits; needs shader-f16', changes: settings.tier === 'f32' ? [{ tier: 'f16' }] : [] },
    {
      costs: 'longer examples and prompts are left out',
      changes: halves(settings.length, 64).map((length) => ({
        length,
        newTokens: Math.min(settings.newTokens, Math.max(1, Math.floor(length / 2))),
      })),
    },
    { costs: 'a smaller adapter', changes: halves(settings.rank, 4).map((rank) => ({ rank })) },
  ];
}

function remediesFor(config: ModelConfig, settings: StudentSettings, options: PlanOptions): Remedy[] {
  const fixed = new Set<string>(options.fixed);
  const peakOf = (trial: StudentSettings): number => planMemory(config, requestOf(trial)).totalBytes;
  const fits = (trial: StudentSettings, bytes: number): boolean =>
    reasonsOf(bytes, options.limits === undefined ? [] : oversized(config, trial, options.limits), options).length ===
    0;
  const remedies: Remedy[] = [];
  let together = settings;
  let bytes = peakOf(settings);
  for (const { costs, changes } of changesOf(config, settings)) {
    let best: Change | undefined;
    for (const change of changes.filter((one) => !Object.keys(one).some((name) => fixed.has(name)))) {
      const trial = peakOf({ ...together, ...change });
      const helps = trial < bytes || fits({ ...together, ...change }, trial);
      if (!helps) continue;
      best = change;
      if (fits({ ...together, ...change }, trial)) break;
    }
    if (best === undefined) continue;
    together = { ...together, ...best };
    bytes = peakOf(together);
    const setting = Object.keys(best)[0] as keyof StudentSettings;
    const done = fits(together, bytes);
    remedies.push({
      setting,
      from: settings[setting] as string | number,
      to: together[setting] as string | number,
      costs,
      aloneBytes: peakOf({ ...settings, ...best }),
      togetherBytes: bytes,
      fits: done,
    });
    if (done) break;
  }
  return remedies;
}

/** Bytes of the weights as a checkpoint stores them, where no file says so: 2 a parameter, 4 for float32, NF4 as it is. */
export function estimatedDownloadBytes(config: ModelConfig): number {
  if (config.quantization !== undefined) return weightBytes(config, 'none', 'f16');
  const { matrices, vectors } = parameterShapes(config);
  const parameters = [...matrices, ...vectors].reduce((sum, { shape }) => sum + elementCount(shape), 0);
  const dtype = config.raw['dtype'] ?? config.raw['torch_dtype'];
  return parameters * (dtype === 'float32' ? 4 : 2);
}
