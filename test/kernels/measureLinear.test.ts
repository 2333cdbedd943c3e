// measureLinear.test.ts: the measurement of the linear kernels on this machine's adapter, at shapes so small that only
// compiling takes time. What it says about speed is not looked at: a software adapter proves nothing of that.
import { describe, expect, it } from 'vitest';
import { candidatesFor, defaultChoice, linearVariant, PRODUCT_CLASSES } from '../../src/kernels/linearChoice';
import { measureLinear, steadyWinners } from '../../src/kernels/measureLinear';
import { problemWithF16 } from '../../src/session/variants';
import type { Gpu } from '../../src/gpu/device';
import { freshGpu, testGpu } from './device';

const TINY = {
  size: { fewRows: 3, manyRows: 20, inputs: 64, outputs: 64 },
  variants: ['register' as const],
  rounds: 2,
};

/** As a driver does that finds some kernels too complex. */
function refuseToCompile(gpu: Gpu, ending: string): void {
  const create = gpu.device.createComputePipelineAsync.bind(gpu.device);
  gpu.device.createComputePipelineAsync = (descriptor) =>
    descriptor.label?.endsWith(ending) === true ? Promise.reject(new Error('too complex')) : create(descriptor);
}

describe('steadyWinners', () => {
  it('keeps who was faster in all rounds but one, and the standing one', () => {
    const rounds = { standing: [5, 1, 1, 9, 1], lucky: [2, 2, 2, 2, 2], steady: [4, 0.5, 0.5, 8, 2], hopeless: [4] };
    expect(steadyWinners('standing', rounds)).toEqual({ standing: 1, steady: 2 });
  });

  it('keeps all where the standing one has no times', () => {
    expect(steadyWinners<string>('standing', { other: [3, 1, 2], standing: [] })).toMatchObject({ other: 2 });
    expect(steadyWinners<string>('standing', { other: [3, 1, 2] })).toEqual({ other: 2 });
  });
});

describe('measuring the linear kernels', () => {
  it('times every candidate of every class, chooses among them, and leaves the device as it was', async () => {
    const gpu = await testGpu();
    const before = { bytes: gpu.account.current, buffers: gpu.account.buffersAlive };
    const measured = await measureLinear(gpu, { ...TINY, budgetMs: Infinity });
    const { choice, times, storage, multiplyAddsPerMs } = measured;
    const slowest = Math.max(
      ...(['forward_many_rows', 'backward_input'] as const).map((name) => times[name][choice[name]]!),
    );
    expect(multiplyAddsPerMs).toBeCloseTo((2 * 20 * 64 * 64) / slowest, 3);
    const standing = defaultChoice(gpu);
    for (const name of PRODUCT_CLASSES) {
      expect(Object.keys(times[name]).sort(), name).toEqual([...new Set(['register', standing[name]])].sort());
      expect(Object.values(times[name]).every((ms) => ms > 0 && Number.isFinite(ms))).toBe(true);
      expect(candidatesFor(gpu, name)).toContain(choice[name]);
    }
    expect(storage === undefined).toBe(!gpu.features.f16);
    if (storage !== undefined) expect(Math.min(storage.f32, storage.f16)).toBeGreaterThan(0);
    expect(JSON.parse(JSON.stringify({ choice, times }))).toEqual({ choice, times });
    const uniforms = gpu.account.entries().find(([label]) => label === 'uniforms')?.[1] ?? 0; // live as long as the device
    expect(gpu.account.current).toBeLessThanOrEqual(before.bytes + uniforms);
    expect(gpu.account.entries().map(([label]) => label)).not.toContain('measure linear');
    expect(linearVariant(gpu)).toBe('auto');
  });

  it('keeps the standing variants where the time is up', async () => {
    const gpu = await testGpu();
    const { choice, times, storage, multiplyAddsPerMs } = await measureLinear(gpu, { ...TINY, budgetMs: 0 });
    expect(multiplyAddsPerMs).toBeUndefined();
    expect(choice).toEqual(defaultChoice(gpu));
    expect(Object.values(times)).toEqual([{}, {}, {}, {}]);
    expect(storage).toBeUndefined();
  });

  it('a variant that this driver does not compile merely does not compete', async () => {
    const gpu = await freshGpu();
    try {
      refuseToCompile(gpu, '_register');
      const { choice, times } = await measureLinear(gpu, { ...TINY, budgetMs: Infinity });
      for (const name of PRODUCT_CLASSES) expect(Object.keys(times[name]), name).toEqual([defaultChoice(gpu)[name]]);
      expect(choice).toEqual(defaultChoice(gpu));
    } finally {
      gpu.destroy();
    }
  });
});

describe('the self-check before tier f16 is chosen', () => {
  it('finds nothing wrong where nothing is (linear cases need an adapter with shader-f16)', async () => {
    const gpu = await testGpu();
    expect(await problemWithF16(gpu, defaultChoice(gpu))).toBeUndefined();
  });

  it('names the kernel that fails', async () => {
    const gpu = await freshGpu();
    try {
      refuseToCompile(gpu, 'embedding_forward_f16'); // reads halves without shader-f16
      expect(await problemWithF16(gpu, defaultChoice(gpu))).toMatch(/embedding_forward_f16.*too complex/);
    } finally {
      gpu.destroy();
    }
  });
});
