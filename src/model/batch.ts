// batch.ts: several independent sequences packed into one run of tokens. Attention never crosses from one sequence to
// another, so packing changes nothing but speed. Plain arrays; no GPU here.
import { PupilError } from '../base/errors';

/** Label of a token that is not a target (as in PyTorch and Hugging Face). */
export const IGNORED = -100;

export interface Sequence {
  readonly ids: readonly number[];
  /** Same length as ids; labels[t] is the token id expected at t, or -100. The first is never scored. Absent: nothing is. */
  readonly labels?: readonly number[];
}

/** N tokens, M targets, S sequences. */
export interface PackedBatch {
  readonly ids: Uint32Array; // (N)
  /** Place within its sequence. */
  readonly positions: Uint32Array; // (N)
  /** First token of the token's sequence, and one past its last. */
  readonly sequenceStart: Uint32Array; // (N)
  readonly sequenceEnd: Uint32Array; // (N)
  /** Token whose hidden state predicts the target. */
  readonly targetIndex: Uint32Array; // (M)
  readonly targets: Uint32Array; // (M)
  /** Sequence of each target. */
  readonly sequenceOf: Uint32Array; // (M)
  /** First target of each sequence; starts[S] = M. */
  readonly targetStarts: Uint32Array; // (S+1)
}

/** The largest batch that something is made for. */
export interface BatchLimits {
  tokens: number;
  targets: number;
  sequences: number;
}

/** Number of targets that a sequence will contribute. */
export function countTargets(sequence: Sequence): number {
  let count = 0;
  for (let t = 1; t < (sequence.labels?.length ?? 0); t++) if (sequence.labels![t] !== IGNORED) count++;
  return count;
}

/**
 * Packs sequences in the given order.
 * @throws PupilError `shape` when a sequence is empty, its labels have another length, or a label is negative but not -100.
 */
export function packSequences(sequences: readonly Sequence[]): PackedBatch {
  const N = sequences.reduce((sum, s) => sum + s.ids.length, 0);
  const M = sequences.reduce((sum, s) => sum + countTargets(s), 0);
  const ids = new Uint32Array(N);
  const positions = new Uint32Array(N);
  const sequenceStart = new Uint32Array(N);
  const sequenceEnd = new Uint32Array(N);
  const targetIndex = new Uint32Array(M);
  const targets = new Uint32Array(M);
  const sequenceOf = new Uint32Array(M);
  const targetStarts = new Uint32Array(sequences.length + 1);
  let at = 0;
  let target = 0;
  sequences.forEach((sequence, s) => {
    const T = sequence.ids.length;
    if (T === 0) throw new PupilError('shape', `packSequences: sequence ${s} is empty`);
    if (sequence.labels !== undefined && sequence.labels.length !== T) {
      throw new PupilError('shape', `packSequences: sequence ${s} has ${T} ids but ${sequence.labels.length} labels`);
    }
    targetStarts[s] = target;
    for (let t = 0; t < T; t++) {
      ids[at + t] = sequence.ids[t]!;
      positions[at + t] = t;
      sequenceStart[at + t] = at;
      sequenceEnd[at + t] = at + T;
      const label = sequence.labels?.[t] ?? IGNORED;
      if (t === 0 || label === IGNORED) continue;
      if (!Number.isInteger(label) || label < 0) {
        throw new PupilError(
          'shape',
          `packSequences: sequence ${s} has label ${label} at ${t}; expected a token id or -100`,
        );
      }
      targetIndex[target] = at + t - 1;
      targets[target] = label;
      sequenceOf[target] = s;
      target++;
    }
    at += T;
  });
  targetStarts[sequences.length] = target;
  return { ids, positions, sequenceStart, sequenceEnd, targetIndex, targets, sequenceOf, targetStarts };
}

export function tokensIn(batch: PackedBatch): number {
  return batch.ids.length;
}

export function targetsIn(batch: PackedBatch): number {
  return batch.targets.length;
}

export function sequencesIn(batch: PackedBatch): number {
  return batch.targetStarts.length - 1;
}
