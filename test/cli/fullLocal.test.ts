// fullLocal.test.ts: a grid on one machine, as a person runs it, on Dawn in Node: two jobs at once, stopped by a signal and gone on
// with by the same command. What is shared is computed once, and the table is that of a series that shares nothing.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import type { SeriesReport } from '../../src/report/series';
import { WAYS, writeTinyGrid } from '../support/tinyGrid';
import { pupil } from './process';

const folder = mkdtempSync(join(tmpdir(), 'pupil-full-local-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const reportIn = (out: string): SeriesReport =>
  JSON.parse(readFileSync(join(out, 'series.json'), 'utf8')) as SeriesReport;
/** Runs in the store of a session on Dawn. */
const storedRuns = (store: string): string[] => (existsSync(store) ? readdirSync(store) : []);
const CELLS = ['way-both-seed0', 'way-cross-seed0'];

it(
  'a grid, stopped and gone on with, computes what is shared once and ends in the table of a series',
  { timeout: 1_200_000 },
  async () => {
    const grid = writeTinyGrid(folder, [WAYS]);
    const out = join(folder, 'full');
    const args = ['full', grid, '--local', '--out', out, '--host', 'node', '--slots', '2', '--json'];

    let asked = false; // a second signal would end it without a checkpoint
    const first = await pupil(args, {
      onLine: (line, signal) => {
        if (asked || line['type'] !== 'metrics' || line['phase'] !== 'self-refine') return;
        asked = true;
        signal('SIGTERM');
      },
    });
    expect(first.code, first.err).toBe(130);
    expect(first.err).toContain('the grid can be continued: npm run pupil -- full');
    const jobs = (lines: Record<string, unknown>[], state: string): unknown[] =>
      lines.flatMap((line) => (line['type'] === 'grid-job' && line['state'] === state ? [line['kind']] : []));
    expect(jobs(first.lines, 'done')).toEqual(['instruct']);
    expect(jobs(first.lines, 'started')).toEqual(['instruct', 'cell', 'cell']); // both cells at once
    expect(readdirSync(join(out, 'shared')).length).toBeGreaterThanOrEqual(2);

    const second = await pupil(args);
    expect(second.code, second.err).toBe(0);
    expect(jobs(second.lines, 'started')).toEqual(['cell', 'cell']);
    expect(jobs(second.lines, 'done')).toEqual(['cell', 'cell']);
    // Phase 1 was trained by its own job only: no other ever took a step.
    const stepped = new Set(
      [...first.lines, ...second.lines].flatMap((line) => {
        const progress = line['progress'] as { task?: string } | undefined;
        return progress?.task === 'instruct' ? [String(line['job']).replace(/-[0-9a-f]{12}$/, '')] : [];
      }),
    );
    expect([...stepped]).toEqual(['instruct']);
    for (const cell of CELLS)
      expect(existsSync(join(out, cell, 'adapters/instruct/adapter_model.safetensors'))).toBe(true);

    // Of finished runs nothing stays in the storage of the slots through which they went; all is in their folders.
    const stored = ['.slot-1', '.slot-2'].flatMap((slot) => storedRuns(join(out, slot, '.store')));
    expect(stored).toEqual([]);
    for (const cell of CELLS) expect(existsSync(join(out, cell, 'checkpoints/run.json'))).toBe(true);

    const third = await pupil(args);
    expect(third.code, third.err).toBe(0);
    expect(jobs(third.lines, 'started')).toEqual([]);

    // Beside test/unit/session/phaseResults.test.ts, which says the same of one run.
    if (process.env['PUPIL_TEST_LONG'] === undefined) return;
    const alone = join(folder, 'series');
    const series = await pupil(['run', grid, '--out', alone, '--host', 'node', '--json']);
    expect(series.code, series.err).toBe(0);
    expect(reportIn(out).results).toEqual(reportIn(alone).results);
    expect(reportIn(out).comparisons).toEqual(reportIn(alone).comparisons);
    for (const cell of CELLS) {
      for (const file of ['adapters/self-refine/adapter_model.safetensors', 'predictions.jsonl', 'pairs.jsonl']) {
        expect(
          readFileSync(join(out, cell, file)).equals(readFileSync(join(alone, cell, file))),
          `${cell}/${file}`,
        ).toBe(true);
      }
    }
  },
);

it('refuses what is no grid, and a folder of something else', { timeout: 60_000 }, async () => {
  const single = await pupil(['full', 'smoke', '--local', '--out', join(folder, 'single'), '--host', 'node']);
  expect(single.code).toBe(2);
  expect(single.err).toMatch(/expected a grid \(a series document\), it is one experiment/);
  const nowhere = await pupil(['full', writeTinyGrid(folder, [WAYS]), '--host', 'node']);
  expect(nowhere.code).toBe(2);
  expect(nowhere.err).toMatch(/Add --local/);
  const taken = await pupil([
    'full',
    writeTinyGrid(folder, []),
    '--local',
    '--out',
    join(folder, 'full', CELLS[0]!),
    '--host',
    'node',
  ]);
  expect(taken.code).toBe(2);
  expect(taken.err).toMatch(/holds a single run/);
});
