// peer.ts: @jax-js/jax on its WebGPU backend, the peer of the side-by-side measurements: set-up, and arrays in and out.
// What is computed with it is in matmul.ts and peerDecoder.ts.
import { blockUntilReady, defaultDevice, getWebGPUDevice, init, numpy as np, type JsTree } from '@jax-js/jax';
import { meterDevice, type Meter } from './meter';

/** Name and version for the report. */
export const PEER = '@jax-js/jax 0.1.25 (jit, WebGPU)';

let meter: Meter | undefined;

/**
 * Starts the peer on WebGPU (once a page).
 * @throws Error where it offers no WebGPU: on any other backend a comparison would mean nothing.
 */
export async function startPeer(): Promise<Meter> {
  if (meter === undefined) {
    const devices = await init('webgpu');
    if (!devices.includes('webgpu')) throw new Error(`peer: expected its WebGPU backend, got ${devices.join(', ')}`);
    defaultDevice('webgpu');
    meter = meterDevice(getWebGPUDevice());
  }
  return meter;
}

/** A Float32Array on the peer's device. */
export function peerArray(values: Float32Array, shape: readonly number[]): np.Array {
  return np.array(values as Float32Array<ArrayBuffer>, { shape: [...shape], device: 'webgpu' });
}

/** Whole numbers on the peer's device. */
export function peerIntegers(values: Int32Array, shape: readonly number[]): np.Array {
  return np.array(values as Int32Array<ArrayBuffer>, { shape: [...shape], dtype: np.int32, device: 'webgpu' });
}

/** All values of an array, which stays alive. */
export async function readPeer(array: np.Array): Promise<Float32Array> {
  return (await array.ref.data()) as Float32Array;
}

/** Resolves when arrays (in any nesting) have been computed on the GPU; they stay alive. */
export async function peerDone<T extends JsTree<np.Array>>(arrays: T): Promise<void> {
  await blockUntilReady(arrays);
}
