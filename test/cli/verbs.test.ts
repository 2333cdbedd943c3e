// verbs.test.ts: the command line without a GPU: wrong flags and files, folders that must not be written to, exit codes, and
// the verbs that look at the device. What the working verbs ask of a session is verbsWork.test.ts.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PupilError } from '../../src/base/errors';
import { pathInRoot } from '../../src/cli/host';
import { GOLDEN, jsonLines, pupil } from './fakeSession';

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
    for (const verb of ['run', 'full', 'worker']) {
      expect((await pupil([verb, '--help'])).out).toContain('130 stopped in order by Ctrl-C, SIGTERM or');
    }
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

describe('export', () => {
  const args = (...more: string[]): string[] => [
    'export',
    '--student',
    join(GOLDEN, 'llama-tiny'),
    '--adapter',
    join(GOLDEN, 'lora-llama-tiny/adapter_final'),
    '--out',
    join(folder, 'merged'),
    ...more,
  ];
  it('hands base and dtype on as they were said, and leaves them to the session where they were not', async () => {
    const said = await pupil(args('--quantize', 'nf4-double', '--dtype', 'f32'));
    expect(said.code).toBe(0);
    expect(said.calls[1]?.args[0]).toMatchObject({ format: 'merged', quantize: 'nf4-double', dtype: 'f32' });
    const unsaid = await pupil(args());
    expect(Object.keys(unsaid.calls[1]?.args[0] as object)).toEqual(['files', 'out', 'student', 'adapter', 'format']);
  });
  it('says what the session has to say of it, on stderr or as JSON', async () => {
    expect((await pupil(args())).err).toContain('rounding to bf16 costs something');
    const [line] = jsonLines((await pupil(args('--json'))).out);
    expect(line).toMatchObject({ type: 'export', notes: ['rounding to bf16 costs something'] });
  });
  it.each(['--quantize=nf4', '--dtype=f32'])('%s is of no use to an adapter as PEFT', async (flag) => {
    const { code, err, hosts } = await pupil(args('--format', 'peft', flag));
    expect(code).toBe(2);
    expect(err).toContain(flag.split('=')[0]);
    expect(hosts).toHaveLength(0);
  });
  it.each<[string, string[], object]>([
    ['gguf with both', ['--quantize', 'none', '--dtype', 'bf16'], { format: 'gguf', quantize: 'none', dtype: 'bf16' }],
    ['gguf-adapter with a dtype', ['--dtype', 'f16'], { format: 'gguf-adapter', dtype: 'f16' }],
  ])('%s is handed on', async (_, flags, expected) => {
    const { code, calls } = await pupil(args('--format', (expected as { format: string }).format, ...flags));
    expect(code).toBe(0);
    expect(calls[1]?.args[0]).toMatchObject(expected);
  });
  it('a base is of no use to an adapter as GGUF, and an unknown format is none', async () => {
    const { code, err } = await pupil(args('--format', 'gguf-adapter', '--quantize', 'nf4'));
    expect([code, err.includes('--quantize: expected --format merged or gguf, got gguf-adapter')]).toEqual([2, true]);
    expect((await pupil(args('--format', 'onnx'))).code).toBe(2);
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

describe('doctor tells the kernel variants', () => {
  const variants = {
    source: 'measured',
    reason: 'and remembered',
    choice: { forward_few_rows: 'few_rows', backward_input: 'tiled' },
    milliseconds: { backward_input: { register: 2.5, tiled: 0.1234 } },
    autoTier: { tier: 'f16', reason: '0.2 ms with f16 weights, 0.3 ms with f32' },
  };
  const doctor = () => ({ adapter: {}, tier: 'f16', tiers: [], software: false, storage: {}, problems: [], variants });

  it('in words: whence, which, the times behind it, what tier auto means', async () => {
    const { code, out } = await pupil(['doctor'], { doctor });
    expect(code).toBe(0);
    expect(out).toMatch(/^kernels +measured now \(and remembered\)$/m);
    expect(out).toMatch(/^ +forward_few_rows +few_rows$/m);
    expect(out).toMatch(/^ +backward_input +tiled +tiled 0.123 ms, register 2.50 ms$/m);
    expect(out).toMatch(/^tier auto +f16 \(0.2 ms with f16 weights/m);
  });
  it('for machines, beside the keys there were', async () => {
    const { out } = await pupil(['doctor', '--json'], { doctor });
    expect(jsonLines(out)[0]).toMatchObject({ type: 'doctor', tier: 'f16', variants });
  });
  it('--measure measures anew; nothing else does; all remember in the cache folder', async () => {
    const opened = async (...args: string[]): Promise<unknown> => (await pupil(args)).calls[0]?.args[0];
    const remember = {
      variantFiles: { kind: 'disk', directory: expect.stringMatching(/^folder:.*variants$/) as string },
      studentFiles: { kind: 'disk', directory: expect.stringMatching(/^folder:.*students$/) as string },
    };
    expect(await opened('doctor', '--measure')).toEqual({ ...remember, measure: true });
    expect(await opened('doctor')).toEqual(remember);
    expect(await opened('check', '--tier', 'f16')).toEqual({ ...remember, tier: 'f16' });
    expect((await pupil(['doctor', '--help'])).out).toMatch(/--measure +measure the kernel variants anew/);
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
    const { code, out, err } = await pupil(['check', '--filter', 'nothing', '--json'], { check: none });
    expect(code).not.toBe(0);
    expect(jsonLines(out).at(-1)).toMatchObject({ type: 'error', code: 'usage' });
    expect(err).toContain('none that runs here matches "nothing"');
  });
  it('gives machines one object a line', async () => {
    const { out } = await pupil(['check', '--json']);
    const lines = jsonLines(out);
    expect(lines.map((line) => line['type'])).toEqual(['check', 'check', 'summary']);
    expect(lines[2]).toMatchObject({ passed: 1, failed: 1 });
  });
});
