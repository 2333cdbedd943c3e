// lessonPage.ts: the Lesson place over a session that the test controls, and the events of its run: what its tests share. Tests only.
import { flushSync } from 'svelte';
import { LessonShow } from '../../src/app/lesson/lessonShow.svelte';
import { asRecording } from '../../src/app/lesson/recording';
import recordingDocument from '../../src/app/lesson/recording.json';
import type { EvaluationRow, RunHistory, SessionEvent } from '../../src/session/protocol';
import LessonPlace from '../../src/app/places/LessonPlace.svelte';
import { FakeSession, button, settle, show as showPage } from './fakePage';

export const show = (...[session, query, more]: Parameters<typeof showPage>): ReturnType<typeof showPage> =>
  showPage(session, query, more, LessonPlace);

export const recording = asRecording(recordingDocument);
export const HOSTILE = '<img src=x onerror="window.injected = true">';

export const demonstration = (
  index: number,
  answer: string,
  total = 3,
): Extract<SessionEvent, { type: 'demonstration' }> => {
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
export const pair = (index: number, chosen = `chosen ${index} 7`): Extract<SessionEvent, { type: 'pair' }> => {
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
export const sampled = (which: 'y' | 'y-hat', index: number, text: string): SessionEvent => {
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
export const row = (system: EvaluationRow['system'], prompt: 'plain' | 'cot', correct: number): SessionEvent => {
  return {
    type: 'evaluation',
    row: { system, taskId: 'C', prompt, scorer: 'strict', correct, n: 100, low: 0.1, high: 0.9, cutOff: 0 },
  };
};

export class LessonSession extends FakeSession {
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

export const panel = (root: HTMLElement): HTMLElement => root.querySelector('.lesson')!;
export const stageTitle = (root: HTMLElement): string =>
  panel(root).querySelector('h3')!.innerText.replace(/\s+/g, ' ').trim();
export const showOf = (page: ReturnType<typeof show>): LessonShow =>
  page.playground.part('lesson-show', () => new LessonShow(page.playground));

/** A run that was begun by a click. */
export async function started(query = ''): Promise<{ session: LessonSession; page: ReturnType<typeof show> }> {
  const session = new LessonSession();
  const page = show(session, query);
  button(panel(page.root), 'Start the lesson').click();
  await settle();
  return { session, page };
}
export const tell = (session: LessonSession, ...events: SessionEvent[]): void => {
  for (const event of events) session.emit(event);
  flushSync();
};
