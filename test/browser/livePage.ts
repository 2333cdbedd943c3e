// livePage.ts: the Lab with a run that goes on, mounted over a session that the test controls: what the tests of the live run share. Tests only.
import { flushSync } from 'svelte';
import { resolvePaths } from '../../src/config/paths';
import { preset } from '../../src/config/presets';
import type { RunHistory, StoredRun } from '../../src/session/protocol';
import { button, FakeSession, settle, show } from './fakePage';

export const STORED: StoredRun = {
  runId: 'smoke-1',
  name: 'Smoke',
  state: 'running',
  phase: 'instruct',
  step: 4,
  updatedAt: '2026-01-02T03:04:05Z',
  sizeBytes: 2048,
};
export const rows = (losses: readonly number[]): RunHistory['history']['metrics'] =>
  losses.map((loss, i) => ({ phase: 'instruct', step: i + 1, totalSteps: 6, values: { loss, grad_norm: 2 * loss } }));
export const HISTORY: RunHistory = {
  experiment: resolvePaths(preset('smoke'), { base: 'experiments' }),
  phase: 'instruct',
  step: 4,
  history: { type: 'history', finished: ['baseline'], metrics: rows([4, 3, 2, 1]), evaluations: [], log: [] },
  shown: [],
};

export class LiveSession extends FakeSession {
  histories: Record<string, RunHistory> = {};
  stopAtPhaseEnd = (on: boolean): Promise<void> => {
    this.calls.push(`stopAtPhaseEnd ${on}`);
    return Promise.resolve();
  };
  runHistory = (runId: string): Promise<RunHistory | undefined> => Promise.resolve(this.histories[runId]);
}

export type More = Parameters<typeof show>[2];

export async function page(session = new LiveSession(), query = '?place=lab&experiment=smoke', more: More = {}) {
  const shown = show(session, query, more);
  await shown.playground.open();
  flushSync();
  return { session, ...shown };
}

export async function started(session?: LiveSession, query?: string, more?: More) {
  const all = await page(session, query, more);
  button(all.root, 'Run').click();
  await settle();
  return all;
}

export const has = (root: HTMLElement, name: string): boolean =>
  [...root.querySelectorAll('button')].some((one) => one.innerText.trim() === name);
export const press = (key: string, target: EventTarget = document.body): void => {
  target.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true }));
  flushSync();
};
