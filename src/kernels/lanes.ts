// lanes.ts: how many invocations a workgroup that reduces over its lanes gets on this adapter. One rule for the kernels
// that use shaders/common/lane_reductions.wgsl.
import type { Gpu } from '../gpu/device';

/** Invocations of a workgroup that reduces over its lanes; a power of two. */
export function workgroupLanes(_gpu: Gpu): number {
  return 64;
}
