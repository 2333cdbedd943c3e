// batchTensors.ts: a packed batch on the GPU: tensors made once for the largest batch, and the upload of each batch into
// them, checked against the student's vocabulary and context first. Nothing is computed here.
import { PupilError } from '../base/errors';
import type { ModelConfig } from '../formats/modelConfig';
import type { Gpu } from '../gpu/device';
import { Rows } from '../gpu/rows';
import type { Arena, Tensor } from '../gpu/tensor';
import { sequencesIn, targetsIn, tokensIn, type BatchLimits, type PackedBatch } from './batch';
import type { BatchStructure } from './decoder';

/** N tokens, M targets, S sequences at most; `rows` say how many there are at present. */
export interface BatchTensors {
  readonly limits: BatchLimits;
  readonly rows: { readonly tokens: Rows; readonly targets: Rows; readonly sequences: Rows };
  readonly ids: Tensor; // u32 (N)
  readonly structure: BatchStructure;
  readonly targetIndex: Tensor; // u32 (M)
  readonly targets: Tensor; // u32 (M)
  readonly sequenceOf: Tensor; // u32 (M)
  readonly targetStarts: Tensor; // u32 (S+1)
  /** Targets of each sequence. */
  readonly lengths: Tensor; // u32 (S)
}

/** @throws PupilError `shape` for a limit below 1. The sequences are rounded up to whole pairs. */
export function makeBatchTensors(gpu: Gpu, arena: Arena, limits: BatchLimits): BatchTensors {
  for (const [name, value] of Object.entries(limits)) {
    if (!Number.isInteger(value) || value < 1)
      throw new PupilError('shape', `Trainer: limits.${name} must be ≥ 1, got ${value}`);
  }
  const { tokens: N, targets: M } = limits;
  const S = 2 * Math.ceil(limits.sequences / 2);
  const u32 = (label: string, size: number): Tensor => arena.tensor(label, [size], 'u32');
  return {
    limits,
    rows: {
      tokens: new Rows(gpu, arena, 'tokens', N),
      targets: new Rows(gpu, arena, 'targets', M),
      sequences: new Rows(gpu, arena, 'sequences', S),
    },
    ids: u32('ids', N),
    structure: {
      positions: u32('positions', N),
      sequenceStart: u32('sequence start', N),
      sequenceEnd: u32('sequence end', N),
    },
    targetIndex: u32('target index', M),
    targets: u32('targets', M),
    sequenceOf: u32('sequence of', M),
    targetStarts: u32('target starts', S + 1),
    lengths: u32('lengths', S),
  };
}

/**
 * Refuses what the commands could not compute: a batch beyond the limits, ids outside the vocabulary, positions beyond the
 * context.
 * @throws PupilError `shape`, e.g. `Trainer: token id 300 at 4 is outside the vocabulary of 256`
 */
export function checkBatch(batch: PackedBatch, limits: BatchLimits, config: ModelConfig): void {
  const N = tokensIn(batch);
  const M = targetsIn(batch);
  const S = sequencesIn(batch);
  if (N > limits.tokens || M > limits.targets || S > limits.sequences) {
    throw new PupilError(
      'shape',
      `Trainer: a batch of ${N} tokens, ${M} targets, ${S} sequences exceeds the limits ${limits.tokens}, ${limits.targets}, ${limits.sequences}`,
    );
  }
  const { vocabSize: V, maxPositions: T } = config;
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
}

/** Writes a batch that {@link checkBatch} has let pass, for the work submitted from now on. */
export function uploadBatch(gpu: Gpu, tensors: BatchTensors, batch: PackedBatch): void {
  const S = sequencesIn(batch);
  tensors.rows.tokens.set(tokensIn(batch));
  tensors.rows.targets.set(targetsIn(batch));
  tensors.rows.sequences.set(S);
  gpu.write(tensors.ids, batch.ids);
  gpu.write(tensors.structure.positions, batch.positions);
  gpu.write(tensors.structure.sequenceStart, batch.sequenceStart);
  gpu.write(tensors.structure.sequenceEnd, batch.sequenceEnd);
  gpu.write(tensors.targetStarts, batch.targetStarts);
  gpu.write(tensors.targetIndex, batch.targetIndex);
  gpu.write(tensors.targets, batch.targets);
  gpu.write(tensors.sequenceOf, batch.sequenceOf);
  const lengths = new Uint32Array(S);
  for (let s = 0; s < S; s++) lengths[s] = batch.targetStarts[s + 1]! - batch.targetStarts[s]!;
  gpu.write(tensors.lengths, lengths);
}
