// fakePage.ts: the page's places, all at once, mounted over a session that the test controls; the frame around them has tests
// of its own (shell.test.ts). Tests only.
import { flushSync, mount, unmount, type Component } from 'svelte';
import AllPlaces from './AllPlaces.svelte';
import '../../src/app/page.css';
import { Playground } from '../../src/app/state/playground.svelte';
import type {
  CachedStudent,
  RunDetails,
  RunOverview,
  RunRequest,
  RunSummary,
  SessionApi,
  SessionEvent,
  StoredRun,
  VerifiedStudent,
} from '../../src/session/protocol';

const DOCTOR = {
  adapter: { vendor: 'acme', architecture: 'one', device: '', description: '' },
  tier: 'f32',
  tiers: ['f32'],
  software: false,
  storage: { quotaBytes: 2 ** 30, usageBytes: 2 ** 20 },
  crossOriginIsolated: true,
  userAgent: 'test',
  problems: [],
};

/** A session whose run is driven by the test. */
export class FakeSession {
  calls: string[] = [];
  request: RunRequest | undefined;
  emit: (event: SessionEvent) => void = () => undefined;
  finish: (summary: Partial<RunSummary>) => void = () => undefined;
  stored: StoredRun[] = [];
  artefacts: Record<string, Uint8Array> = {};

  open = (): Promise<void> => Promise.resolve();
  doctor = (): Promise<unknown> => Promise.resolve(DOCTOR);
  cached: CachedStudent[] = [];
  verify: (key: string) => Promise<VerifiedStudent> = () => Promise.reject(new Error('not expected'));
  cachedStudents = (): Promise<CachedStudent[]> => Promise.resolve(this.cached);
  verifyCachedStudent = (key: string): Promise<VerifiedStudent> => this.verify(key);
  deleteCachedStudent = (key: string): Promise<void> => {
    this.cached = this.cached.filter((student) => student.key !== key);
    return Promise.resolve();
  };
  listRuns = (): Promise<StoredRun[]> => Promise.resolve(this.stored);
  run = (request: RunRequest, onEvent: (event: SessionEvent) => void): Promise<RunSummary> => {
    this.request = request;
    this.emit = onEvent;
    return new Promise((resolve) => {
      this.finish = (summary) =>
        resolve({ runId: request.runId, state: 'finished', report: {}, artefacts: [], ...summary });
    });
  };
  pause = (): Promise<void> => this.called('pause', 'paused');
  resume = (): Promise<void> => this.called('resume', 'running');
  step = (): Promise<void> => this.called('step', 'paused');
  stop = (): Promise<void> => this.called('stop', 'stopped');
  overviews: RunOverview[] = [];
  runOverviews = (): Promise<RunOverview[]> => Promise.resolve(this.overviews);
  details: Partial<RunDetails> = {};
  runDetails = (runId: string): Promise<RunDetails> =>
    Promise.resolve({
      runId,
      headline: [],
      filesBytes: 0,
      checkpointBytes: 0,
      adapters: [],
      from: 'report',
      evaluations: [],
      curves: [],
      timings: [],
      log: [],
      files: [],
      checkpoints: [],
      problems: [],
      ...this.details,
    });
  renameRun = (runId: string, label: string): Promise<void> => {
    this.stored = this.stored.map((run) => (run.runId === runId ? { ...run, label } : run));
    return Promise.resolve();
  };
  listArtefacts = (): Promise<string[]> => Promise.resolve(Object.keys(this.artefacts));
  artefact = (_runId: string, path: string): Promise<Uint8Array> => Promise.resolve(this.artefacts[path]!);
  deleteRun = (runId: string): Promise<void> => {
    this.stored = this.stored.filter((run) => run.runId !== runId);
    return Promise.resolve();
  };

  private called(name: string, state: 'paused' | 'running' | 'stopped'): Promise<void> {
    this.calls.push(name);
    this.emit({ type: 'state', state });
    return Promise.resolve();
  }
}

let unmountAll: (() => void)[] = [];

/** To be called after each test. */
export function removePages(): void {
  for (const end of unmountAll) end();
  unmountAll = [];
}

export function show(
  session: Partial<FakeSession>,
  query = '',
  more: Partial<ConstructorParameters<typeof Playground>[1]> = {},
  what: Component<{ playground: Playground }> = AllPlaces,
): { root: HTMLElement; playground: Playground; text: () => string } {
  const kept = new Map<string, string>();
  const playground = new Playground(session as unknown as SessionApi, {
    address: `${location.origin}/${query}`,
    memory: {
      getItem: (key) => kept.get(key) ?? null,
      setItem: (key, value) => void kept.set(key, value),
      removeItem: (key) => void kept.delete(key),
    },
    now: () => new Date(Date.UTC(2026, 0, 2, 3, 4, 5)),
    ...more,
  });
  const root = document.createElement('div');
  document.body.append(root);
  const app = mount(what, { target: root, props: { playground } });
  unmountAll.push(() => {
    void unmount(app);
    root.remove();
  });
  flushSync();
  return { root, playground, text: () => root.innerText };
}

export function button(root: HTMLElement, name: string): HTMLButtonElement {
  const found = [...root.querySelectorAll('button')].find(
    (one) => one.innerText.trim() === name || one.getAttribute('aria-label') === name,
  );
  if (found === undefined) throw new Error(`no button "${name}" in:\n${root.innerText}`);
  return found;
}

export const settle = async (): Promise<void> => {
  await new Promise((resolve) => setTimeout(resolve, 20));
  flushSync();
};
