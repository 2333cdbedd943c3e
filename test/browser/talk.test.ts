// talk.test.ts: the page's talk over a session that the test controls: who is asked what, text as it streams, tokens with their
// probabilities and alternatives, stopping, keys, refusals; and that a model's text is text.
import { flushSync } from 'svelte';
import { afterEach, describe, expect, it } from 'vitest';
import { PupilError } from '../../src/base/errors';
import type { TalkAnswer, TalkEvent, TalkRequest, TalkStudent, TalkToken } from '../../src/session/protocol';
import { FakeSession, button, removePages, settle, show } from './fakePage';

afterEach(removePages);

const token = (text: string, probability: number, more: Partial<TalkToken> = {}): TalkToken => ({
  id: text.length,
  text,
  logprob: Math.log(probability),
  alternatives: [
    { id: text.length, text, logprob: Math.log(probability) },
    { id: 99, text: ' instead', logprob: Math.log(0.05) },
  ],
  ...more,
});

/** Streams when the test says so. */
class TalkSession extends FakeSession {
  asked: TalkRequest[] = [];
  chat = true;
  say: (event: TalkEvent) => void = () => undefined;
  end: (answer?: Partial<TalkAnswer>) => void = () => undefined;
  talkStudent = (): Promise<TalkStudent> =>
    Promise.resolve({ source: 'x', parameters: 1, contextTokens: 192, chat: this.chat });
  talk = (request: TalkRequest, onEvent: (event: TalkEvent) => void): Promise<TalkAnswer> => {
    this.asked.push(request);
    let text = '';
    this.say = (event) => {
      if (event.type === 'piece') text += event.text;
      onEvent(event);
      flushSync();
    };
    return new Promise((resolve) => {
      this.end = (answer = {}) =>
        resolve({
          text,
          ids: [1, 2],
          stopped: 'eos',
          prompt: '',
          usage: { promptTokens: 3, newTokens: 2 },
          droppedMessages: 0,
          seconds: 1,
          firstTokenSeconds: 0.5,
          tokensPerSecond: 12.34,
          unknownWords: [],
          notes: [],
          ...answer,
        });
    });
  };
  piece = (text: string, probability: number): void =>
    this.say({ type: 'piece', text, tokens: [token(text, probability)] });
}

const panel = (root: HTMLElement): HTMLElement => root.querySelector('[aria-labelledby="talk-title"]')!;
const field = (root: HTMLElement): HTMLTextAreaElement => panel(root).querySelector('form textarea')!;
const tokensOf = (root: HTMLElement): HTMLElement[] => [...panel(root).querySelectorAll<HTMLElement>('.token')];

function type(root: HTMLElement, text: string): void {
  field(root).value = text;
  field(root).dispatchEvent(new Event('input', { bubbles: true }));
  flushSync();
}
function press(element: HTMLElement, key: string, more: KeyboardEventInit = {}): void {
  element.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true, ...more }));
  flushSync();
}

async function opened(session: TalkSession): Promise<ReturnType<typeof show>> {
  const page = show(session, '?experiment=smoke');
  await page.playground.open();
  flushSync();
  return page;
}
async function sent(session: TalkSession, root: HTMLElement, text: string): Promise<void> {
  type(root, text);
  press(field(root), 'Enter');
  await settle();
  expect(session.asked.length).toBeGreaterThan(0);
}

describe('talk', () => {
  it('sends with Enter and not with Shift+Enter, streams the answer, and says what it took', async () => {
    const session = new TalkSession();
    const { root, playground } = await opened(session);
    expect(button(panel(root), 'Send').disabled).toBe(true);
    type(root, 'Hello');
    press(field(root), 'Enter', { shiftKey: true });
    await settle();
    expect(session.asked).toEqual([]);
    await sent(session, root, 'Hello');
    expect(session.asked[0]).toMatchObject({ messages: [{ role: 'user', content: 'Hello' }], topLogprobs: 5 });
    expect('adapter' in session.asked[0]!).toBe(false);
    expect(field(root).value).toBe('');
    expect(playground.busy).toBe(true);
    session.say({ type: 'progress', progress: { task: 'Loading student', done: 1, total: 4, unit: 'parameters' } });
    expect(panel(root).innerText).toContain('Loading student: 25 %');
    session.say({ type: 'start', promptTokens: 3, droppedMessages: 0, newTokenLimit: 9 });
    session.piece('Tom', 0.95);
    session.piece(' has', 0.3);
    expect(tokensOf(root).map((one) => one.textContent)).toEqual(['Tom', ' has']);
    session.end({ droppedMessages: 2, unknownWords: ['quokka'], notes: ['a note'] });
    await settle();
    const text = panel(root).innerText;
    for (const part of ['3 + 2 tokens, 12.3 tokens/s', 'no room for the first 2 messages', 'quokka', 'a note'])
      expect(text).toContain(part);
    // The next turn brings the conversation along.
    await sent(session, root, 'More');
    expect(session.asked[1]!.messages!.map(({ role, content }) => [role, content])).toEqual([
      ['user', 'Hello'],
      ['assistant', 'Tom has'],
      ['user', 'More'],
    ]);
    session.end();
    await settle();
    button(panel(root), 'New conversation').click();
    flushSync();
    expect(tokensOf(root)).toEqual([]);
  });

  it('asks the systems of a stored run that are ticked, one after the other', async () => {
    const session = new TalkSession();
    const { root, playground } = await opened(session);
    session.stored = [
      {
        runId: 'smoke-1',
        name: playground.experiments.checked.experiment!.name,
        state: 'finished',
        phase: 'report',
        step: 1,
        updatedAt: '2026-01-02T03:04:05Z',
        sizeBytes: 1,
      },
    ];
    const report = { experiment: playground.experiments.checked.experiment };
    session.artefacts = {
      'report.json': new TextEncoder().encode(JSON.stringify(report)),
      'adapters/instruct/adapter_model.safetensors': new Uint8Array(1),
      'adapters/self-refine/adapter_model.safetensors': new Uint8Array(1),
    };
    await playground.stored.refresh();
    field(root).dispatchEvent(new FocusEvent('focus'));
    await settle();
    const boxes = [...panel(root).querySelectorAll<HTMLInputElement>('input[type=checkbox]')].slice(0, 3);
    expect(boxes.map((box) => box.closest('label')!.innerText.trim())).toEqual([
      'Untouched',
      'Instructed',
      'Self-refined',
    ]);
    boxes[1]!.click();
    flushSync();
    await sent(session, root, 'Hello');
    session.piece('one', 0.5);
    session.end();
    await settle();
    session.piece('two', 0.5);
    session.end();
    await settle();
    expect(session.asked.map(({ adapter }) => adapter)).toEqual([
      undefined,
      { runId: 'smoke-1', system: 'Self-refined' },
    ]);
    expect([...panel(root).querySelectorAll('article')].map((one) => one.getAttribute('aria-label'))).toEqual([
      'Answer of Untouched',
      'Answer of Self-refined',
    ]);
    expect(button(panel(root), 'Send').disabled).toBe(true); // nothing is typed
  });

  it('marks tokens by probability in words as well, shows alternatives, and goes along with the arrow keys', async () => {
    const session = new TalkSession();
    const { root } = await opened(session);
    await sent(session, root, 'Hello');
    session.piece('sure', 0.97);
    session.piece(' likely', 0.6);
    session.piece('\nunsure', 0.2);
    session.piece(' unlikely', 0.01);
    session.say({ type: 'piece', text: '', tokens: [token('</s>', 0.8, { end: true })] });
    session.end();
    await settle();
    const tokens = tokensOf(root);
    expect(tokens.map((one) => one.getAttribute('aria-label'))).toEqual([
      '“sure”, 97 %, sure',
      '“␣likely”, 60 %, likely',
      '“↵unsure”, 20 %, unsure',
      '“␣unlikely”, 1.0 %, unlikely',
      'end of the answer, 80 %, likely',
    ]);
    const style = (one: HTMLElement): string => getComputedStyle(one).textDecorationLine;
    expect(tokens.map(style)).toEqual(['none', 'none', 'underline', 'underline', 'none']);
    expect(tokens.map((one) => one.tabIndex)).toEqual([0, -1, -1, -1, -1]);
    tokens[0]!.focus();
    flushSync();
    expect(panel(root).querySelector('ol')!.innerText).toContain('␣instead');
    press(tokens[0]!, 'ArrowRight');
    press(tokens[1]!, 'End');
    expect(document.activeElement).toBe(tokens[4]);
    expect(panel(root).innerText).toContain('ends the answer');
    press(tokens[4]!, 'Escape');
    expect(panel(root).querySelector('ol')).toBeNull();
    const toggle = [...panel(root).querySelectorAll<HTMLInputElement>('input[type=checkbox]')].at(-1)!;
    toggle.click();
    flushSync();
    expect(tokensOf(root)).toEqual([]);
    expect(panel(root).querySelector('article')!.innerText).toContain('sure likely\nunsure unlikely');
  });

  it('shows text as text, whatever it looks like', async () => {
    const session = new TalkSession();
    const { root } = await opened(session);
    const markup = '<img src=x onerror="alert(1)"><b>bold</b>';
    await sent(session, root, markup);
    session.piece(markup, 0.4);
    session.end();
    await settle();
    expect(panel(root).querySelector('img, b')).toBeNull();
    expect(tokensOf(root)[0]!.textContent).toBe(markup);
  });

  it('stops with Escape and with the button; those that wait are not asked', async () => {
    const session = new TalkSession();
    const { root } = await opened(session);
    await sent(session, root, 'Hello');
    session.piece('half', 0.5);
    press(panel(root), 'Escape');
    expect(session.calls).toEqual(['stop']);
    session.end({ stopped: 'cancelled' });
    await settle();
    expect(panel(root).innerText).toContain('stopped');
    expect(button(panel(root), 'Stop').disabled).toBe(true);
    await sent(session, root, 'Again');
    button(panel(root), 'Stop').click();
    expect(session.calls).toEqual(['stop', 'stop']);
    session.end({ stopped: 'cancelled' });
    await settle();
  });

  it('continues texts where there is no chat template; a refusal is shown in place and loses nothing', async () => {
    const session = new TalkSession();
    session.chat = false;
    const { root } = await opened(session);
    session.talk = () => Promise.reject(new PupilError('usage', 'talk: too long', 'Shorten it.'));
    type(root, 'Once upon');
    press(field(root), 'Enter');
    await settle();
    expect(panel(root).querySelector('[role=alert]')!.textContent).toContain('Shorten it.');
    expect(field(root).value).toBe('Once upon');
    expect(panel(root).innerText).toContain('no chat template');
    const asked: TalkRequest[] = [];
    session.talk = (request) => {
      asked.push(request);
      return Promise.reject(new PupilError('usage', 'no'));
    };
    press(field(root), 'Enter');
    await settle();
    expect(asked[0]).toMatchObject({ text: 'Once upon' });
    expect('messages' in asked[0]!).toBe(false);
    const source = panel(root).querySelector('select')!;
    source.value = 'bundled';
    source.dispatchEvent(new Event('change', { bubbles: true }));
    await settle();
    type(root, 'Tom');
    press(field(root), 'Enter');
    await settle();
    expect(asked[1]!.student).toEqual({ source: { kind: 'bundled', name: 'lesson' }, quantize: 'none' });
  });

  it('waits while a run is going on', async () => {
    const session = new TalkSession();
    const { root } = await opened(session);
    button(root, 'Run').click();
    await settle();
    session.emit({ type: 'state', state: 'running' });
    flushSync();
    type(root, 'Hello');
    expect(button(panel(root), 'Send').disabled).toBe(true);
    expect(panel(root).innerText).toContain('The student is busy');
  });
});
