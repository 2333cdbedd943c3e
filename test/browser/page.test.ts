// page.test.ts: the page itself, mounted with a session that the test controls: it is alive before anything has answered,
// says what to do without a GPU, runs, pauses, shows what arrives, and never takes text of a model for markup.
import { flushSync } from 'svelte';
import { afterEach, describe, expect, it } from 'vitest';
import { findPicked, fromFileList, readPicked } from '../../src/app/pickedFiles';
import { PupilError } from '../../src/base/errors';
import { preset } from '../../src/config/presets';
import { prototypeSmoke } from '../fixtures/prototypeSmoke';
import { resolvePaths } from '../../src/config/paths';
import { button, FakeSession, removePages, settle, show } from './fakePage';

afterEach(removePages);

describe('the page', () => {
  it('is alive before the session has answered anything', () => {
    const never = (): Promise<never> => new Promise(() => undefined);
    const { root, playground, text } = show({ open: never, doctor: never, listRuns: never });
    void playground.open();
    flushSync();
    expect(text()).toContain('Pupil');
    expect(text()).toContain('looking for a GPU');
    expect(root.querySelector<HTMLSelectElement>('[aria-labelledby="experiment-title"] select')?.value).toBe('lesson');
    expect(text()).toContain('scripted teacher');
    expect(button(root, 'Run').disabled).toBe(true);
  });

  it('shows which kernel variants the device computes with, and whence that is known', async () => {
    const session = new FakeSession();
    const variants = {
      source: 'remembered',
      reason: 'measured on this adapter before',
      choice: { forward_few_rows: 'few_rows', backward_input: 'tiled' },
      milliseconds: { backward_input: { tiled: 0.5, register: 2 } },
      autoTier: { tier: 'f32', reason: 'no shader-f16' },
    };
    const plain = session.doctor;
    session.doctor = async () => ({ ...((await plain()) as object), variants });
    const { root, playground, text } = show(session);
    await playground.open();
    flushSync();
    expect(text()).toContain('remembered (measured on this adapter before)');
    root.querySelector<HTMLDetailsElement>('[aria-labelledby="device-title"] details')!.open = true;
    expect(text()).toContain('backward input: tiled (tiled 0.5 ms, register 2 ms)');
    expect(text()).toContain('tier auto: f32 (no shader-f16)');
  });

  it('says what to do where there is no WebGPU, and tries again when asked', async () => {
    const session = new FakeSession();
    let tries = 0;
    session.open = () => {
      tries++;
      return tries > 1
        ? Promise.resolve()
        : Promise.reject(new PupilError('gpu-unavailable', 'WebGPU: no adapter was found', 'hint'));
    };
    const { root, playground, text } = show(session);
    await playground.open();
    flushSync();
    expect(text()).toContain('This browser gives no usable GPU');
    expect(text()).toContain('WebGPU: no adapter was found');
    expect(text()).toMatch(/chrome:\/\/flags\/#enable-unsafe-webgpu/);
    expect(button(root, 'Run').disabled).toBe(true);
    button(root, 'Try again').click();
    await settle();
    expect(text()).not.toContain('no usable GPU');
    expect(button(root, 'Run').disabled).toBe(false);
  });

  it('runs the chosen experiment from the files served with it, pauses, steps, resumes, stops', async () => {
    const session = new FakeSession();
    const { root, playground, text } = show(session, '?experiment=smoke&seed=7');
    await playground.open();
    flushSync();
    button(root, 'Run').click();
    await settle();
    expect(session.request?.runId).toBe('smoke-20260102030405000');
    expect(session.request?.experiment).toMatchObject({
      seed: 7,
      student: { source: { kind: 'bundled', name: 'lesson' } },
    });
    expect(session.request?.files).toEqual({ kind: 'http', base: `${location.origin}/` });
    session.emit({ type: 'phase', phase: 'instruct', state: 'start' });
    session.emit({ type: 'progress', progress: { task: 'instruct', done: 2, total: 6, unit: 'steps' } });
    flushSync();
    expect(root.querySelector('[aria-label="Phases of the run"] [aria-current="step"]')?.textContent?.trim()).toBe(
      'Instruction-tuning',
    );
    expect(text()).toContain('instruct: 2 of 6 steps');
    for (const [name, next] of [
      ['Pause', 'Resume'],
      ['Step', 'Resume'],
      ['Resume', 'Pause'],
    ] as const) {
      button(root, name).click();
      await settle();
      expect(button(root, next)).toBeDefined();
    }
    button(root, 'Stop now').click();
    session.finish({ state: 'stopped' });
    await settle();
    expect(session.calls).toEqual(['pause', 'step', 'resume', 'stop']);
    expect(button(root, 'Run').disabled).toBe(false);
  });

  it('shows curves, rows with n and interval, pairs, samples and log as they arrive', async () => {
    const session = new FakeSession();
    const { root, playground, text } = show(session);
    await playground.open();
    flushSync();
    button(root, 'Run').click();
    await settle();
    for (let step = 1; step <= 5; step++) {
      session.emit({
        type: 'metrics',
        phase: 'instruct',
        step,
        totalSteps: 5,
        values: { loss: 1 / step, gpu_bytes: 2 ** 21 },
      });
    }
    session.emit({ type: 'pairs', counts: { training_pairs: 111 } });
    session.emit({
      type: 'evaluation',
      row: {
        system: 'Baseline',
        taskId: 'C',
        prompt: 'cot',
        scorer: 'strict',
        correct: 54,
        n: 100,
        low: 0.443,
        high: 0.635,
        cutOff: 0,
      },
    });
    session.emit({
      type: 'sample',
      system: 'Baseline',
      taskId: 'C',
      prompt: 'Question',
      text: '<img src=x onerror="window.hacked=true"><b>bold</b>',
      target: 'B',
      correct: false,
    });
    session.emit({ type: 'log', level: 'warning', message: 'three items were left out' });
    await settle();
    await settle();
    expect(root.querySelector('.uplot canvas')).not.toBeNull();
    expect(root.querySelector('[role="img"]')?.getAttribute('aria-label')).toContain(
      '5 steps; last values: loss 0.200',
    );
    expect(text()).toContain('Baseline CoT');
    expect(text()).toContain('44.3 – 63.5');
    expect(text()).toContain('111');
    expect(text()).toContain('✗ wrong');
    expect(text()).toContain('<img src=x');
    expect(root.querySelector('img')).toBeNull();
    expect((window as unknown as { hacked?: boolean }).hacked).toBeUndefined();
    expect(text()).toContain('three items were left out');
    expect(text()).toContain('2.0 MiB');
    session.finish({ state: 'failed', error: { code: 'training', message: 'loss is NaN', hint: 'Lower the rate.' } });
    await settle();
    expect(text()).toContain('loss is NaN');
    expect(text()).toContain('Lower the rate.');
  });

  it('lists stored runs, resumes with the experiment they were started with, deletes after a second click', async () => {
    const session = new FakeSession();
    const { root, playground, text } = show(session, '?experiment=smoke');
    await playground.open();
    await playground.stored.refresh();
    flushSync();
    button(root, 'Run').click();
    await settle();
    const first = session.request;
    session.stored = [
      {
        runId: first?.runId ?? '',
        name: 'Smoke',
        state: 'stopped',
        phase: 'instruct',
        step: 4,
        updatedAt: '2026-01-02T03:04:05Z',
        sizeBytes: 2048,
      },
    ];
    session.finish({ state: 'stopped' });
    await settle();
    expect(text()).toContain('instruction-tuning, step 4');
    button(root, 'Resume Smoke').click();
    await settle();
    expect(session.request).toEqual({ ...first, resume: true });
    session.finish({ state: 'stopped' });
    await settle();
    button(root, 'Delete Smoke').click();
    await settle();
    expect(text()).toContain('cannot be undone');
    button(root, 'Delete for good').click();
    await settle();
    expect(text()).not.toContain('instruction-tuning, step 4');
  });

  it('asks for data where an experiment needs it, and names what a picked folder lacks', async () => {
    const session = new FakeSession();
    const { root, playground, text } = show(session, '?experiment=multiarith-story-llama');
    await playground.open();
    flushSync();
    expect(text()).toContain('pick its data folder');
    expect(button(root, 'Run').disabled).toBe(true);
    playground.experiments.picked = fromFileList([new File(['x'], 'other.txt')]);
    flushSync();
    expect(button(root, 'Run').disabled).toBe(false);
    button(root, 'Run').click();
    await settle();
    expect(text()).toContain('multiarith_1.json');
    expect(session.request).toBeUndefined();
  });

  it('names what is wrong with an experiment file of one’s own', async () => {
    const { root, playground, text } = show(new FakeSession());
    await playground.open();
    await playground.experiments.takeFile(new File(['{"name": "mine", "sed": 1}'], 'mine.json'));
    flushSync();
    expect(text()).toContain('The experiment has problems');
    expect(text()).toContain('sed');
    expect(button(root, 'Run').disabled).toBe(true);
    await playground.experiments.takeFile(new File(['{"name"'], 'broken.json'));
    flushSync();
    expect(text()).toContain('broken.json: expected JSON');
  });

  it('names every control and never grows wider than its window', async () => {
    const { root, playground } = show(new FakeSession());
    await playground.open();
    flushSync();
    for (const control of root.querySelectorAll<HTMLElement>('button, select, input')) {
      const label = control.closest('label')?.textContent ?? '';
      // Not innerText: what is folded away has none. The options of a select are not its name.
      const own = control.tagName === 'BUTTON' ? control.textContent : '';
      expect(`${own}${control.getAttribute('aria-label') ?? ''}${label}`.trim(), control.outerHTML).not.toBe('');
    }
    for (const section of root.querySelectorAll('section')) {
      const title = document.getElementById(section.getAttribute('aria-labelledby') ?? '');
      expect(section.ariaLabel ?? title?.textContent?.trim() ?? '', section.outerHTML.slice(0, 200)).not.toBe('');
    }
    expect(document.documentElement.scrollWidth).toBeLessThanOrEqual(window.innerWidth);
  });

  it('names, notes and labels of any length stay within the window', async () => {
    const session = new FakeSession();
    const long = 'Averylongnamewithoutanyspace'.repeat(12);
    session.stored = [
      {
        runId: 'r',
        name: long,
        state: 'stopped',
        phase: 'instruct',
        step: 1,
        updatedAt: '2026-01-02T03:04:05Z',
        sizeBytes: 1,
      },
    ];
    const { root, playground } = show(session);
    await playground.open();
    const smoke = preset('smoke');
    const named = {
      ...smoke,
      name: long,
      notes: long,
      demonstrations: smoke.demonstrations.map((entry) => ({ ...entry, label: long })),
    };
    await playground.experiments.takeFile(new File([JSON.stringify(named)], `${long}.json`));
    flushSync();
    button(root, 'Run').click();
    await settle();
    session.emit({ type: 'log', level: 'info', message: long });
    session.emit({ type: 'progress', progress: { task: long, done: 1, total: 2, unit: 'steps' } });
    session.finish({ state: 'failed', error: { code: 'source', message: `${long}: not there`, hint: long } });
    await settle();
    expect(root.innerText).toContain(long);
    expect(document.documentElement.scrollWidth).toBeLessThanOrEqual(window.innerWidth);
  });

  it('the keyboard keeps its place when Run becomes Pause and Pause becomes Resume', async () => {
    const session = new FakeSession();
    const { root, playground } = show(session, '?experiment=smoke');
    await playground.open();
    flushSync();
    button(root, 'Run').focus();
    for (const [now, next] of [
      ['Run', 'Pause'],
      ['Pause', 'Resume'],
      ['Resume', 'Pause'],
    ] as const) {
      (document.activeElement as HTMLElement).click();
      await settle();
      expect((document.activeElement as HTMLElement).innerText.trim(), `after ${now}`).toBe(next);
    }
  });
});

describe('picked files', () => {
  it('are found by the longest tail of their path that fits one place', () => {
    const paths = [
      'data/weights/a/config.json',
      'data/weights/a/model.safetensors',
      'data/b/train.json',
      'data/c/train.json',
    ];
    expect(findPicked('b/train.json', paths)).toEqual([{ picked: 'data/b/train.json', as: 'b/train.json' }]);
    expect(findPicked('x/weights/a', paths)).toEqual([
      { picked: 'data/weights/a/config.json', as: 'x/weights/a/config.json' },
      { picked: 'data/weights/a/model.safetensors', as: 'x/weights/a/model.safetensors' },
    ]);
    expect(findPicked('d/train.json', paths)).toBeUndefined(); // two candidates: neither is taken
    expect(findPicked('none.json', paths)).toBeUndefined();
  });

  it('are read under the names that the experiment uses', async () => {
    const experiment = resolvePaths(prototypeSmoke(), { base: 'experiments' });
    const picked = [
      ['student-p10/config.json', '{}'],
      ['student-p10/model.safetensors', 'w'],
      ['vocab.json', '[]'],
      ['task-C-train-in-seed0.jsonl', 'a'],
      ['task-C-test.jsonl', 'b'],
    ].map(([path = '', text = '']) => ({
      path,
      blob: new Blob([text]),
    }));
    const root = readPicked(experiment, picked);
    expect(root.kind === 'blobs' ? Object.keys(root.files).sort() : []).toEqual([
      'test/fixtures/lesson/student-p10/config.json',
      'test/fixtures/lesson/student-p10/model.safetensors',
      'test/fixtures/lesson/task-C-test.jsonl',
      'test/fixtures/lesson/task-C-train-in-seed0.jsonl',
      'test/fixtures/lesson/vocab.json',
    ]);
  });
});
