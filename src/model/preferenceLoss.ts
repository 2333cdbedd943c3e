// preferenceLoss.ts: what a preference step puts between the head and the backward: log-probabilities per sequence, the
// loss of each pair, and its gradient as the weight of each target row. The batch holds chosen at sequence 2p and rejected
// at 2p+1. It knows no reference model: its log-probabilities are given.
import { PupilError } from '../base/errors';
import type { Command } from '../gpu/commands';
import type { Gpu } from '../gpu/device';
import { Rows } from '../gpu/rows';
import { view, type Arena, type Tensor } from '../gpu/tensor';
import { dpoLoss, dpoRowWeights, type PreferenceLoss } from '../kernels/loss';
import { sequencesIn, type PackedBatch } from './batch';
import type { BatchTensors } from './batchTensors';
import { ofLoss, type TrainerGraph } from './trainerGraph';

export interface PreferenceOptions {
  loss: PreferenceLoss;
  beta: number;
  labelSmoothing: number;
  /** Pairs of the global batch: the loss is their mean. */
  totalPairs: number;
}

/** Per pair, in the order accumulated. */
export interface PreferenceMetrics {
  losses: Float32Array;
  rewardsChosen: Float32Array;
  rewardsRejected: Float32Array;
  /** Chosen at 2p, rejected at 2p+1: sums, or per-token means for ipo. */
  policyLogps: Float32Array;
}

/** Whether a loss takes per-token means where the others take sums (as TRL). */
const takesMeans = (loss: PreferenceLoss): boolean => loss === 'ipo';

export class PreferencePart {
  private readonly rows: Rows;
  private readonly reference: Tensor; // (2P)
  private readonly hyper: Tensor; // (4)
  private readonly losses: Tensor; // (P)
  private readonly rewardsChosen: Tensor; // (P)
  private readonly rewardsRejected: Tensor; // (P)
  private readonly dPolicy: Tensor; // (2P)
  private readonly prepared = new Map<PreferenceLoss, Command[]>();

  constructor(
    private readonly gpu: Gpu,
    arena: Arena,
    private readonly batch: BatchTensors,
    private readonly graph: TrainerGraph,
  ) {
    const S = batch.lengths.shape[0]!;
    const f32 = (label: string, size: number): Tensor => arena.tensor(label, [size]);
    this.rows = new Rows(gpu, arena, 'pairs', S / 2);
    this.reference = f32('reference logps', S);
    this.hyper = f32('preference hyper', 4);
    this.losses = f32('pair losses', S / 2);
    this.rewardsChosen = f32('rewards chosen', S / 2);
    this.rewardsRejected = f32('rewards rejected', S / 2);
    this.dPolicy = f32('d policy', S);
  }

  /**
   * @throws PupilError `shape` where sequences, references and pairs do not fit each other, `training` for an answer without
   *   a target token: its log-probability would be a silent 0.
   */
  check(batch: PackedBatch, reference: Float32Array, { totalPairs }: PreferenceOptions): void {
    const S = sequencesIn(batch);
    if (S === 0 || S % 2 !== 0 || reference.length !== S) {
      throw new PupilError(
        'shape',
        `accumulatePreference: expected chosen and rejected with a reference each, got ${S} sequences and ${reference.length} references`,
      );
    }
    if (!(totalPairs >= S / 2)) {
      throw new PupilError(
        'training',
        `accumulatePreference: totalPairs must be at least the batch's ${S / 2}, got ${totalPairs}`,
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
  }

  /** Writes what a batch needs beside its tokens, for the work submitted from now on. */
  upload(reference: Float32Array, { beta, labelSmoothing, totalPairs }: PreferenceOptions): void {
    this.rows.set(reference.length / 2);
    this.gpu.write(this.reference, reference);
    this.gpu.write(this.hyper, Float32Array.of(beta, labelSmoothing, 1 / totalPairs, 0));
  }

  /** From the targets' log-probabilities to `graph.rowWeights`. Made at the first use of each loss. */
  commands(loss: PreferenceLoss): Command[] {
    let commands = this.prepared.get(loss);
    if (commands === undefined) {
      const { gpu, batch, graph, reference, hyper, losses, rewardsChosen, rewardsRejected, dPolicy } = this;
      const policy = this.policy(loss);
      commands = [
        ...graph.sequences,
        ...ofLoss([
          ...dpoLoss(
            gpu,
            { policy, reference, hyper, losses, rewardsChosen, rewardsRejected, dPolicy },
            { pairs: this.rows, loss },
          ),
          ...dpoRowWeights(
            gpu,
            { dPolicy, sequenceOf: batch.sequenceOf, lengths: batch.lengths, rowWeights: graph.rowWeights },
            { rows: batch.rows.targets, perTokenMean: takesMeans(loss) },
          ),
        ]),
      ];
      this.prepared.set(loss, commands);
    }
    return commands;
  }

  /** What {@link joinPairs} wants of a batch of P pairs. */
  results(loss: PreferenceLoss, P: number): Tensor[] {
    const { losses, rewardsChosen, rewardsRejected } = this;
    return [
      view(losses, 0, [P]),
      view(rewardsChosen, 0, [P]),
      view(rewardsRejected, 0, [P]),
      view(this.policy(loss), 0, [2 * P]),
    ];
  }

  /** Bytes of the results of the largest batch. */
  get resultBytes(): number {
    return (
      this.losses.sizeBytes + this.rewardsChosen.sizeBytes + this.rewardsRejected.sizeBytes + this.dPolicy.sizeBytes
    );
  }

  private policy(loss: PreferenceLoss): Tensor {
    return takesMeans(loss) ? this.graph.means : this.graph.sums;
  }
}

/** The results of several batches, one behind the other. */
export function joinPairs(batches: readonly ArrayBuffer[][]): PreferenceMetrics {
  const join = (index: number): Float32Array => {
    const arrays = batches.map((arrays) => new Float32Array(arrays[index]!));
    const out = new Float32Array(arrays.reduce((sum, array) => sum + array.length, 0));
    let at = 0;
    for (const array of arrays) {
      out.set(array, at);
      at += array.length;
    }
    return out;
  };
  return { losses: join(0), rewardsChosen: join(1), rewardsRejected: join(2), policyLogps: join(3) };
}
