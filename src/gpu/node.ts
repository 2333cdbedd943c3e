// node.ts: the `GPU` object of Dawn for Node, for tests and `--host node`. Never imported by code that a browser loads.
import { PupilError } from '../base/errors';
import { isSoftware } from './device';

/** Dawn's native instance dies with its JavaScript object, and devices made from it then crash: never let it be collected. */
const alive: GPU[] = [];

/** How long Dawn waits between two looks at a software adapter. */
const SOFTWARE_POLL_MS = 1;

/** Dawn hides shader-f16 on NVIDIA's Vulkan driver unless told otherwise; elsewhere this changes nothing. */
const DAWN_FLAGS = ['enable-dawn-features=vulkan_enable_f16_on_nvidia'];

/** Dawn's callback: a native function without a name. A bound one has a name, everything else has a source. */
const isNative = (callback: unknown): boolean =>
  typeof callback === 'function' &&
  callback.name === '' &&
  /\[native code\]/.test(Function.prototype.toString.call(callback));

let pollsGently = false;

/**
 * Dawn looks for what has happened by `setImmediate` after `setImmediate`, as long as any of its promises is open, and
 * `device.lost` always is: one core is spent on looking. A software adapter needs that core to compute, so there Dawn's
 * turn comes a millisecond later, and nobody else's does.
 */
function pollGently(): void {
  if (pollsGently) return;
  pollsGently = true;
  const immediately = globalThis.setImmediate;
  const gently = (callback: (...args: unknown[]) => void, ...args: unknown[]): unknown =>
    isNative(callback) ? setTimeout(callback, SOFTWARE_POLL_MS, ...args) : immediately(callback, ...args);
  globalThis.setImmediate = Object.assign(gently, immediately) as typeof setImmediate;
}

/**
 * Dawn's GPU, with WebGPU's globals (GPUBufferUsage and so on) installed. Which driver it finds is up to the environment
 * (VK_ICD_FILENAMES). End scripts with `process.exit`: Dawn keeps the event loop alive.
 */
export async function nodeGpu(): Promise<GPU> {
  try {
    const { create, globals } = (await import('webgpu')) as {
      create: (flags: string[]) => GPU;
      globals: Record<string, unknown>;
    };
    for (const [name, value] of Object.entries(globals)) {
      if (!(name in globalThis)) Object.defineProperty(globalThis, name, { value, configurable: true });
    }
    const gpu = create(DAWN_FLAGS);
    alive.push(gpu);
    const request = gpu.requestAdapter.bind(gpu);
    gpu.requestAdapter = async (options) => {
      const adapter = await request(options);
      if (adapter !== null && isSoftware(adapter.info)) pollGently();
      return adapter;
    };
    return gpu;
  } catch (error) {
    throw new PupilError(
      'gpu-unavailable',
      `Dawn: the npm package "webgpu" could not be loaded: ${error instanceof Error ? error.message : String(error)}`,
      'Run npm ci; on Linux a Vulkan loader and driver are needed (Chromium brings SwiftShader).',
      { cause: error },
    );
  }
}
