// Whole runs on a tiny student whose kernel variants are not the default: they are recorded, the same choice gives the same
// bits, and a resumed run computes as it began, whatever its new session would have chosen.
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { nodeGpu } from '../../../src/gpu/node';
import type { LinearChoice } from '../../../src/kernels/linearChoice';
import type { RunReport } from '../../../src/report/types';
import type { DeviceOptions, FileRoot, RunSummary, SessionEvent } from '../../../src/session/protocol';
import { Session } from '../../../src/session/session';
import type { MeasuredVariants } from '../../../src/session/variants';
import { MemoryRunStore } from '../../../src/storage/memory';
import type { StoredCheckpoint } from '../../../src/storage/runStore';
import { DevicePlace } from '../../../src/session/devicePlace';
import { dispatchBound, standingBound } from '../../../src/kernels/dispatchBound';
import { MemoryVariantStore } from '../../../src/storage/variantStore';
import { tinyExperiment, tinyFiles } from './tinyRun';

vi.setConfig({ testTimeout: 600_000, hookTimeout: 600_000 });

const REGISTER: LinearChoice = {
  forward_few_rows: 'register',
  forward_many_rows: 'register',
  backward_input: 'register',
  backward_weight: 'register',
};
const MEASURED: MeasuredVariants = {
  choice: REGISTER,
  milliseconds: { backward_input: { register: 1, tiled: 2 } },
  autoTier: { tier: 'f32', reason: 'measured' },
};

/** A store whose checkpoint says something else of its variants. */
class ForgedStore extends MemoryRunStore {
  constructor(
    private readonly inner: MemoryRunStore,
    private readonly forge: (variants: Record<string, string>) => Record<string, string>,
  ) {
    super();
  }
  override async loadCheckpoint(runId: string): Promise<StoredCheckpoint | undefined> {
    const stored = (await this.inner.loadCheckpoint(runId))!;
    const index = JSON.parse(new TextDecoder().decode(stored.parts.get('state'))) as {
      state: { environment: { variants: Record<string, string> } };
    };
    const { environment } = index.state;
    environment.variants = this.forge(environment.variants);
    const parts = new Map(stored.parts).set('state', new TextEncoder().encode(JSON.stringify(index)));
    return { ...stored, parts };
  }
}

let present = new MemoryRunStore();
const store = new Proxy({} as MemoryRunStore, {
  get: (_, name: keyof MemoryRunStore) => (present[name] as (...args: unknown[]) => unknown).bind(present),
});
const files: FileRoot = { kind: 'memory', files: tinyFiles() };
const student = tinyExperiment()['student'] as object;
const experiment = tinyExperiment({
  student: { ...student, tier: 'auto' },
  phases: {
    baseline: false,
    instruct: { epochs: 2, batchSize: 4, microBatchTokens: 256, learningRate: 0.01 },
    selfRefine: false,
  },
  evaluation: { prompts: ['cot'], maxNewTokens: 4 },
});

async function run(
  session: Session,
  into: MemoryRunStore,
  options: { resume?: boolean; force?: boolean; onEvent?: (event: SessionEvent) => void } = {},
): Promise<{ summary: RunSummary; variants: Record<string, string>; adapter: Uint8Array | undefined }> {
  present = into;
  const { onEvent = () => undefined, ...how } = options;
  const summary = await session.run({ runId: 'tiny', experiment, files, ...how }, onEvent);
  const { variants } = (summary.report as RunReport).environment;
  return { summary, variants, adapter: await into.loadArtefact('tiny', 'adapters/instruct/adapter_model.safetensors') };
}

let measured: Session; // computes with REGISTER
let standing: Session; // computes with the default of this adapter
let measurements = 0;
beforeAll(async () => {
  const gpu = await nodeGpu();
  const measure = (): Promise<MeasuredVariants> => {
    measurements++;
    return Promise.resolve(MEASURED);
  };
  measured = new Session(gpu, store, new MemoryVariantStore(), measure);
  await measured.open({ measure: true });
  standing = new Session(gpu, store, new MemoryVariantStore(), () => Promise.reject(new Error('not to be measured')));
  await standing.open();
});
afterAll(() => {
  measured.close();
  standing.close();
});

const recorded = Object.fromEntries(Object.entries(REGISTER).map(([name, variant]) => [`linear_${name}`, variant]));

/** This machine's adapter under a name by which it is taken for hardware. */
async function hardwareProvider(): Promise<GPU> {
  const gpu = await nodeGpu();
  return {
    requestAdapter: async () => {
      const adapter = (await gpu.requestAdapter())!;
      const { subgroupMinSize, subgroupMaxSize } = adapter.info;
      const info = {
        vendor: 'acme',
        architecture: 'one',
        device: '',
        description: '',
        subgroupMinSize,
        subgroupMaxSize,
      };
      const { features, limits } = adapter;
      return { info, features, limits, requestDevice: (wanted: GPUDeviceDescriptor) => adapter.requestDevice(wanted) };
    },
  } as unknown as GPU;
}

it('dispatches are cut at what was measured, and at what stands where nothing was', async () => {
  const gpu = await nodeGpu();
  const bounded = { ...MEASURED, multiplyAddsPerDispatch: 2 ** 27 };
  const place = new DevicePlace(gpu, new MemoryVariantStore(), () => Promise.resolve(bounded));
  await place.open({ measure: true });
  expect(dispatchBound(await place.device())).toBe(2 ** 27);
  await place.open({});
  expect(dispatchBound(await place.device())).toBe(standingBound(await place.device()));
  place.close();
});

it('a GPU is measured when a session first meets it, remembered by the next one, and measured anew when asked', async () => {
  const provider = await hardwareProvider();
  let count = 0;
  const measure = (): Promise<MeasuredVariants> => {
    count++;
    return Promise.resolve(MEASURED);
  };
  const [remembered, notes] = [new MemoryVariantStore(), {} as Record<string, Uint8Array>];
  const sourceOf = async (options: DeviceOptions): Promise<string | undefined> => {
    const session = new Session(provider, new MemoryRunStore(), remembered, measure);
    try {
      await session.open(options);
      const { variants, tier } = await session.doctor();
      expect(tier).toBe('f32');
      expect(variants?.choice).toEqual(REGISTER);
      return variants?.source;
    } finally {
      session.close();
    }
  };
  expect([await sourceOf({}), await sourceOf({}), count]).toEqual(['measured', 'remembered', 1]);
  expect([await sourceOf({ measure: true }), await sourceOf({}), count]).toEqual(['measured', 'remembered', 2]);
  // The command line names a folder, whatever the session's own storage holds.
  const variantFiles: FileRoot = { kind: 'memory', files: notes };
  expect([await sourceOf({ variantFiles }), await sourceOf({ variantFiles }), count]).toEqual([
    'measured',
    'remembered',
    3,
  ]);
  expect(Object.keys(notes)).toHaveLength(1);
});

describe('runs under a choice', () => {
  it('doctor tells the choice, its source and its times', async () => {
    expect((await measured.doctor()).variants).toMatchObject({ ...MEASURED, source: 'measured' });
    expect((await standing.doctor()).variants).toMatchObject({ source: 'default', milliseconds: {} });
    expect(measurements).toBe(1);
  });

  it('record it, repeat their bits, and resume with it where the session chose another', async () => {
    const first = await run(measured, new MemoryRunStore());
    expect(first.summary).toMatchObject({ state: 'finished' });
    expect(first.variants).toMatchObject(recorded);
    expect(first.adapter?.byteLength).toBeGreaterThan(1000);
    expect((await run(measured, new MemoryRunStore())).adapter).toEqual(first.adapter);

    const interrupted = new MemoryRunStore();
    const stopped = await run(measured, interrupted, {
      onEvent: (event) => {
        if (event.type === 'metrics' && event.step === 3) void measured.stop();
      },
    });
    expect(stopped.summary.state).toBe('stopped');

    const refusal = (forge: (variants: Record<string, string>) => Record<string, string>) =>
      run(standing, new ForgedStore(interrupted, forge), { resume: true });
    await expect(refusal((variants) => ({ ...variants, linear_backward_input: 'few_rows' }))).rejects.toMatchObject({
      code: 'checkpoint',
      message: expect.stringMatching(/variants was \{.*"linear_backward_input":"few_rows"/) as string,
    });
    await expect(refusal(() => ({ linear: 'auto', subgroups: '4' }))).rejects.toMatchObject({
      code: 'checkpoint',
      message: expect.stringContaining('variants was {"linear":"auto"') as string,
    });

    const resumed = await run(standing, interrupted, { resume: true });
    expect(resumed.summary.state).toBe('finished');
    expect(resumed.variants).toEqual(first.variants);
    expect(resumed.adapter).toEqual(first.adapter);

    // The next run of that session is its own again. (Its bits need not differ: `register` and `subgroup` add in one order.)
    const own = await run(standing, new MemoryRunStore());
    expect(own.summary.state).toBe('finished');
    for (const [name, variant] of Object.entries(recorded)) expect(own.variants[name], name).not.toBe(variant);
  });
});
