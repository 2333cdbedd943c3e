// wideLanes.ts: lanes of a workgroup that streams over a whole vocabulary or a whole gradient. The kernels that reduce over
// a hidden width take fewer (lanes.ts).
import type { Gpu } from '../gpu/device';

/**
 * 256 on a GPU; 16 on a software adapter, where every barrier costs a switch of all lanes. A power of two. It fixes the
 * order of additions, so it depends on the adapter and on nothing else.
 */
export function wideLanes(gpu: Gpu): number {
  const wanted = gpu.adapter.software ? 16 : 256;
  const most = Math.min(gpu.limits.maxComputeInvocationsPerWorkgroup, gpu.limits.maxComputeWorkgroupSizeX);
  return Math.min(wanted, 2 ** Math.floor(Math.log2(most)));
}
