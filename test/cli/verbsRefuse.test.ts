// verbsRefuse.test.ts: what the command line refuses before it starts anything, and how it says so: contradicting flags,
// outputs that would overwrite what is read, folders that another run is using. The session is a fake one.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { resumeCommand } from '../../src/cli/runs';
import type { Experiment } from '../../src/config/experiment';
import { GOLDEN, jsonLines, pupil } from './fakeSession';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pupil-refuse-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const mine = (name: string): string => join(folder, name);
const STUDENT = ['--student', join(GOLDEN, 'llama-tiny')];
const ADAPTER = join(GOLDEN, 'lora-llama-tiny/adapter_init');
const BATCH = ['--batch', join(GOLDEN, 'lora-llama-tiny/expected.safetensors')];

describe('with --json stdout tells machines what is wrong with a command line', () => {
  it.each([
    ['an unknown flag', ['doctor', '--fast', '--json'], '--fast'],
    ['a missing flag', ['inspect', 'logits', '--json'], '--student'],
    ['a value out of range', ['run', 'smoke', '--seed', '-1', '--json'], '--seed'],
    ['an unknown experiment', ['run', 'no-such', '--json'], 'no-such'],
  ])('%s', async (_, args, named) => {
    const { code, out } = await pupil(args);
    expect(code).toBe(2);
    const lines = jsonLines(out);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatchObject({ type: 'error', code: 'usage', message: expect.stringContaining(named) as string });
    expect(lines[0]!['message']).not.toMatch(/^error:/);
  });

  it('and help stays help', async () => {
    expect((await pupil(['run', '--help', '--json'])).out).not.toContain('"type"');
  });
});

describe('inspect refuses flags that contradict each other', () => {
  const gradients = ['inspect', 'gradients', ...STUDENT, ...BATCH];
  const dpo = ['inspect', 'dpo', ...STUDENT, '--adapter', ADAPTER, '--reference-adapter', ADAPTER, '--pairs', 'p.json'];
  it.each([
    ['--adapter-out without --steps', [...gradients, '--adapter', ADAPTER, '--adapter-out', 'a'], '--adapter-out'],
    ['--lr without --steps', [...gradients, '--adapter', ADAPTER, '--lr', '1e-2'], '--lr'],
    ['--steps without --lr', [...gradients, '--adapter', ADAPTER, '--steps', '2'], '--lr'],
    ['--steps without an adapter', [...gradients, '--steps', '2', '--lr', '1'], '--adapter'],
    ['ipo with β = 0', [...dpo, '--loss', 'ipo', '--beta', '0'], '--beta'],
    ['robust with ε = ½', [...dpo, '--loss', 'robust', '--label-smoothing', '0.5'], '--label-smoothing'],
  ])('%s', async (_, args, flag) => {
    const { code, err, hosts } = await pupil([...args, '--out', mine('o.safetensors')]);
    expect(code).toBe(2);
    expect(err).toContain(flag);
    expect(hosts).toHaveLength(0);
  });

  it('and takes gradients without an adapter: loss and log-probabilities are there without one', async () => {
    const { code, calls } = await pupil([...gradients, '--out', mine('o.safetensors')]);
    expect(code).toBe(0);
    expect(calls.map((call) => call.method)).toEqual(['open', 'inspect']);
  });
});

describe('what is read is never overwritten', () => {
  it('the batch of an inspection', async () => {
    writeFileSync(mine('batch.safetensors'), 'precious');
    const args = ['inspect', 'logits', ...STUDENT, '--batch', mine('batch.safetensors')];
    const { code, err, hosts } = await pupil([...args, '--out', mine('batch.safetensors')]);
    expect(code).toBe(2);
    expect(err).toContain('--out');
    expect(hosts).toHaveLength(0);
    expect(readFileSync(mine('batch.safetensors'), 'utf8')).toBe('precious');
  });

  it('the weights of the student that is inspected', async () => {
    mkdirSync(mine('student'));
    writeFileSync(mine('student/config.json'), '{}');
    writeFileSync(mine('student/model.safetensors'), 'precious');
    const args = ['inspect', 'logits', '--student', mine('student'), ...BATCH];
    const { code, err } = await pupil([...args, '--out', mine('student/model.safetensors')]);
    expect(code).toBe(2);
    expect(err).toContain('which is read');
    // A new name beside them is nobody's loss.
    expect((await pupil([...args, '--out', mine('student/logits.safetensors')])).code).toBe(0);
  });

  it('a student’s folder by the files of a run', async () => {
    mkdirSync(mine('student'));
    writeFileSync(mine('student/config.json'), '{}');
    const { code, err } = await pupil(['run', 'smoke', '--out', mine('student')]);
    expect(code).toBe(2);
    expect(err).toContain('--out');
    expect(existsSync(mine('student/run-folder.json'))).toBe(false);
  });

  // Node's own way of making folders never returns there.
  it.runIf(process.platform === 'linux')('a folder that cannot be made is told at once', async () => {
    for (const args of [
      ['run', 'smoke', '--out', '/proc/pupil/run'],
      ['inspect', 'logits', ...STUDENT, ...BATCH, '--out', '/proc/pupil/x.safetensors'],
    ]) {
      const { code, err } = await pupil(args);
      expect(code).toBe(1);
      expect(err).toContain('/proc/pupil');
    }
  });
});

describe('a run’s folder', () => {
  const recordOf = (): string => readFileSync(mine('out/run-folder.json'), 'utf8');

  it('is free again when a run ended before its first checkpoint, and after its end', async () => {
    const run = (): never => {
      throw new Error('no tokenizer');
    };
    expect((await pupil(['run', 'smoke', '--out', mine('out')], { run })).code).toBe(1);
    expect((await pupil(['run', 'smoke', '--out', mine('out')])).code).toBe(0);
    expect(existsSync(mine('out/.lock'))).toBe(false);
  });

  it('belongs to the process that runs in it', async () => {
    // Another process: it outlives this test's calls.
    const other = spawn(process.execPath, ['-e', 'setTimeout(() => undefined, 60_000)']);
    try {
      await pupil(['run', 'smoke', '--out', mine('out')]);
      const record = recordOf();
      const stat = process.platform === 'linux' ? readFileSync(`/proc/${other.pid}/stat`, 'utf8') : undefined;
      const started = stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
      const lock = { processId: other.pid, host: hostname(), ...(started === undefined ? {} : { started }) };
      writeFileSync(mine('out/.lock'), JSON.stringify(lock));
      for (const more of [[], ['--resume']]) {
        const { code, err, hosts } = await pupil(['run', 'smoke', '--out', mine('out'), ...more]);
        expect(code).toBe(2);
        expect(err).toContain(`process ${other.pid}`);
        expect(hosts).toHaveLength(0);
      }
      expect(recordOf()).toBe(record);
    } finally {
      other.kill('SIGKILL');
    }
  });

  it.each([
    ['a process that is gone', { processId: 2 ** 22 + 1, host: hostname() }],
    ['a number that another process has now', { processId: 1, host: hostname(), started: '-1' }],
    ['another machine', { processId: 1, host: 'elsewhere' }],
    ['nobody knows what', 'not json'],
  ])('is taken over from %s', async (_, lock) => {
    if (_.startsWith('a number') && process.platform !== 'linux') return;
    mkdirSync(mine('out'));
    writeFileSync(mine('out/.lock'), typeof lock === 'string' ? lock : JSON.stringify(lock));
    expect((await pupil(['run', 'smoke', '--out', mine('out')])).code).toBe(0);
  });
});

describe('the way to go on', () => {
  it('says every flag again that decides what runs and where, fit for a shell', () => {
    const flags = { host: 'node', gpu: 'auto', gflops: 1, seed: 3, tier: 'f32', data: "it's here", quantize: 'nf4' };
    expect(resumeCommand('my file.json', 'runs/a', flags as Parameters<typeof resumeCommand>[2])).toBe(
      `npm run pupil -- run 'my file.json' --out runs/a --seed 3 --host node --tier f32 --data 'it'\\''s here' --quantize nf4 --resume`,
    );
  });
});

describe('paths reach the session as people know them', () => {
  it('absolute, so that messages can be followed and the experiment in a report runs again', async () => {
    const { calls } = await pupil(['run', 'smoke', '--out', mine('out')]);
    const { experiment } = calls.find((call) => call.method === 'run')?.args[0] as { experiment: Experiment };
    const { source } = experiment.student;
    expect(source.kind === 'directory' && existsSync(source.path)).toBe(true);
    writeFileSync(mine('again.json'), JSON.stringify(experiment));
    expect((await pupil(['run', mine('again.json'), '--plan'])).code).toBe(0);
  });
});
