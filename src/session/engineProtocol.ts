// engineProtocol.ts: what is asked and said of the engine itself: what NF4 does to a student's weights, how far adapters have
// moved them, what one training step computes and for how long, and the kernels' source. Types only; SessionApi extends
// EngineApi.
import type { LinearName } from '../base/linearNames';
import type { Progress } from '../base/progress';
import type { JsonObject } from '../formats/jsonText';
import type { TimingMethod } from '../gpu/dispatchTiming';
import type { ShaderFile } from '../kernels/catalogue';
import type { FileRoot } from '../sources/fileRoot';
import type { CacheRequest } from './studentProtocol';

export type { LinearName } from '../base/linearNames';
export type { TimingMethod } from '../gpu/dispatchTiming';
export type { ShaderFile } from '../kernels/catalogue';

export interface WeightErrorsRequest extends CacheRequest {
  /** Whose student it is. */
  experiment: unknown;
  files: FileRoot;
  /** Absent: as the experiment says; `nf4-double` where it quantises nothing. */
  quantize?: 'nf4' | 'nf4-double';
}

/** One linear weight W (O, C) and, where its original is there, Ŵ: the same through NF4. */
export interface WeightMeasure {
  layer: number;
  module: LinearName;
  shape: [O: number, C: number];
  /** ‖W‖_F; of a weight that is stored in 4 bits that of its values. */
  norm: number;
  /** Absent where only the 4-bit values are there. */
  error?: WeightError;
  /** Bits of codes and scales for each weight; absent where it was not quantised here. */
  bitsPerWeight?: number;
  /** Of the scales, one for each 64 weights: least, lower quartile, median, upper quartile, greatest. */
  absmax: [number, number, number, number, number];
}

export interface WeightError {
  /** ‖W − Ŵ‖_F / ‖W‖_F */
  relative: number;
  /** max |W − Ŵ| */
  greatest: number;
  /** The mean of |W − Ŵ|. */
  mean: number;
}

export interface WeightMeasures {
  /** What W was compared with. */
  quantize: 'nf4' | 'nf4-double';
  layers: number;
  weights: WeightMeasure[];
  /**
   * Where the originals are: `here`; not here because the student is stored in 4 bits (`prequantised`), or because this
   * browser keeps its own 4-bit copy of a student that would have to be fetched again (`cached`; ask with `cache: 'off'`).
   */
  originals: 'here' | 'prequantised' | 'cached';
  seconds: number;
}

/** Where a run stands after each of its training phases. */
export type AdapterPhase = 'instruct' | 'control' | 'self-refine';

/** The update Δ = scale·B·A of one linear layer, computed in float64 from its factors. */
export interface UpdateMeasure {
  layer: number;
  module: LinearName;
  shape: [O: number, C: number];
  rank: number;
  /** ‖Δ‖_F */
  norm: number;
  /** Singular values of Δ, descending; `rank` of them. */
  singularValues: number[];
  /** exp of the entropy of σ²/Σσ²: 1 where one direction has all of it, `rank` where all have the same. */
  effectiveRank: number;
  /** ‖Δ − Δ_instruct‖_F; absent for the phase `instruct` itself and where there is none. */
  fromInstruct?: number;
}

export interface AdapterMeasures {
  runId: string;
  phases: { phase: AdapterPhase; layers: number; updates: UpdateMeasure[] }[];
}

export interface ProfileRequest extends CacheRequest {
  experiment: unknown;
  files: FileRoot;
  phase: 'instruct' | 'self-refine';
  /** Whose pairs and instructed adapter `self-refine` takes; not needed for `instruct`. */
  runId?: string;
  /** Absent: timestamps where the adapter has them. */
  method?: TimingMethod;
}

/** One dispatch of the step. */
export interface ProfiledDispatch {
  /** What it is a part of, outermost first: `forward`, `layer 3`, `q_proj`. */
  stage: readonly string[];
  /** Index in {@link StepProfile.kernels}. */
  kernel: number;
  /** With the operand's kind and sizes, where there are several. */
  label: string;
  /** Values of the kernel's `override` constants that were set. */
  constants: Record<string, number>;
  /** Of each slice that it is cut into. */
  workgroups: (readonly [number, number, number])[];
  /** All that is bound to be read, and to be written: upper bounds of what is touched. */
  readBytes: number;
  writtenBytes: number;
  ms: number;
  /** Runs in a row that the time is the mean of. */
  repeats: number;
}

/** WGSL as it was compiled: whole-file preludes in front. */
export interface ProfiledKernel {
  /** Entry point and file stem. */
  name: string;
  code: string;
  bindings: { name: string; index: number; kind: string }[];
}

export interface StepProfile {
  phase: ProfileRequest['phase'];
  student: { source: string; layers: number; parameters: number; quantize: string };
  adapter: string;
  software: boolean;
  tier: string;
  activations: 'keep' | 'recompute' | 'none';
  /** Of the batch of the step. */
  batch: { sequences: number; tokens: number; targets: number; microBatches: number };
  method: TimingMethod;
  /** The step of the clock, as far as the times show it; of submissions the time of an empty one. */
  resolutionMs: number;
  /** An undisturbed step, from its first upload to its numbers: batches packed and waiting included. */
  wallMs: number;
  /** All dispatches, each by itself. */
  sumMs: number;
  /** Buffers that are cleared, and copied, between the dispatches: not timed. */
  clears: number;
  copies: number;
  kernels: ProfiledKernel[];
  dispatches: ProfiledDispatch[];
}

/** A student by its shape alone, and the batches that it will be given. */
export interface MeasureSpeedRequest {
  /** config.json. */
  config: JsonObject;
  quantize: 'none' | 'nf4' | 'nf4-double';
  tier: 'auto' | 'f32' | 'f16';
  adapter: { rank: number; alpha: number; dropout: number; rsLora: boolean; targets: readonly LinearName[] };
  /** One micro-batch. */
  training: { sequences: number; tokens: number };
  /** Answers side by side, to prompts of so many tokens. */
  answering: { batchSize: number; promptTokens: number };
}

/** Tokens a second of the whole student, from what a few of its layers took. */
export interface MeasuredSpeed {
  device: string;
  software: boolean;
  tier: string;
  layers: { measured: number; whole: number };
  trainedPerSecond: number;
  readPerSecond: number;
  generatedPerSecond: number;
  /** Of the layers measured: one step, and one batch of answers. */
  stepMs: number;
  answersMs: number;
}

export interface EngineApi {
  /**
   * What NF4 does to each linear weight, tensor by tensor. Work on the device: refused while other work goes on, ended by
   * {@link SessionApi.stop} with `cancelled`.
   */
  weightErrors(
    request: WeightErrorsRequest,
    onWeight: (weight: WeightMeasure, progress: Progress) => void,
  ): Promise<WeightMeasures>;
  /** How far a stored run's adapters have moved each weight. No GPU, no student. */
  adapterNorms(runId: string, onProgress: (progress: Progress) => void): Promise<AdapterMeasures>;
  /** One training step, dispatch by dispatch; the run's own numbers are not touched. Ended by {@link SessionApi.stop}. */
  profileStep(request: ProfileRequest, onProgress: (progress: Progress) => void): Promise<StepProfile>;
  /** A few real steps with made-up weights; for plans. Refused while other work goes on, ended by {@link SessionApi.stop}. */
  measureSpeed(request: MeasureSpeedRequest, onProgress: (progress: Progress) => void): Promise<MeasuredSpeed>;
  /** Every file of WGSL. */
  shaderFiles(): Promise<ShaderFile[]>;
  /** The families of kernels that the self-check checks, in its order. */
  checkFamilies(): Promise<string[]>;
}
