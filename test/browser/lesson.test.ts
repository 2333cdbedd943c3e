// The Lesson place over a session that the test controls: the pipeline of a live run, an earlier one and the recording, and texts
// that mean harm.
import { flushSync } from 'svelte';
import { afterEach, describe, expect, it } from 'vitest';
import { LessonShow } from '../../src/app/lesson/lessonShow.svelte';
import { Player } from '../../src/app/lesson/player.svelte';
import { asRecording, type Recording } from '../../src/app/lesson/recording';
import recordingDocument from '../../src/app/lesson/recording.json';
import { STAGES } from '../../src/app/lesson/stages';
import { RunView } from '../../src/app/state/run.svelte';
import { Story } from '../../src/app/state/story.svelte';
import { Writing } from '../../src/app/lesson/writing.svelte';
import type { EvaluationRow, RunHistory, SessionApi, SessionEvent } from '../../src/session/protocol';
import LessonPlace from '../../src/app/places/LessonPlace.svelte';
import { FakeSession, button, removePages, settle, show as showPage } from './fakePage';

afterEach(removePages);

const show = (...[session, query, more]: Parameters<typeof showPage>): ReturnType<typeof showPage> =>
  showPage(session, query, more, LessonPlace);

const recording = asRecording(recordingDocument);
const HOSTILE = '<img src=x onerror="window.injected = true">';

const demonstration = (index: number, answer: string, total = 3): Extract<SessionEvent, { type: 'demonstration' }> => {
  const question = `Question ${index}`;
  const instruction = 'Answer it.';
  return {
    type: 'demonstration',
    taskId: 'C',
    label: 'scripted',
    instruction,
    question,
    answer,
    target: '7',
    correct: true,
    index,
    total,
  };
};
const pair = (index: number, chosen = `chosen ${index} 7`): Extract<SessionEvent, { type: 'pair' }> => {
  const cases = ['cot_correct', 'plain_correct'];
  return {
    type: 'pair',
    taskId: 'C',
    prompt: 'p',
    chosen,
    rejected: '7',
    target: '7',
    chosenFrom: 'student',
    cases,
    index,
    total: 3,
  };
};
const sampled = (which: 'y' | 'y-hat', index: number, text: string): SessionEvent => {
  return {
    type: 'sampled',
    which,
    taskId: 'C',
    prompt: 'p',
    text,
    target: '7',
    correct: text.includes('7'),
    index,
    total: 3,
  };
};
const row = (system: EvaluationRow['system'], prompt: 'plain' | 'cot', correct: number): SessionEvent => {
  return {
    type: 'evaluation',
    row: { system, taskId: 'C', prompt, scorer: 'strict', correct, n: 100, low: 0.1, high: 0.9, cutOff: 0 },
  };
};

class LessonSession extends FakeSession {
  paces: number[] = [];
  histories: Record<string, RunHistory> = {};
  opened = 0;
  override open = (): Promise<void> => {
    this.opened++;
    return Promise.resolve();
  };
  setPace = ({ restMs }: { restMs: number }): Promise<void> => {
    this.paces.push(restMs);
    return Promise.resolve();
  };
  runHistory = (runId: string): Promise<RunHistory | undefined> => Promise.resolve(this.histories[runId]);
}

const panel = (root: HTMLElement): HTMLElement => root.querySelector('.lesson')!;
const stageTitle = (root: HTMLElement): string =>
  panel(root).querySelector('h3')!.innerText.replace(/\s+/g, ' ').trim();
const showOf = (page: ReturnType<typeof show>): LessonShow =>
  page.playground.part('lesson-show', () => new LessonShow(page.playground));

/** A run that was begun by a click. */
async function started(query = ''): Promise<{ session: LessonSession; page: ReturnType<typeof show> }> {
  const session = new LessonSession();
  const page = show(session, query);
  button(panel(page.root), 'Start the lesson').click();
  await settle();
  return { session, page };
}
const tell = (session: LessonSession, ...events: SessionEvent[]): void => {
  for (const event of events) session.emit(event);
  flushSync();
};

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

describe('a run of an earlier visit', () => {
  const history: RunHistory = {
    experiment: recordingDocument === undefined ? {} : undefined,
    phase: 'report',
    step: 0,
    history: {
      type: 'history',
      finished: ['baseline', 'instruct', 'generate-pairs', 'self-refine', 'evaluate'],
      metrics: [{ phase: 'instruct', step: 1, totalSteps: 1, values: { loss: 0.25 } }],
      evaluations: [],
      pairs: { pairs: 3, prompts: 3 },
      log: [],
    },
    shown: [demonstration(0, 'It is 7.'), pair(0), pair(1)],
  };

  it('is shown again, finished, and the GPU is not asked for', async () => {
    const session = new LessonSession();
    const first = show(session);
    await first.playground.experiments
      .prepare(first.playground.pageBase)
      .then(({ experiment }) => (history.experiment = experiment));
    removePages();
    session.histories = { 'lesson-1': history };
    const kept = new Map([['pupil-finished-run', 'lesson-1']]);
    const memory = {
      getItem: (key: string) => kept.get(key) ?? null,
      setItem: () => undefined,
      removeItem: (key: string) => void kept.delete(key),
    };
    const page = show(session, '', { memory });
    await settle();
    expect(panel(page.root).innerText).toContain('Your run of before: The lesson');
    expect(stageTitle(page.root)).toBe('7 Evaluate');
    showOf(page).look('pairs');
    flushSync();
    expect(panel(page.root).innerText).toContain('chosen 1 7');
    expect(session.opened).toBe(0);
    // Deleted meanwhile: forgotten, and the lesson is as on a first visit.
    removePages();
    session.histories = {};
    const later = show(session, '', { memory });
    await settle();
    expect(panel(later.root).innerText).toContain('from a recording');
    expect(kept.size).toBe(0);
  });

  it('says so where the address names one that this browser does not have', async () => {
    const page = show(new LessonSession(), '?run=elsewhere');
    await settle();
    expect(panel(page.root).innerText).toContain('This browser keeps no run elsewhere');
  });
});

describe('the recording', () => {
  const playerOf = (which: Recording = recording): Player =>
    new Player(which, () => {
      const run = new RunView({} as SessionApi);
      run.trainedTasks = which.about.trainedTasks;
      return run;
    });
  const picture = (run: RunView): unknown => ({
    rows: run.rows,
    pairs: run.pairs,
    story: [run.story.demonstrations.length, run.story.y.length, run.story.yHat.length, run.story.pairs.length],
    steps: [run.pointsOf('instruct').length, run.pointsOf('self-refine').length],
    phase: run.phase,
  });

  it('ends where its run ended, in about two minutes, every stage long enough to be read', () => {
    const player = playerOf();
    expect(player.totalMs).toBe(120_000);
    expect(player.stages.map(({ name }) => name)).toEqual(STAGES.map(({ name }) => name));
    for (const { startMs, endMs } of player.stages) expect(endMs - startMs).toBeGreaterThan(5000);
    player.play();
    let ticks = 0;
    for (; player.playing && ticks < 10_000; ticks++) player.advance(100);
    expect(ticks).toBe(1200);
    expect(player.run.rows).toEqual(recording.about.evaluations);
    expect(player.run.pairs).toEqual(recording.about.pairs);
    expect(player.run.phase).toBe('report');
  });

  it('goes back and forth, by time and by stage, to the same pictures', () => {
    const straight = playerOf();
    const jumping = playerOf();
    jumping.seek(120_000);
    for (const { name, startMs } of [...straight.stages].reverse()) {
      jumping.seekStage(name);
      const fresh = playerOf();
      fresh.seek(startMs);
      expect(picture(jumping.run), name).toEqual(picture(fresh.run));
    }
  });

  it('steps to the next thing, rests when paused, and goes as fast as it is told', () => {
    const player = playerOf();
    player.advance(1000);
    expect(player.atMs).toBe(0);
    player.factor = 4;
    player.play();
    player.advance(1000);
    expect(player.atMs).toBe(4000);
    player.seekStage('refine');
    const before = player.run.pointsOf('self-refine').length;
    player.step();
    player.step();
    expect(player.playing).toBe(false);
    expect(player.run.pointsOf('self-refine').length).toBeGreaterThan(before);
    player.seek(1e9);
    expect(player.ended).toBe(true);
    player.step();
    player.play();
    expect(player.atMs).toBe(0);
  });

  it('is fetched on the first click, plays without a GPU, and is left again', async () => {
    const session = new LessonSession();
    const page = show(session);
    button(panel(page.root), 'Watch a recording').click();
    await expect.poll(() => panel(page.root).innerText, { timeout: 5000 }).toContain('A recording of a real run');
    expect(panel(page.root).innerText).toContain(recording.about.adapter);
    button(panel(page.root), 'Pause').click();
    const { player } = showOf(page);
    player!.seekStage('evaluate');
    flushSync();
    expect(stageTitle(page.root)).toBe('7 Evaluate');
    button(panel(page.root), 'Leave the recording').click();
    flushSync();
    expect(button(panel(page.root), 'Start the lesson')).toBeDefined();
    expect(session.opened).toBe(0);
  });
});

describe('texts as they come', () => {
  it('are in order of their numbers, once each, however a resumed run tells them', () => {
    const story = new Story();
    for (const event of [pair(2), pair(0), pair(1, 'first'), pair(1, 'again')]) story.accept(event);
    expect(story.pairs.map(({ index }) => index)).toEqual([0, 1, 2]);
    expect(story.pairs[1]!.chosen).toBe('again');
    expect(story.latestPair!.chosen).toBe('again');
    story.reset();
    expect(story.pairs).toEqual([]);
  });

  it('are written letter by letter, read, and followed by the next', () => {
    const writing = new Writing();
    const lengths = [10, 5];
    writing.advance(100, lengths);
    expect(writing.letters).toBeGreaterThan(2);
    expect(writing.letters).toBeLessThan(10);
    writing.advance(1000, lengths);
    expect([writing.index, writing.letters]).toEqual([0, 10]);
    writing.advance(3000, lengths);
    expect([writing.index, writing.letters]).toEqual([1, 0]);
    writing.advance(1000, []);
    expect(writing.index).toBe(0);
  });
});
