// planEstimates.test.ts: plans of what is not there yet: a student by its published shape, questions and demonstrations by numbers, each
// told as an estimate; and the speed of real steps with made-up weights. Plans against real runs are plan.test.ts.
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { parseExperiment } from '../../../src/config/experiment';
import type { JsonObject } from '../../../src/formats/jsonText';
import type { Gpu } from '../../../src/gpu/device';
import { measureSpeed } from '../../../src/session/measureSpeed';
import { planRun, type RunPlan } from '../../../src/session/plan';
import { openFileRoot } from '../../../src/sources/fileRoot';
import { SHAPES } from '../../../scripts/studentShapes.mjs';
import { testGpu } from '../../kernels/device';
import { tinyExperiment, tinyFiles } from './tinyRun';

vi.setConfig({ testTimeout: 600_000 });

const files = openFileRoot({ kind: 'memory', files: tinyFiles() });
let gpu: Gpu;
let plan: RunPlan;
beforeAll(async () => {
  gpu = await testGpu();
  plan = await planRun(parseExperiment(tinyExperiment()), files);
}, 600_000);

describe('what is not there', () => {
  const experiment = parseExperiment({
    ...tinyExperiment(),
    student: { source: { kind: 'directory', path: '/models/Llama-2-7b-hf' }, quantize: 'nf4-double' },
    demonstrations: [{ label: 'T', task: 'GSM8K', files: ['/teachers/gsm8k.jsonl'], format: 'jsonl', fraction: 0.5 }],
    tasks: [
      {
        id: 'gsm8k',
        name: 'GSM8K',
        files: { train: ['/a'], test: ['/b'] },
        split: { trainCount: 400, testLimit: 100 },
      },
    ],
    prompt: { wrapper: 'chat' },
    evaluation: { prompts: ['plain', 'cot'], maxNewTokens: 64 },
  });

  it('is estimated and told: shape, tokenizer, questions as the split takes them, one demonstration each', async () => {
    const made = await planRun(experiment, files, { shapeOf: () => SHAPES['llama-2-7b'] as JsonObject });
    expect(made.parameters).toBe(6738415616);
    expect(made.estimates).toEqual([
      'Llama-2-7b-hf is not here: planned by the published shape',
      'the tokenizer is not here: tokens are counted by the characters of texts',
      expect.stringMatching(
        /^GSM8K: its files are not here \(first \/a\); counted as published, 7473 to train/,
      ) as string,
      expect.stringMatching(/^GSM8K: no demonstrations by T yet .* 400 training questions/) as string,
    ]);
    // 100 questions, plain and CoT, of the untouched student.
    const baseline = made.phases.find(({ phase }) => phase === 'baseline')!;
    expect(baseline.generatedTokens).toBe(200 * experiment.evaluation.maxNewTokens);
  });

  it('without a known shape is refused, with what would do', async () => {
    await expect(planRun(experiment, files)).rejects.toMatchObject({
      code: 'checkpoint',
      hint: expect.stringContaining('config.json alone will do') as string,
    });
  });

  it('nothing is assumed where all of it is there', () => {
    expect(plan.estimates).toEqual([]);
  });
});

describe('a measured speed', () => {
  it('is of real steps at the batches asked for, and leaves nothing on the device', async () => {
    const before = gpu.account.current;
    const { config, bytes } = plan;
    expect(bytes.totalBytes).toBeGreaterThan(0);
    const request = {
      ...{ config, quantize: 'nf4' as const, tier: 'f32' as const },
      adapter: { rank: 4, alpha: 8, dropout: 0, rsLora: false, targets: ['q_proj' as const] },
      training: { sequences: 2, tokens: 16 },
      answering: { batchSize: 2, promptTokens: 8 },
    };
    const told: string[] = [];
    const options = {
      onProgress: ({ task }: { task: string }) => void told.push(task),
      signal: new AbortController().signal,
    };
    const speed = await measureSpeed(gpu, request, options);
    expect(speed.layers.measured).toBe(speed.layers.whole);
    expect([...new Set(told)].slice(1)).toEqual([
      'Measuring training (2 × 16 tokens)',
      'Measuring answers (2 of 2 tokens)',
      'Measuring answers (2 of 18 tokens)',
    ]);
    for (const value of [speed.trainedPerSecond, speed.readPerSecond, speed.generatedPerSecond]) {
      expect(value).toBeGreaterThan(0);
      expect(Number.isFinite(value)).toBe(true);
    }
    expect(speed.trainedPerSecond).toBeCloseTo((32 * 1000) / speed.stepMs, 6);
    await gpu.settled();
    // Uniforms, and the numbers of the head's chunks, stay for the device's life.
    const kept = new Map(gpu.account.entries());
    expect(gpu.account.current - (kept.get('uniforms') ?? 0) - (kept.get('head') ?? 0)).toBeLessThanOrEqual(before);
    const stop = new AbortController();
    stop.abort();
    await expect(measureSpeed(gpu, request, { ...options, signal: stop.signal })).rejects.toMatchObject({
      code: 'cancelled',
    });
  });
});
