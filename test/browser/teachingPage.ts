// teachingPage.ts: the page over a real session without a GPU: files are read, kept and judged as they would be; only runs are
// the test's. What a page remembers outlives it, as a reload would have it. Tests only.
import { flushSync } from 'svelte';
import { Session } from '../../src/session/session';
import { MemoryRunStore } from '../../src/storage/memory';
import { FakeSession, settle, show } from './fakePage';

const noGpu = (): never => {
  throw new Error('teachers ask for no GPU');
};

export class TeachingSession extends FakeSession {
  private readonly real = new Session(noGpu, new MemoryRunStore());
  previewDemonstrations = this.real.previewDemonstrations.bind(this.real);
  previewTask = this.real.previewTask.bind(this.real);
  keepFile = this.real.keepFile.bind(this.real);
  keptFiles = this.real.keptFiles.bind(this.real);
  keptFile = this.real.keptFile.bind(this.real);
  deleteKeptFile = this.real.deleteKeptFile.bind(this.real);
  estimateTeaching = this.real.estimateTeaching.bind(this.real);
  teach = this.real.teach.bind(this.real);
  override stop = (): Promise<void> => this.real.stop();
}

/** What a browser remembers, over several pages. */
export class Memory {
  readonly texts = new Map<string, string>();
  getItem = (key: string): string | null => this.texts.get(key) ?? null;
  setItem = (key: string, value: string): void => void this.texts.set(key, value);
  removeItem = (key: string): void => void this.texts.delete(key);
}

export interface Page extends ReturnType<typeof show> {
  panel: HTMLElement;
  saved: Map<string, string>;
}

/** The page with the sections Tasks and Teachers of its form open. */
export async function teachersPage(
  session: TeachingSession,
  memory = new Memory(),
  query = '',
  more: Parameters<typeof show>[2] = {},
): Promise<Page> {
  const saved = new Map<string, string>();
  const page = show(session, query, {
    memory,
    ...more,
    save: (name, bytes) => void saved.set(name, new TextDecoder().decode(bytes)),
  });
  await page.playground.open();
  flushSync();
  const panel = page.root.querySelector<HTMLElement>('.lab-setup')!;
  for (const name of ['tasks', 'teachers']) {
    panel.querySelector<HTMLDetailsElement>(`[data-section="${name}"]`)!.open = true;
  }
  await until(() => panel.querySelectorAll('.parts').length === 2);
  return { ...page, panel, saved };
}

/** Waits for what reads, hashes and judges on its own time. */
export async function until(isSo: () => boolean, what = ''): Promise<void> {
  for (let i = 0; i < 250; i++) {
    await settle();
    if (isSo()) return;
  }
  throw new Error(`waited in vain ${what}for ${isSo.toString()} in:\n${document.body.innerText}`);
}

/** The teachers of the experiment. */
export const mixtureOf = ({ panel }: Page): HTMLElement => panel.querySelector<HTMLElement>('.teachers .entries')!;

/** Opens one of the parts. */
export function part(panel: HTMLElement, title: string): HTMLDetailsElement {
  const found = [...panel.querySelectorAll<HTMLDetailsElement>('.parts > details')].find(
    (one) => one.querySelector('h4')?.textContent === title,
  );
  if (found === undefined) throw new Error(`no part "${title}"`);
  found.open = true;
  flushSync();
  return found;
}

/** The control that a label names. */
export function field(root: HTMLElement, name: string): HTMLInputElement & HTMLSelectElement & HTMLTextAreaElement {
  const wordsOf = (label: HTMLLabelElement): string =>
    [...label.childNodes]
      .filter((node) => !(node instanceof HTMLElement && /^(SELECT|INPUT|TEXTAREA)$/.test(node.tagName)))
      .map((node) => node.textContent)
      .join('')
      .replace(/\s+/g, ' ')
      .trim();
  const labels = [...root.querySelectorAll('label')];
  const found =
    labels.find((label) => wordsOf(label) === name) ?? labels.find((label) => wordsOf(label).startsWith(name));
  if (found !== undefined)
    return (found.control ?? found.querySelector('input, select, textarea')) as ReturnType<typeof field>;
  throw new Error(`no field "${name}" in:\n${root.innerText}`);
}

export function set(
  control: HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement,
  value: string | boolean,
): void {
  if (typeof value === 'boolean') {
    if ((control as HTMLInputElement).checked !== value) control.click();
  } else {
    control.value = value;
    control.dispatchEvent(new Event('input', { bubbles: true }));
    control.dispatchEvent(new Event('change', { bubbles: true }));
  }
  flushSync();
}

export function pick(input: HTMLInputElement, ...files: [name: string, text: string][]): void {
  const transfer = new DataTransfer();
  for (const [name, text] of files) transfer.items.add(new File([text], name));
  input.files = transfer.files;
  input.dispatchEvent(new Event('change', { bubbles: true }));
}

/** As {@link pick}, by dropping them. */
export function drop(onto: Element, ...files: [name: string, text: string][]): void {
  const dataTransfer = new DataTransfer();
  for (const [name, text] of files) dataTransfer.items.add(new File([text], name));
  onto.dispatchEvent(new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true }));
}

export const lines = (...rows: unknown[]): string => rows.map((row) => JSON.stringify(row)).join('\n');
