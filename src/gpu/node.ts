// node.ts: the `GPU` object of Dawn for Node, for tests and `--host node`. Never imported by code that a browser loads.
import { PupilError } from '../base/errors';

/** Dawn's native instance dies with its JavaScript object, and devices made from it then crash: never let it be collected. */
const alive: GPU[] = [];

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
    const gpu = create([]);
    alive.push(gpu);
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
