// verbsReport.test.ts: `pupil report` on folders of this machine: found recursively, each once, written, told, and refused.
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { PaperReport } from '../../src/report/paperReport';
import { runFiles, runReport } from '../support/runFiles';
import { pupil } from './fakeSession';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pupil-report-'));
  const write = (path: string, files: Record<string, Uint8Array>): void => {
    for (const [name, bytes] of Object.entries(files)) {
      const full = join(folder, path, name);
      mkdirSync(dirname(full), { recursive: true });
      writeFileSync(full, bytes);
    }
  };
  const seed = (n: number): Record<string, Uint8Array> => {
    const plain = runReport({ runId: `smoke-${n}` });
    return runFiles({ ...plain, experiment: { ...plain.experiment, seed: n } });
  };
  write('runs/deep/one', seed(1));
  write('runs/two', seed(2));
  write('runs/broken', { 'report.json': new TextEncoder().encode('{') });
  write('runs/checkpoints/hidden', seed(9)); // no run lies there
  cpSync(join(folder, 'runs/two'), join(folder, 'runs/copy'), { recursive: true });
  symlinkSync(join(folder, 'runs'), join(folder, 'runs/deep/loop'));
  write('empty', {});
  mkdirSync(join(folder, 'empty'), { recursive: true });
});

describe('pupil report', () => {
  it('finds runs below the folders, counts each once, and writes tables beside them', async () => {
    const { code, out, hosts } = await pupil(['report', join(folder, 'runs'), join(folder, 'runs/two')]);
    expect([code, hosts]).toEqual([0, []]);
    expect(out).toMatch(/^2 finished runs of 1 student: lesson\n/);
    expect(out).toMatch(/counted once: .*\/two is the same run as .*\/copy/);
    expect(out).toMatch(/left out: .*\/broken: /);
    const paper = join(folder, 'runs/paper');
    expect(readFileSync(join(paper, 'paper.html'), 'utf8')).toContain('A stories, n = 8');
    expect(readFileSync(join(paper, 'table-1-lesson.csv'), 'utf8')).toContain('1: 6/8, 2: 6/8');
    const json = JSON.parse(readFileSync(join(paper, 'paper.json'), 'utf8')) as PaperReport;
    expect(json.runs.map(({ seed }) => seed).sort()).toEqual([1, 2]);
    // What it wrote is no run: the same command again says the same.
    expect((await pupil(['report', join(folder, 'runs')])).out).toMatch(/^2 finished runs of 1 student/);
  });

  it('--json, --out: one object with what was counted and written', async () => {
    const out = join(folder, 'elsewhere');
    const { out: text } = await pupil(['report', join(folder, 'runs/two'), '--out', out, '--json', '--prompt', 'cot']);
    expect(JSON.parse(text)).toMatchObject({ type: 'report', folder: out, runs: 1, students: ['lesson'], left: [] });
    expect(existsSync(join(out, 'paper.tex'))).toBe(true);
  });

  it('bad input: 2 for flags, 1 where there is nothing', async () => {
    const refused = await pupil(['report', join(folder, 'runs/two'), '--out', join(folder, 'x'), '--scorer', 'magic']);
    expect([refused.code, refused.err]).toEqual([
      2,
      expect.stringContaining('--scorer: expected one that the runs have (strict), got magic'),
    ]);
    expect((await pupil(['report', join(folder, 'none')])).code).toBe(1);
    expect((await pupil(['report', join(folder, 'runs/two/report.json')])).code).toBe(2);
    expect((await pupil(['report', join(folder, 'runs/two'), '--prompt', 'both'])).code).toBe(2);
    expect((await pupil(['report'])).code).toBe(2);
    const nothing = await pupil(['report', join(folder, 'empty')]);
    expect([nothing.code, nothing.out]).toEqual([1, expect.stringMatching(/^0 finished runs of 0 students\n/)]);
  });

  it('writes into no folder of a run', async () => {
    const { code, err } = await pupil(['report', join(folder, 'runs/two'), '--out', join(folder, 'runs/two')]);
    expect([code, err]).toEqual([2, expect.stringContaining('expected a folder of its own')]);
  });
});
