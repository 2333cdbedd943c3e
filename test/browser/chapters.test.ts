// chapters.test.ts: the lesson's chapters in the page: list, leafing, focus, address; a teacher's own file, good and bad; and each
// widget moved by its controls, over the real numbers. The scorers answer from a real worker, without a device.
import { flushSync } from 'svelte';
import { afterEach, describe, expect, it } from 'vitest';
import { userEvent } from 'vitest/browser';
import { createSessionClient, type SessionClient } from '../../src/app/client';
import { scoreText } from '../../src/session/scoreText';
import { FakeSession, button, removePages, settle, show } from './fakePage';

let client: SessionClient | undefined;
afterEach(() => {
  removePages();
  client?.terminate();
  client = undefined;
});

/** The fake session judges as the real one does: the function is the session's own. */
class ScoringSession extends FakeSession {
  scoreText = (request: Parameters<typeof scoreText>[0]): Promise<ReturnType<typeof scoreText>> =>
    Promise.resolve(request).then(scoreText);
}

const panel = (root: HTMLElement): HTMLElement => root.querySelector('[aria-labelledby="chapters-title"]')!;

async function until<T>(find: () => T | null | undefined | false): Promise<T> {
  for (let i = 0; i < 300; i++) {
    const found = find();
    if (found !== null && found !== undefined && found !== false) return found;
    await settle();
  }
  throw new Error(`it did not come to: ${String(find)}`);
}

type Page = ReturnType<typeof show> & { chapters: HTMLElement };

/** The page with a chapter open, its widgets there. */
async function opened(chapter: string, more: Parameters<typeof show>[2] = {}): Promise<Page> {
  const page = show(new ScoringSession(), `?chapter=${chapter}`, more);
  const chapters = panel(page.root);
  await until(() => chapters.querySelector('ol.chapters, article'));
  await until(() => chapters.querySelector('.widget .loading') === null);
  return { ...page, chapters };
}

/** The slider (or field) with that label. */
function control(within: HTMLElement, name: string): HTMLInputElement {
  const label = [...within.querySelectorAll('label')].find((one) => one.innerText.trim().startsWith(name));
  const found = label?.control ?? label?.querySelector('input, select, textarea');
  if (found === null || found === undefined) throw new Error(`no control "${name}" in:\n${within.innerText}`);
  return found as HTMLInputElement;
}

function set(field: HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement, value: string | number): void {
  field.value = String(value);
  field.dispatchEvent(new Event(field instanceof HTMLSelectElement ? 'change' : 'input', { bubbles: true }));
  flushSync();
}

const widget = (chapters: HTMLElement, title: string): HTMLElement =>
  chapters.querySelector(`.widget[aria-label="${title}"]`)!;
const said = (within: HTMLElement, id: string): string =>
  within.querySelector<HTMLElement>(`[data-testid="${id}"]`)!.innerText;
const press = (target: EventTarget, key: string): void => {
  target.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true }));
  flushSync();
};

const OWN = {
  format: 'pupil-chapter',
  version: 1,
  id: 'ours',
  order: 2.5,
  title: 'Ours <b>bold</b>',
  summary: 'A line.',
  sections: [
    { blocks: [{ kind: 'text', text: '<img src=x onerror="globalThis.hurt = 1"> and **strong** and $x_1^2$' }] },
  ],
};
const asFile = (document: unknown, name = 'ours.json'): File =>
  new File([typeof document === 'string' ? document : JSON.stringify(document)], name, { type: 'application/json' });

function drop(page: Page, ...files: File[]): void {
  const data = new DataTransfer();
  for (const file of files) data.items.add(file);
  page.chapters
    .querySelector('.pick')!
    .dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true }));
}

const kept = (): { memory: Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>; map: Map<string, string> } => {
  const map = new Map<string, string>();
  return {
    map,
    memory: {
      getItem: (key) => map.get(key) ?? null,
      setItem: (key, value) => void map.set(key, value),
      removeItem: (key) => void map.delete(key),
    },
  };
};

describe('the list', () => {
  it('has the five chapters; a click opens one, moves the focus to its heading and names it in the address', async () => {
    const { chapters, playground, root } = await opened('');
    const links = [...chapters.querySelectorAll<HTMLAnchorElement>('ol.chapters a')];
    expect(links.map((link) => link.dataset['chapter'])).toEqual([
      'lora',
      'nf4',
      'dpo',
      'string-matching',
      'how-little-data',
    ]);
    expect(links[1]!.href).toContain('chapter=nf4');
    links[1]!.click();
    const heading = await until(() => chapters.querySelector<HTMLElement>('article h2'));
    await settle();
    expect(heading.innerText).toBe('What NF4 does to a weight');
    expect(document.activeElement).toBe(heading);
    expect(playground.address.get('chapter')).toBe('nf4');
    expect(root.querySelector('[aria-labelledby="ask-title"]')).toBeNull(); // the chapter has the place to itself
  });

  it('is left and found again by arrow keys, but not from within a slider', async () => {
    const { chapters, playground } = await opened('nf4');
    const slider = control(chapters, 'The dragged weight');
    press(slider, 'ArrowRight');
    expect(playground.address.get('chapter')).toBe('nf4');
    press(document.body, 'ArrowRight');
    expect(playground.address.get('chapter')).toBe('dpo');
    press(document.body, 'ArrowLeft');
    await settle();
    press(document.body, 'ArrowLeft');
    press(document.body, 'ArrowLeft'); // there is none before the first
    expect(playground.address.get('chapter')).toBe('lora');
    await until(() => chapters.querySelector('article h2'));
    [...chapters.querySelectorAll<HTMLAnchorElement>('a[data-chapter=""]')][0]!.click();
    await until(() => chapters.querySelector('ol.chapters'));
    await settle();
    expect((document.activeElement as HTMLElement).dataset['chapter']).toBe('lora');
  });

  it('says so where the address names a chapter that this browser has not', async () => {
    const { chapters } = await opened('theirs');
    expect(chapters.innerText).toContain('This browser has no chapter “theirs”');
    expect(chapters.querySelectorAll('ol.chapters a')).toHaveLength(5);
  });
});

describe('a chapter of one’s own', () => {
  it('is added, numbered by its order, kept, downloaded and removed; its text stays text', async () => {
    const { memory, map } = kept();
    const saved: [string, string][] = [];
    const save = (name: string, bytes: Uint8Array): void => void saved.push([name, new TextDecoder().decode(bytes)]);
    const page = await opened('', { memory, save });
    drop(page, asFile(OWN));
    await until(() => page.chapters.querySelector('a[data-chapter="ours"]'));
    const titles = [...page.chapters.querySelectorAll<HTMLElement>('ol.chapters a')].map(
      (link) => link.dataset['chapter'],
    );
    expect(titles).toEqual(['lora', 'nf4', 'ours', 'dpo', 'string-matching', 'how-little-data']);
    expect(page.chapters.innerText).toContain('Added to the list: “Ours <b>bold</b>”');

    page.chapters.querySelector<HTMLElement>('a[data-chapter="ours"]')!.click();
    const article = await until(() => page.chapters.querySelector<HTMLElement>('article'));
    expect(article.querySelector('h2')!.innerText).toBe('Ours <b>bold</b>');
    expect(article.querySelector('img')).toBeNull();
    expect((globalThis as { hurt?: number }).hurt).toBeUndefined();
    expect(article.innerText).toContain('<img src=x onerror=');
    expect(article.querySelector('strong')!.innerText).toBe('strong');
    const scripts = article.querySelector('math msubsup')!;
    expect(scripts.namespaceURI).toBe('http://www.w3.org/1998/Math/MathML');
    expect([...scripts.children].map((child) => child.textContent)).toEqual(['x', '1', '2']);

    button(article, 'Download this chapter').click();
    expect(saved[0]![0]).toBe('ours.chapter.json');
    expect(JSON.parse(saved[0]![1])).toMatchObject(OWN);
    removePages();

    const again = await opened('', { memory });
    expect(again.chapters.querySelector('a[data-chapter="ours"]')).not.toBeNull();
    button(again.chapters, 'Remove Ours <b>bold</b>').click();
    flushSync();
    expect(again.chapters.querySelector('a[data-chapter="ours"]')).toBeNull();
    expect(map.has('pupil-chapters')).toBe(false);
  });

  it('with mistakes is refused with each of them, beside a good one that is kept', async () => {
    const page = await opened('');
    drop(
      page,
      asFile({ ...OWN, id: 'X Y', order: '1' }, 'bad.json'),
      asFile('{', 'broken.json'),
      asFile(OWN),
      asFile({ ...OWN, id: 'nf4' }, 'nf4.json'),
    );
    const alert = await until(() => page.chapters.querySelector<HTMLElement>('[role="alert"]'));
    for (const words of [
      '2 problems in bad.json',
      'id: expected small letters',
      'order: expected number, got "1"',
      'broken.json, got text that is not JSON',
      'no bundled chapter has, got "nf4"',
    ]) {
      expect(alert.innerText).toContain(words);
    }
    expect(page.chapters.querySelectorAll('ol.chapters a')).toHaveLength(6);
  });

  it('that finds no room is told so and is not listed', async () => {
    const page = await opened('', {
      memory: {
        getItem: () => null,
        setItem: () => {
          throw new DOMException('full', 'QuotaExceededError');
        },
        removeItem: () => undefined,
      },
    });
    drop(page, asFile(OWN));
    const alert = await until(() => page.chapters.querySelector<HTMLElement>('[role="alert"]'));
    expect(alert.innerText).toContain('expected room for it in this browser');
    expect(page.chapters.querySelectorAll('ol.chapters a')).toHaveLength(5);
  });

  it('that a later version wrote is kept as it is and said to be unread', async () => {
    const { memory, map } = kept();
    const later = JSON.stringify({ ...OWN, version: 2 });
    map.set('pupil-chapters', JSON.stringify([later]));
    const page = await opened('', { memory });
    expect(page.chapters.innerText).toContain('Cannot be read: ours');
    drop(page, asFile({ ...OWN, id: 'other' }));
    await until(() => page.chapters.querySelector('a[data-chapter="other"]'));
    expect(JSON.parse(map.get('pupil-chapters')!)).toContain(later);
  });
});

describe('widgets', () => {
  it('LoRA: the rank changes what is trained; training goes from 100 % to the best of the rank', async () => {
    const { chapters } = await opened('lora');
    const size = widget(chapters, 'What is trained');
    expect(size.innerText).toContain('131,072');
    set(control(size, 'Rank r'), 64);
    expect(size.innerText).toContain('524,288');
    set(control(size, 'Weight'), 'llama-7b-all');
    expect(size.innerText).toContain('159,907,840');

    const fit = widget(chapters, 'How much fits into rank r');
    expect(fit.innerText).toContain('100.0 %');
    set(control(fit, 'Rank r'), 3);
    for (let i = 0; i < 10; i++) button(fit, '20 steps').click();
    flushSync();
    expect(fit.innerText).toMatch(/after 200 steps/);
    button(fit, 'Best fit of this rank').click();
    flushSync();
    expect(fit.innerText).toContain('3.3 %');
    button(fit, 'Back to B = 0').click();
    flushSync();
    expect(fit.innerText).toContain('100.0 %');
  });

  it('NF4: the keyboard drags the weight and changes its code; an outlier raises the others’ errors', async () => {
    const { chapters } = await opened('nf4');
    const one = widget(chapters, 'One block of 64 weights');
    const slider = control(one, 'The dragged weight');
    expect(slider.type).toBe('range');
    slider.focus();
    await userEvent.keyboard('{Home}'); // all the way to −10: the block's largest
    flushSync();
    expect([slider.value, said(one, 'code')]).toEqual(['-10', '0']);
    set(slider, 0);
    expect(said(one, 'code')).toBe('7');
    const value = slider.valueAsNumber;
    for (let i = 0; i < 60; i++) await userEvent.keyboard('{ArrowRight}');
    flushSync();
    expect(slider.valueAsNumber).toBeCloseTo(value + 0.6, 6);
    expect(Number(said(one, 'code'))).toBeGreaterThan(7);
    expect(slider.getAttribute('aria-valuetext')).toMatch(/^Weight 0\.60: code \d+, read back as/);
    const factor = (): number => Number(/([\d.]+) times/.exec(one.innerText)![1]);
    expect(factor()).toBe(1);
    button(one, 'Make it an outlier: 8').click();
    flushSync();
    expect(said(one, 'code')).toBe('15');
    expect(factor()).toBeGreaterThan(2.5);
    set(control(one, 'Which of the 64'), 9);
    expect(factor()).toBe(1); // the first is back where it was drawn
  });

  it('NF4: dragging in the picture moves the weight as well', async () => {
    const { chapters } = await opened('nf4');
    const one = widget(chapters, 'One block of 64 weights');
    const picture = one.querySelector('svg')!;
    const box = picture.getBoundingClientRect();
    picture.setPointerCapture = () => undefined; // of a pointer that is none
    const at = (type: string, share: number): void => {
      picture.dispatchEvent(
        new PointerEvent(type, { clientX: box.left + share * box.width, clientY: box.top + 40, bubbles: true }),
      );
      flushSync();
    };
    at('pointermove', 0.9); // no button is down
    const before = control(one, 'The dragged weight').value;
    at('pointerdown', 0.5);
    at('pointermove', 0.75);
    at('pointerup', 0.75);
    at('pointermove', 0.1);
    expect(before).not.toBe(control(one, 'The dragged weight').value);
    expect(Number(control(one, 'The dragged weight').value)).toBeCloseTo(5.2, 1);
  });

  it('DPO: ln 2 at the start, less with a margin; in fifty steps both answers fall, alone the chosen one rises', async () => {
    const { chapters } = await opened('dpo');
    const pair = widget(chapters, 'One pair');
    expect(said(pair, 'loss')).toBe('0.6931472');
    set(control(pair, 'Policy, log π(chosen)'), -10);
    expect(said(pair, 'loss')).toBe(Math.log1p(Math.exp(-1)).toFixed(7));

    const policy = widget(chapters, 'A policy of a few answers');
    expect(policy.innerText).toContain('loss 0.6931472');
    for (let i = 0; i < 5; i++) button(policy, '10 steps').click();
    flushSync();
    expect(policy.innerText).toContain('Both fell');
    set(control(policy, 'Answers'), 'alone');
    expect(policy.innerText).toContain('loss 0.6931472');
    for (let i = 0; i < 5; i++) button(policy, '10 steps').click();
    flushSync();
    expect(policy.innerText).toContain(
      'the chosen answer is more likely than at the start, the rejected one less likely',
    );
  });

  it('string matching: examples and typed texts are judged by the session, and a bad target is explained', async () => {
    const { chapters } = await opened('string-matching');
    const three = widget(chapters, 'Three scorers on one text');
    await until(() => three.querySelector('[data-testid="verdict-strict"]'));
    const verdicts = (): string[] =>
      ['strict', 'literal', 'paper-compat'].map((name) => said(three, `verdict-${name}`).replace(/^\W+/, ''));
    expect(verdicts()).toEqual(['wrong', 'right', 'right']);
    expect(three.innerText).toContain('The scorers disagree on this text');
    button(three, 'Option E').click();
    await settle();
    expect(verdicts()).toEqual(['right', 'right', 'wrong']);
    expect(control(three, 'Options').value).toContain('new york');
    set(control(three, 'What the model said'), 'The answer is D) mall.');
    await until(() => verdicts()[0] === 'wrong');
    set(control(three, 'Target'), 'F');
    const alert = await until(() => three.querySelector<HTMLElement>('[role="alert"]'));
    expect(alert.innerText).toContain('letter of the options');
    set(control(three, 'Target'), 'D');
    await until(() => three.querySelector('[role="alert"]') === null && verdicts()[0] === 'right');
  });

  it('how little data: one line stays hidden until the class has predicted it; its table has the measured counts', async () => {
    const { chapters } = await opened('how-little-data');
    const figure = widget(chapters, 'Measured: accuracy by share');
    const both = 'Instruction-tuned, then self-refined';
    const lines = (): string => figure.querySelector('table')!.textContent;
    expect(lines()).not.toContain(both);
    set(control(figure, '30 demonstrations'), 20);
    button(figure, 'Show what was measured').click();
    flushSync();
    expect(lines()).toContain(both);
    expect(lines()).toContain('439/500, 447/500, 453/500'); // docs/results/README.md: 89.3 ± 1.4
    expect(figure.innerText).toMatch(/The prediction was off by \d+ points/);
    set(control(figure, 'Tested on'), 'B sums');
    expect(lines()).toContain('489/500, 493/500, 491/500');
    const box = [...figure.querySelectorAll('label')].find((label) => label.innerText.includes('Baseline'))!;
    box.click();
    flushSync();
    expect(lines()).not.toContain('Baseline');
  });
});

it('scoreText answers from the worker without a device', async () => {
  client = createSessionClient();
  const said = await client.scoreText({ task: 'gsm8k', text: 'The answer is 180.', target: '18' });
  expect(said).toEqual(scoreText({ task: 'gsm8k', text: 'The answer is 180.', target: '18' }));
  await expect(client.scoreText({ task: 'gsm8k', text: 'x', target: 'many' })).rejects.toMatchObject({ code: 'data' });
});
