// labLive.test.ts: the Lab's live run over a session that the test controls: every control and its key, the time that is left,
// charts by choice with stored runs laid over them, and the way on after an interruption, a full storage, a lost worker, a
// second tab, a network that is gone.
import { flushSync } from 'svelte';
import { afterEach, describe, expect, it } from 'vitest';
import { guardLeaving } from '../../src/app/lab/leaving';
import type { WorkerNews } from '../../src/app/lab/workerNews';
import { PupilError } from '../../src/base/errors';
import { resolvePaths } from '../../src/config/paths';
import { preset } from '../../src/config/presets';
import type { RunHistory, StoredRun } from '../../src/session/protocol';
import { button, FakeSession, removePages, settle, show } from './fakePage';

afterEach(removePages);

const STORED: StoredRun = {
  runId: 'smoke-1',
  name: 'Smoke',
  state: 'running',
  phase: 'instruct',
  step: 4,
  updatedAt: '2026-01-02T03:04:05Z',
  sizeBytes: 2048,
};
const rows = (losses: readonly number[]): RunHistory['history']['metrics'] =>
  losses.map((loss, i) => ({ phase: 'instruct', step: i + 1, totalSteps: 6, values: { loss, grad_norm: 2 * loss } }));
const HISTORY: RunHistory = {
  experiment: resolvePaths(preset('smoke'), { base: 'experiments' }),
  phase: 'instruct',
  step: 4,
  history: { type: 'history', finished: ['baseline'], metrics: rows([4, 3, 2, 1]), evaluations: [], log: [] },
  shown: [],
};

class LiveSession extends FakeSession {
  histories: Record<string, RunHistory> = {};
  stopAtPhaseEnd = (on: boolean): Promise<void> => {
    this.calls.push(`stopAtPhaseEnd ${on}`);
    return Promise.resolve();
  };
  runHistory = (runId: string): Promise<RunHistory | undefined> => Promise.resolve(this.histories[runId]);
}

type More = Parameters<typeof show>[2];

async function page(session = new LiveSession(), query = '?place=lab&experiment=smoke', more: More = {}) {
  const shown = show(session, query, more);
  await shown.playground.open();
  flushSync();
  return { session, ...shown };
}

async function started(session?: LiveSession, query?: string, more?: More) {
  const all = await page(session, query, more);
  button(all.root, 'Run').click();
  await settle();
  return all;
}

const has = (root: HTMLElement, name: string): boolean =>
  [...root.querySelectorAll('button')].some((one) => one.innerText.trim() === name);
const press = (key: string, target: EventTarget = document.body): void => {
  target.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true }));
  flushSync();
};

describe('the run controls', () => {
  it('act by key as by button, in an order that makes sense, and not while somebody types', async () => {
    const { session, root } = await page();
    press('r');
    await settle();
    expect(session.request?.runId).toContain('smoke');
    press('s'); // only while paused
    press('r', root.querySelector('input')!); // typing
    expect(session.calls).toEqual([]);
    press('r');
    await settle();
    press('s');
    await settle();
    press('e');
    await settle();
    expect(button(root, 'Stop at phase end').getAttribute('aria-pressed')).toBe('true');
    press('e');
    await settle();
    press('r');
    press('x');
    await settle();
    expect(session.calls).toEqual(['pause', 'step', 'stopAtPhaseEnd true', 'stopAtPhaseEnd false', 'resume', 'stop']);
  });

  it('can be had without keys, for who works by voice', async () => {
    const { session, root, playground } = await started();
    root.querySelector<HTMLInputElement>('.panel details input[type="checkbox"]')!.click();
    flushSync();
    press('r');
    await settle();
    expect(session.calls).toEqual([]);
    expect(button(root, 'Pause').hasAttribute('aria-keyshortcuts')).toBe(false);
    expect(playground.run.state).toBe('running');
    localStorage.removeItem('pupil-run-keys');
  });

  it('say that a pause waits for the batch under way, and let it be taken back', async () => {
    const session = new LiveSession();
    session.pause = () => {
      session.calls.push('pause');
      return Promise.resolve(); // the batch takes a while
    };
    const { root, text } = await started(session);
    button(root, 'Pause').click();
    await settle();
    expect(text()).toContain('pausing: the present step or batch is finished and saved first');
    button(root, 'Pausing …').click();
    await settle();
    expect(session.calls).toEqual(['pause', 'resume']);
    expect(has(root, 'Pause')).toBe(true);
  });
});

describe('the time that is left', () => {
  it('is measured before it is said, for the phase and for the whole run', async () => {
    const { session, root, playground, text } = await started();
    const work = { trainedTokens: 600, forwardTokens: 0 };
    session.emit({
      type: 'plan',
      work: [
        { phase: 'instruct', unit: 'steps', count: 6, ...work },
        { phase: 'evaluate', unit: 'answers', count: 16, trainedTokens: 0, forwardTokens: 900 },
      ],
    });
    session.emit({ type: 'phase', phase: 'instruct', state: 'start' });
    flushSync();
    expect(text()).toContain('measuring …');
    const report = (done: number): void =>
      session.emit({ type: 'progress', progress: { task: 'instruct', done, total: 6, unit: 'steps' } });
    report(1);
    await new Promise((resolve) => setTimeout(resolve, 60));
    report(2);
    flushSync();
    expect(text()).toMatch(/about (less than a second|1 s) left/);
    expect(text()).toMatch(/at least .* left; still to be measured: (evaluate|Evaluation)/);
    const whole = root.querySelector<HTMLProgressElement>('[aria-label="Progress of the whole run"]')!;
    expect(whole.value).toBeGreaterThan(0);
    expect(whole.value).toBeLessThan(2 / 6);
    for (const done of [3, 4, 5, 6]) report(done);
    session.emit({ type: 'phase', phase: 'instruct', state: 'end' });
    expect(playground.run.clock.run?.unknown).toEqual(['evaluate answers']);
  });

  it('bytes on the GPU are shown with their parts', async () => {
    const { session, text } = await started();
    session.emit({
      type: 'memory',
      totalBytes: 3 * 2 ** 20,
      peakBytes: 4 * 2 ** 20,
      parts: [
        ['student', 2 * 2 ** 20],
        ['adapter', 2 ** 20],
      ],
    });
    flushSync();
    for (const words of ['3.0 MiB', '4.0 MiB', 'student’s weights 2.0 MiB', 'adapter 1.0 MiB'])
      expect(text()).toContain(words);
  });
});

describe('the charts', () => {
  const titles = (root: HTMLElement): string[] => [...root.querySelectorAll('figcaption')].map((one) => one.innerText);

  it('are those of every metric that came, as far as they are chosen in the address, with a table behind each', async () => {
    const { session, root, playground, text } = await started();
    session.emit({
      type: 'metrics',
      phase: 'self-refine',
      step: 1,
      totalSteps: 2,
      values: { loss: 0.69, 'rewards/chosen': 0.1, 'rewards/margins': 0.2, 'logps/chosen': -9, epoch: 1, odd: 7 },
    });
    await settle();
    expect(titles(root)).toEqual(['Loss', 'Rewards', 'Log-probability of the answers']);
    playground.address.set({ metric: 'rewards,odd' });
    await settle();
    expect(titles(root)).toEqual(['Rewards', 'odd']);
    playground.address.set({ metric: 'loss', scale: 'log', smooth: '0.9' });
    await settle();
    expect(titles(root)).toEqual(['Loss, logarithmic, smoothed']);
    root.querySelector<HTMLElement>('.metric summary')!.click();
    await settle();
    expect([...root.querySelectorAll('.metric .rows td')].map((cell) => (cell as HTMLElement).innerText)).toEqual([
      '1',
      '0.69',
    ]);
    const boxes = [...root.querySelectorAll<HTMLInputElement>('.choice fieldset input')];
    root.querySelector<HTMLDetailsElement>('.choice details')!.open = true;
    boxes[1]!.click();
    await settle();
    expect(playground.address.get('metric')).toBe('loss,rewards');
    expect(text()).toContain('rewards/chosen, rewards/margins');
  });

  it('have stored runs laid over them, from the address, told apart by their stroke and named; a run that is not here is said', async () => {
    const session = new LiveSession();
    session.stored = [
      { ...STORED, runId: 'old', name: 'Old', state: 'finished' },
      { ...STORED, runId: 'cut', name: 'Cut short', state: 'failed' },
    ];
    session.artefacts = {
      'metrics.jsonl': new TextEncoder().encode(
        rows([9, 8])
          .map((row) => JSON.stringify({ ...row, values: undefined, ...row.values }))
          .join('\n'),
      ),
    };
    session.histories = { cut: HISTORY };
    const { root, text, playground } = await page(session, '?place=lab&overlay=old,cut,elsewhere');
    session.artefact = () => Promise.reject(new PupilError('storage', 'none'));
    await settle();
    await settle();
    expect(text()).toContain('Old, unbroken');
    expect(text()).toContain('Cut short, dashed');
    expect(text()).toContain('This browser has no run elsewhere');
    const chart = root.querySelector('[role="img"]')?.getAttribute('aria-label') ?? '';
    expect(chart).toContain('4 steps');
    expect(chart).toContain('loss · Old 8.00');
    expect(chart).toContain('loss · Cut short 1.00');
    button(root, 'Take Old out of the charts').click();
    await settle();
    expect(playground.address.get('overlay')).toBe('cut,elsewhere');
  });
});

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

describe('state that outlives its place', () => {
  it('goes on deriving after the component that asked for it is gone', async () => {
    const { playground } = await page();
    const part = playground.part('run-controls', () => ({ mode: '' }));
    removePages();
    expect(part.mode).toBe('idle');
    void playground.startRun();
    await settle();
    expect(part.mode).toBe('running');
  });
});
