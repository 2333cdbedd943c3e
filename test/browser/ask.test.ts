// ask.test.ts: the before/after box over a session that the test controls: whom it asks, what it shows, what it says of unknown
// words.
import { flushSync } from 'svelte';
import { afterEach, describe, expect, it } from 'vitest';
import { PupilError } from '../../src/base/errors';
import type { AskAnswer, AskRequest, ExampleQuestions, StoredRun } from '../../src/session/protocol';
import LessonPlace from '../../src/app/places/LessonPlace.svelte';
import { FakeSession, button, removePages, settle, show } from './fakePage';

afterEach(removePages);

const EXAMPLES: ExampleQuestions = {
  examples: [
    { taskId: 'C kinds', question: 'Which flies?', options: ['owl', 'cod'], target: 'A' },
    { taskId: 'C kinds', question: 'Which swims?', options: ['owl', 'cod'], target: 'B' },
    { taskId: 'A stories', question: 'How many?', options: [], target: '7' },
  ],
  words: ['cod', 'owl'],
};

/** Answers "B" to everything, and says what it was asked. */
class AskedSession extends FakeSession {
  asked: AskRequest[] = [];
  reply: (request: AskRequest) => Partial<AskAnswer> = () => ({});
  ask = (request: AskRequest): Promise<AskAnswer> => {
    this.asked.push(request);
    const { question, system } = request;
    return Promise.resolve({
      prompt: '',
      question,
      text: `${system} says B`,
      answer: 'B',
      cutOff: false,
      unknownWords: [],
      ...this.reply(request),
    });
  };
  exampleQuestions = (): Promise<ExampleQuestions> => Promise.resolve(EXAMPLES);
}

const panel = (root: HTMLElement): HTMLElement => root.querySelector('[aria-labelledby="ask-title"]')!;
const byOptions = (root: HTMLElement): void => {
  panel(root).querySelector<HTMLInputElement>('input[value="options"]')!.click();
  flushSync();
};
const fields = (root: HTMLElement): HTMLTextAreaElement[] => [...panel(root).querySelectorAll('textarea')];

function type(field: HTMLTextAreaElement, text: string): void {
  field.value = text;
  field.dispatchEvent(new Event('input', { bubbles: true }));
  flushSync();
}

async function opened(session: AskedSession): Promise<ReturnType<typeof show>> {
  const page = show(session, '?experiment=smoke', {}, LessonPlace);
  await page.playground.open();
  flushSync();
  return page;
}

const finishedRun = (name: string): StoredRun => ({
  runId: 'smoke-1',
  name,
  state: 'finished',
  phase: 'report',
  step: 1,
  updatedAt: '2026-01-02T03:04:05Z',
  sizeBytes: 1,
});

describe('the before/after box', () => {
  it('asks the untouched student plainly and step by step, with the options as typed, and says that the others come with a run', async () => {
    const session = new AskedSession();
    const { root } = await opened(session);
    expect(button(root, 'Ask all four').disabled).toBe(true);
    type(fields(root)[0]!, 'Which swims?');
    byOptions(root);
    type(fields(root)[1]!, 'owl\n\n  cod ');
    button(root, 'Ask all four').click();
    await settle();
    expect(session.asked.map(({ system, prompt }) => [system, prompt])).toEqual([
      ['Baseline', 'plain'],
      ['Baseline', 'cot'],
    ]);
    expect(session.asked[0]).toMatchObject({ question: 'Which swims?', options: ['owl', 'cod'] });
    const cards = [...panel(root).querySelectorAll<HTMLElement>('.answer')].map((card) => card.innerText);
    expect(cards).toHaveLength(4);
    expect(cards[0]).toContain('Baseline says B');
    expect(cards[2]).toContain('Comes with the stage Instruct');
    expect(cards[3]).toContain('Comes with the stage Refine');
    expect(panel(root).innerText).not.toContain('Target');
    // A number is asked for without the options that were typed before.
    panel(root).querySelector<HTMLInputElement>('input[value="number"]')!.click();
    flushSync();
    button(root, 'Ask all four').click();
    await settle();
    expect(session.asked.at(-1)!.options).toEqual([]);
  });

  it('asks all four of a finished run of this experiment, and judges a test question', async () => {
    const session = new AskedSession();
    const { root, playground } = await opened(session);
    session.stored = [finishedRun(playground.experiments.checked.experiment!.name)];
    const report = { experiment: playground.experiments.checked.experiment };
    session.artefacts = {
      'report.json': new TextEncoder().encode(JSON.stringify(report)),
      'adapters/instruct/adapter_model.safetensors': new Uint8Array(1),
      'adapters/self-refine/adapter_model.safetensors': new Uint8Array(1),
    };
    await playground.stored.refresh();
    flushSync();
    session.reply = ({ system }) => (system === 'Baseline' ? { answer: 'A' } : {});
    button(root, 'C kinds').click(); // Which flies? A
    await settle();
    button(root, 'A stories').click();
    await settle();
    expect(fields(root).map(({ value }) => value)).toEqual(['How many?']);
    button(root, 'C kinds').click();
    await settle();
    expect(fields(root).map(({ value }) => value)).toEqual(['Which swims?', 'owl\ncod']);
    button(root, 'Ask all four').click();
    await settle();
    expect(session.asked.map(({ system, prompt, runId }) => [system, prompt, runId])).toEqual([
      ['Baseline', 'plain', 'smoke-1'],
      ['Baseline', 'cot', 'smoke-1'],
      ['Instruction-tuned', 'cot', 'smoke-1'],
      ['Self-refined', 'cot', 'smoke-1'],
    ]);
    const verdicts = [...panel(root).querySelectorAll('.head')].map((head) =>
      head.textContent!.replace(/\s+/g, ' ').trim(),
    );
    expect(verdicts).toEqual([
      'Baseline A ✗ wrong',
      'Baseline CoT A ✗ wrong',
      'Instruction-tuned B ✓ right',
      'Self-refined B ✓ right',
    ]);
    // Changed by hand, it is no test question any more.
    type(fields(root)[0]!, 'Which swims best?');
    button(root, 'Ask all four').click();
    await settle();
    expect(panel(root).innerText).not.toContain('Target');
  });

  it('says which words the student does not know, and lists those it knows', async () => {
    const session = new AskedSession();
    session.reply = () => ({ text: '', unknownWords: ['zebra', 'moon'], reply: 'I do not know those.' });
    const { root } = await opened(session);
    type(fields(root)[0]!, 'Is a zebra on the moon?');
    button(root, 'Ask all four').click();
    await settle();
    expect(panel(root).innerText).toContain('I do not know those.');
    expect(panel(root).querySelector('details')!.textContent).toContain('cod · owl');
    expect(session.asked).toHaveLength(1);
  });

  it('shows hostile answers as text', async () => {
    const session = new AskedSession();
    const text = '<img src=x onerror="window.injected = true">';
    session.reply = () => ({ text });
    const { root } = await opened(session);
    type(fields(root)[0]!, text);
    button(root, 'Ask all four').click();
    await settle();
    expect(panel(root).innerText).toContain(text);
    expect(panel(root).querySelector('img')).toBeNull();
    expect('injected' in window).toBe(false);
  });

  it('shows a refusal, and waits while a run is going on', async () => {
    const session = new AskedSession();
    const { root, playground } = await opened(session);
    session.ask = () => Promise.reject(new PupilError('usage', 'ask: too long', 'Ask a shorter question.'));
    type(fields(root)[0]!, 'word '.repeat(200));
    button(root, 'Ask all four').click();
    await settle();
    expect(panel(root).innerText).toContain('Ask a shorter question.');
    void playground.startRun();
    await settle();
    session.emit({ type: 'state', state: 'running' });
    flushSync();
    expect(button(root, 'Ask all four').disabled).toBe(true);
    expect(panel(root).innerText).toContain('The student is busy');
  });
});
