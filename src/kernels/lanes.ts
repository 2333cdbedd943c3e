// lanes.ts: how many invocations a workgroup that reduces over its lanes gets on this adapter. One rule for the kernels
// that use shaders/common/lane_reductions.wgsl.
import type { Gpu } from '../gpu/device';

/**
 * Invocations of a workgroup that reduces over its lanes; a power of two. Software adapters run the lanes of a workgroup one
 * subgroup after the other and pay for every barrier, so they get a single subgroup; GPUs get 64.
 */
export function workgroupLanes(gpu: Gpu): number {
  return gpu.adapter.software ? Math.max(4, gpu.features.subgroupSize) : 64;
}
