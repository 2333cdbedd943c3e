// formPage.ts: the Lab's form of an experiment, mounted, with its rows and fields at hand: what its tests share. Tests only.
import { flushSync } from 'svelte';
import { FakeSession, settle, show } from './fakePage';
import { Memory, set } from './teachingPage';

export class QuietSession extends FakeSession {
  planStudent = (): Promise<never> => new Promise(() => undefined);
  previewDemonstrations = (): Promise<never> => new Promise(() => undefined);
  keptFiles = (): Promise<never[]> => Promise.resolve([]);
}

export async function opened(query = '?experiment=smoke', memory = new Memory()) {
  const saved = new Map<string, string>();
  const session = new QuietSession();
  const page = show(session, query, {
    memory,
    save: (name, bytes) => void saved.set(name, new TextDecoder().decode(bytes)),
  });
  await page.playground.open();
  await page.playground.experiments.opened;
  flushSync();
  const form = page.root.querySelector<HTMLElement>('.lab-setup')!;
  const head = page.root.querySelector<HTMLElement>('[aria-labelledby="experiment-title"]')!;
  for (const fold of head.querySelectorAll('details')) fold.open = true;
  const row = (path: string): HTMLElement => form.querySelector<HTMLElement>(`[data-path="${path}"]`)!;
  const control = (path: string) =>
    row(path).querySelector<HTMLInputElement & HTMLSelectElement>('input, select, textarea')!;
  const open = (...names: string[]): Promise<void> => {
    for (const name of names) form.querySelector<HTMLDetailsElement>(`[data-section="${name}"]`)!.open = true;
    return settle();
  };
  const type = (path: string, text: string): void => {
    control(path).focus();
    set(control(path), text);
  };
  const { experiments } = page.playground;
  const paths = (): string[] => experiments.differences.map(({ path }) => path.join('.'));
  return { ...page, session, memory, saved, form, head, row, control, open, type, experiments, paths };
}

export const key = (target: Element, name: string, more: KeyboardEventInit = {}): KeyboardEvent => {
  const event = new KeyboardEvent('keydown', { key: name, bubbles: true, cancelable: true, ...more });
  target.dispatchEvent(event);
  flushSync();
  return event;
};
