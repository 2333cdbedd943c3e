// trainer.ts: forward, backward and update over packed batches, by replaying commands prepared once (trainerGraph.ts). A
// step is: beginStep, any number of accumulate calls (each one submission), update. Losses are token means (supervised) or
// pair means (preference) over the GLOBAL batch, so accumulation equals one large batch. It knows no data, no schedule and
// no epochs.
import { PupilError } from '../base/errors';
import { Recorder, ClearCommand, inStage, type Command, type KernelTiming } from '../gpu/commands';
import type { Gpu } from '../gpu/device';
import { StagingRing } from '../gpu/readback';
import { view, type Arena, type Tensor } from '../gpu/tensor';
import { headScratchRows, softcapLogits, vocabularyChunks } from '../kernels/head';
import { linearForward } from '../kernels/linear';
import type { Adapter } from './adapter';
import { sequencesIn, targetsIn, tokensIn, type BatchLimits, type PackedBatch } from './batch';
import { expectBatchBindable } from './bindingLimits';
import { checkBatch, makeBatchTensors, uploadBatch, type BatchTensors } from './batchTensors';
import type { FlatParameters } from './flatParameters';
import { joinPairs, PreferencePart, type PreferenceMetrics, type PreferenceOptions } from './preferenceLoss';
import type { Student } from './student';
import { prepareGraph, type TrainerGraph } from './trainerGraph';

export interface UpdateOptions {
  learningRate: number;
  weightDecay: number;
  /** Global-norm clipping; 0 turns it off. */
  maxNorm: number;
  /** From 1: bias correction. */
  step: number;
  beta1?: number;
  beta2?: number;
  epsilon?: number;
}

/** An optimiser over a flat buffer: commands prepared once, numbers as data. */
export interface ParameterOptimizer {
  /** Clip and update. */
  readonly commands: Command[];
  /** f32 [4]: norm before clipping, scale, non-finite flag (u32), 0. */
  readonly clipState: Tensor;
  setStep(step: UpdateOptions): void;
  state(): { m?: Tensor; v: Tensor };
}

export type OptimizerFactory = (
  gpu: Gpu,
  arena: Arena,
  parameters: { parameter: Tensor; gradient: Tensor; decayElements: number },
) => ParameterOptimizer;

export interface TrainerOptions {
  limits: BatchLimits;
  /** Keep every block's activations, or recompute them in the backward. `keep` where they take less than 256 MiB. */
  activations?: 'keep' | 'recompute';
  /** How parameters are updated (optim/optimizer.ts); not needed for scoring and for gradients. */
  optimizer?: OptimizerFactory;
  /** Of the dropout masks of supervised steps. Absent: no dropout, whatever the adapter's setting. */
  dropoutSeed?: number;
  /** Scores and logits only: nothing of a backward is allocated or compiled. */
  scoringOnly?: boolean;
}

export interface StepMetrics {
  /** Nats. */
  loss: number;
  /** Before clipping. */
  gradNorm: number;
  /** True when the gradient had NaN or Inf: the update was skipped. */
  nonFinite: boolean;
  pairs?: PreferenceMetrics;
}

/** Results in flight before the CPU waits for the GPU. */
const STAGING_SLOTS = 16;
/** Room in a slot for the loss and the clip state. */
const METRICS_BYTES = 256;

/**
 * Trains an adapter, or (without one, when the student was loaded trainable) all weights; or only scores.
 */
export class Trainer {
  readonly gpu: Gpu;
  private readonly arena: Arena;
  private readonly trained: FlatParameters | undefined;
  private readonly batch: BatchTensors;
  private readonly graph: TrainerGraph;
  private readonly preference: PreferencePart;
  private readonly optimizer: ParameterOptimizer | undefined;
  private readonly ring: StagingRing;
  /** Preference batches of this step whose numbers are on the way. */
  private pending: Promise<ArrayBuffer[]>[] = [];
  private totalPairs = 0;
  private microBatch = 0;
  private stepIndex = 0;
  private lastDispatches = 0;
  private stepDispatches = 0;

  constructor(
    readonly student: Student,
    readonly adapter: Adapter | undefined,
    readonly options: TrainerOptions,
  ) {
    const gpu = (this.gpu = student.gpu);
    expectBatchBindable(gpu, student.config, options.limits);
    const arena = (this.arena = gpu.arena('training'));
    const trained = (this.trained =
      options.scoringOnly === true ? undefined : (adapter?.parameters ?? student.parameters));
    try {
      this.batch = makeBatchTensors(gpu, arena, options.limits);
      this.graph = prepareGraph(arena, this.batch, {
        student,
        adapter,
        trained,
        activations: options.activations,
        dropout: options.dropoutSeed !== undefined,
      });
      this.preference = new PreferencePart(gpu, arena, this.batch, this.graph);
      if (trained !== undefined) {
        this.optimizer = options.optimizer?.(gpu, arena, {
          parameter: trained.values,
          gradient: trained.gradient,
          decayElements: trained.decayElements,
        });
        inStage('optimiser', this.optimizer?.commands ?? []);
      }
      const slotBytes = Math.max(METRICS_BYTES, this.preference.resultBytes, this.graph.tokenLogps.sizeBytes);
      this.ring = new StagingRing(gpu, arena, 'metrics', STAGING_SLOTS, slotBytes);
    } catch (error) {
      arena.destroy(); // of a batch too large for this adapter, what was allocated before it was refused
      throw error;
    }
  }

  get activationPolicy(): TrainerGraph['activations'] {
    return this.graph.activations;
  }

  /** Bytes of activations, gradients and optimiser state. */
  get sizeBytes(): number {
    return this.arena.sizeBytes;
  }

  /** Dispatches of the last whole step. */
  get dispatchesPerStep(): number {
    return this.lastDispatches;
  }

  /** Resolves when all pipelines are compiled and all memory is granted. */
  async ready(): Promise<void> {
    await this.gpu.settled();
  }

  destroy(): void {
    this.arena.destroy();
  }

  // ------------------------------------------------------------------------------------------------ scoring

  /** log π(target) of every target, in batch order. No dropout. */
  async tokenLogps(batch: PackedBatch): Promise<Float32Array> {
    const { forward, head, tokenLogps } = this.graph;
    const [logps] = await this.score(batch, [forward.plain, head], [view(tokenLogps, 0, [targetsIn(batch)])]);
    return logps!;
  }

  /** Σ and mean of the targets' log-probabilities per sequence; 0 for a sequence without targets. */
  async sequenceLogps(batch: PackedBatch): Promise<{ sums: Float32Array; means: Float32Array }> {
    const { forward, head, sequences, sums, means } = this.graph;
    const S = sequencesIn(batch);
    const results = [view(sums, 0, [S]), view(means, 0, [S])];
    const [ofSums, ofMeans] = await this.score(batch, [forward.plain, head, sequences], results);
    return { sums: ofSums!, means: ofMeans! };
  }

  /** Logits of every token, (N, V). Makes buffers of its own: for inspection, not for training. */
  async logits(batch: PackedBatch): Promise<Float32Array> {
    const { gpu, student, graph } = this;
    checkBatch(batch, this.options.limits, student.config);
    uploadBatch(gpu, this.batch, batch);
    this.submit(graph.forward.plain);
    const N = tokensIn(batch);
    const [V] = student.head.shape;
    const rows = this.batch.rows.tokens;
    const out = new Float32Array(N * V);
    const maxChunkRows = headScratchRows(gpu, student.head, rows.capacity, { scratchBytes: Infinity });
    for (const chunk of vocabularyChunks(gpu, student.head, { maxChunkRows })) {
      const Vc = chunk.shape[0];
      const arena = gpu.arena('logits');
      try {
        const y = arena.tensor('logits', [rows.capacity, Vc]);
        const commands = [
          ...linearForward(gpu, { x: graph.finalNormed, y }, { rows, weight: chunk }),
          ...softcapLogits(gpu, y, { rows, cap: student.config.finalSoftcap }),
        ];
        await gpu.settled();
        this.submit(commands);
        const part = await gpu.readF32(y);
        for (let n = 0; n < N; n++) out.set(part.subarray(n * Vc, (n + 1) * Vc), n * V + chunk.start);
      } finally {
        arena.destroy();
      }
    }
    return out;
  }

  // ------------------------------------------------------------------------------------------------ training

  /**
   * Zeroes gradients and losses; an unfinished step before it is forgotten. The number of completed updates is part of the
   * dropout counters, so that a resumed run draws the same masks.
   */
  beginStep(completedSteps: number): void {
    this.stepIndex = completedSteps;
    this.pending = [];
    this.microBatch = 0;
    this.stepDispatches = 0;
    new Recorder(this.gpu, 'begin step')
      .add(new ClearCommand(this.trainable().gradient), new ClearCommand(this.graph.lossTotal))
      .submit();
  }

  /**
   * Adds the gradient of −Σ log π(target) / totalTargets. A batch that is refused adds nothing: the step may go on.
   * @throws PupilError `training` when the batch has no target: every label is masked, and the loss would be a silent 0.
   */
  async accumulateSupervised(batch: PackedBatch, totalTargets: number): Promise<void> {
    this.trainable();
    const M = targetsIn(batch);
    if (M === 0) {
      throw new PupilError(
        'training',
        'accumulateSupervised: no target tokens in the batch, expected at least one',
        'All labels are masked (-100): is the answer cut off by the length limit?',
      );
    }
    if (!(totalTargets >= M)) {
      throw new PupilError(
        'training',
        `accumulateSupervised: totalTargets must be at least the batch's ${M}, got ${totalTargets}`,
      );
    }
    this.uploadSupervised(batch, totalTargets);
    this.submit(...this.supervisedCommands());
  }

  /**
   * Adds the gradient of the mean preference loss. The batch holds chosen at 2p and rejected at 2p+1, scored under the
   * reference as given. No dropout: otherwise the first loss would not be ln 2. A batch that is refused adds nothing.
   */
  async accumulatePreference(batch: PackedBatch, reference: Float32Array, options: PreferenceOptions): Promise<void> {
    this.trainable();
    const { gpu, graph, preference } = this;
    preference.check(batch, reference, options);
    checkBatch(batch, this.options.limits, this.student.config);
    const between = preference.commands(options.loss);
    await gpu.pipelines.ready();
    await this.ring.free();
    // From here to the submission nothing waits: no other call can put its batch into the same tensors.
    uploadBatch(gpu, this.batch, batch);
    preference.upload(reference, options);
    this.microBatch++;
    const recorder = new Recorder(gpu, 'preference');
    recorder.add(...graph.forward.plain, ...graph.head, ...between, ...graph.backward.plain);
    const read = this.ring.copy(recorder, preference.results(options.loss, sequencesIn(batch) / 2));
    this.stepDispatches += recorder.dispatches;
    recorder.submit();
    const results = read();
    results.catch(() => undefined); // where the step is given up nobody asks for them
    this.pending.push(results);
    this.totalPairs = options.totalPairs;
  }

  /** Clips by the global norm and updates. With a non-finite gradient nothing changes and metrics say so. */
  async update(options: UpdateOptions): Promise<void> {
    const optimizer = this.requireOptimizer();
    optimizer.setStep(options);
    this.submit(optimizer.commands);
    this.lastDispatches = this.stepDispatches;
  }

  /** Loss (before the update), gradient norm, and the pairs' numbers of the last step. */
  async metrics(): Promise<StepMetrics> {
    const clipState = this.requireOptimizer().clipState;
    await this.ring.free();
    const recorder = new Recorder(this.gpu, 'metrics');
    const read = this.ring.copy(recorder, [this.graph.lossTotal, clipState]);
    recorder.submit();
    const [loss, clip] = await read();
    const numbers = { gradNorm: new Float32Array(clip!)[0]!, nonFinite: new Uint32Array(clip!)[2] !== 0 };
    const supervised = new Float32Array(loss!)[0]!; // 0 in a step of preferences
    if (this.pending.length === 0) return { loss: supervised, ...numbers };
    const pairs = joinPairs(await Promise.all(this.pending));
    const ofPairs = pairs.losses.reduce((sum, value) => sum + value, 0) / this.totalPairs;
    return { loss: supervised + ofPairs, ...numbers, pairs };
  }

  /** Gradients as accumulated so far, before clipping, by tensor name. */
  async gradients(): Promise<Map<string, { shape: readonly number[]; data: Float32Array }>> {
    const flat = this.trainable();
    return flat.split(await this.gpu.readF32(flat.gradient));
  }

  async optimizerState(): Promise<{ m: Float32Array; v: Float32Array }> {
    const { m, v } = this.requireOptimizer().state();
    return { m: m === undefined ? new Float32Array(0) : await this.gpu.readF32(m), v: await this.gpu.readF32(v) };
  }

  /** @throws PupilError `shape` where the moments are those of another optimiser or of other parameters. */
  loadOptimizerState(state: { m: Float32Array; v: Float32Array }): void {
    const { m, v } = this.requireOptimizer().state();
    const elements = { m: m?.shape[0] ?? 0, v: v.shape[0]! };
    if (state.m.length !== elements.m || state.v.length !== elements.v) {
      throw new PupilError(
        'shape',
        `loadOptimizerState: expected moments of ${elements.m} and ${elements.v} elements, got ${state.m.length} and ${state.v.length}`,
        'They were saved by another optimiser, or for another adapter.',
      );
    }
    if (m !== undefined) this.gpu.write(m, state.m);
    this.gpu.write(v, state.v);
  }

  /** Time of every dispatch of one supervised micro-batch; empty without timestamps. */
  async profileSupervised(batch: PackedBatch): Promise<KernelTiming[]> {
    this.uploadSupervised(batch, targetsIn(batch));
    const recorder = new Recorder(this.gpu, 'profile', true);
    for (const list of this.supervisedCommands()) recorder.add(...list);
    return recorder.submitAndTime();
  }

  // ------------------------------------------------------------------------------------------------ private

  private requireOptimizer(): ParameterOptimizer {
    this.trainable();
    if (this.optimizer === undefined) {
      throw new PupilError(
        'config',
        'Trainer: no optimiser was given',
        'Pass options.optimizer, e.g. optimizer("adamw").',
      );
    }
    return this.optimizer;
  }

  private trainable(): FlatParameters {
    if (this.trained === undefined) {
      throw new PupilError(
        'config',
        this.options.scoringOnly === true
          ? 'Trainer: nothing to train: it was made for scoring only'
          : 'Trainer: nothing to train: neither an adapter nor a trainable student was given',
        'Pass an adapter, and leave scoringOnly out.',
      );
    }
    return this.trained;
  }

  private supervisedCommands(): Command[][] {
    const { forward, head, loss, backward } = this.graph;
    return [forward.dropped, head, loss, backward.dropped];
  }

  private uploadSupervised(batch: PackedBatch, totalTargets: number): void {
    const { gpu, graph } = this;
    checkBatch(batch, this.options.limits, this.student.config);
    uploadBatch(gpu, this.batch, batch);
    gpu.write(graph.rowWeights, new Float32Array(targetsIn(batch)).fill(1 / totalTargets));
    graph.dropout?.set(this.options.dropoutSeed ?? 0, this.stepIndex, this.microBatch);
    this.microBatch++;
  }

  private submit(...lists: Command[][]): void {
    const recorder = new Recorder(this.gpu, 'step');
    for (const list of lists) recorder.add(...list);
    this.stepDispatches += recorder.dispatches;
    recorder.submit();
  }

  /** Plays commands over a batch and brings small results back through the ring. */
  private async score(
    batch: PackedBatch,
    commands: readonly Command[][],
    results: readonly Tensor[],
  ): Promise<Float32Array[]> {
    checkBatch(batch, this.options.limits, this.student.config);
    await this.ring.free();
    uploadBatch(this.gpu, this.batch, batch);
    const recorder = new Recorder(this.gpu, 'score');
    for (const list of commands) recorder.add(...list);
    const read = this.ring.copy(recorder, results);
    recorder.submit();
    return (await read()).map((bytes) => new Float32Array(bytes));
  }
}
