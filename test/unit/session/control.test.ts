// The control on a tiny random student, in Node on Dawn: more instruction-tuning from the instructed student. It is the same
// mathematics as phase 1, it changes nothing of self-refine, and stopping it changes nothing.
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { parseExperiment } from '../../../src/config/experiment';
import type { RunReport } from '../../../src/report/types';
import { RunControl } from '../../../src/session/control';
import { planRun } from '../../../src/session/plan';
import type { RunSummary, SessionEvent } from '../../../src/session/protocol';
import { executeRun } from '../../../src/session/run';
import { openFileRoot } from '../../../src/sources/fileRoot';
import { MemoryRunStore } from '../../../src/storage/memory';
import type { Gpu } from '../../../src/gpu/device';
import { testGpu } from '../../kernels/device';
import { tinyExperiment, tinyFiles } from './tinyRun';

vi.setConfig({ testTimeout: 600_000 });

let gpu: Gpu;
beforeAll(async () => {
  gpu = await testGpu();
});
const files = openFileRoot({ kind: 'memory', files: tinyFiles() });

const INSTRUCT = { epochs: 1, batchSize: 4, microBatchTokens: 256, learningRate: 0.01, warmupSteps: 1, clip: 1 };
const REFINE = {
  learningRate: 0.005,
  batchSize: 4,
  microBatchTokens: 512,
  maxSteps: 2,
  warmupSteps: 0,
  minValidationPairs: 2,
  sampling: { temperature: 0.7, maxNewTokens: 8, batchSize: 12 },
};
const EVALUATION = { prompts: ['cot'], maxNewTokens: 4, batchSize: 5 };

interface Result {
  summary: RunSummary;
  events: SessionEvent[];
  store: MemoryRunStore;
}

async function run(
  change: Record<string, unknown>,
  o: { store?: MemoryRunStore; resume?: boolean; stopAt?: (event: SessionEvent) => boolean } = {},
): Promise<Result> {
  const store = o.store ?? new MemoryRunStore();
  const control = new RunControl();
  const events: SessionEvent[] = [];
  const summary = await executeRun({
    runId: 'control',
    experiment: parseExperiment(tinyExperiment({ evaluation: EVALUATION, ...change })),
    gpu,
    files,
    store,
    control,
    resume: o.resume === true,
    force: false,
    listener: (event) => {
      events.push(event);
      if (o.stopAt?.(event) === true) control.stop();
    },
  });
  return { summary, events, store };
}

const losses = ({ events }: Result, phase: string): number[] =>
  events.flatMap((event) => (event.type === 'metrics' && event.phase === phase ? [event.values['loss']!] : []));
const adapterOf = (result: Result, name: string): Promise<Uint8Array | undefined> =>
  result.store.loadArtefact('control', `adapters/${name}/adapter_model.safetensors`);
const phasesOf = ({ events }: Result): string[] =>
  events.flatMap((event) => (event.type === 'phase' && event.state === 'start' ? [event.phase] : []));

const WITH = { phases: { baseline: false, instruct: INSTRUCT, control: { steps: 4 }, selfRefine: REFINE } };
const WITHOUT = { phases: { baseline: false, instruct: INSTRUCT, selfRefine: REFINE } };
let whole: Promise<Result> | undefined;
const undisturbed = (): Promise<Result> => (whole ??= run(WITH));

describe('the control', () => {
  it('stands between phase 1 and self-refine, and is a system of its own in rows, tests, files and pages', async () => {
    const result = await undisturbed();
    expect(result.summary.error).toBeUndefined();
    expect(phasesOf(result)).toEqual([
      'load',
      'baseline',
      'instruct',
      'control',
      'generate-pairs',
      'self-refine',
      'evaluate',
      'report',
    ]);
    expect(losses(result, 'control')).toHaveLength(4);
    const report = result.summary.report as RunReport;
    const names = ['Instruction-tuned', 'Instruction-tuned, more steps', 'Self-refined'];
    expect(report.evaluations.map(({ system }) => system)).toEqual(names);
    expect(report.comparisons.map(({ first, second }) => [first, second])).toEqual([
      [names[0], names[1]],
      [names[0], names[2]],
      [names[1], names[2]],
    ]);
    expect(await adapterOf(result, 'control')).not.toEqual(await adapterOf(result, 'instruct'));
    const html = new TextDecoder().decode(await result.store.loadArtefact('control', 'report.html'));
    expect(html).toContain('Instruction-tuned, more steps');
    expect(html).toContain('Control, more instruction-tuning: loss');
  });

  it('leaves phase 1 and self-refine as they are without it, bit for bit; without it there is no such phase', async () => {
    const [control, none] = [await undisturbed(), await run(WITHOUT)];
    for (const name of ['instruct', 'self-refine']) {
      expect(await adapterOf(control, name), name).toEqual(await adapterOf(none, name));
    }
    expect(phasesOf(none)).not.toContain('control');
    expect(await adapterOf(none, 'control')).toBeUndefined();
  });

  it('stopped in its middle and resumed it ends with the same adapters, bit for bit', async () => {
    const before = await undisturbed();
    const stopped = await run(WITH, {
      stopAt: (event) => event.type === 'metrics' && event.phase === 'control' && event.step === 2,
    });
    expect(stopped.summary.state).toBe('stopped');
    const after = await run(WITH, { store: stopped.store, resume: true });
    expect(after.summary.state).toBe('finished');
    expect(losses(after, 'control')).toEqual(losses(before, 'control').slice(2));
    for (const name of ['instruct', 'control', 'self-refine']) {
      expect(await adapterOf(after, name), name).toEqual(await adapterOf(before, name));
    }
  });

  it('is phase 1’s mathematics with its own moments and schedule: from the untouched adapter it walks as phase 1 does', async () => {
    // Full batches, so that the shuffle does not matter; the one step of phase 1 is the warm-up's, with a rate of 0.
    const settings = { ...INSTRUCT, epochs: 9, batchSize: 12, microBatchTokens: 4096 };
    const own = { adapter: { rank: 4, alpha: 8, dropout: 0 } };
    const phases = { baseline: false, selfRefine: false };
    const long = await run({ ...own, phases: { ...phases, instruct: { ...settings, maxSteps: 4 } } });
    const split = await run({
      ...own,
      phases: { ...phases, instruct: { ...settings, maxSteps: 1 }, control: { steps: 4 } },
    });
    const [expected, found] = [losses(long, 'instruct'), losses(split, 'control')];
    expect(expected[3]!).toBeLessThan(expected[0]! - 0.05);
    expect(found).toHaveLength(4);
    found.forEach((loss, i) =>
      expect(Math.abs(loss - expected[i]!), `step ${i + 1}`).toBeLessThan(1e-5 * expected[0]!),
    );
  });

  it('has a learning rate of its own where one is stated', async () => {
    const { events } = await run({
      phases: { baseline: false, instruct: INSTRUCT, control: { steps: 2, learningRate: 0.002 }, selfRefine: false },
    });
    const rates = events.flatMap((event) =>
      event.type === 'metrics' && event.phase === 'control' ? [event.values['learning_rate']] : [],
    );
    expect(rates).toEqual([0, 0.002]);
  });

  it('is in the plan: its steps, and a third system to evaluate', async () => {
    const plan = await planRun(parseExperiment(tinyExperiment({ evaluation: EVALUATION, ...WITH })), files);
    const none = await planRun(parseExperiment(tinyExperiment({ evaluation: EVALUATION, ...WITHOUT })), files);
    const of = (name: string, { phases }: typeof plan) => phases.find(({ phase }) => phase === name);
    expect(of('control', plan)).toMatchObject({ steps: 4, gpuBytes: of('instruct', plan)!.gpuBytes });
    expect(of('evaluate', plan)!.forwardTokens * 2).toBe(of('evaluate', none)!.forwardTokens * 3);
  });
});
