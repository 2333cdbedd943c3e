// lessonPast.test.ts: the Lesson place shows what was: a run of an earlier visit, the recording, and texts in their order.
import { flushSync } from 'svelte';
import { afterEach, describe, expect, it } from 'vitest';
import { Player } from '../../src/app/lesson/player.svelte';
import { type Recording } from '../../src/app/lesson/recording';
import recordingDocument from '../../src/app/lesson/recording.json';
import { STAGES } from '../../src/app/lesson/stages';
import { RunView } from '../../src/app/state/run.svelte';
import { Story } from '../../src/app/state/story.svelte';
import { Writing } from '../../src/app/lesson/writing.svelte';
import type { RunHistory, SessionApi } from '../../src/session/protocol';
import { button, removePages, settle } from './fakePage';
import { demonstration, LessonSession, pair, panel, recording, show, showOf, stageTitle } from './lessonPage';

afterEach(removePages);

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
