// lesson.test.ts: the Lesson place over a session that the test controls: the pipeline before anything has loaded and of a live run,
// and texts that mean harm. Earlier runs and the recording are lessonPast.test.ts.
import { flushSync } from 'svelte';
import { afterEach, describe, expect, it } from 'vitest';
import { STAGES } from '../../src/app/lesson/stages';
import type { SessionEvent } from '../../src/session/protocol';
import { button, removePages, settle } from './fakePage';
import {
  demonstration,
  HOSTILE,
  LessonSession,
  pair,
  panel,
  row,
  sampled,
  show,
  showOf,
  stageTitle,
  started,
  tell,
} from './lessonPage';

afterEach(removePages);

describe('before anything has loaded', () => {
  it('shows every stage with something in it, and asks nothing of the session', () => {
    const session = new LessonSession();
    const page = show(session);
    for (const { label } of STAGES) {
      const at = [...panel(page.root).querySelectorAll<HTMLButtonElement>('ol button')].find((one) =>
        one.innerText.includes(label),
      )!;
      at.click();
      flushSync();
      expect(stageTitle(page.root)).toContain(label);
      expect(panel(page.root).querySelector<HTMLElement>('.body')!.innerText.length).toBeGreaterThan(60);
      expect(panel(page.root).querySelector('math')).not.toBeNull();
    }
    expect(session.opened).toBe(0);
    expect(page.playground.address.get('view')).toBe('evaluate');
  });
});

describe('a run that goes on', () => {
  it('begins with one click, goes through the stages as the run does, and can be paused, stepped and stopped', async () => {
    const { session, page } = await started('?seed=5');
    expect(session.request!.experiment).toMatchObject({ name: 'The lesson', seed: 5 });
    const seen: string[] = [];
    const look = (...events: SessionEvent[]): void => {
      tell(session, ...events);
      seen.push(stageTitle(page.root));
    };
    look({ type: 'state', state: 'running' }, { type: 'phase', phase: 'load', state: 'start' });
    look(
      demonstration(0, 'It is 7.'),
      { type: 'phase', phase: 'baseline', state: 'start' },
      row('Baseline', 'plain', 12),
    );
    look(
      { type: 'phase', phase: 'instruct', state: 'start' },
      { type: 'metrics', phase: 'instruct', step: 1, totalSteps: 9, values: { loss: 0.5 } },
    );
    look(
      { type: 'phase', phase: 'generate-pairs', state: 'start' },
      sampled('y', 0, 'It is 8.'),
      sampled('y-hat', 0, 'So it is 7.'),
    );
    const body = (): string => panel(page.root).querySelector<HTMLElement>('.body')!.innerText;
    expect(body()).toContain('It is 8.');
    expect(panel(page.root).querySelector('mark')!.innerText).toBe('7');
    expect(body()).toContain('reaches the target');
    look({ type: 'pairs', counts: { prompts: 3, pairs: 3, teacher_fallback: 0, identical_skipped: 0 } }, pair(0));
    expect(body()).toContain('although it is right');
    tell(session, { type: 'phase', phase: 'self-refine', state: 'start' });
    expect(stageTitle(page.root)).toBe('5 Pairs'); // they are scored for the reference
    look({
      type: 'metrics',
      phase: 'self-refine',
      step: 1,
      totalSteps: 4,
      values: {
        loss: 0.69,
        'rewards/chosen': 0.2,
        'rewards/rejected': -0.3,
        'rewards/margins': 0.5,
        'rewards/accuracies': 1,
      },
    });
    expect(body()).toContain('0.50');
    look(
      { type: 'phase', phase: 'evaluate', state: 'start' },
      row('Baseline', 'cot', 15),
      row('Instruction-tuned', 'cot', 50),
      row('Self-refined', 'cot', 87),
    );
    expect(seen).toEqual([
      '1 Teacher',
      '2 Demonstrations',
      '3 Instruct',
      '4 Sample y and ŷ',
      '5 Pairs',
      '6 Refine',
      '7 Evaluate',
    ]);
    const bars = [...panel(page.root).querySelectorAll('.tasks tbody tr')].map((one) =>
      one.textContent!.replace(/\s+/g, ' ').trim(),
    );
    expect(bars.map((text) => /^(.*?) (\d+)/.exec(text)!.slice(1))).toEqual([
      ['Baseline', '12'],
      ['Baseline CoT', '15'],
      ['Instruction-tuned', '50'],
      ['Self-refined', '87'],
    ]);
    for (const name of ['Pause', 'Stop now']) expect(button(panel(page.root), name).disabled).toBe(false);
    button(panel(page.root), 'Pause').click();
    await settle();
    button(panel(page.root), 'Step').click();
    await settle();
    button(panel(page.root), 'Stop now').click();
    await settle();
    expect(session.calls).toEqual(['pause', 'step', 'stop']);
  });

  it('tells the session how fast to go, once it runs', async () => {
    const { session, page } = await started('?speed=slow');
    tell(session, { type: 'state', state: 'running' });
    await settle();
    expect(session.paces).toEqual([800]);
    const speed = panel(page.root).querySelector<HTMLSelectElement>('.speed select')!;
    speed.value = '';
    speed.dispatchEvent(new Event('change', { bubbles: true }));
    await settle();
    expect(session.paces).toEqual([800, 0]);
    expect(page.playground.address.get('speed')).toBe('');
  });

  it('keeps looking at the stage that a person chose, and follows again when told', async () => {
    const { session, page } = await started();
    tell(session, { type: 'state', state: 'running' }, demonstration(0, 'x'), {
      type: 'phase',
      phase: 'instruct',
      state: 'start',
    });
    showOf(page).look('demonstrations');
    flushSync();
    tell(session, { type: 'phase', phase: 'generate-pairs', state: 'start' });
    expect(stageTitle(page.root)).toBe('2 Demonstrations');
    button(panel(page.root), 'Back to the present stage: Sample y and ŷ').click();
    flushSync();
    expect(stageTitle(page.root)).toBe('4 Sample y and ŷ');
  });

  it('shows texts that mean harm as text, and stays as wide as it is', async () => {
    const { session, page } = await started();
    const texts = [HOSTILE, 'word'.repeat(250_000), 'الإجابة هي ٧ ثم 7', '👩‍👩‍👧'.repeat(200)];
    tell(session, { type: 'state', state: 'running' }, { type: 'phase', phase: 'baseline', state: 'start' });
    tell(session, ...texts.map((text, i) => demonstration(i, text, texts.length)));
    const width = document.documentElement.scrollWidth;
    for (let i = 0; i < texts.length; i++) {
      button(panel(page.root), 'Next demonstration').click();
      flushSync();
      expect(document.documentElement.scrollWidth).toBeLessThanOrEqual(Math.max(width, innerWidth));
    }
    tell(
      session,
      { type: 'phase', phase: 'generate-pairs', state: 'start' },
      sampled('y', 0, HOSTILE),
      sampled('y-hat', 0, texts[1]!),
    );
    expect(panel(page.root).innerText).toContain(HOSTILE);
    tell(session, pair(0, HOSTILE));
    expect(panel(page.root).innerText).toContain(HOSTILE);
    await settle();
    expect(panel(page.root).querySelector('img')).toBeNull();
    expect('injected' in window).toBe(false);
  });
});
