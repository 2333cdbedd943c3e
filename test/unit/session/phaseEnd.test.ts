// phaseEnd.test.ts: a run that is told to stop at the end of its phase ends there and nowhere else, can change its mind, and
// ends after a resume as if it had never stopped, bit for bit; its history can be read meanwhile; the plan that it sends counts
// what its progress then counts.
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { nodeGpu } from '../../../src/gpu/node';
import type { RunSummary, SessionEvent } from '../../../src/session/protocol';
import { Session } from '../../../src/session/session';
import { MemoryRunStore } from '../../../src/storage/memory';
import { tinyExperiment, tinyFiles } from './tinyRun';

vi.setConfig({ testTimeout: 600_000 });

const EXPERIMENT = tinyExperiment({
  phases: {
    baseline: false,
    instruct: { epochs: 1, batchSize: 6, microBatchTokens: 512, learningRate: 0.01, clip: 1 },
    selfRefine: {
      learningRate: 0.005,
      batchSize: 4,
      microBatchTokens: 512,
      maxSteps: 2,
      minValidationPairs: 2,
      sampling: { temperature: 0.7, maxNewTokens: 4, batchSize: 12 },
    },
  },
  evaluation: { prompts: ['plain'], maxNewTokens: 2, batchSize: 5, limit: 2, probing: true },
});

let session: Session;
const store = new MemoryRunStore();
beforeAll(async () => {
  const gpu = await nodeGpu();
  session = new Session(gpu, store);
  await session.open({ tier: 'f32' });
});

interface Sitting {
  summary: RunSummary;
  events: SessionEvent[];
  phases: string[];
}

async function run(runId: string, resume = false, onEvent: (event: SessionEvent) => void = () => 0): Promise<Sitting> {
  const events: SessionEvent[] = [];
  const files = { kind: 'memory' as const, files: tinyFiles() };
  const summary = await session.run({ runId, experiment: EXPERIMENT, files, resume }, (event) => {
    events.push(event);
    onEvent(event);
  });
  const phases = events.flatMap((event) => (event.type === 'phase' && event.state === 'start' ? [event.phase] : []));
  return { summary, events, phases };
}

/** At the first event of that kind in that phase. */
const at = (type: SessionEvent['type'], phase: string, act: () => void): ((event: SessionEvent) => void) => {
  let present = '';
  let done = false;
  return (event) => {
    if (event.type === 'phase' && event.state === 'start') present = event.phase;
    if (done || event.type !== type || present !== phase) return;
    done = true;
    act();
  };
};

let undisturbed: Promise<Sitting> | undefined;
const whole = (): Promise<Sitting> => (undisturbed ??= run('whole'));

async function expectSame(runId: string): Promise<void> {
  for (const path of ['instruct', 'self-refine'].map((name) => `adapters/${name}/adapter_model.safetensors`)) {
    const expected = await store.loadArtefact('whole', path);
    expect(expected?.byteLength).toBeGreaterThan(0);
    expect(await store.loadArtefact(runId, path), path).toEqual(expected);
  }
  const lines = async (id: string): Promise<string> =>
    new TextDecoder().decode(await store.loadArtefact(id, 'predictions.jsonl'));
  expect(await lines(runId)).toBe(await lines('whole'));
}

describe('stop at the end of the phase', () => {
  it('ends after the present phase with a checkpoint, and the resumed run ends as one that was left alone', async () => {
    await whole();
    const stopped = await run(
      'halves',
      false,
      at('metrics', 'instruct', () => void session.stopAtPhaseEnd(true)),
    );
    expect(stopped.summary.state).toBe('stopped');
    expect(stopped.phases.at(-1)).toBe('instruct');
    // The phase is whole: as many steps as without the wish.
    const steps = (sitting: Sitting): number =>
      sitting.events.filter((event) => event.type === 'metrics' && event.phase === 'instruct').length;
    expect(steps(stopped)).toBe(steps(await whole()));
    expect((await session.listRuns()).find(({ runId }) => runId === 'halves')).toMatchObject({
      state: 'stopped',
      phase: 'generate-pairs',
      step: 0,
    });
    const history = (await session.runHistory('halves'))!;
    expect(history).toMatchObject({ phase: 'generate-pairs', step: 0, experiment: { name: 'Tiny', seed: 3 } });
    expect(history.history.finished).toContain('instruct');
    expect(history.history.metrics).toHaveLength(steps(stopped));
    expect(await session.runHistory('nobody')).toBeUndefined();
    const rest = await run('halves', true);
    // What a resume tells is what can be read without one.
    expect(rest.events.find((event) => event.type === 'history')).toEqual(history.history);
    expect(rest.phases).toEqual(['load', 'generate-pairs', 'self-refine', 'evaluate', 'report']);
    expect(rest.summary.state).toBe('finished');
    await expectSame('halves');
  });

  it('can be taken back until then, holds while paused, and is forgotten by the next run', async () => {
    const wanted = at('metrics', 'instruct', () => {
      void session.stopAtPhaseEnd(true);
      void session.stopAtPhaseEnd(false);
    });
    const paused = await run('changed', false, (event) => {
      wanted(event);
      if (event.type === 'metrics' && event.phase === 'self-refine' && event.step === 1) void session.pause();
      if (event.type === 'state' && event.state === 'paused') {
        void session.stopAtPhaseEnd(true);
        void session.resume();
      }
    });
    expect(paused.summary.state).toBe('stopped');
    expect(paused.phases.at(-1)).toBe('self-refine');
    expect((await run('changed', true)).summary.state).toBe('finished');
    await expectSame('changed');
  });

  it('asked for while the run loads, ends it after the first phase that does something; without a run it is refused', async () => {
    const early = await run(
      'early',
      false,
      at('phase', 'load', () => void session.stopAtPhaseEnd(true)),
    );
    expect(early.summary.state).toBe('stopped');
    expect(early.phases).toEqual(['load', 'baseline', 'instruct']); // this experiment has no baselines
    await expect((async () => session.stopAtPhaseEnd(true))()).rejects.toMatchObject({ code: 'usage' });
  });
});

describe('what a run says of itself', () => {
  it('the plan counts what progress then counts, phase by phase', async () => {
    const { events } = await whole();
    const plan = events.find((event) => event.type === 'plan');
    expect(plan).toBeDefined();
    const counted = new Map<string, number>();
    const tasks = new Map<string, number>();
    let phase = '';
    for (const event of events) {
      if (event.type === 'phase' && event.state === 'start') phase = event.phase;
      if (event.type !== 'progress' || phase === 'load') continue;
      const { task, done, unit } = event.progress;
      const key = `${phase} ${unit}`;
      counted.set(key, (counted.get(key) ?? 0) + done - (tasks.get(`${phase} ${task}`) ?? 0));
      tasks.set(`${phase} ${task}`, done);
    }
    for (const { phase: name, unit, count } of plan!.work) {
      const found = counted.get(`${name} ${unit}`) ?? 0;
      // How many pairs there will be is known when they are made.
      if (unit === 'pairs') expect(found).toBeLessThanOrEqual(count);
      else expect(found, `${name} ${unit}`).toBe(count);
    }
    expect(plan!.work.map((work) => `${work.phase} ${work.unit}`)).toEqual(
      expect.arrayContaining([...counted.keys()]) as string[],
    );
  });

  it('bytes on the GPU are told with their parts, which add up', async () => {
    const told = (await whole()).events.filter((event) => event.type === 'memory');
    expect(told.length).toBeGreaterThan(2);
    const names = new Set(told.flatMap(({ parts }) => parts.map(([name]) => name)));
    for (const name of ['student', 'adapter', 'training', 'generation']) expect(names).toContain(name);
    for (const { totalBytes, peakBytes, parts } of told) {
      expect(parts.reduce((sum, [, bytes]) => sum + bytes, 0)).toBe(totalBytes);
      expect(peakBytes).toBeGreaterThanOrEqual(totalBytes);
    }
  });
});
