// device.ts: the one GPU device that a test file uses, on Dawn in Node. Absence of a device is a failure, not a skip.
import { Gpu, type AcquireOptions } from '../../src/gpu/device';
import { nodeGpu } from '../../src/gpu/node';

let shared: Promise<Gpu> | undefined;

export function testGpu(): Promise<Gpu> {
  shared ??= nodeGpu().then((provider) => Gpu.acquire(provider));
  return shared;
}

export async function freshGpu(options: AcquireOptions = {}): Promise<Gpu> {
  return Gpu.acquire(await nodeGpu(), options);
}
