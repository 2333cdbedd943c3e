// attentionTiling.ts: how the tiled attention kernels are cut on this adapter: lanes of a workgroup, rows of a tile, what
// fits in workgroup memory. It dispatches nothing.
import type { Gpu } from '../gpu/device';
import { workgroupLanes } from './lanes';

export interface AttentionTiling {
  /** Invocations in a workgroup. */
  lanes: number;
  /** Groups of four rows (queries; keys in the key/value backward) that a workgroup owns. */
  groups: number;
  /** Rows of the other side that are met at a time; a multiple of 4. */
  tile: number;
}

/** Bytes of workgroup memory that the three kernels take at the most (the key/value backward). */
function workgroupBytes(headSize: number, { groups, tile }: AttentionTiling): number {
  return 16 * (2 * tile * groups + 2 * groups * headSize + 8 * groups);
}

/**
 * The tiling for head sizes that are multiples of four, or undefined where only the untiled kernels run (other head sizes,
 * or too little workgroup memory).
 */
export function attentionTiling(gpu: Gpu, headSize: number): AttentionTiling | undefined {
  if (headSize % 4 !== 0) return undefined;
  // Software adapters get one subgroup and little workgroup memory: SwiftShader clears it word by word for every subgroup
  // (bench/notes/attention.md). GPUs: one block of 4 × 4 scores and one of 4 sums for each of 64 lanes at K = 64; reasoned,
  // not measured.
  const fit: AttentionTiling = gpu.adapter.software
    ? { lanes: workgroupLanes(gpu), groups: 4, tile: 32 }
    : { lanes: 64, groups: 4, tile: 64 };
  while (workgroupBytes(headSize, fit) > gpu.limits.maxComputeWorkgroupStorageSize) {
    if (fit.tile > 32) fit.tile /= 2;
    else if (fit.groups > 1) fit.groups /= 2;
    else return undefined;
  }
  return fit;
}
