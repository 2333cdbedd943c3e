// verbsWork.test.ts: what run, eval and inspect ask of a session, given their flags, and what they print of its answers. The
// session is a fake one that remembers.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PupilError } from '../../src/base/errors';
import { pathInRoot } from '../../src/cli/host';
import type { FileRoot, SessionEvent } from '../../src/session/protocol';
import { GOLDEN, jsonLines, LESSON, pupil, ROW } from './fakeSession';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pupil-verbs-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('run', () => {
  const out = (): string => join(folder, 'out');
  it('resolves paths and seed, writes into its folder, and prints the rows', async () => {
    const result = await pupil(['run', 'lesson-c-student-p10', '--seed', '2', '--out', out()]);
    expect(result.code).toBe(0);
    const request = result.calls.find((call) => call.method === 'run')?.args[0] as Record<string, unknown>;
    const experiment = request['experiment'] as { seed: number; tasks: { files: { train: string[] } }[] };
    expect(experiment.seed).toBe(2);
    expect(experiment.tasks[0]?.files.train).toEqual([pathInRoot(join(LESSON, 'task-C-train-in-seed2.jsonl'))]);
    expect(request['out']).toEqual({ kind: 'disk', directory: `folder:${out()}` });
    expect(request['runId']).toMatch(/^lesson-task-c-student-p10-\d{17}$/);
    expect(result.hosts[0]).toMatchObject({ kind: 'chrome', keepIn: out() });
    expect(result.out).toContain('98.0 %  (93.0 – 99.4)  n = 100');
    expect(result.out).toContain(join(out(), 'report.html'));
  });

  it('refuses a folder with a run in it, and resumes the same run with --resume', async () => {
    const first = await pupil(['run', 'smoke', '--out', out()]);
    const runId = (r: typeof first): unknown =>
      (r.calls.find((c) => c.method === 'run')?.args[0] as { runId: string }).runId;
    mkdirSync(join(out(), 'checkpoints')); // as the real session leaves
    const again = await pupil(['run', 'smoke', '--out', out()]);
    expect(again.code).toBe(2);
    expect(again.err).toContain('--resume');
    const resumed = await pupil(['run', 'smoke', '--out', out(), '--resume']);
    expect(resumed.code).toBe(0);
    expect(runId(resumed)).toBe(runId(first));
    expect(resumed.calls.find((c) => c.method === 'run')?.args[0]).toMatchObject({ resume: true });
    const otherSeed = await pupil(['run', 'smoke', '--out', out(), '--resume', '--seed', '5']);
    expect(otherSeed.code).toBe(2);
    expect(otherSeed.err).toContain('expected seed 0');
  });

  it('that is resumed prints the rows of its earlier sittings as well', async () => {
    const run = (request: { runId: string }, on: (event: SessionEvent) => void): unknown => {
      const before = { ...ROW, system: 'Baseline' as const, correct: 54 };
      on({ type: 'history', finished: ['baseline'], metrics: [], evaluations: [before], log: [] });
      on({ type: 'evaluation', row: ROW });
      return { runId: request.runId, state: 'finished', report: {}, artefacts: ['report.html'] };
    };
    const { out: text } = await pupil(['run', 'smoke', '--out', out()], { run });
    expect(text).toContain('54.0 %');
    expect(text).toContain('98.0 %');
  });

  it.each([
    ['failed', 1],
    ['stopped', 130],
  ])('a run that was %s ends with %i and says how to go on', async (state, expected) => {
    const run = (request: { runId: string }): unknown => ({
      runId: request.runId,
      state,
      report: {},
      artefacts: [],
      ...(state === 'failed' ? { error: { code: 'training', message: 'loss is NaN', hint: 'Lower the rate.' } } : {}),
    });
    const { code, err } = await pupil(['run', 'smoke', '--out', out()], { run });
    expect(code).toBe(expected);
    expect(err).toContain(`npm run pupil -- run smoke --out ${out()} --resume`);
    if (state === 'failed') expect(err).toContain('loss is NaN');
  });

  it.each([
    ['browser', 'browser: the browser ended while it was in use'],
    ['gpu-device-lost', 'GPU device lost'],
  ] as const)('a lost %s is a failure that --resume continues', async (code, message) => {
    const run = (): never => {
      throw new PupilError(code, message);
    };
    const result = await pupil(['run', 'smoke', '--out', out(), '--retries', '0'], { run });
    expect(result.code).toBe(1);
    expect(result.err).toContain(message);
    expect(result.err).toContain('--resume');
    expect(result.closed).toBe(1);
  });

  it('gives machines every event and the summary', async () => {
    const { out: text, err } = await pupil(['run', 'smoke', '--json', '--out', out()]);
    expect(jsonLines(text).map((line) => line['type'])).toEqual(['phase', 'metrics', 'evaluation', 'run']);
    expect(err).not.toContain('[#');
  });

  it('--plan needs no session', async () => {
    const { code, out: text, hosts } = await pupil(['run', 'smoke', '--plan', '--json']);
    expect(code).toBe(0);
    expect(hosts).toHaveLength(0);
    const plan = jsonLines(text)[0] as {
      parameters: number;
      phases: { phase: string; steps?: number }[];
      totalTokens: number;
    };
    expect(plan.parameters).toBe(914176);
    expect(plan.phases.map((phase) => phase.phase)).toEqual([
      'baseline',
      'instruct',
      'generate-pairs',
      'self-refine',
      'evaluate',
    ]);
    expect(plan.phases[1]?.steps).toBe(6); // 12 demonstrations, batches of 4, 2 epochs
    expect(plan.phases[3]?.steps).toBe(4);
    expect(plan.totalTokens).toBeGreaterThan(1000);
  });
});

describe('eval', () => {
  it('replaces the student, narrows the prompts, and prints rows', async () => {
    const { code, calls, out } = await pupil([
      'eval',
      'smoke',
      '--student',
      join(GOLDEN, 'llama-tiny'),
      '--adapter',
      join(GOLDEN, 'lora-llama-tiny/adapter_final'),
      '--prompt',
      'cot',
      '--limit',
      '3',
    ]);
    expect(code).toBe(0);
    expect(calls[1]?.args[0]).toMatchObject({
      adapter: pathInRoot(join(GOLDEN, 'lora-llama-tiny/adapter_final')),
      experiment: {
        student: { source: { kind: 'directory', path: pathInRoot(join(GOLDEN, 'llama-tiny')) } },
        evaluation: { prompts: ['cot'], limit: 3 },
      },
    });
    expect(out).toContain('98.0 %');
  });
});

describe('inspect', () => {
  it('hands paths and numbers on under the flags’ names', async () => {
    writeFileSync(join(folder, 'pairs.json'), '[]');
    const adapter = join(GOLDEN, 'lora-llama-tiny/adapter_final');
    const { code, calls } = await pupil([
      'inspect',
      'dpo',
      '--student',
      join(GOLDEN, 'llama-tiny'),
      '--adapter',
      adapter,
      '--reference-adapter',
      adapter,
      '--pairs',
      join(folder, 'pairs.json'),
      '--loss',
      'robust',
      '--beta',
      '0.2',
      '--label-smoothing',
      '0.1',
      '--steps',
      '5',
      '--lr',
      '1e-3',
      '--adapter-out',
      join(folder, 'a'),
      '--out',
      join(folder, 'o.safetensors'),
    ]);
    expect(code).toBe(0);
    expect(calls[0]).toMatchObject({ method: 'open', args: [{ tier: 'f32' }] });
    const request = calls[1]?.args[0] as { kind: string; options: Record<string, unknown>; out: FileRoot };
    expect(request.kind).toBe('dpo');
    expect(request.options).toEqual({
      student: pathInRoot(join(GOLDEN, 'llama-tiny')),
      quantize: 'none',
      adapter: pathInRoot(adapter),
      referenceAdapter: pathInRoot(adapter),
      pairs: pathInRoot(join(folder, 'pairs.json')),
      loss: 'robust',
      beta: 0.2,
      labelSmoothing: 0.1,
      steps: 5,
      lr: 0.001,
      tier: 'f32',
      adapterOut: pathInRoot(join(folder, 'a')),
      out: pathInRoot(join(folder, 'o.safetensors')),
    });
    expect(request.out).toEqual({
      kind: 'disk',
      directory: `writes:${join(folder, 'o.safetensors')},${join(folder, 'a')}`,
    });
  });
});
