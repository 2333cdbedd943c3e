// What a session computes with: choices from given timings, what is remembered, tier auto, what a checkpoint recorded. No GPU
// is used; the measurement itself is test/kernels/measureLinear.test.ts, a whole resumed run variantsRun.test.ts.
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { PupilError } from '../../../src/base/errors';
import type { Gpu, Tier } from '../../../src/gpu/device';
import {
  asChoice,
  candidatesFor,
  decideVariant,
  defaultChoice,
  describeVariants,
  linearChoice,
  pickVariant,
  setLinearChoice,
  setLinearVariant,
  withVariant,
  type LinearChoice,
} from '../../../src/kernels/linearChoice';
import {
  applyRecorded,
  decideTier,
  findVariants,
  variantKey,
  type MeasuredVariants,
} from '../../../src/session/variants';
import { openFileRoot } from '../../../src/sources/fileRoot';
import { FilesVariantStore, MemoryVariantStore, type VariantStore } from '../../../src/storage/variantStore';
import { state } from './tinyRun';

interface Looks {
  software?: boolean;
  subgroupSize?: number;
  f16?: boolean;
  device?: string;
}

/** Enough of a device for everything that only chooses. */
function device({ software = false, subgroupSize = 0, f16 = true, device: name = 'd' }: Looks = {}): Gpu {
  const adapter = { vendor: 'v', architecture: 'a', device: name, description: 'x', software };
  const fake = {
    adapter: { ...adapter, tiers: f16 ? ['f32', 'f16', 'matrix'] : ['f32'] },
    features: { f16, timestamps: false, subgroupSize },
    tier: 'f32',
    useTier: (tier: Tier) => void (fake.tier = tier),
  };
  return fake as unknown as Gpu;
}

const REGISTER: LinearChoice = {
  forward_few_rows: 'few_rows',
  forward_many_rows: 'register',
  backward_input: 'tiled',
  backward_weight: 'register',
};

describe('a choice from timings', () => {
  it('a clear win displaces the standing variant, noise does not', () => {
    expect(decideVariant('tiled', { tiled: 1, register: 0.89 })).toBe('register');
    expect(decideVariant('tiled', { tiled: 1, register: 0.91 })).toBe('tiled');
    expect(decideVariant('tiled', { tiled: 1, register: 1.5 })).toBe('tiled');
    expect(decideVariant('few_rows', { few_rows: 1, register: 0.85, tiled: 0.6 })).toBe('tiled');
  });

  it('what has no usable time loses; a standing variant without one gives way', () => {
    expect(decideVariant('tiled', {})).toBe('tiled');
    expect(decideVariant('tiled', { tiled: 1, register: NaN })).toBe('tiled');
    expect(decideVariant('tiled', { tiled: 1, register: 0 })).toBe('tiled');
    expect(decideVariant('tiled', { register: 3, subgroup: 2 })).toBe('subgroup');
  });

  it('only what the adapter supports and the class has may compete', () => {
    expect(candidatesFor(device(), 'forward_many_rows')).toEqual(['register', 'tiled']);
    expect(candidatesFor(device(), 'forward_few_rows')).toEqual(['register', 'tiled', 'few_rows']);
    expect(candidatesFor(device({ subgroupSize: 8 }), 'backward_weight')).toEqual(['register', 'subgroup', 'tiled']);
    expect(candidatesFor(device({ subgroupSize: 32 }), 'backward_input')).toEqual(['register', 'tiled']);
  });

  it('the defaults are those of bench/notes: software by registers, GPUs by workgroup memory', () => {
    expect(Object.values(defaultChoice(device()))).toEqual(['few_rows', 'tiled', 'tiled', 'tiled']);
    expect(Object.values(defaultChoice(device({ software: true, subgroupSize: 4 })))).toEqual([
      'subgroup_few_rows',
      'subgroup',
      'subgroup',
      'subgroup',
    ]);
    expect(new Set(Object.values(defaultChoice(device({ software: true }))))).toEqual(new Set(['register']));
  });

  it('products follow the choice by operation, rows and terms, and one variant set on top beats it', () => {
    const gpu = device();
    setLinearChoice(gpu, REGISTER);
    const pick = (operation: 'forward' | 'backward_input' | 'backward_weight', capacity: number, terms = 512): string =>
      pickVariant(gpu, operation, { capacity, terms });
    expect([pick('forward', 16), pick('forward', 17), pick('forward', 16, 63)]).toEqual([
      'few_rows',
      'register',
      'register',
    ]);
    expect([pick('backward_input', 4), pick('backward_weight', 4)]).toEqual(['tiled', 'register']);
    setLinearVariant(gpu, 'few_rows');
    expect([pick('forward', 99), pick('backward_input', 4)]).toEqual(['few_rows', 'tiled']); // it has no backward
    expect(withVariant(gpu, 'tiled', () => pick('forward', 99))).toBe('tiled');
    expect(describeVariants(gpu)).toMatchObject({ linear: 'few_rows', linear_backward_input: 'tiled' });
    setLinearVariant(gpu, undefined);
    expect(describeVariants(gpu)).not.toHaveProperty('linear');
  });

  it('data from elsewhere is a choice only where this device can follow all of it', () => {
    expect(asChoice(device(), { ...REGISTER, more: 1 })).toEqual(REGISTER);
    expect(asChoice(device(), { ...REGISTER, backward_input: 'subgroup' })).toBeUndefined();
    expect(asChoice(device(), { ...REGISTER, backward_input: 'few_rows' })).toBeUndefined();
    expect(asChoice(device(), { forward_few_rows: 'tiled' })).toBeUndefined();
    for (const junk of [null, 'tiled', 7, []]) expect(asChoice(device(), junk)).toBeUndefined();
  });
});

describe('tier auto', () => {
  const storage = { f32: 1, f16: 0.7 };
  it.each([
    ['f16 where a GPU offers it, it is right, and no slower', { offered: true, software: false, storage }, 'f16'],
    ['f32 without shader-f16', { offered: false, software: false, storage }, 'f32'],
    ['f32 on a software adapter', { offered: true, software: true, storage }, 'f32'],
    ['f32 where the self-check failed', { offered: true, software: false, storage, problem: 'max |Δ| 3' }, 'f32'],
    ['f32 where f16 is slower', { offered: true, software: false, storage: { f32: 1, f16: 1.01 } }, 'f32'],
    ['f32 where nothing was measured', { offered: true, software: false }, 'f32'],
  ] as const)('is %s', (_, facts, tier) => {
    const decided = decideTier(facts);
    expect(decided.tier).toBe(tier);
    expect(decided.reason).not.toBe('');
  });
});

const folders: string[] = [];
afterAll(() => {
  for (const path of folders) rmSync(path, { recursive: true, force: true });
});
function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'pupil-variants-'));
  folders.push(path);
  return path;
}

const MEASURED: MeasuredVariants = {
  choice: REGISTER,
  milliseconds: { forward_many_rows: { tiled: 2, register: 1 } },
  autoTier: { tier: 'f16', reason: 'r' },
  multiplyAddsPerDispatch: 2 ** 33,
};

/** Looks for variants, counting measurements. */
async function look(
  store: VariantStore,
  { looks = {}, key = 'k', anew = false, measure = () => Promise.resolve(MEASURED) } = {} as {
    looks?: Looks;
    key?: string;
    anew?: boolean;
    measure?: () => Promise<MeasuredVariants>;
  },
) {
  let measurements = 0;
  const counted = (): Promise<MeasuredVariants> => {
    measurements++;
    return measure();
  };
  const found = await findVariants({ gpu: device(looks), key, store, measure: counted, anew });
  return { ...found, measurements };
}

describe.each([
  ['memory', () => new MemoryVariantStore()],
  ['files at hand', () => new FilesVariantStore(openFileRoot({ kind: 'memory', files: {} }))],
  ['a folder', () => new FilesVariantStore(openFileRoot({ kind: 'disk', directory: join(folder(), 'new') }))],
] as [string, () => VariantStore][])('remembered in %s', (_, make) => {
  it('measured once, then found again, whole; measured anew when asked', async () => {
    const store = make();
    expect(await look(store)).toEqual({
      ...MEASURED,
      source: 'measured',
      reason: 'and remembered',
      measurements: 1,
    });
    expect(await look(store)).toMatchObject({ ...MEASURED, source: 'remembered', measurements: 0 });
    const other = { ...MEASURED, choice: defaultChoice(device()) };
    expect(await look(store, { anew: true, measure: () => Promise.resolve(other) })).toMatchObject({
      source: 'measured',
      choice: other.choice,
    });
    expect(await look(store)).toMatchObject({ source: 'remembered', choice: other.choice });
  });

  it('another key is another adapter', async () => {
    const store = make();
    await look(store);
    expect(await look(store, { key: 'other' })).toMatchObject({ source: 'measured', measurements: 1 });
  });
});

describe('what is remembered', () => {
  it.each([
    ['no JSON', '{"choice":'],
    ['another kind of value', '[]'],
    ['a choice without all classes', JSON.stringify({ ...MEASURED, choice: { backward_input: 'tiled' } })],
    ['an unknown variant', JSON.stringify({ ...MEASURED, choice: { ...REGISTER, backward_input: 'warp' } })],
    ['an unknown tier', JSON.stringify({ ...MEASURED, autoTier: { tier: 'f8', reason: '' } })],
    ['a tier without kernels', JSON.stringify({ ...MEASURED, autoTier: { tier: 'matrix', reason: '' } })],
    ['times that are none', JSON.stringify({ ...MEASURED, milliseconds: { backward_input: { tiled: 'fast' } } })],
  ])('is measured again where it is %s', async (_, text) => {
    const store = new MemoryVariantStore();
    store.texts.set('k', text);
    expect(await look(store)).toMatchObject({ source: 'measured', measurements: 1, choice: REGISTER });
    expect(store.texts.get('k')).toBe(JSON.stringify(MEASURED));
  });

  it('is measured again where this device lost what it needs', async () => {
    const store = new MemoryVariantStore();
    await look(store);
    expect(await look(store, { looks: { f16: false } })).toMatchObject({ source: 'measured', measurements: 1 });
  });

  it('is measured again where its file was torn', async () => {
    const directory = folder();
    const store = new FilesVariantStore(openFileRoot({ kind: 'disk', directory }));
    await look(store);
    const [name] = readdirSync(directory);
    writeFileSync(join(directory, name!), '{"cho');
    expect(await look(store)).toMatchObject({ source: 'measured' });
  });

  it('is not missed: storage that fails, reading or writing, costs a measurement', async () => {
    const fail = (): Promise<never> => Promise.reject(new PupilError('storage', 'IndexedDB: switched off'));
    const none: VariantStore = { loadVariants: fail, saveVariants: fail };
    expect(await look(none)).toMatchObject({
      ...MEASURED,
      source: 'measured',
      reason: 'not remembered: IndexedDB: switched off',
    });
  });

  it('a measurement that fails leaves the default, tells why, and is not remembered', async () => {
    const store = new MemoryVariantStore();
    const lost = (): Promise<never> => Promise.reject(new PupilError('gpu-device-lost', 'GPU device lost'));
    const found = await look(store, { measure: lost });
    expect(found).toMatchObject({ source: 'default', choice: defaultChoice(device()), autoTier: { tier: 'f32' } });
    expect(found.reason).toContain('GPU device lost');
    expect(store.texts.size).toBe(0);
  });

  it('a software adapter is not measured unless told to, and then not remembered', async () => {
    const store = new MemoryVariantStore();
    const looks = { software: true, subgroupSize: 4 };
    expect(await look(store, { looks })).toMatchObject({
      source: 'default',
      choice: defaultChoice(device(looks)),
      autoTier: { tier: 'f32' },
      measurements: 0,
    });
    expect(await look(store, { looks, anew: true })).toMatchObject({ source: 'measured', choice: REGISTER });
    expect(store.texts.size).toBe(0);
  });

  it('goes by adapter, what it offers, and the versions of browser and Pupil', () => {
    const key = (looks: Looks = {}, agent = 'Chrome/1', version = '0.1.0') => variantKey(device(looks), agent, version);
    const all = [
      key(),
      key({ device: 'e' }),
      key({ f16: false }),
      key({ subgroupSize: 8 }),
      key({}, 'Chrome/2'),
      key({}, 'Chrome/1', '0.2.0'),
    ];
    expect(new Set(all).size).toBe(all.length);
    expect(key()).toBe(all[0]);
  });
});

describe('what a checkpoint recorded', () => {
  const recorded = (changes: object = {}) => {
    const gpu = device();
    setLinearChoice(gpu, REGISTER);
    return { ...state().environment, tier: 'f16', variants: describeVariants(gpu), ...changes };
  };

  it('is applied on the same adapter: variants always, the tier where nobody named one', () => {
    const open = device();
    applyRecorded(open, recorded(), true);
    expect([linearChoice(open), open.tier]).toEqual([REGISTER, 'f16']);
    const said = device();
    applyRecorded(said, recorded(), false);
    expect([linearChoice(said), said.tier]).toEqual([REGISTER, 'f32']);
  });

  it.each([
    ['another adapter’s', { device: 'e' }],
    [
      'variants that are not supported here',
      { variants: { ...recorded().variants, linear_backward_input: 'subgroup' } },
    ],
    ['an earlier version’s', { variants: { linear: 'auto', subgroups: '0' } }],
    ['a tier that is not offered here', { tier: 'f64' }],
  ])('%s is left alone', (_, changes) => {
    const gpu = device({ f16: true });
    applyRecorded(gpu, recorded(changes), true);
    if ('tier' in changes) expect(gpu.tier).toBe('f32');
    else expect(linearChoice(gpu)).toEqual(defaultChoice(gpu));
  });
});
