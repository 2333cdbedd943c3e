// storedRuns.test.ts: what the page does with runs that this browser keeps: it shows what happened before a resume, takes a
// run for itself while it goes on, leaves those of other tabs alone, and hands out their files.
import { flushSync } from 'svelte';
import { afterEach, describe, expect, it } from 'vitest';
import type { EvaluationRow, StoredRun } from '../../src/session/protocol';
import { button, FakeSession, removePages, settle, show } from './fakePage';

afterEach(removePages);

const RUN: StoredRun = {
  runId: 'smoke-1',
  name: 'Smoke',
  state: 'running',
  phase: 'instruct',
  step: 4,
  updatedAt: '2026-01-02T03:04:05Z',
  sizeBytes: 2048,
};
const ROW: EvaluationRow = {
  system: 'Baseline',
  taskId: 'C',
  prompt: 'cot',
  scorer: 'strict',
  correct: 54,
  n: 100,
  low: 0.443,
  high: 0.635,
  cutOff: 0,
};

/** This browser's own locks, under names of this test only. */
const locks = navigator.locks;

describe('a resumed run', () => {
  it('shows what its checkpoint remembers: phases, curves, rows, pairs and log', async () => {
    const session = new FakeSession();
    const { root, playground, text } = show(session);
    await playground.open();
    flushSync();
    button(root, 'Run').click();
    await settle();
    session.emit({
      type: 'history',
      finished: ['baseline'],
      metrics: [1, 2, 3, 4].map((step) => ({ phase: 'instruct', step, totalSteps: 6, values: { loss: 1 / step } })),
      evaluations: [ROW],
      pairs: { training_pairs: 111 },
      log: [{ level: 'info', message: 'written before' }],
    });
    session.emit({ type: 'metrics', phase: 'instruct', step: 5, totalSteps: 6, values: { loss: 0.2 } });
    await settle();
    const chart = root.querySelector('[role="img"]')?.getAttribute('aria-label');
    expect(chart).toContain('5 steps; last values: loss 0.200');
    expect([...root.querySelectorAll('.phases .finished')].map((one) => one.textContent?.trim())).toEqual([
      'Load',
      'Baselines',
    ]);
    for (const shown of ['Baseline CoT', '44.3 – 63.5', '111', 'written before']) expect(text()).toContain(shown);
  });
});

describe('a run in several tabs', () => {
  it('that rests although its checkpoint says running was interrupted, and can be resumed', async () => {
    const session = new FakeSession();
    session.stored = [RUN];
    const { root, playground, text } = show(session, '', { locks });
    await playground.open();
    flushSync();
    expect(text()).toContain('interrupted · instruction-tuning, step 4');
    expect(button(root, 'Resume Smoke').disabled).toBe(false);
  });

  it('that goes on in another tab is left alone: not resumed, not deleted', async () => {
    const session = new FakeSession();
    session.stored = [RUN];
    let release: () => void = () => undefined;
    const held = locks.request('pupil-run:smoke-1', () => new Promise<void>((resolve) => (release = resolve)));
    await settle();
    const { root, playground, text } = show(session, '', { locks });
    await playground.open();
    flushSync();
    expect(text()).toContain('running in another tab');
    expect(button(root, 'Resume Smoke').disabled).toBe(true);
    expect(button(root, 'Delete Smoke').disabled).toBe(true);
    // Also where the page has not noticed yet: the lock decides.
    playground.stored.remember('smoke-1', {
      experiment: { name: 'Smoke' } as never,
      files: { kind: 'http', base: '' },
    });
    await playground.resumeRun('smoke-1');
    await playground.stored.remove('smoke-1');
    flushSync();
    expect(session.request).toBeUndefined();
    expect(session.stored).toHaveLength(1);
    expect(text()).toContain('another tab');
    release();
    await held;
  });

  it('is held from its start to its end', async () => {
    const session = new FakeSession();
    const { root, playground } = show(session, '?experiment=smoke', { locks });
    await playground.open();
    flushSync();
    const names = async (): Promise<string[]> =>
      ((await locks.query()).held ?? []).map((lock) => lock.name ?? '').filter((name) => name.startsWith('pupil-run:'));
    button(root, 'Run').click();
    await settle();
    expect(await names()).toEqual([`pupil-run:${session.request?.runId}`]);
    session.finish({ state: 'finished' });
    await settle();
    expect(await names()).toEqual([]);
  });
});

describe('the storage in use', () => {
  it('is looked at again after a run, and after one is deleted', async () => {
    const session = new FakeSession();
    let usageBytes = 2 ** 20;
    const report = await session.doctor();
    session.doctor = () => Promise.resolve({ ...(report as object), storage: { quotaBytes: 2 ** 30, usageBytes } });
    const { root, playground, text } = show(session, '?experiment=smoke');
    await playground.open();
    flushSync();
    expect(text()).toContain('of 1.0 GiB, 1.0 MiB taken');
    button(root, 'Run').click();
    await settle();
    usageBytes = 3 * 2 ** 20;
    session.stored = [{ ...RUN, state: 'finished' }];
    session.finish({ state: 'finished' });
    await settle();
    expect(text()).toContain('of 1.0 GiB, 3.0 MiB taken');
    usageBytes = 2 ** 20;
    await playground.removeRun('smoke-1');
    flushSync();
    expect(text()).toContain('of 1.0 GiB, 1.0 MiB taken');
  });
});
