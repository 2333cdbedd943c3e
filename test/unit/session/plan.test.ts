// plan.test.ts: what `--plan` says a run will hold on the GPU, against what the account says it held, phase by phase where
// they differ; and the limit that is checked by it. Runs of the tiny student, whose batches decide where the peak is.
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { parseExperiment } from '../../../src/config/experiment';
import type { Gpu } from '../../../src/gpu/device';
import type { RunSummary } from '../../../src/session/protocol';
import { RunControl } from '../../../src/session/control';
import { planRun, type RunPlan } from '../../../src/session/plan';
import { executeRun } from '../../../src/session/run';
import { openFileRoot } from '../../../src/sources/fileRoot';
import { MemoryRunStore } from '../../../src/storage/memory';
import type { PhaseName, RunReport } from '../../../src/report/types';
import { testGpu } from '../../kernels/device';
import { tinyExperiment, tinyFiles } from './tinyRun';

vi.setConfig({ testTimeout: 600_000 });

let gpu: Gpu;
beforeAll(async () => {
  gpu = await testGpu();
});
const files = openFileRoot({ kind: 'memory', files: tinyFiles() });

interface Measured {
  plan: RunPlan;
  summary: RunSummary;
  /** Most bytes held while each phase lasted. */
  held: Map<PhaseName, number>;
}

async function measure(changes: Record<string, unknown>): Promise<Measured> {
  const experiment = parseExperiment(tinyExperiment(changes));
  const held = new Map<PhaseName, number>();
  let since: PhaseName = 'load';
  const note = (): void => void held.set(since, Math.max(held.get(since) ?? 0, gpu.account.peak));
  const summary = await executeRun({
    runId: 'plan',
    experiment,
    gpu,
    files,
    store: new MemoryRunStore(),
    control: new RunControl(),
    resume: false,
    force: false,
    listener: (event) => {
      if (event.type !== 'phase') return;
      note();
      if (event.state === 'start') {
        since = event.phase;
        gpu.account.restartPeak();
      }
    },
  });
  return { plan: await planRun(experiment, files), summary, held };
}

const instructOnly = (microBatchTokens: number): Record<string, unknown> => ({
  baseline: false,
  instruct: { epochs: 1, batchSize: 12, microBatchTokens, learningRate: 0.01 },
  selfRefine: false,
});

/** Where the peak is, and changes that put it there. */
const SETTINGS: [string, PhaseName, Record<string, unknown>][] = [
  ['the whole method', 'self-refine', {}],
  [
    'a dense student, rank 32, a batch in one piece',
    'instruct',
    {
      student: { ...(tinyExperiment()['student'] as object), quantize: 'none' },
      adapter: { rank: 32, alpha: 8, dropout: 0.1 },
      phases: instructOnly(4096),
      evaluation: { prompts: ['cot'], maxNewTokens: 2, batchSize: 1, probing: false },
    },
  ],
  [
    'many long answers side by side',
    'baseline',
    {
      phases: { baseline: true, instruct: false, selfRefine: false },
      evaluation: { prompts: ['cot'], maxNewTokens: 120, batchSize: 64, probing: true },
    },
  ],
];

/** Tokens of phase 1 are the run's own, others upper bounds; the disk has room for what the run wrote. */
function expectPlanned({ phases, disk, estimates }: RunPlan, { timings, bytes }: RunReport): void {
  expect(estimates).toEqual([]);
  for (const { phase, steps, trainedTokens, forwardTokens, generatedTokens } of phases) {
    const real = timings.find((row) => row.phase === phase)!;
    if (phase === 'instruct') expect([steps, trainedTokens]).toEqual([real.steps, real.tokens]);
    expect(trainedTokens + forwardTokens, phase).toBeGreaterThanOrEqual(real.tokens!);
    expect(generatedTokens, phase).toBeLessThanOrEqual(forwardTokens);
  }
  expect(disk.adapters * disk.adapterBytes).toBeGreaterThanOrEqual(disk.adapters === 0 ? 0 : bytes.adapterFile - 65536);
}

describe('bytes on the GPU', () => {
  it.each(SETTINGS)('%s, peak in %s: planned and held differ by less than 10 in 100', async (_, peakPhase, changes) => {
    const { plan, summary, held } = await measure(changes);
    expect(summary.error).toBeUndefined();
    expect(summary.state).toBe('finished');
    const peak = Math.max(...held.values());
    expect(held.get(peakPhase)).toBe(peak);
    expect(plan.bytes.totalBytes / peak).toBeGreaterThan(0.9);
    expect(plan.bytes.totalBytes / peak).toBeLessThan(1.1);
    expectPlanned(plan, summary.report as RunReport);
    for (const { phase, gpuBytes } of plan.phases) {
      expect(gpuBytes / held.get(phase)!, phase).toBeGreaterThan(0.9);
      expect(gpuBytes / held.get(phase)!, phase).toBeLessThan(1.1);
    }
    const parts = Object.entries(plan.bytes).filter(([name]) => name.endsWith('Bytes') && name !== 'totalBytes');
    expect(parts.reduce((sum, [, bytes]) => sum + (bytes as number), 0)).toBe(plan.bytes.totalBytes);
  });

  it('a report tells the peak of its own run, not of a larger one before it on the same device', async () => {
    const small = { phases: instructOnly(256), evaluation: { prompts: ['cot'], maxNewTokens: 2, batchSize: 1 } };
    const run = async (changes: Record<string, unknown>): Promise<number> => {
      const experiment = parseExperiment(tinyExperiment(changes));
      const control = new RunControl();
      const job = { runId: 'peak', experiment, gpu, files, store: new MemoryRunStore(), control };
      const summary = await executeRun({ ...job, resume: false, force: false, listener: () => undefined });
      return (summary.report as RunReport).bytes.gpuPeak;
    };
    // Uniforms stay for the device's life; they are counted, and the larger run leaves more of them.
    const uniforms = (): number => new Map(gpu.account.entries()).get('uniforms')!;
    await run(small);
    const alone = (await run(small)) - uniforms();
    const large = await run({ ...small, adapter: { rank: 128, alpha: 8 } });
    expect(large).toBeGreaterThan(1.2 * alone);
    expect((await run(small)) - uniforms()).toBe(alone);
  });
});

describe('limits.maxGpuBytes', () => {
  it('refuses a run by its plan before any weight is loaded, and lets one pass that fits', async () => {
    const limited = async (maxGpuBytes: number): Promise<Measured> =>
      measure({ ...SETTINGS[2]![2], limits: { maxGpuBytes } });
    const needed = (await planRun(parseExperiment(tinyExperiment(SETTINGS[2]![2])), files)).bytes.totalBytes;
    const before = gpu.account.buffersCreated;
    await expect(limited(needed - 1)).rejects.toMatchObject({
      code: 'gpu-out-of-memory',
      message: expect.stringContaining(`at most ${needed - 1} bytes, this run needs about ${needed}`) as string,
    });
    expect(gpu.account.buffersCreated).toBe(before);
    expect((await limited(needed)).summary.state).toBe('finished');
  });
});
