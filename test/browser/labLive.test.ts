// labLive.test.ts: the Lab's live run over a session that the test controls: every control and its key, the time that is left, charts by
// choice with stored runs laid over them. What interrupts it is labInterrupted.test.ts.
import { flushSync } from 'svelte';
import { afterEach, describe, expect, it } from 'vitest';
import { PupilError } from '../../src/base/errors';
import { button, removePages, settle } from './fakePage';
import { has, HISTORY, LiveSession, page, press, rows, started, STORED } from './livePage';

afterEach(removePages);

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
