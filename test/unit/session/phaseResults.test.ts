// phaseResults.test.ts: what runs share. A run that takes a phase's result from the shared folder ends with the same bits as one
// that computed it; a result of other inputs is never taken; a damaged one is computed again; `until` ends a run in order.
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { nodeGpu } from '../../../src/gpu/node';
import type { RunReport } from '../../../src/report/types';
import type { RunRequest, RunSummary, SessionEvent } from '../../../src/session/protocol';
import { Session } from '../../../src/session/session';
import { MemoryRunStore } from '../../../src/storage/memory';
import { tinyExperiment, tinyFiles } from './tinyRun';

vi.setConfig({ testTimeout: 600_000 });

const INSTRUCT = { epochs: 1, batchSize: 6, microBatchTokens: 512, learningRate: 0.01, clip: 1 };
/** Two experiments of one grid: phase 1 and the questions are the same, phase 2 is not. */
const experimentWith = (maxSteps: number, changes: Record<string, unknown> = {}): Record<string, unknown> =>
  tinyExperiment({
    phases: {
      baseline: true,
      instruct: INSTRUCT,
      selfRefine: {
        learningRate: 0.005,
        batchSize: 4,
        microBatchTokens: 512,
        maxSteps,
        minValidationPairs: 2,
        sampling: { temperature: 0.7, maxNewTokens: 4, batchSize: 12 },
      },
    },
    evaluation: { prompts: ['plain'], maxNewTokens: 2, batchSize: 5, limit: 2, probing: true },
    ...changes,
  });

let session: Session;
const store = new MemoryRunStore();
beforeAll(async () => {
  session = new Session(await nodeGpu(), store);
  await session.open({ tier: 'f32' });
});

interface Made {
  summary: RunSummary;
  events: SessionEvent[];
  /** What the log says was taken. */
  taken: string[];
}

async function run(runId: string, experiment: unknown, more: Partial<RunRequest> = {}): Promise<Made> {
  const events: SessionEvent[] = [];
  const files = { kind: 'memory' as const, files: tinyFiles() };
  const summary = await session.run({ runId, experiment, files, ...more }, (event) => void events.push(event));
  const taken = events.flatMap((event) => {
    const found = event.type === 'log' ? /^(.*): taken from the shared results/.exec(event.message) : null;
    return found === null ? [] : [found[1]!];
  });
  return { summary, events, taken };
}

const shareOf = (files: Record<string, Uint8Array>): Pick<RunRequest, 'shared'> => ({
  shared: { kind: 'memory', files },
});

const text = async (runId: string, path: string): Promise<string> =>
  new TextDecoder().decode(await store.loadArtefact(runId, path));

/** Adapters to the bit, pairs, predictions, metrics but for times, rows. */
async function expectSame(a: string, b: string): Promise<void> {
  for (const path of ['instruct', 'self-refine'].map((name) => `adapters/${name}/adapter_model.safetensors`)) {
    const expected = await store.loadArtefact(a, path);
    expect(expected?.byteLength).toBeGreaterThan(0);
    expect(await store.loadArtefact(b, path), path).toEqual(expected);
  }
  for (const path of ['pairs.jsonl', 'predictions.jsonl']) expect(await text(b, path), path).toBe(await text(a, path));
  const losses = async (runId: string): Promise<unknown[]> =>
    (await text(runId, 'metrics.jsonl'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
      .map(({ phase, step, loss, grad_norm }) => ({ phase, step, loss, grad_norm }));
  expect(await losses(b)).toEqual(await losses(a));
  const rows = async (runId: string): Promise<unknown> =>
    (JSON.parse(await text(runId, 'report.json')) as { evaluations: unknown }).evaluations;
  expect(await rows(b)).toEqual(await rows(a));
}

describe('shared results', () => {
  const shelf: Record<string, Uint8Array> = {};

  it('are put there by one run and taken by another, which ends with the same bits as alone', async () => {
    const first = await run('first', experimentWith(1), shareOf(shelf));
    expect(first.summary.state).toBe('finished');
    expect(first.taken).toEqual([]);
    // Baseline, phase 1, pairs, phase 2, two evaluations.
    expect(Object.keys(shelf)).toHaveLength(6);

    const second = await run('second', experimentWith(2), shareOf(shelf));
    expect(second.summary.state).toBe('finished');
    expect(second.taken).toEqual(['baseline Baseline', 'instruct', 'evaluate Instruction-tuned']);
    const trained = second.events.filter((event) => event.type === 'progress' && event.progress.task === 'instruct');
    expect(trained).toEqual([]);
    // Phase 2 differs, so its pairs, which follow from its settings, are its own.
    expect(Object.keys(shelf)).toHaveLength(9);

    const alone = await run('alone', experimentWith(2));
    expect(alone.taken).toEqual([]);
    await expectSame('alone', 'second');
  });

  it('a run made again computes nothing and ends with the same bits', async () => {
    const again = await run('again', experimentWith(2), shareOf(shelf));
    expect(again.taken).toEqual([
      'baseline Baseline',
      'instruct',
      'generate-pairs',
      'self-refine',
      'evaluate Instruction-tuned',
      'evaluate Self-refined',
    ]);
    await expectSame('alone', 'again');
    expect(Object.keys(shelf)).toHaveLength(9);
    const rows = again.events.flatMap((event) => (event.type === 'evaluation' ? [event.row] : []));
    expect(rows).toEqual((again.summary.report as RunReport).evaluations);
  });

  it('of another seed are not taken', async () => {
    const other = await run('seed', experimentWith(2, { seed: 5 }), { ...shareOf({ ...shelf }), until: 'instruct' });
    expect(other.taken).toEqual([]);
  });

  it('that are damaged are told, computed again and replaced', async () => {
    const damaged: Record<string, Uint8Array> = Object.fromEntries(
      Object.entries(shelf).map(([path, bytes]) => {
        const copy = bytes.slice();
        copy[copy.length - 3]! ^= 1;
        return [path, copy];
      }),
    );
    const made = await run('mended', experimentWith(2), shareOf(damaged));
    expect(made.summary.state).toBe('finished');
    expect(made.taken).toEqual([]);
    const told = made.events.filter((event) => event.type === 'log' && /is damaged/.test(event.message));
    expect(told).toHaveLength(6);
    await expectSame('alone', 'mended');
    const again = await run('mended-again', experimentWith(2), shareOf(damaged));
    expect(again.taken).toHaveLength(6);
    // What befell the run before is not told of this one.
    expect(again.events.filter((event) => event.type === 'log' && /is damaged/.test(event.message))).toEqual([]);
  });

  it('cut short or empty ones are no results either', async () => {
    const cut = Object.fromEntries(Object.entries(shelf).map(([path, bytes], i) => [path, bytes.slice(0, 40 * i)]));
    const made = await run('cut', experimentWith(2), { ...shareOf(cut), until: 'instruct' });
    expect(made.taken).toEqual([]);
    expect(made.summary.state).toBe('stopped');
  });

  it('a folder that cannot be written leaves the run alone', async () => {
    // Its parent is no folder: every write fails.
    const made = await run('unshared', experimentWith(1), {
      shared: { kind: 'disk', directory: '/dev/null/none' },
      until: 'instruct',
    });
    expect(made.summary.state).toBe('stopped');
    const told = made.events.filter((event) => event.type === 'log' && event.level === 'warning');
    expect(told.length).toBeGreaterThan(0);
  });
});

describe('until', () => {
  it('ends after the phase with a checkpoint, from which the same run goes on to the same bits', async () => {
    const shelf: Record<string, Uint8Array> = {};
    const begun = await run('until', experimentWith(2), { until: 'instruct', ...shareOf(shelf) });
    expect(begun.summary.state).toBe('stopped');
    const phases = begun.events.flatMap((event) =>
      event.type === 'phase' && event.state === 'start' ? [event.phase] : [],
    );
    expect(phases).toEqual(['load', 'baseline', 'instruct']);
    const once = await run('until', experimentWith(2), { until: 'instruct', resume: true });
    expect(once.summary.state).toBe('stopped');
    expect(once.events.filter((event) => event.type === 'metrics')).toEqual([]);
    await run('until', experimentWith(2), { resume: true });
    await expectSame('alone', 'until');
  });

  it('refuses what is no phase of the run', async () => {
    const refused = await run('nowhere', experimentWith(2), { until: 'control' });
    expect(refused.summary.error?.message).toMatch(/until: expected a phase of this run .* got control/);
  });
});
