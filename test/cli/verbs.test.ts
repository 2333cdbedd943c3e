// verbs.test.ts: the command line without a GPU: flags, exit codes, what reaches the session, what is printed. The session
// is a fake one that remembers what it was asked; the verbs, the files and the output are real.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
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

describe('wrong command lines end with code 2', () => {
  const student = ['--student', join(GOLDEN, 'llama-tiny')];
  it.each([
    ['an unknown verb', ['teach-me']],
    ['an unknown flag', ['doctor', '--fast']],
    ['an unknown host', ['doctor', '--host', 'firefox']],
    ['an unknown tier', ['check', '--tier', 'f64']],
    ['no task to score', ['score', '--input', 'x.jsonl']],
    ['an unknown task', ['score', '--task', 'chess', '--input', 'x.jsonl']],
    ['a seed that is no number', ['run', 'smoke', '--seed', 'seven']],
    ['a negative seed', ['run', 'smoke', '--seed', '-1']],
    ['no experiment', ['run']],
    ['an experiment that does not exist', ['run', 'no-such-experiment']],
    ['no batch', ['inspect', 'logits', ...student, '--out', 'y.safetensors']],
    ['an unknown quantisation', ['inspect', 'logits', ...student, '--quantize', 'int8', '--batch', 'b', '--out', 'o']],
    ['an unknown loss', ['inspect', 'dpo', ...student, '--loss', 'kto']],
    ['a temperature below zero', ['inspect', 'generate', ...student, '--temperature', '-1']],
    ['nothing to resume', ['run', 'smoke', '--resume', '--out', join(tmpdir(), 'pupil-no-such-run')]],
  ])('%s', async (_, args) => {
    const { code, err, hosts } = await pupil(args);
    expect(code).toBe(2);
    expect(err).not.toBe('');
    expect(hosts).toHaveLength(0);
  });

  it('--help ends with 0', async () => {
    const help = await pupil(['--help']);
    expect(help.code).toBe(0);
    for (const verb of ['doctor', 'check', 'run', 'eval', 'score', 'export', 'inspect'])
      expect(help.out).toContain(verb);
    expect((await pupil(['run', '--help'])).out).toContain('--resume');
  });
});

describe('missing and wrong files are told before anything is started', () => {
  it.each([
    ['a student folder that does not exist', '--student', 'missing', 'does not exist'],
    ['a student folder without config.json', '--student', 'empty', 'expected config.json'],
    ['a student that is a file', '--student', 'file', 'is a file'],
  ])('%s', async (_, flag, name, text) => {
    mkdirSync(join(folder, 'empty'));
    writeFileSync(join(folder, 'file'), 'x');
    writeFileSync(join(folder, 'batch'), 'x');
    const args = [
      'inspect',
      'logits',
      flag,
      join(folder, name),
      '--batch',
      join(folder, 'batch'),
      '--out',
      join(folder, 'o'),
    ];
    const { code, err, hosts } = await pupil(args);
    expect(code).toBe(1);
    expect(err).toContain(flag);
    expect(err).toContain(text);
    expect(hosts).toHaveLength(0);
  });

  it('names every file of an experiment that is not there', async () => {
    const experiment = JSON.parse(readFileSync('experiments/lesson-c-student-p10.json', 'utf8')) as object;
    writeFileSync(join(folder, 'e.json'), JSON.stringify(experiment));
    const { code, err } = await pupil(['run', join(folder, 'e.json'), '--out', join(folder, 'out')]);
    expect(code).toBe(1);
    expect(err).toContain('vocab.json');
    expect(err).toContain('task-C-test.jsonl');
    expect(existsSync(join(folder, 'out'))).toBe(false);
  });

  it('says where an experiment breaks off', async () => {
    writeFileSync(join(folder, 'e.json'), '{"name": "x",');
    const { code, err } = await pupil(['run', join(folder, 'e.json')]);
    expect(code).toBe(1);
    expect(err).toContain('expected JSON');
  });

  it('needs the data root where an experiment uses it', async () => {
    const { code, err } = await pupil(['run', 'multiarith-story-llama', '--data', join(folder, 'nowhere')]);
    expect(code).toBe(1);
    expect(err).toContain('--data');
  });
});

describe('folders with a student are never written to', () => {
  const adapter = join(GOLDEN, 'lora-llama-tiny/adapter_final');
  const args = (out: string): string[] => [
    'export',
    '--student',
    join(folder, 'student'),
    '--adapter',
    adapter,
    '--out',
    out,
  ];
  beforeEach(() => {
    mkdirSync(join(folder, 'student'));
    mkdirSync(join(folder, 'other'));
    writeFileSync(join(folder, 'student/config.json'), '{}');
    writeFileSync(join(folder, 'other/config.json'), '{}');
  });
  it.each(['student', 'student/merged', 'other'])('%s', async (name) => {
    const { code, err, hosts } = await pupil(args(join(folder, name)));
    expect(code).toBe(2);
    expect(err).toContain('--out');
    expect(hosts).toHaveLength(0);
  });
  it('an empty folder is fine', async () => {
    const { code, calls, out, closed } = await pupil(args(join(folder, 'merged')));
    expect(code).toBe(0);
    expect(closed).toBe(1);
    expect(calls.map((call) => call.method)).toEqual(['open', 'exportStudent']);
    expect(calls[1]?.args[0]).toMatchObject({
      student: pathInRoot(join(folder, 'student')),
      out: { directory: `folder:${join(folder, 'merged')}` },
      format: 'merged',
    });
    expect(out).toContain('model.safetensors');
  });
});

describe('doctor', () => {
  it('prints the adapter, its kind, and what is wrong', async () => {
    const { code, out } = await pupil(['doctor']);
    expect(code).toBe(0);
    expect(out).toContain('google · swiftshader');
    expect(out).toContain('software (correct, never fast)');
    expect(out).toContain('maxBufferSize');
    expect(out).toMatch(/browser +\/opt\/chrome/);
    expect(out).toContain('only a software adapter was found');
  });
  it('passes --expect-vendor on, and fails with the report where it is refused', async () => {
    const refuse = (): never => {
      throw new PupilError('gpu-software-only', 'WebGPU: expected an adapter of vendor "nvidia", found "google"');
    };
    const { code, out, err, calls, closed } = await pupil(['doctor', '--expect-vendor', 'nvidia'], { open: refuse });
    expect(calls[0]).toMatchObject({ method: 'open', args: [{ expectVendor: 'nvidia' }] });
    expect(code).toBe(1);
    expect(out).toContain('google · swiftshader');
    expect(err).toContain('expected an adapter of vendor "nvidia"');
    expect(closed).toBe(1);
  });
});

describe('check', () => {
  it('ends with the counts and fails where a kernel failed', async () => {
    const { code, out } = await pupil(['check', '--filter', 'linear']);
    expect(code).toBe(1);
    expect(out.trimEnd().split('\n').at(-1)).toBe('1 passed, 1 failed');
    expect(out).toContain('FAIL  linear_forward  (1,1,1)');
    expect(out).toContain('max |Δ| 3');
  });
  it('fails where nothing was checked', async () => {
    const none = (): unknown => ({ passed: 0, failed: 0, skipped: 0, adapter: 'fake' });
    expect((await pupil(['check', '--filter', 'nothing'], { check: none })).code).toBe(1);
  });
  it('gives machines one object a line', async () => {
    const { out } = await pupil(['check', '--json']);
    const lines = jsonLines(out);
    expect(lines.map((line) => line['type'])).toEqual(['check', 'check', 'summary']);
    expect(lines[2]).toMatchObject({ passed: 1, failed: 1 });
  });
});

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
    const result = await pupil(['run', 'smoke', '--out', out()], { run });
    expect(result.code).toBe(1);
    expect(result.err).toContain(message);
    expect(result.err).toContain('--resume');
    expect(result.closed).toBe(1);
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
    expect(plan.parameters).toBe(910592);
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
    expect(calls[0]).toEqual({ method: 'open', args: [{ tier: 'f32' }] });
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
