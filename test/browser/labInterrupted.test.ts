// labInterrupted.test.ts: the way on after what breaks into a live run of the Lab: a reload, a second tab, a page that is left, a full
// storage, a lost device or worker, a network that is gone.
import { flushSync } from 'svelte';
import { afterEach, describe, expect, it } from 'vitest';
import { guardLeaving } from '../../src/app/lab/leaving';
import type { WorkerNews } from '../../src/app/lab/workerNews';
import { PupilError } from '../../src/base/errors';
import { button, removePages, settle } from './fakePage';
import { has, HISTORY, LiveSession, page, started, STORED } from './livePage';

afterEach(removePages);

describe('an interruption', () => {
  const memoryWith = (entries: Record<string, string>) => {
    const kept = new Map(Object.entries(entries));
    return {
      kept,
      memory: {
        getItem: (key: string) => kept.get(key) ?? null,
        setItem: (key: string, value: string) => void kept.set(key, value),
        removeItem: (key: string) => void kept.delete(key),
      },
    };
  };
  const NOTE = JSON.stringify([{ runId: 'smoke-1', name: 'Smoke' }]);

  it('by a reload is offered to be gone on with, with the curves of what was there', async () => {
    const session = new LiveSession();
    session.stored = [STORED];
    session.histories = { 'smoke-1': HISTORY };
    const { memory, kept } = memoryWith({ 'pupil-going-on': NOTE });
    const { root, text, playground } = await page(session, '?place=lab', { memory });
    await settle();
    expect(text()).toContain('The run “Smoke” was interrupted');
    button(root, 'Show what was there').click();
    await settle();
    expect(root.querySelector('[role="img"]')?.getAttribute('aria-label')).toContain('4 steps; last values: loss 1.00');
    button(root, 'Resume it').click();
    await settle();
    // Its experiment was in its checkpoint: this browser's short memory had lost it.
    expect(session.request).toMatchObject({ runId: 'smoke-1', resume: true, experiment: HISTORY.experiment });
    expect(text()).not.toContain('was interrupted');
    session.finish({ state: 'finished' });
    await settle();
    expect(kept.has('pupil-going-on')).toBe(false);
    expect(playground.interrupted.runs).toEqual([]);
  });

  it('is none while another tab goes on with the run, and becomes one when that tab ends', async () => {
    const { memory } = memoryWith({ 'pupil-going-on': NOTE });
    let release: () => void = () => undefined;
    const held = navigator.locks.request(
      'pupil-run:smoke-1',
      () => new Promise<void>((resolve) => (release = resolve)),
    );
    await settle();
    const session = new LiveSession();
    session.stored = [STORED];
    session.histories = { 'smoke-1': HISTORY };
    const { root, text, playground } = await page(session, '?place=lab', { memory, locks: navigator.locks });
    await playground.showRun('smoke-1');
    await settle();
    expect(text()).not.toContain('was interrupted');
    expect(text()).toContain('This run goes on in another tab of this browser');
    expect(button(root, 'Resume this run').disabled).toBe(true);
    release();
    await held;
    await expect.poll(() => (flushSync(), text()), { timeout: 8000 }).toContain('was interrupted');
    await expect.poll(() => (flushSync(), button(root, 'Resume this run').disabled), { timeout: 8000 }).toBe(false);
    expect(text()).not.toContain('goes on in another tab');
  });

  it('by leaving the page is asked about, with a checkpoint written meanwhile; without a run nothing is asked', async () => {
    const { session, playground } = await page();
    const target = new EventTarget() as unknown as Window;
    const end = guardLeaving(playground.run, target);
    const leave = (): boolean => !target.dispatchEvent(new Event('beforeunload', { cancelable: true }));
    expect(leave()).toBe(false);
    void playground.startRun();
    await settle();
    expect(leave()).toBe(true);
    await settle();
    expect(session.calls).toEqual(['pause', 'resume']); // saved; and the person stayed
    end();
    expect(leave()).toBe(false);
  });

  it('keeps the screen awake while a run goes on, and not longer; a person can switch that off', async () => {
    let held = 0;
    const wakeLocks = {
      request: () => {
        held++;
        return Promise.resolve({ release: () => (held--, Promise.resolve()), addEventListener: () => undefined });
      },
    };
    const { playground, text } = await page(undefined, undefined, { wakeLocks });
    expect(text()).toContain('Keep this screen awake');
    await playground.awake.follow(true);
    expect(held).toBe(1);
    playground.awake.want(false);
    await settle();
    expect(held).toBe(0);
    await playground.awake.follow(true);
    expect(held).toBe(0);
    playground.awake.want(true);
    await settle();
    expect(held).toBe(1);
    await playground.awake.follow(false);
    expect(held).toBe(0);
  });
});

describe('what goes wrong in a run', () => {
  async function failed(
    error: { code: 'storage-full' | 'gpu-device-lost' | 'training'; message: string },
    kept = true,
  ) {
    const all = await started();
    const { session } = all;
    const own = { ...STORED, runId: session.request!.runId };
    session.stored = [...(kept ? [own] : []), { ...STORED, runId: 'old', name: 'Old one', state: 'finished' }];
    session.finish({ state: 'failed', error });
    await settle();
    return all;
  }

  it('storage full: what can be deleted is here, and then it goes on', async () => {
    const { session, root, text } = await failed({ code: 'storage-full', message: 'the browser has no room left' });
    expect(text()).toContain('the browser has no room left');
    expect(text()).toContain('1.0 MiB of 1.0 GiB');
    button(root, 'Delete the run Old one').click();
    await settle();
    button(root, 'Delete the run Old one').click();
    await settle();
    expect(session.stored.map(({ name }) => name)).toEqual(['Smoke']);
    const first = session.request;
    button(root, 'Resume, with the room made').click();
    await settle();
    expect(session.request).toEqual({ ...first, resume: true });
  });

  it('device lost: the checkpoint is named, and a new device offered; without a checkpoint, a new start', async () => {
    const { root, text } = await failed({ code: 'gpu-device-lost', message: 'GPU device lost (destroyed)' });
    expect(text()).toContain('GPU device lost (destroyed)');
    expect(text()).toContain('Its checkpoint of instruct, step 4, is kept');
    expect(has(root, 'Resume on a new device')).toBe(true);
    removePages();
    const none = await failed({ code: 'gpu-device-lost', message: 'GPU device lost' }, false);
    expect(none.text()).toContain('It ended before its first checkpoint');
    expect(has(none.root, 'Start again')).toBe(true);
    removePages();
    // What is wrong with the experiment itself is not mended by going on.
    const wrong = await failed({ code: 'training', message: 'loss is NaN' });
    expect(has(wrong.root, 'Resume on a new device')).toBe(false);
  });

  it('worker gone: said on the page, and the run goes on in another one; silent for long: it can be given up', async () => {
    let tell: (news: WorkerNews) => void = () => undefined;
    let replaced = 0;
    const worker = { onNews: (listener: typeof tell) => void (tell = listener), replace: () => void replaced++ };
    const session = new LiveSession();
    const { run } = session;
    let fail: (error: Error) => void = () => undefined;
    session.run = (request, onEvent) =>
      Promise.race([run(request, onEvent), new Promise<never>((_, reject) => (fail = reject))]);
    const { root, text, playground } = await started(session, undefined, { worker });
    tell({ kind: 'silent', seconds: 90 });
    flushSync();
    expect(text()).toContain('The session has not answered for 1 min 30 s');
    button(root, 'Give it up and start another').click();
    expect(replaced).toBe(1);
    session.stored = [{ ...STORED, runId: session.request!.runId }];
    const error = new PupilError('browser', 'worker: the session’s worker failed', 'What is stored is still there.');
    tell({ kind: 'lost', error });
    fail(error);
    await settle();
    expect(text()).not.toContain('has not answered');
    expect(text()).toContain('The session ended unexpectedly');
    expect(playground.device.status).toBe('asleep');
    const first = session.request;
    button(root, 'Resume “Smoke” in a new one').click();
    await settle();
    expect(session.request).toEqual({ ...first, resume: true });
    expect(text()).not.toContain('The session ended unexpectedly');
    expect(playground.device.status).toBe('ready');
  });

  it('offline: a run that computes needs no network, and says so', async () => {
    const { session, text } = await started();
    session.emit({ type: 'phase', phase: 'instruct', state: 'start' });
    window.dispatchEvent(new Event('offline'));
    flushSync();
    expect(text()).toContain('The run needs nothing of the network and goes on');
    session.emit({ type: 'phase', phase: 'load', state: 'start' });
    flushSync();
    expect(text()).toContain('a download that breaks off can be resumed at its last byte');
    window.dispatchEvent(new Event('online'));
    flushSync();
    expect(text()).not.toContain('offline');
  });
});
