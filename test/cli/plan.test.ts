// plan.test.ts: `pupil plan`: the table that people read, the object that machines read, exit codes, and bad flags.
import { cpSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { PlannedStudent } from '../../src/session/protocol';
import { bytesOf } from '../../src/cli/options';
import { tinyFiles } from '../unit/session/tinyRun';
import { pupil } from './fakeSession';

let folder: string;
let tiny: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pupil-plan-'));
  tiny = join(folder, 'tiny');
  mkdirSync(tiny);
  writeFileSync(join(tiny, 'config.json'), tinyFiles()['student/config.json']!);
});

const SHORT = ['--length', '96', '--new-tokens', '32', '--rank', '8'];

describe('pupil plan', () => {
  it('tells parameters, download and bytes of each stage, without a host', async () => {
    const { code, out, hosts } = await pupil(['plan', '--student', tiny, ...SHORT]);
    expect([code, hosts]).toEqual([0, []]);
    expect(out).toMatch(/^llama: [\d,]+ parameters, [\d,]+ trained \(rank 8\); [\d.]+ kB to download \(estimated\)/);
    expect(out).toContain('training 1 × 96, activations kept; 1 answer of 32 tokens side by side');
    expect(out).toMatch(/on the GPU +loading +training +generation/);
    expect(out).toMatch(/together( +[\d.]+ [kM]B){3}/);
    expect(out).toContain('no budget was named');
  });

  it('--json: one object with the whole plan', async () => {
    const { out } = await pupil(['plan', '--student', tiny, ...SHORT, '--quantize', 'none', '--json']);
    const plan = JSON.parse(out) as PlannedStudent & { type: string };
    expect([plan.type, plan.settings.quantize, plan.settings.rank, plan.verdict]).toEqual([
      'plan',
      'none',
      8,
      'unknown',
    ]);
  });

  it('a budget that is too small: why, what would help, and with --check exit code 1', async () => {
    const args = ['plan', '--student', tiny, ...SHORT, '--batch', '4', '--budget', '2.5MB'];
    const told = await pupil(args);
    expect(told.code).toBe(0);
    expect(told.out).toMatch(/does not fit\n {2}it needs \d+ bytes on the GPU at its peak, the budget is 2500000\n/);
    expect(told.out).toMatch(/batch 1 +instead of 4 .*more passes a step; the same gradient/);
    expect((await pupil([...args, '--check'])).code).toBe(1);
    expect((await pupil([...args.slice(0, -1), '1GB', '--check'])).code).toBe(0);
  });

  it('--adapter-limits asks the session, with its device open', async () => {
    const planned = JSON.parse((await pupil(['plan', '--student', tiny, ...SHORT, '--json'])).out) as PlannedStudent;
    const { calls, code } = await pupil(['plan', '--student', tiny, ...SHORT, '--adapter-limits'], {
      planStudent: () => planned,
    });
    expect(code).toBe(0);
    expect(calls.map(({ method }) => method)).toEqual(['open', 'planStudent']);
    expect(calls[1]!.args[0]).toMatchObject({ settings: { length: 96, newTokens: 32, rank: 8 } });
  });

  it('bad input: code 1 for a folder without config.json, 2 for flags', async () => {
    const empty = join(folder, 'empty');
    cpSync(tiny, empty, { recursive: true });
    writeFileSync(join(empty, 'config.json'), '{"model_type": "gpt_neox"}');
    const refused = await pupil(['plan', '--student', empty, '--json']);
    expect(refused.code).toBe(1);
    expect(refused.out).toContain('gpt_neox');
    expect((await pupil(['plan', '--student', join(folder, 'none')])).code).toBe(1);
    expect((await pupil(['plan', '--student', tiny, '--budget', 'much'])).code).toBe(2);
    expect((await pupil(['plan'])).code).toBe(2);
  });

  it('reads bytes with and without units', () => {
    expect(['8GB', '7.5 GiB', '500mb', '1000000', '64KiB'].map(bytesOf)).toEqual([8e9, 7.5 * 2 ** 30, 5e8, 1e6, 65536]);
    expect(() => bytesOf('8 TB')).toThrow(/number of bytes/);
    expect(() => bytesOf('0')).toThrow(/number of bytes/);
  });
});
