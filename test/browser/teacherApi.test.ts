// teacherApi.test.ts: a teacher behind an API, asked from the page: what is said before, while and after; failures tried again;
// budgets; a closed tab; and the key, which is nowhere it should not be. The server is the fake one, on real time.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { systemClock } from '../../src/teachers/apiRequest';
import { FakeApi, type Fault } from '../support/fakeApi';
import { fakeFetch, type VirtualClock } from '../support/fakeFetch';
import { button, removePages, settle } from './fakePage';
import { field, Memory, part, set, TeachingSession, teachersPage, until, type Page } from './teachingPage';

const API = 'Ask a model behind an API';
const KEY = 'sk-very-secret-0123456789';

let api: FakeApi;
let fault: (n: number, id: string) => Fault;
let authorizations: (string | null)[];

beforeEach(() => {
  fault = () => 'ok';
  authorizations = [];
  api = new FakeApi({ fault: (n, id) => fault(n, id), now: () => Date.now(), longMs: 1e9 });
  // The fake server looks at the clock for its waits only: the real one serves as well.
  const asked = fakeFetch(api, systemClock as VirtualClock);
  const real = globalThis.fetch;
  vi.stubGlobal('fetch', (url: string, init?: RequestInit) => {
    if (!url.includes('localhost:11434')) return real(url, init);
    authorizations.push(new Headers(init?.headers).get('authorization'));
    return asked(url, init);
  });
});
afterEach(() => {
  removePages();
  vi.unstubAllGlobals();
});

function settings(box: HTMLElement, more: Record<string, string> = {}): void {
  const typed = { Model: 'small', 'Questions at most': '4', 'Tokens of an answer': '64', ...more };
  for (const [name, value] of Object.entries(typed)) set(field(box, name), value);
}

const demonstrations = ({ playground }: Page) => playground.experiments.checked.experiment!.demonstrations;

/** Everything that outlives the page, or leaves it, or is seen. */
function traces({ root, saved, playground }: Page, memory: Memory): string {
  return [
    root.innerHTML,
    JSON.stringify([...saved]),
    JSON.stringify([...memory.texts]),
    JSON.stringify(playground.experiments.document),
    location.href,
  ].join('\n');
}

describe('a teacher behind an API', () => {
  it('is estimated, asked, and its answers become a teacher of the experiment; the key is written nowhere', async () => {
    const memory = new Memory();
    const session = new TeachingSession();
    const page = await teachersPage(session, memory);
    const box = part(page.panel, API);
    settings(box, { 'Price of 10⁶ tokens in': '1', 'Price of 10⁶ tokens out': '2', 'Budget (money)': '5' });
    set(field(box, 'Key'), KEY);
    expect(field(box, 'Key').type).toBe('password');
    button(box, 'Estimate').click();
    await until(() => box.querySelector('[aria-label="Estimate"]') !== null);
    expect(box.innerText).toContain('4 to send for 4 questions');
    expect(box.innerText).toMatch(/about 0\.00\d\d, at most 0\.00\d\d/);
    expect(api.asked).toHaveLength(0);
    button(box, 'Start asking').click();
    await until(() => /1 of at most/.test(box.innerText));
    expect(button(page.root, 'Run').disabled).toBe(true);
    await until(() => box.innerText.includes('4 demonstrations by small: in the experiment now, for A stories'));
    expect(box.innerText).toContain('4 of 4, 0 failed');
    expect(box.innerText).toMatch(/\d of 4, by the task’s extractor/);
    expect(box.innerText).toMatch(/0\.000\d\s+of 5/);
    expect(authorizations).toEqual(Array(4).fill(`Bearer ${KEY}`));
    expect(demonstrations(page).at(-1)).toMatchObject({ label: 'small', task: 'A stories', format: 'jsonl' });
    button(box, 'Download the answers (JSONL)').click();
    expect(page.saved.get('small.jsonl')!.trim().split('\n')).toHaveLength(4);
    page.root.querySelector<HTMLDetailsElement>('details.file')!.open = true;
    await until(() => page.root.innerText.includes('Files kept in this browser'));
    button(page.root, 'Download').click();
    await until(() => page.saved.size === 3);
    expect(traces(page, memory)).not.toContain(KEY);
    for (const { path } of await session.keptFiles()) {
      expect(new TextDecoder().decode(await session.keptFile(path))).not.toContain(KEY);
    }
    const downloaded = JSON.parse(page.saved.get('the-lesson.json')!) as { demonstrations: { files: string[] }[] };
    const [name] = downloaded.demonstrations.at(-1)!.files;
    expect(name).not.toContain('kept:');
    expect(page.saved.has(name!)).toBe(true);
    // The same teacher again takes its own place, and nothing is asked twice.
    part(page.panel, API); // one part is open at a time
    set(field(box, 'Questions at most'), '6');
    button(box, 'Start asking').click();
    await until(() => box.innerText.includes('6 demonstrations by small'));
    expect(api.asked).toHaveLength(6);
    expect(demonstrations(page).filter(({ label }) => label === 'small')).toHaveLength(1);
  });

  it('lists what failed, with reasons, and tries those again when asked', async () => {
    fault = (n) => (n === 1 ? 'content-filter' : n === 2 ? 'length' : 'ok');
    const page = await teachersPage(new TeachingSession());
    const box = part(page.panel, API);
    settings(box);
    button(box, 'Start asking').click();
    await until(() => box.innerText.includes('2 demonstrations by small'));
    const failures = [...box.querySelectorAll('tbody tr')].map((row) => row.textContent);
    expect(failures).toHaveLength(2);
    expect(failures[0]).toContain('content-filter');
    expect(failures[1]).toContain('cut-off');
    button(box, 'Retry failed (2)').click();
    await until(() => box.innerText.includes('4 demonstrations by small'));
    expect(api.asked).toHaveLength(6);
    expect(box.querySelectorAll('tbody tr')).toHaveLength(0);
  });

  it('stopped, its answers are used; a page opened later goes on with what is missing', async () => {
    const memory = new Memory();
    const session = new TeachingSession(); // keeps answers as IndexedDB does
    const page = await teachersPage(session, memory);
    const box = part(page.panel, API);
    settings(box);
    button(box, 'Start asking').click();
    await until(() => box.innerText.includes('1 of 4'));
    button(box, 'Stop asking').click();
    await until(() => box.innerText.includes('Ended before all was answered (stopped)'));
    const before = api.asked.length;
    expect(before).toBeLessThan(4);
    expect(demonstrations(page).at(-1)!.label).toBe('small');
    removePages();

    const again = await teachersPage(session, memory);
    const later = part(again.panel, API);
    expect(field(later, 'Model').value).toBe('small');
    expect(later.innerText).toContain('Start goes on and asks only the rest');
    button(later, 'Go on asking').click();
    await until(() => later.innerText.includes('4 demonstrations by small'));
    expect(api.asked).toHaveLength(4);
    expect(later.innerText).not.toContain('not finished');
  });

  it('keeps within its budget, and says why it ended', async () => {
    const page = await teachersPage(new TeachingSession());
    const box = part(page.panel, API);
    settings(box, { 'Budget (tokens)': '700', 'Questions at most': '20' });
    button(box, 'Start asking').click();
    await until(() => box.innerText.includes('Ended before all was answered (budget)'));
    expect(api.charged).toBeLessThanOrEqual(700);
    expect(api.asked.length).toBeGreaterThan(0);
  });

  it('says what is missing or wrong before anything is sent', async () => {
    const page = await teachersPage(new TeachingSession());
    const box = part(page.panel, API);
    button(box, 'Start asking').click();
    await until(() => box.innerText.includes('expected the name of a model'));
    settings(box, { Temperature: 'hot' });
    button(box, 'Estimate').click();
    await until(() => box.innerText.includes('expected a number as temperature'));
    set(field(box, 'Temperature'), '');
    set(field(box, 'Provider'), 'openai');
    button(box, 'Start asking').click();
    await until(() => box.innerText.includes('expected a key for OpenAI'));
    set(field(box, 'Key'), 'two words');
    button(box, 'Start asking').click();
    await until(() => box.innerText.includes('printable ASCII'));
    expect(api.asked).toHaveLength(0);
  });

  it('keeps a key only when told to, for one address alone, and forgets it when told to', async () => {
    const memory = new Memory();
    const page = await teachersPage(new TeachingSession(), memory);
    const box = part(page.panel, API);
    set(field(box, 'Model'), 'small');
    set(field(box, 'Key'), KEY);
    expect(JSON.stringify([...memory.texts])).not.toContain(KEY);
    set(field(box, 'keep this key'), true);
    expect(box.innerText).toContain('local storage, unencrypted, for http://localhost:11434/v1 alone');
    expect(memory.texts.get('pupil-teacher-key:http://localhost:11434/v1')).toBe(KEY);
    // Another address does not get it.
    set(field(box, 'Base URL'), 'http://localhost:9/v1');
    expect(field(box, 'Key').value).toBe('');
    set(field(box, 'Provider'), 'openai');
    set(field(box, 'Base URL'), '');
    expect(field(box, 'Key').value).toBe('');
    set(field(box, 'Provider'), 'ollama');
    await settle();
    expect(field(box, 'Key').value).toBe(KEY);
    removePages();
    const again = await teachersPage(new TeachingSession(), memory);
    const later = part(again.panel, API);
    expect(field(later, 'Key').value).toBe(KEY);
    button(later, 'Forget the key').click();
    await settle();
    expect(field(later, 'Key').value).toBe('');
    expect(JSON.stringify([...memory.texts])).not.toContain(KEY);
  });
});
