// runHarness.ts: whole runs of the tiny student, in Node on Dawn, over one session: what the tests of run and resume share. Tests only.
import { beforeAll, expect, vi } from 'vitest';
import { nodeGpu } from '../../../src/gpu/node';
import type { FileRoot, RunSummary, SessionEvent } from '../../../src/session/protocol';
import { Session } from '../../../src/session/session';
import { MemoryRunStore } from '../../../src/storage/memory';
import type { RunStore } from '../../../src/storage/runStore';
import { tinyExperiment, tinyFiles } from './tinyRun';

// A run takes seconds; compiling its kernels on a software adapter takes a minute or two.
vi.setConfig({ testTimeout: 600_000 });

// One session, and so one device, for all runs: compiling the kernels takes longer than running them.
export let session: Session;
let files: FileRoot;
/** The store of the run under way: a session has one store, these tests want a fresh one each. */
let present: RunStore = new MemoryRunStore();
beforeAll(async () => {
  const store = new Proxy({} as RunStore, {
    get: (_, name: keyof RunStore) => (present[name] as (...args: unknown[]) => unknown).bind(present),
  });
  session = new Session(await nodeGpu(), store);
  await session.open({ tier: 'f32' });
  files = { kind: 'memory', files: tinyFiles() };
});

export interface Result {
  summary: RunSummary;
  events: SessionEvent[];
  store: MemoryRunStore;
  out: Record<string, Uint8Array>;
}

/** One run; `interrupt` may stop the session at any event. */
export async function run(
  options: {
    experiment?: unknown;
    store?: MemoryRunStore;
    out?: Record<string, Uint8Array>;
    files?: Record<string, Uint8Array>;
    resume?: boolean;
    interrupt?: (event: SessionEvent, count: number) => void;
  } = {},
): Promise<Result> {
  const store = options.store ?? new MemoryRunStore();
  present = store;
  const out = options.out ?? {};
  const events: SessionEvent[] = [];
  const summary = await session.run(
    {
      runId: 'tiny',
      experiment: options.experiment ?? tinyExperiment(),
      files: options.files === undefined ? files : { kind: 'memory', files: options.files },
      out: { kind: 'memory', files: out },
      ...(options.resume === true ? { resume: true } : {}),
    },
    (event) => {
      events.push(event);
      options.interrupt?.(event, events.length);
    },
  );
  return { summary, events, store, out };
}

/** One that is stopped at the metrics of a step. */
export const stoppedAt = (
  phase: string,
  step: number,
  options: { out?: Record<string, Uint8Array>; store?: MemoryRunStore } = {},
): Promise<Result> =>
  run({
    ...options,
    interrupt: (event) => {
      if (event.type === 'metrics' && event.phase === phase && event.step === step) void session.stop();
    },
  });

let whole: Promise<Result> | undefined;
export const undisturbed = (): Promise<Result> => (whole ??= run());

export const ADAPTERS = [
  'adapters/instruct/adapter_model.safetensors',
  'adapters/self-refine/adapter_model.safetensors',
];
export const linesOf = (bytes: Uint8Array | undefined): Record<string, unknown>[] =>
  new TextDecoder()
    .decode(bytes)
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

/** Adapters, pairs and predictions, to the bit. */
export async function expectSameAs(before: Result, after: Result, label: string): Promise<void> {
  expect(after.summary.state, label).toBe('finished');
  for (const path of [...ADAPTERS, 'pairs.jsonl', 'predictions.jsonl']) {
    expect(await after.store.loadArtefact('tiny', path), `${path} ${label}`).toEqual(before.out[path]);
  }
}
