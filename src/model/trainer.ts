// trainer.ts: forward, backward and update over packed batches, as commands prepared once. A step is: beginStep, any number
// of accumulate calls (each one submission), update. Losses are token means (supervised) or pair means (preference) over the
// GLOBAL batch, so accumulation equals one large batch. It knows no data, no schedule and no epochs.
import { PupilError } from '../base/errors';
import { Recorder, ClearCommand, type Command, type KernelTiming } from '../gpu/commands';
import type { Gpu } from '../gpu/device';
import { StagingRing } from '../gpu/readback';
import { Rows } from '../gpu/rows';
import { view, type Arena, type Tensor } from '../gpu/tensor';
import { gatherRows, scatterRows } from '../kernels/elementwise';
import { embeddingBackward, embeddingForward } from '../kernels/embedding';
import { headBackward, headForward, headScratchRows, vocabularyChunks } from '../kernels/head';
import { linearForward } from '../kernels/linear';
import { dpoLoss, dpoRowWeights, lossSum, sequenceLogps, type PreferenceLoss } from '../kernels/loss';
import { rmsnormBackwardInput, rmsnormBackwardWeight, rmsnormForward } from '../kernels/rmsnorm';
import type { Adapter } from './adapter';
import { sequencesIn, targetsIn, tokensIn, type PackedBatch } from './batch';
import {
  blockBackward,
  blockForward,
  makeActivations,
  makeBackwardScratch,
  type Activations,
  type BackwardScratch,
  type BatchStructure,
  type BlockContext,
  type DropoutState,
  type Scratch,
} from './decoder';
import type { FlatParameters } from './flatParameters';
import type { Student } from './student';

/** The largest batch that the commands are made for. */
export interface BatchLimits {
  tokens: number;
  targets: number;
  sequences: number;
}

export interface PreferenceOptions {
  loss: PreferenceLoss;
  beta: number;
  labelSmoothing: number;
  /** Pairs of the global batch: the loss is their mean. */
  totalPairs: number;
}

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
  dropoutSeed?: number;
}

/** Per pair, in the order accumulated. */
export interface PreferenceMetrics {
  losses: Float32Array;
  rewardsChosen: Float32Array;
  rewardsRejected: Float32Array;
  /** Chosen at 2p, rejected at 2p+1: sums, or per-token means for ipo. */
  policyLogps: Float32Array;
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

const KEEP_BELOW_BYTES = 256 * 2 ** 20;
const STAGING_SLOTS = 16;
const COUNTER_STRIDE = 64; // words

/** Everything made at set-up for one direction of data flow. */
interface Graph {
  tokenRows: Rows;
  targetRows: Rows;
  sequenceRows: Rows;
  pairRows: Rows;
  structure: BatchStructure;
  ids: Tensor;
  targetIndex: Tensor;
  targets: Tensor;
  sequenceOf: Tensor;
  targetStarts: Tensor;
  lengths: Tensor;
  rowWeights: Tensor;
  tokenLogps: Tensor;
  sums: Tensor;
  means: Tensor;
  finalNormed: Tensor;
}

/**
 * Trains an adapter, or (without one, when the student was loaded trainable) all weights; or only scores.
 */
export class Trainer {
  readonly gpu: Gpu;
  private readonly arena: Arena;
  private readonly flat: FlatParameters | undefined;
  private readonly optimizer: ParameterOptimizer | undefined;
  private readonly graph: Graph;
  private readonly forwardScore: Command[];
  private readonly headScore: Command[];
  private readonly forwardTrain: Command[];
  private readonly backwardTrain: Command[];
  /** Without dropout, for preference losses. */
  private readonly backwardScore: Command[];
  private readonly preference = new Map<string, Command[]>();
  private readonly sequenceSums: Command[];
  private readonly lossCommands: Command[];
  /** Four counters a layer with an adapter, 256 bytes apart so that each can be bound. */
  private dropoutCounters: { table: Tensor; words: Uint32Array<ArrayBuffer> } | undefined;
  private readonly ring: StagingRing;
  private readonly lossTotal: Tensor;
  private readonly pairTensors: {
    reference: Tensor;
    hyper: Tensor;
    losses: Tensor;
    rewardsChosen: Tensor;
    rewardsRejected: Tensor;
    dPolicy: Tensor;
    rowWeights: Tensor;
  };
  private pending: { read: Promise<ArrayBuffer[]>; pairs: number; perTokenMean: boolean }[] = [];
  private microBatch = 0;
  private stepIndex = 0;
  private supervised = false;
  private lastDispatches = 0;
  private stepDispatches = 0;
  readonly activationPolicy: 'keep' | 'recompute' | 'none';

  constructor(
    readonly student: Student,
    readonly adapter: Adapter | undefined,
    readonly options: TrainerOptions,
  ) {
    this.gpu = student.gpu;
    const gpu = this.gpu;
    const { limits } = options;
    for (const [name, value] of Object.entries(limits)) {
      if (!Number.isInteger(value) || value < 1)
        throw new PupilError('shape', `Trainer: limits.${name} must be ≥ 1, got ${value}`);
    }
    const arena = (this.arena = gpu.arena('training'));
    const flat = (this.flat = adapter?.parameters ?? student.parameters);
    const { tokens: N, targets: M } = limits;
    const P = Math.ceil(limits.sequences / 2);
    const S = 2 * P;
    const { hiddenSize: C, layers: L } = student.config;
    const u32 = (label: string, size: number): Tensor => arena.tensor(label, [size], 'u32');
    const f32 = (label: string, ...shape: number[]): Tensor => arena.tensor(label, shape);

    const graph: Graph = (this.graph = {
      tokenRows: new Rows(gpu, arena, 'tokens', N),
      targetRows: new Rows(gpu, arena, 'targets', M),
      sequenceRows: new Rows(gpu, arena, 'sequences', S),
      pairRows: new Rows(gpu, arena, 'pairs', P),
      structure: {
        positions: u32('positions', N),
        sequenceStart: u32('sequence start', N),
        sequenceEnd: u32('sequence end', N),
      },
      ids: u32('ids', N),
      targetIndex: u32('target index', M),
      targets: u32('targets', M),
      sequenceOf: u32('sequence of', M),
      targetStarts: u32('target starts', S + 1),
      lengths: u32('lengths', S),
      rowWeights: f32('row weights', M),
      tokenLogps: f32('token logps', M),
      sums: f32('sequence sums', S),
      means: f32('sequence means', S),
      finalNormed: f32('final normed', N, C),
    });
    this.lossTotal = f32('loss', 1);
    this.pairTensors = {
      reference: f32('reference logps', 2 * P),
      hyper: f32('preference hyper', 4),
      losses: f32('pair losses', P),
      rewardsChosen: f32('rewards chosen', P),
      rewardsRejected: f32('rewards rejected', P),
      dPolicy: f32('d policy', 2 * P),
      rowWeights: graph.rowWeights,
    };

    // --- forward, and the scores of the targets
    const { tokenRows, targetRows, sequenceRows } = graph;
    const perBlock = activationBytes(student, adapter, N);
    const trains = flat !== undefined;
    this.activationPolicy = !trains
      ? 'none'
      : (options.activations ?? (perBlock * L <= KEEP_BELOW_BYTES ? 'keep' : 'recompute'));
    const keep = this.activationPolicy === 'keep';
    const residual = Array.from({ length: trains ? L + 1 : Math.min(2, L + 1) }, (_, l) => f32(`residual ${l}`, N, C));
    const x = (l: number): Tensor => residual[l % residual.length]!;
    const activations: Activations[] = Array.from({ length: keep ? Math.max(1, L) : 1 }, (_, l) =>
      makeActivations(arena, student, adapter, N, `block ${l}`),
    );
    const act = (l: number): Activations => activations[l % activations.length]!;
    const scratch: Scratch = { branch: f32('branch', N, C) };
    const finalInverseRms = f32('final inverse rms', N);
    const headInput = f32('head input', M, C);
    const logits = f32('logits', M, headScratchRows(gpu, student.head, M));
    const logsumexp = f32('head logsumexp', M);
    const targetLogit = f32('target logit', M);

    const rate = adapter?.settings.dropout ?? 0;
    const dropout = trains && rate > 0 ? this.makeDropout(arena, N) : undefined;
    const context = (dropout: DropoutState | undefined): BlockContext => ({
      gpu,
      student,
      adapter,
      rows: tokenRows,
      dropout,
    });
    const forward = (dropout: DropoutState | undefined): Command[] => [
      ...embeddingForward(gpu, { ids: graph.ids, table: student.embedding.data, y: x(0) }, { rows: tokenRows }),
      ...student.layers.flatMap((_, l) =>
        blockForward(context(dropout), l, x(l), x(l + 1), graph.structure, act(l), scratch),
      ),
      ...rmsnormForward(
        gpu,
        { x: x(L), weight: student.finalNorm, y: graph.finalNormed, inverseRms: finalInverseRms },
        { rows: tokenRows, epsilon: student.config.rmsNormEps },
      ),
    ];
    this.forwardScore = forward(undefined);
    this.forwardTrain = dropout === undefined ? this.forwardScore : forward(dropout);
    this.headScore = [
      ...gatherRows(
        gpu,
        { x: graph.finalNormed, index: graph.targetIndex, y: headInput },
        { rows: targetRows, width: C },
      ),
      ...headForward(
        gpu,
        { x: headInput, targets: graph.targets, logits, logsumexp, targetLogit, tokenLogps: graph.tokenLogps },
        { rows: targetRows, weight: student.head },
      ),
    ];
    this.sequenceSums = sequenceLogps(
      gpu,
      { tokenLogps: graph.tokenLogps, starts: graph.targetStarts, sums: graph.sums, means: graph.means },
      { sequences: sequenceRows },
    );
    this.lossCommands = lossSum(
      gpu,
      { tokenLogps: graph.tokenLogps, rowWeights: graph.rowWeights, out: this.lossTotal },
      { rows: targetRows },
    );

    // --- backward, in mirror order
    this.backwardScore = [];
    this.backwardTrain = [];
    if (flat !== undefined) {
      const full = adapter === undefined ? flat : undefined;
      const back: BackwardScratch = makeBackwardScratch(arena, student, adapter, N);
      const dHeadInput = f32('d head input', M, C);
      const dFinal = back.dNormed; // free until the blocks run
      const dX = f32('d residual', N, C);
      const backward = (dropout: DropoutState | undefined): Command[] => {
        const ctx = context(dropout);
        const commands = [
          ...headBackward(
            gpu,
            {
              x: headInput,
              targets: graph.targets,
              logits,
              logsumexp,
              rowWeights: graph.rowWeights,
              dX: dHeadInput,
              ...(full === undefined
                ? {}
                : {
                    dWeight: full.gradientOf(
                      student.config.tiedEmbeddings ? 'model.embed_tokens.weight' : 'lm_head.weight',
                    ),
                  }),
            },
            { rows: targetRows, weight: student.head, reuseLogits: true },
          ),
          new ClearCommand(dFinal),
          new ClearCommand(dX),
          ...scatterRows(gpu, { x: dHeadInput, index: graph.targetIndex, y: dFinal }, { rows: targetRows, width: C }),
          ...(full === undefined
            ? []
            : rmsnormBackwardWeight(
                gpu,
                { x: x(L), inverseRms: finalInverseRms, dY: dFinal, dWeight: full.gradientOf('model.norm.weight') },
                { rows: tokenRows },
              )),
          ...rmsnormBackwardInput(
            gpu,
            { x: x(L), weight: student.finalNorm, inverseRms: finalInverseRms, dY: dFinal, dX },
            { rows: tokenRows },
          ),
        ];
        for (let l = L - 1; l >= 0; l--) {
          if (!keep) commands.push(...blockForward(ctx, l, x(l), undefined, graph.structure, act(l), scratch));
          commands.push(...blockBackward(ctx, l, x(l), dX, graph.structure, act(l), back, full !== undefined || l > 0));
        }
        if (full !== undefined) {
          commands.push(
            ...embeddingBackward(
              gpu,
              { ids: graph.ids, dY: dX, dTable: full.gradientOf('model.embed_tokens.weight') },
              { rows: tokenRows },
            ),
          );
        }
        return commands;
      };
      this.backwardScore = backward(undefined);
      this.backwardTrain = dropout === undefined ? this.backwardScore : backward(dropout);
      this.optimizer = options.optimizer?.(gpu, arena, {
        parameter: flat.values,
        gradient: flat.gradient,
        decayElements: flat.decayElements,
      });
    }
    this.ring = new StagingRing(gpu, arena, 'metrics', STAGING_SLOTS, 256 + 4 * (3 * P + S));
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
    this.upload(batch);
    this.submit(this.forwardScore, this.headScore);
    return (await this.gpu.readF32(this.graph.tokenLogps)).slice(0, targetsIn(batch));
  }

  /** Σ and mean of the targets' log-probabilities per sequence; 0 for a sequence without targets. */
  async sequenceLogps(batch: PackedBatch): Promise<{ sums: Float32Array; means: Float32Array }> {
    this.upload(batch);
    this.submit(this.forwardScore, this.headScore, this.sequenceSums);
    const S = sequencesIn(batch);
    return {
      sums: (await this.gpu.readF32(this.graph.sums)).slice(0, S),
      means: (await this.gpu.readF32(this.graph.means)).slice(0, S),
    };
  }

  /** Logits of every token, (N, V). Makes buffers of its own: for inspection, not for training. */
  async logits(batch: PackedBatch): Promise<Float32Array> {
    this.upload(batch);
    const { gpu, student, graph } = this;
    const N = tokensIn(batch);
    const [V] = student.head.shape;
    const out = new Float32Array(N * V);
    const arena = gpu.arena('logits');
    try {
      this.submit(this.forwardScore);
      for (const chunk of vocabularyChunks(gpu, student.head)) {
        const Vc = chunk.shape[0];
        const y = arena.tensor('logits', [graph.tokenRows.capacity, Vc]);
        const commands = linearForward(gpu, { x: graph.finalNormed, y }, { rows: graph.tokenRows, weight: chunk });
        await gpu.settled();
        this.submit(commands);
        const part = await gpu.readF32(y);
        for (let n = 0; n < N; n++) out.set(part.subarray(n * Vc, (n + 1) * Vc), n * V + chunk.start);
      }
      return out;
    } finally {
      arena.destroy();
    }
  }

  // ------------------------------------------------------------------------------------------------ training

  /**
   * Zeroes gradients and losses. The number of completed updates is part of the dropout counters, so that a resumed run
   * draws the same masks.
   */
  beginStep(completedSteps: number): void {
    const { gpu } = this;
    this.stepIndex = completedSteps;
    this.pending = [];
    this.microBatch = 0;
    this.stepDispatches = 0;
    new Recorder(gpu, 'begin step')
      .add(new ClearCommand(this.trainable().gradient), new ClearCommand(this.lossTotal))
      .submit();
  }

  /**
   * Adds the gradient of −Σ log π(target) / totalTargets.
   * @throws PupilError `training` when the batch has no target: every label is masked, and the loss would be a silent 0.
   */
  async accumulateSupervised(batch: PackedBatch, totalTargets: number): Promise<void> {
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
    this.upload(batch);
    this.gpu.write(this.graph.rowWeights, new Float32Array(M).fill(1 / totalTargets));
    this.nextMicroBatch();
    this.supervised = true;
    this.submit(this.forwardTrain, this.headScore, this.lossCommands, this.backwardTrain);
  }

  /**
   * Adds the gradient of the mean preference loss. The batch holds chosen at 2p and rejected at 2p+1, scored under the
   * reference as given. No dropout: otherwise the first loss would not be ln 2.
   */
  async accumulatePreference(batch: PackedBatch, reference: Float32Array, options: PreferenceOptions): Promise<void> {
    const S = sequencesIn(batch);
    if (S % 2 !== 0 || reference.length !== S) {
      throw new PupilError(
        'shape',
        `accumulatePreference: expected chosen and rejected with a reference each, got ${S} sequences and ${reference.length} references`,
      );
    }
    for (let s = 0; s < S; s++) {
      if (batch.targetStarts[s + 1] === batch.targetStarts[s]) {
        throw new PupilError(
          'training',
          `accumulatePreference: ${s % 2 === 0 ? 'chosen' : 'rejected'} answer of pair ${s >> 1} has no target token`,
        );
      }
    }
    this.upload(batch);
    const { gpu, graph, pairTensors } = this;
    graph.pairRows.set(S / 2);
    gpu.write(pairTensors.reference, reference);
    gpu.write(pairTensors.hyper, Float32Array.of(options.beta, options.labelSmoothing, 1 / options.totalPairs, 0));
    this.nextMicroBatch();
    this.supervised = false;
    const commands = this.preferenceCommands(options.loss);
    await gpu.pipelines.ready();
    await this.ring.free();
    const recorder = new Recorder(gpu, 'preference');
    recorder.add(...this.forwardScore, ...this.headScore, ...commands, ...this.backwardScore);
    const perTokenMean = options.loss === 'ipo';
    const { losses, rewardsChosen, rewardsRejected } = pairTensors;
    const P = S / 2;
    const read = this.ring.copy(recorder, [
      view(losses, 0, [P]),
      view(rewardsChosen, 0, [P]),
      view(rewardsRejected, 0, [P]),
      view(perTokenMean ? graph.means : graph.sums, 0, [S]),
    ]);
    this.stepDispatches += recorder.dispatches;
    recorder.submit();
    this.pending.push({ read: read(), pairs: options.totalPairs, perTokenMean });
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
    const { gpu } = this;
    await this.ring.free();
    const recorder = new Recorder(gpu, 'metrics');
    const read = this.ring.copy(recorder, [this.lossTotal, this.requireOptimizer().clipState]);
    recorder.submit();
    const [loss, clip] = await read();
    const state = new Float32Array(clip!);
    const base = { gradNorm: state[0]!, nonFinite: new Uint32Array(clip!)[2] !== 0 };
    if (this.supervised) return { loss: new Float32Array(loss!)[0]!, ...base };
    const parts = await Promise.all(
      this.pending.map(async (p) => ({ ...p, arrays: (await p.read).map((b) => new Float32Array(b)) })),
    );
    const join = (index: number): Float32Array => {
      const total = parts.reduce((sum, p) => sum + p.arrays[index]!.length, 0);
      const out = new Float32Array(total);
      let at = 0;
      for (const p of parts) {
        out.set(p.arrays[index]!, at);
        at += p.arrays[index]!.length;
      }
      return out;
    };
    const losses = join(0);
    const total = parts[0]?.pairs ?? 1;
    return {
      loss: losses.reduce((sum, value) => sum + value, 0) / total,
      ...base,
      pairs: { losses, rewardsChosen: join(1), rewardsRejected: join(2), policyLogps: join(3) },
    };
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

  loadOptimizerState(state: { m: Float32Array; v: Float32Array }): void {
    const { m, v } = this.requireOptimizer().state();
    if (m !== undefined) this.gpu.write(m, state.m);
    this.gpu.write(v, state.v);
  }

  /** Time of every dispatch of one supervised micro-batch; empty without timestamps. */
  async profileSupervised(batch: PackedBatch): Promise<KernelTiming[]> {
    this.upload(batch);
    const M = targetsIn(batch);
    this.gpu.write(this.graph.rowWeights, new Float32Array(M).fill(1 / M));
    const recorder = new Recorder(this.gpu, 'profile', true);
    recorder.add(...this.forwardTrain, ...this.headScore, ...this.lossCommands, ...this.backwardTrain);
    return recorder.submitAndTime();
  }

  // ------------------------------------------------------------------------------------------------ private

  private makeDropout(arena: Arena, N: number): DropoutState {
    const { hiddenSize: C, intermediateSize: F, heads: H, headSize: K } = this.student.config;
    const streams = [...this.adapter!.sites()].map((site) => site.stream);
    const words = new Uint32Array(streams.length * COUNTER_STRIDE);
    streams.forEach((stream, s) => (words[s * COUNTER_STRIDE + 3] = stream));
    const table = arena.tensor('dropout counters', [words.length], 'u32');
    this.dropoutCounters = { table, words };
    return {
      counters: (stream) => view(table, streams.indexOf(stream) * COUNTER_STRIDE, [4], 'dropout counters'),
      scratch: arena.tensor('dropout', [N, Math.max(C, F, H * K)]),
    };
  }

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
    if (this.flat === undefined) {
      throw new PupilError(
        'config',
        'Trainer: nothing to train: neither an adapter nor a trainable student was given',
        'Pass an adapter.',
      );
    }
    return this.flat;
  }

  /** Dropout masks depend on (seed, step, micro-batch), so a resumed run draws the same ones. */
  private nextMicroBatch(): void {
    if (this.dropoutCounters !== undefined) {
      const { table, words } = this.dropoutCounters;
      for (let at = 0; at < words.length; at += COUNTER_STRIDE) {
        words[at] = this.options.dropoutSeed ?? 0;
        words[at + 1] = this.stepIndex;
        words[at + 2] = this.microBatch;
      }
      this.gpu.write(table, words);
    }
    this.microBatch++;
  }

  private preferenceCommands(loss: PreferenceLoss): Command[] {
    let commands = this.preference.get(loss);
    if (commands === undefined) {
      const { gpu, graph, pairTensors } = this;
      const perTokenMean = loss === 'ipo';
      const policy = perTokenMean ? graph.means : graph.sums;
      commands = [
        ...this.sequenceSums,
        ...dpoLoss(
          gpu,
          {
            policy,
            reference: pairTensors.reference,
            hyper: pairTensors.hyper,
            losses: pairTensors.losses,
            rewardsChosen: pairTensors.rewardsChosen,
            rewardsRejected: pairTensors.rewardsRejected,
            dPolicy: pairTensors.dPolicy,
          },
          { pairs: graph.pairRows, loss },
        ),
        ...dpoRowWeights(
          gpu,
          {
            dPolicy: pairTensors.dPolicy,
            sequenceOf: graph.sequenceOf,
            lengths: graph.lengths,
            rowWeights: graph.rowWeights,
          },
          { rows: graph.targetRows, perTokenMean },
        ),
      ];
      this.preference.set(loss, commands);
    }
    return commands;
  }

  private upload(batch: PackedBatch): void {
    const { gpu, graph } = this;
    const { limits } = this.options;
    const N = tokensIn(batch);
    const M = targetsIn(batch);
    const S = sequencesIn(batch);
    if (N > limits.tokens || M > limits.targets || S > limits.sequences) {
      throw new PupilError(
        'shape',
        `Trainer: a batch of ${N} tokens, ${M} targets, ${S} sequences exceeds the limits ${limits.tokens}, ${limits.targets}, ${limits.sequences}`,
      );
    }
    const V = this.student.config.vocabSize;
    const T = this.student.config.maxPositions;
    for (let n = 0; n < N; n++) {
      if (batch.ids[n]! >= V)
        throw new PupilError('shape', `Trainer: token id ${batch.ids[n]} at ${n} is outside the vocabulary of ${V}`);
      if (batch.positions[n]! >= T) {
        throw new PupilError(
          'shape',
          `Trainer: position ${batch.positions[n]} exceeds the student's context of ${T}`,
          'Shorten the sequence.',
        );
      }
    }
    for (let m = 0; m < M; m++) {
      if (batch.targets[m]! >= V)
        throw new PupilError('shape', `Trainer: label ${batch.targets[m]} is outside the vocabulary of ${V}`);
    }
    graph.tokenRows.set(N);
    graph.targetRows.set(M);
    graph.sequenceRows.set(S);
    gpu.write(graph.ids, batch.ids);
    gpu.write(graph.structure.positions, batch.positions);
    gpu.write(graph.structure.sequenceStart, batch.sequenceStart);
    gpu.write(graph.structure.sequenceEnd, batch.sequenceEnd);
    gpu.write(graph.targetStarts, batch.targetStarts);
    if (M > 0) {
      gpu.write(graph.targetIndex, batch.targetIndex);
      gpu.write(graph.targets, batch.targets);
      gpu.write(graph.sequenceOf, batch.sequenceOf);
    }
    const lengths = new Uint32Array(S);
    for (let s = 0; s < S; s++) lengths[s] = batch.targetStarts[s + 1]! - batch.targetStarts[s]!;
    gpu.write(graph.lengths, lengths);
  }

  private submit(...lists: Command[][]): void {
    const recorder = new Recorder(this.gpu, 'step');
    for (const list of lists) recorder.add(...list);
    this.stepDispatches += recorder.dispatches;
    recorder.submit();
  }
}

/** Bytes that one block keeps for its backward. */
export function activationBytes(student: Student, adapter: Adapter | undefined, N: number): number {
  const { hiddenSize: C, intermediateSize: F, heads: H, kvHeads, headSize: K } = student.config;
  const rank = adapter?.settings.rank ?? 0;
  return 4 * N * (3 * C + 3 * F + 2 * H * K + 2 * kvHeads * K + H + 2 + 7 * rank);
}
