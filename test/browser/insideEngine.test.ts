// insideEngine.test.ts: Inside's views of the engine over a session that the test controls: what they show of what it says,
// what they say where it cannot, and the report that is pasted into a bug.
import { flushSync } from 'svelte';
import { afterEach, describe, expect, it } from 'vitest';
import { LINEAR_NAMES } from '../../src/base/linearNames';
import { PupilError } from '../../src/base/errors';
import { checkReport } from '../../src/app/inside/checkReport';
import InsidePlace from '../../src/app/places/InsidePlace.svelte';
import type {
  AdapterMeasures,
  CheckResult,
  DoctorReport,
  ProfiledDispatch,
  SessionApi,
  StepProfile,
  WeightMeasure,
  WeightMeasures,
} from '../../src/session/protocol';
import { button, FakeSession, removePages, settle, show } from './fakePage';

afterEach(removePages);

const LAYERS = 32;
const RUN = {
  runId: 'r1',
  name: 'One',
  state: 'finished',
  phase: 'report',
  step: 1,
  updatedAt: '2026-01-01T00:00:00Z',
  sizeBytes: 1,
} as const;

const weights = (original: boolean): WeightMeasure[] =>
  Array.from({ length: LAYERS }, (_, layer) =>
    LINEAR_NAMES.map((module, m): WeightMeasure => ({
      layer,
      module,
      shape: [64, 32],
      norm: 10,
      ...(original
        ? { error: { relative: 0.09 + layer / 1000 + m / 1e4, greatest: 0.5, mean: 0.01 }, bitsPerWeight: 4.127 }
        : {}),
      absmax: [0.1, 0.2, 0.3, 0.4, 0.5],
    })),
  ).flat();

const adapters: AdapterMeasures = {
  runId: 'r1',
  phases: (['instruct', 'self-refine'] as const).map((phase, p) => ({
    phase,
    layers: LAYERS,
    updates: [
      {
        layer: 5,
        module: 'up_proj',
        shape: [64, 32],
        rank: 2,
        norm: 0.5 + p,
        singularValues: [0.4, 0.3],
        effectiveRank: 1.9,
        ...(p === 0 ? {} : { fromInstruct: 0.25 }),
      },
    ],
  })),
};

async function open(query: string, methods: Partial<SessionApi>, stored = true): Promise<ReturnType<typeof show>> {
  const session = Object.assign(new FakeSession(), methods);
  if (stored) {
    session.stored = [RUN];
    session.artefacts = { 'report.json': new TextEncoder().encode(JSON.stringify({ experiment: { name: 'One' } })) };
  }
  const page = show(session, query, {}, InsidePlace);
  await page.playground.wake();
  // The place and the view are fetched when they are shown.
  for (let i = 0; i < 100 && !page.root.querySelector('#weights-title, #kernels-title, #check-title'); i++)
    await settle();
  await settle();
  return page;
}

const measured = (originals: WeightMeasures['originals']): WeightMeasures => ({
  quantize: 'nf4-double',
  layers: LAYERS,
  weights: weights(originals === 'here'),
  originals,
  seconds: 1.5,
});

describe('Weights', () => {
  it('shows 32 layers by 7 modules, the update of the phase, and moves by arrow keys', async () => {
    const { root, text, playground } = await open('?place=inside&view=weights', {
      adapterNorms: () => Promise.resolve(adapters),
      weightErrors: (_request, onWeight) => {
        const all = measured('here');
        all.weights.forEach((weight, i) =>
          onWeight(weight, { task: 'Measuring weights', done: i + 1, total: 224, unit: 'weights' }),
        );
        return Promise.resolve(all);
      },
    });
    button(root, 'Measure the weights').click();
    await settle();
    expect(root.querySelectorAll('[data-cell]')).toHaveLength(LAYERS * 7);
    expect(root.querySelector('[data-cell="31 q_proj"]')!.textContent).toContain('12.1 %');
    expect(text()).toContain('4.127 bits');
    const first = root.querySelector<HTMLElement>('[data-cell="0 q_proj"]')!;
    first.focus();
    first.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowDown', bubbles: true }));
    flushSync();
    expect((document.activeElement as HTMLElement).dataset['cell']).toBe('1 q_proj');
    expect(root.querySelector('.readout')!.textContent).toContain('Layer 1, q_proj');

    playground.address.set({ metric: 'share', system: 'self-refine' });
    flushSync();
    expect(root.querySelector('[data-cell="5 up_proj"]')!.textContent).toContain('15.0 %'); // 1.5 of 10
    playground.address.set({ metric: 'moved', system: 'instruct' });
    flushSync();
    expect(root.querySelector('[data-cell="5 up_proj"]')!.textContent).toContain('–');
    expect(text()).toContain('The run has no such update.');
  });

  it('says where the originals are not, and fetches them where they can be', async () => {
    const asked: unknown[] = [];
    let originals: WeightMeasures['originals'] = 'cached';
    const { root, text } = await open('?place=inside&view=weights', {
      adapterNorms: () => Promise.reject(new PupilError('storage', 'it has left none', 'Wait.')),
      weightErrors: (request) => {
        asked.push(request.cache);
        return Promise.resolve(measured(originals));
      },
    });
    expect(text()).toContain('it has left none');
    button(root, 'Measure the weights').click();
    await settle();
    expect(text()).toContain('keeps the student in 4 bits only');
    originals = 'here';
    button(root, 'Fetch the original and measure').click();
    await settle();
    expect(asked).toEqual([undefined, 'off']);
    expect(text()).not.toContain('4 bits only');
  });

  it('waits for a run that goes on, and a stop is no failure', async () => {
    let reject: (error: Error) => void = () => undefined;
    const { root, text, playground } = await open('?place=inside&view=weights', {
      adapterNorms: () => Promise.resolve(adapters),
      weightErrors: () => new Promise((_, no) => (reject = no)),
      stop: () => {
        reject(new PupilError('cancelled', 'Measuring weights: stopped as asked'));
        return Promise.resolve();
      },
    });
    button(root, 'Measure the weights').click();
    await settle();
    expect(playground.busy).toBe(true);
    button(root, 'Stop').click();
    await settle();
    expect(playground.busy).toBe(false);
    expect(root.querySelector('[role=alert]')).toBeNull();
    playground.run.state = 'running';
    flushSync();
    expect(button(root, 'Measure the weights').disabled).toBe(true);
    expect(text()).toContain('A run goes on');
  });
});

/** A step of 32 layers with 1,500 dispatches of two kernels that share a name. */
function bigProfile(): StepProfile {
  const dispatch = (stage: string[], kernel: number, ms: number): ProfiledDispatch => ({
    stage,
    kernel,
    label: `linear_forward f32 ${kernel}`,
    constants: kernel === 0 ? { LEFT_STRIDE: 64 } : {},
    workgroups: [[4, 2, 1]],
    readBytes: 3e6,
    writtenBytes: 1e6,
    ms,
    repeats: 3,
  });
  const dispatches = [
    ...Array.from({ length: 32 }, (_, l) =>
      Array.from({ length: 20 }, () => dispatch(['forward', `layer ${l}`, 'q_proj'], 0, 0.1)),
    ).flat(),
    ...Array.from({ length: 32 }, (_, l) =>
      Array.from({ length: 26 }, () => dispatch(['backward', `layer ${31 - l}`, 'up_proj'], 1, 0.2)),
    ).flat(),
    ...Array.from({ length: 28 }, () => dispatch(['optimiser'], 1, 0.01)),
  ];
  const code = '// line one\n@compute @workgroup_size(64) fn linear_forward() { }\n';
  const bindings = [{ name: 'x', index: 1, kind: 'read' }];
  return {
    phase: 'instruct',
    student: { source: 's', layers: 32, parameters: 1, quantize: 'nf4' },
    adapter: 'acme one',
    software: false,
    tier: 'f32',
    activations: 'keep',
    batch: { sequences: 4, tokens: 100, targets: 40, microBatches: 2 },
    method: 'timestamps',
    resolutionMs: 0.1,
    wallMs: 300,
    sumMs: dispatches.reduce((sum, { ms }) => sum + ms, 0),
    clears: 5,
    copies: 2,
    kernels: [
      { name: 'linear_forward', code, bindings },
      { name: 'linear_forward', code: `// other\n${code}`, bindings },
    ],
    dispatches,
  };
}

const shaders: Awaited<ReturnType<SessionApi['shaderFiles']>> = [
  {
    name: 'softmax',
    family: 'loss',
    kind: 'kernel',
    summary: 'what it does',
    header: 'h',
    code: 'fn softmax() { let hostile = "<img onerror=x>"; }',
  },
  { name: 'rope', family: 'attention', kind: 'prelude', summary: 'turns', header: 'h', code: 'fn rope() {}' },
];

describe('Kernels', () => {
  it('folds 1,500 dispatches by layer, sums them by kernel, and shows source, constants and bindings', async () => {
    const asked: string[] = [];
    const { root, text } = await open('?place=inside&view=kernels&system=self-refine', {
      adapterNorms: () => Promise.resolve(adapters),
      shaderFiles: () => Promise.resolve(shaders),
      profileStep: ({ phase, runId }) => {
        asked.push(`${phase} ${runId}`);
        return Promise.resolve(bigProfile());
      },
    });
    button(root, 'Profile one step').click();
    await settle();
    expect(asked).toEqual(['self-refine r1']);
    expect(root.querySelectorAll('[data-segment]')).toHaveLength(65);
    expect(root.querySelectorAll('.list tbody tr')).toHaveLength(26); // the slowest part is unfolded
    expect(text()).toContain('1500 dispatches');
    expect(text()).toContain('in steps of about 0.100 ms');
    const chosen = root.querySelector<HTMLElement>('[data-segment][aria-pressed=true]')!;
    chosen.dispatchEvent(new KeyboardEvent('keydown', { key: 'Home', bubbles: true }));
    flushSync();
    expect((document.activeElement as HTMLElement).getAttribute('aria-label')).toBe(
      'forward, layer 0: 2.00 ms, 20 dispatches',
    );
    button(root, 'linear_forward').click();
    flushSync();
    expect(root.querySelector('article')!.textContent).toContain('LEFT_STRIDE = 64 (640 dispatches)');
    expect(root.querySelector('article')!.textContent).toContain('1 x (read)');
    expect(root.querySelectorAll('article .line')).toHaveLength(2);
    button(root, 'linear_forward~2').click();
    flushSync();
    expect(root.querySelectorAll('article .line')).toHaveLength(3);
  });

  it('lists the shaders without a run, finds by text, and shows text as text', async () => {
    const { root, text, playground } = await open(
      '?place=inside&view=kernels',
      { shaderFiles: () => Promise.resolve(shaders) },
      false,
    );
    expect(text()).toContain('2 of 2 files');
    playground.address.set({ q: 'hostile' });
    flushSync();
    expect(text()).toContain('1 of 2 files');
    button(root, 'softmax').click();
    flushSync();
    expect(playground.address.get('item')).toBe('softmax');
    expect(root.querySelector('article pre')!.textContent).toContain('<img onerror=x>');
    expect(root.querySelector('article img')).toBeNull();
  });

  it('says in place what is missing', async () => {
    const { root, text } = await open('?place=inside&view=kernels', {
      shaderFiles: () => Promise.resolve(shaders),
      profileStep: () => Promise.reject(new PupilError('storage', 'it made none', 'Profile phase 1.')),
    });
    button(root, 'Profile one step').click();
    await settle();
    expect(root.querySelector('[role=alert]')!.textContent).toContain('it made none');
    expect(text()).toContain('Profile phase 1.');
  });
});

const result = (status: CheckResult['status'], family: string, name: string, detail?: string): CheckResult => {
  return {
    family,
    familyCases: 2,
    kernel: `${family}_forward`,
    name,
    status,
    ...(detail === undefined ? {} : { detail }),
  };
};

describe('Self-check', () => {
  it('counts by family as it goes, stops, and writes a report with every failure', async () => {
    let say: (one: CheckResult) => void = () => undefined;
    let reject: (error: Error) => void = () => undefined;
    const filters: (string | undefined)[] = [];
    const { root, text } = await open('?place=inside&view=check', {
      checkFamilies: () => Promise.resolve(['rmsnorm', 'linear']),
      check: (filter, onResult) => {
        filters.push(filter);
        say = onResult;
        return new Promise((_, no) => (reject = no));
      },
      stop: () => {
        reject(new PupilError('cancelled', 'check: stopped as asked'));
        return Promise.resolve();
      },
    });
    button(root, 'Check this device').click();
    await settle();
    say(result('passed', 'rmsnorm', 'one'));
    say(result('failed', 'rmsnorm', 'two', 'max |Δ| 3 at 7: got ``` and <b>'));
    say(result('skipped', 'linear', 'three', 'needs shader-f16'));
    flushSync();
    expect(text()).toContain('1 passed, 1 failed, 1 skipped');
    expect(root.querySelector('progress')!.value).toBeCloseTo(0.75); // all of rmsnorm, half of linear
    button(root, 'Stop').click();
    await settle();
    expect(filters).toEqual([undefined]);
    expect(root.querySelector('[role=alert]')).toBeNull();
    const report = root.querySelector('.report')!.textContent!;
    expect(report).toContain('stopped · 1 passed, 1 failed, 1 skipped');
    expect(report).toContain('max |Δ| 3 at 7: got ``` and <b>');
    expect(report).toContain('````\nmax'); // a fence that the text cannot close
    expect(report).toContain('- 1 skipped: needs shader-f16');
    expect(report).toContain('| rmsnorm | 1 | 1 | 0 |');
  });

  it('takes a filter of the address', async () => {
    const filters: (string | undefined)[] = [];
    const { root } = await open('?place=inside&view=check&filter=rope', {
      checkFamilies: () => Promise.resolve(['rope']),
      check: (filter, onResult) => {
        filters.push(filter);
        onResult(result('passed', 'rope', 'one'));
        return Promise.resolve({ passed: 1, failed: 0, skipped: 0, adapter: 'acme' });
      },
    });
    button(root, 'Check these').click();
    await settle();
    expect(filters).toEqual(['rope']);
    expect(root.querySelector('.report')!.textContent).toContain('finished, filter "rope" · 1 passed');
  });

  it('reports the device without an address of anything', () => {
    const report: DoctorReport = {
      adapter: {
        vendor: 'acme',
        architecture: 'one',
        device: 'a|b',
        description: '',
        features: ['f', 'g'],
        limits: { maxBufferSize: 7 },
      },
      tier: 'f32',
      tiers: ['f32'],
      software: true,
      storage: { quotaBytes: 123456789, usageBytes: 987654321 },
      crossOriginIsolated: true,
      userAgent: 'Browser/1',
      pupilVersion: '9.8.7',
      problems: [{ problem: 'only software', remedy: 'x' }],
    };
    const text = checkReport({ report, counts: [], failures: [], skips: [], filter: '', state: 'not run' });
    for (const part of [
      'Pupil 9.8.7',
      '| Vendor | acme |',
      'a\\|b',
      '| Features | f, g |',
      '| maxBufferSize | 7 |',
      'Browser/1',
      'only software',
    ]) {
      expect(text).toContain(part);
    }
    expect(text).not.toMatch(/https?:|123456789|987654321/);
  });
});
