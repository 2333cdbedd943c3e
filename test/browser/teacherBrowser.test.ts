// teacherBrowser.test.ts: a model in this browser as a teacher, through the page: a picked folder is loaded with its progress,
// its answers become a teacher of the experiment, a stop and a reload lose nothing, and what is wrong is said. The model is the
// bundled student in ONNX form, in its worker on WebAssembly.
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { createTeacherModelClient } from '../../src/app/client';
import { readModelFolder } from '../../src/app/modelFolder';
import { button, removePages } from './fakePage';
import { lessonOnnx } from './lessonOnnx';
import { field, Memory, part, set, TeachingSession, teachersPage, until, type Page } from './teachingPage';

const BROWSER = 'A model in this browser';
let files: Record<string, Blob>;
beforeAll(async () => ({ files } = await lessonOnnx()));
afterEach(() => {
  removePages();
  vi.unstubAllGlobals();
});

const open = (session: TeachingSession, memory = new Memory()): Promise<Page> =>
  teachersPage(session, memory, '', { teacherModel: createTeacherModelClient });

/** As by the folder's dialog; a file made by a script has no folder in its name. */
function pickFolder(box: HTMLElement, picked: Record<string, Blob>): void {
  const transfer = new DataTransfer();
  for (const [path, blob] of Object.entries(picked)) transfer.items.add(new File([blob], path.split('/').at(-1)!));
  const input = box.querySelector<HTMLInputElement>('input[type="file"]')!;
  input.files = transfer.files;
  input.dispatchEvent(new Event('change', { bubbles: true }));
}

async function ready(page: Page, picked: Record<string, Blob>, more: Record<string, string> = {}) {
  const box = part(page.panel, BROWSER);
  set(field(box, 'From'), 'files');
  const typed = { Temperature: '0', 'Questions at most': '3', 'Tokens of an answer': '72', ...more };
  for (const [name, value] of Object.entries(typed)) set(field(box, name), value);
  pickFolder(box, picked);
  await until(() => box.innerText.includes('(model, '), 'for the folder ');
  return box;
}

const slow = async (isSo: () => boolean): Promise<void> => {
  for (let i = 0; i < 8; i++) {
    try {
      return await until(isSo);
    } catch (error) {
      if (i === 7) throw error;
    }
  }
};

describe('a model in this browser', () => {
  it('is loaded, asked, and its answers become a teacher of the experiment', async () => {
    const page = await open(new TeachingSession());
    const box = await ready(page, files);
    expect(field(box, 'Weights').value).toBe('fp32'); // the only form that the folder has
    button(box, 'Estimate').click();
    await until(() => box.innerText.includes('3 to send for 3 questions'));
    button(box, 'Load the model').click();
    await slow(() => box.innerText.includes('Loaded: model, fp32'));
    expect(box.innerText).toContain('WebAssembly, on the processor (WebGPU has a software adapter only)');
    button(box, 'Start asking').click();
    await until(() => page.playground.busy);
    await slow(() => !page.playground.busy);
    expect(box.innerText).toContain('3 of 3');
    expect(box.innerText).toMatch(/[\d.]+ tokens\/s/);
    expect(box.innerText).toMatch(/\d of \d, by the task’s extractor/);
    const summary = page.playground.teachers.browser.summary!;
    expect(summary.reason).toBe('finished');
    expect(summary.demonstrations.length).toBeGreaterThan(0);
    expect(page.playground.experiments.checked.experiment!.demonstrations.at(-1)).toMatchObject({
      label: 'model',
      task: 'A stories',
      format: 'jsonl',
    });
    button(box, 'Download the answers (JSONL)').click();
    expect(page.saved.get('model.jsonl')!.trim().split('\n')).toHaveLength(summary.demonstrations.length);
  });

  it('stopped, and the page closed, it goes on with what is missing', async () => {
    const [memory, session] = [new Memory(), new TeachingSession()]; // keeps answers as IndexedDB does
    const page = await open(session, memory);
    const box = await ready(page, files, { 'Questions at most': '40' });
    button(box, 'Start asking').click(); // loads it first
    const { browser } = page.playground.teachers;
    await slow(() => (browser.progress?.done ?? 0) >= 2);
    button(box, 'Stop asking').click();
    await slow(() => !browser.running);
    expect(box.innerText).toContain('Ended before all was answered (stopped)');
    const { done } = browser.progress!;
    expect(done).toBeLessThan(40);
    browser.unload();
    removePages();

    const again = await open(session, memory);
    const later = part(again.panel, BROWSER);
    expect(later.innerText).toContain('Start goes on and asks only the rest');
    button(later, 'Go on asking').click();
    await until(() => later.innerText.includes('expected a picked folder'));
    pickFolder(later, files);
    await until(() => later.innerText.includes('(model, '));
    button(later, 'Estimate').click();
    await until(() => later.innerText.includes(`${40 - done} to send for 40 questions`));
  });

  it('says what is missing in a folder, and what a name of the Hub must be', async () => {
    const page = await open(new TeachingSession());
    const { 'onnx/model.onnx': _, 'tokenizer.json': __, ...rest } = files;
    const box = await ready(page, rest);
    button(box, 'Load the model').click();
    await slow(() => box.innerText.includes('missing: tokenizer.json, onnx/model_q4.onnx'));
    expect(box.innerText).toContain('no ONNX weights in onnx/');
    pickFolder(box, { 'README.md': new Blob(['x']) });
    await until(() => box.innerText.includes('expected a folder with config.json'));
    set(field(box, 'From'), 'hub');
    set(field(box, 'Model'), 'just-a-name');
    button(box, 'Load the model').click();
    await until(() => box.innerText.includes('expected a model of the Hub as owner/name, got "just-a-name"'));
  });

  it('ends a download when it is told to', async () => {
    const page = await open(new TeachingSession());
    const box = await ready(page, files);
    button(box, 'Load the model').click();
    await until(() => box.innerText.includes('Stop loading'));
    button(box, 'Stop loading').click();
    await until(() => box.innerText.includes('Load the model'));
    expect(box.querySelector('[role="alert"]')).toBeNull();
  });
});

describe('the fingerprint of a picked folder', () => {
  const folder = (weights: string) =>
    readModelFolder([new File(['{}'], 'config.json'), new File([weights], 'model_q4.onnx')]);

  it('is of its contents: other weights have another one, and lie where the Hub has them', async () => {
    const [a, again, b] = [await folder('abc'), await folder('abc'), await folder('abd')];
    expect(again.fingerprint).toBe(a.fingerprint);
    expect(b.fingerprint).not.toBe(a.fingerprint);
    expect(Object.keys(a.files)).toEqual(['config.json', 'onnx/model_q4.onnx']);
  });
});
