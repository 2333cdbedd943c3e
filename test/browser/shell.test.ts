// shell.test.ts: the page's frame: the four places by their links and by the address, what the address keeps, how it looks,
// and that nothing is asked of the GPU before something needs it.
import { flushSync, mount, unmount } from 'svelte';
import { afterEach, describe, expect, it } from 'vitest';
import App from '../../src/app/App.svelte';
import '../../src/app/page.css';
import { Address, type HistoryStep } from '../../src/app/state/address.svelte';
import { Playground } from '../../src/app/state/playground.svelte';
import type { SessionApi } from '../../src/session/protocol';
import { FakeSession } from './fakePage';

let end: () => void = () => undefined;
afterEach(() => {
  end();
  end = () => undefined;
  delete document.documentElement.dataset['projector'];
  document.documentElement.style.colorScheme = '';
});

function open(query = '') {
  const session = new FakeSession();
  let opened = 0;
  session.open = () => {
    opened++;
    return Promise.resolve();
  };
  const kept = new Map<string, string>();
  const shown: [string, HistoryStep][] = [];
  const playground = new Playground(session as unknown as SessionApi, {
    address: `${location.origin}/${query}`,
    showAddress: (href, how) => void shown.push([href.slice(location.origin.length), how]),
    memory: {
      getItem: (key) => kept.get(key) ?? null,
      setItem: (key, value) => void kept.set(key, value),
      removeItem: (key) => void kept.delete(key),
    },
    now: () => new Date(Date.UTC(2026, 0, 2)),
  });
  const root = document.createElement('div');
  document.body.append(root);
  const app = mount(App, { target: root, props: { playground } });
  end = () => {
    void unmount(app);
    root.remove();
  };
  flushSync();
  const link = (name: string): HTMLAnchorElement =>
    [...root.querySelectorAll<HTMLAnchorElement>('nav a')].find((one) => one.textContent.trim().startsWith(name))!;
  return { root, playground, shown, kept, link, opened: () => opened };
}

/** Until the code of a place has arrived. */
async function arrived(root: HTMLElement): Promise<void> {
  for (let i = 0; i < 500 && root.querySelector('.loading') !== null; i++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  expect(root.querySelector('.loading')).toBeNull();
}

describe('the frame of the page', () => {
  it('begins with the lesson and asks nothing of the GPU', async () => {
    const { root, link, opened } = open();
    await arrived(root);
    expect(link('Lesson').getAttribute('aria-current')).toBe('page');
    expect(document.title).toBe('Lesson · Pupil');
    expect(root.innerText).toContain('GPU not used yet');
    expect(opened()).toBe(0);
  });

  it('goes to another place by its link, keeps the rest of the address, and wakes the device', async () => {
    const { root, link, playground, shown, opened } = open('?experiment=smoke&seed=7&q=pears&unknown=1');
    await arrived(root);
    expect(link('Results').href).toBe(`${location.origin}/?experiment=smoke&seed=7&unknown=1&place=results`);
    link('Results').click();
    flushSync();
    await arrived(root);
    expect(shown.at(-1)).toEqual(['/?experiment=smoke&seed=7&unknown=1&place=results', 'push']);
    expect(document.activeElement?.tagName).toBe('MAIN');
    expect(opened()).toBe(1);
    expect(playground.experiments.selectedId).toBe('smoke');
    link('Inside').click();
    flushSync();
    await arrived(root);
    expect(opened()).toBe(1);
  });

  it('leaves a click that opens a new tab to the browser', async () => {
    const { root, link, playground } = open();
    await arrived(root);
    link('Lab').addEventListener('click', (event) => event.preventDefault()); // no tab for the test
    link('Lab').dispatchEvent(new MouseEvent('click', { bubbles: true, cancelable: true, ctrlKey: true }));
    expect(playground.address.place).toBe('lesson');
  });

  it('follows the address when it changes from outside, and shows the lesson for a place that does not exist', async () => {
    const { root, playground, link } = open('?place=kitchen');
    await arrived(root);
    expect(link('Lesson').getAttribute('aria-current')).toBe('page');
    playground.address.take(`${location.origin}/?place=lab`);
    flushSync();
    await arrived(root);
    expect(link('Lab').getAttribute('aria-current')).toBe('page');
    expect(root.querySelector('main')?.innerText).toContain('Experiment');
  });

  it('is dark, light and large as chosen, by the address first, and remembers it', async () => {
    const { root, playground, kept } = open('?theme=dark&projector=1');
    await arrived(root);
    const html = document.documentElement;
    expect(html.style.colorScheme).toBe('dark');
    expect(html.dataset['projector']).toBe('');
    expect(getComputedStyle(html).fontSize).toBe('21px');
    const paper = () => getComputedStyle(document.body).backgroundColor;
    expect(paper()).toBe('rgb(0, 0, 0)');
    root.querySelector<HTMLButtonElement>('button[aria-pressed="true"]')!.click();
    playground.appearance.setTheme('light');
    flushSync();
    expect(html.dataset['projector']).toBeUndefined();
    expect(paper()).toBe('rgb(247, 245, 240)');
    expect(JSON.parse(kept.get('pupil-appearance')!)).toEqual({ theme: 'light', projector: false });
  });
});

describe('Address', () => {
  it('writes only changes, and takes out what is empty', () => {
    const written: string[] = [];
    const address = new Address('http://localhost/?run=a&place=inside', (href) => void written.push(href));
    address.set({ run: 'a' });
    expect(written).toEqual([]);
    address.set({ run: 'x y&z', view: '' });
    expect(address.get('run')).toBe('x y&z');
    expect(written).toEqual(['http://localhost/?run=x+y%26z&place=inside']);
    address.set({ run: undefined });
    expect(written.at(-1)).toBe('http://localhost/?place=inside');
  });

  it('leaves behind what belonged to a place, unless it is said with the new one', () => {
    const address = new Address('http://localhost/?place=inside&view=pairs&q=pears&run=a&experiment=smoke');
    address.set({ place: 'results', view: 'tables' });
    expect([address.get('q'), address.get('view'), address.get('run'), address.get('experiment')]).toEqual([
      '',
      'tables',
      'a',
      'smoke',
    ]);
  });
});
