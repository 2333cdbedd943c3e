// device.test.ts: acquiring a device, or being refused one, and what it looks like when a device fails: validation, memory,
// loss. Every failing device is a fresh one, so that no other test meets it.
import { describe, expect, it, vi } from 'vitest';
import { Recorder } from '../../src/gpu/commands';
import { Gpu, type AcquireOptions } from '../../src/gpu/device';
import { kernelSource } from '../../src/gpu/pipelines';
import { StagingRing } from '../../src/gpu/readback';
import { freshGpu, testGpu } from './device';

/** A provider whose one adapter says this about itself and must never be asked for a device. */
function provider(info: Partial<GPUAdapterInfo> | undefined, features: string[] = []): GPU {
  const about = { vendor: '', architecture: '', device: '', description: '', ...info };
  const adapter = {
    info: about,
    features: new Set(features),
    limits: {},
    requestDevice: () => Promise.reject(new Error('a device was asked for')),
  };
  return { requestAdapter: () => Promise.resolve(info === undefined ? null : adapter) } as unknown as GPU;
}
const SWIFTSHADER = { vendor: 'google', architecture: 'swiftshader', description: 'SwiftShader Device' };
const NVIDIA = { vendor: 'nvidia', architecture: 'hopper', description: 'H200' };

const report = (await testGpu()).adapter;

describe('acquiring', () => {
  it.each<[string, Partial<GPUAdapterInfo> | undefined, AcquireOptions, string, RegExp]>([
    ['no adapter at all', undefined, {}, 'gpu-unavailable', /no adapter was found/],
    ['requireHardware on SwiftShader', SWIFTSHADER, { requireHardware: true }, 'gpu-software-only', /SwiftShader/],
    [
      'requireHardware on llvmpipe',
      { description: 'llvmpipe (LLVM)' },
      { requireHardware: true },
      'gpu-software-only',
      /llvmpipe/,
    ],
    [
      'requireHardware on a fallback adapter',
      { ...NVIDIA, isFallbackAdapter: true },
      { requireHardware: true },
      'gpu-software-only',
      /H200/,
    ],
    [
      'expectVendor nvidia on SwiftShader',
      SWIFTSHADER,
      { expectVendor: 'nvidia' },
      'gpu-software-only',
      /expected an adapter of vendor "nvidia", found "google SwiftShader Device"/,
    ],
    [
      'tier f16 without shader-f16',
      NVIDIA,
      { tier: 'f16' },
      'gpu-feature-missing',
      /tier f16 needs the feature shader-f16, which "nvidia H200"/,
    ],
  ])('%s is refused before a device is made', async (_, info, options, code, message) => {
    await expect(Gpu.acquire(provider(info), options)).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message) as string,
      hint: expect.stringMatching(/./) as string,
    });
  });

  it('a hardware adapter of the expected vendor, in any case of letters, goes on to its device', async () => {
    const options: AcquireOptions = { requireHardware: true, expectVendor: 'NVIDIA', tier: 'f16' };
    await expect(Gpu.acquire(provider(NVIDIA, ['shader-f16']), options)).rejects.toThrow('a device was asked for');
  });

  it('the adapter of these tests: requireHardware refuses it exactly when it is software; another vendor never passes', async () => {
    const attempt = freshGpu({ requireHardware: true });
    if (report.software) await expect(attempt).rejects.toMatchObject({ code: 'gpu-software-only' });
    else (await attempt).destroy();
    await expect(freshGpu({ expectVendor: 'nobody' })).rejects.toMatchObject({ code: 'gpu-software-only' });
  });

  it('auto is tier f32, and limits may be lowered', async () => {
    const lowered = await freshGpu({ lowerLimits: { maxBufferSize: 2 ** 28 } });
    expect(lowered.tier).toBe('f32');
    expect(lowered.limits.maxBufferSize).toBe(2 ** 28);
    lowered.destroy();
    // No device offers less than 128 MiB: the engine holds itself to it.
    const small = await freshGpu({ lowerLimits: { maxStorageBufferBindingSize: 4096 } });
    expect(small.limits.maxStorageBufferBindingSize).toBe(4096);
    small.destroy();
  });
});

const BROKEN = kernelSource('broken_kernel', '@compute @workgroup_size(1) fn broken_kernel() { let x: u32 = 1.5; }');

describe('failures of the device', () => {
  it('a kernel that does not compile is an error that names it and says why', async () => {
    const broken = await freshGpu();
    broken.pipelines.request(BROKEN);
    await expect(broken.settled()).rejects.toMatchObject({
      code: 'gpu-validation',
      message: expect.stringMatching(/^broken_kernel: this adapter does not compile it/) as string,
    });
    broken.destroy();
  });

  it('memory that the device refuses surfaces at settled(), with the buffer, its bytes and what to do', async () => {
    const full = await freshGpu();
    // What a driver can take differs (and may be committed late), so the refusal is put into the scope's answer.
    const { device } = full;
    const pop = device.popErrorScope.bind(device);
    const spy = vi.spyOn(device, 'popErrorScope').mockImplementationOnce(async () => {
      await pop();
      return { message: 'no memory' } as GPUError;
    });
    full.arena('weights').buffer('layer 7', 1024, GPUBufferUsage.STORAGE);
    expect(spy).toHaveBeenCalledOnce();
    const refused = {
      code: 'gpu-out-of-memory',
      message: expect.stringMatching(/^weights\/layer 7: the GPU refused 1024 bytes \(1024 in use\)/) as string,
      hint: expect.stringMatching(/smaller batch/) as string,
    };
    await expect(full.settled()).rejects.toMatchObject(refused);
    expect(() => full.arena('more').tensor('x', [1])).toThrow(expect.objectContaining({ code: 'gpu-out-of-memory' }));
    expect(() => new Recorder(full, 'step')).toThrow(expect.objectContaining({ code: 'gpu-out-of-memory' }));
    full.destroy();
  });

  // SwiftShader refuses its own largest buffer; other drivers may promise it and only fail when it is filled.
  const swiftshader = /swiftshader/i.test(`${report.architecture} ${report.description}`);
  it.skipIf(!swiftshader)(
    'an impossible allocation is out of memory (needs SwiftShader, which refuses 1 GiB)',
    async () => {
      const large = await freshGpu();
      const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST;
      const refused = large.arena('large').buffer('all', large.limits.maxBufferSize, usage);
      // Used before the refusal is known: an invalid buffer, of which the device complains at once.
      large.device.queue.writeBuffer(refused, 0, new Uint32Array(4));
      await expect(large.idle()).rejects.toMatchObject({ code: 'gpu-out-of-memory' });
      await expect(large.settled()).rejects.toMatchObject({ code: 'gpu-out-of-memory' });
      large.destroy();
    },
  );

  it.each<[string, (bad: Gpu) => void]>([
    ['an impossible buffer', (bad) => bad.arena('a').buffer('b', 16, GPUBufferUsage.MAP_READ | GPUBufferUsage.STORAGE)],
    [
      'a copy past the end',
      (bad) => {
        const [from, to] = [bad.arena('a').tensor('from', [4]), bad.arena('a').tensor('to', [4])];
        const recorder = new Recorder(bad, 'copy');
        recorder.copy(from.buffer, 8, to.buffer, 0, 16);
        recorder.submit();
      },
    ],
  ])('%s is a typed error at the next call', async (_, spoil) => {
    const bad = await freshGpu();
    spoil(bad);
    await expect(bad.idle()).rejects.toMatchObject({ code: 'gpu-validation' });
    await expect(bad.settled()).rejects.toMatchObject({ code: 'gpu-validation' });
    bad.destroy();
  });

  it('a lost device is an error that says to resume, at every next call', async () => {
    const lost = await freshGpu();
    const own = lost.arena('own');
    const x = own.upload('x', [2], 'f32', Float32Array.of(1, 2));
    const ring = new StagingRing(lost, own, 'ring', 1, 8);
    const recorder = new Recorder(lost, 'last');
    const pending = ring.copy(recorder, [x]);
    recorder.submit();
    lost.device.destroy();
    await lost.device.lost;
    const resume = {
      code: 'gpu-device-lost',
      message: expect.stringMatching(/^GPU device lost \(destroyed\)/) as string,
      hint: expect.stringMatching(/^Resume from the last checkpoint/) as string,
    };
    expect(() => lost.throwIfFailed()).toThrow(expect.objectContaining(resume));
    expect(() => new Recorder(lost, 'next')).toThrow(expect.objectContaining(resume));
    expect(() => own.tensor('y', [1])).toThrow(expect.objectContaining(resume));
    await expect(lost.settled()).rejects.toMatchObject(resume);
    await expect(lost.read(x)).rejects.toMatchObject(resume);
    await expect(pending()).rejects.toMatchObject(resume);
    await expect(lost.idle()).rejects.toMatchObject(resume);
  });

  it('a kernel that does not compile because the device is about to be lost is the loss', async () => {
    const lost = await freshGpu();
    // What a browser says when the process that computes for the GPU has crashed; that the device is lost it says a moment later.
    const gone = Object.assign(new Error('A valid external Instance reference no longer exists.'), {
      reason: 'internal',
    });
    vi.spyOn(lost.device, 'createComputePipelineAsync').mockImplementationOnce(async () => {
      setTimeout(() => lost.device.destroy(), 50);
      throw gone;
    });
    lost.pipelines.request(BROKEN);
    await expect(lost.settled()).rejects.toMatchObject({ code: 'gpu-device-lost' });
  });

  it('a device that was given back is no failure', async () => {
    const own = await freshGpu();
    own.destroy();
    await own.device.lost;
    expect(() => own.throwIfFailed()).not.toThrow();
  });
});
