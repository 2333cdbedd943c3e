// dispatchBound.ts: how much work one dispatch may do on a device, so that no driver's watchdog ends it: what stands without
// a measurement, and what a measured speed makes of it. It cuts nothing: gpu/rows.ts does, by what linear.ts and
// attention.ts ask for.
import type { Gpu } from '../gpu/device';

/** Multiply-adds. On a GPU of a server a few milliseconds, on a software adapter about a second. */
const STANDING = { software: 2 ** 31, hardware: 2 ** 36 };
/** Less would only add overhead: on the slowest adapter that was met (2 GFLOP/s) it is a tenth of a second. */
const LEAST = 2 ** 26;
/** What a dispatch may last. Windows ends one after two seconds; large products are slower than those that are measured. */
export const DISPATCH_MS = 250;

/** What stands where nothing was measured, and what no measurement exceeds. */
export function standingBound(gpu: Pick<Gpu, 'adapter'>): number {
  return gpu.adapter.software ? STANDING.software : STANDING.hardware;
}

/** A power of two, so that noise seldom changes it: the most that an adapter of this speed does in {@link DISPATCH_MS}. */
export function measuredBound(gpu: Pick<Gpu, 'adapter'>, multiplyAddsPerMs: number): number {
  const most = 2 ** Math.floor(Math.log2(multiplyAddsPerMs * DISPATCH_MS));
  return Math.min(standingBound(gpu), Math.max(LEAST, most));
}

const bounds = new WeakMap<Gpu, number>();

/** The bound of what is prepared from now on; undefined goes back to what stands. It changes no bit of a result. */
export function setDispatchBound(gpu: Gpu, multiplyAdds: number | undefined): void {
  if (multiplyAdds === undefined) bounds.delete(gpu);
  else bounds.set(gpu, multiplyAdds);
}

export function dispatchBound(gpu: Gpu): number {
  return bounds.get(gpu) ?? standingBound(gpu);
}
