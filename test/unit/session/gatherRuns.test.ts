// gatherRuns.test.ts: folders and zips as `pupil report` finds them: each run once, unfinished ones with how far they got, and
// damaged, foreign or contradictory files told one by one without stopping the rest.
import { describe, expect, it } from 'vitest';
import { PupilError } from '../../../src/base/errors';
import type { ByteSource } from '../../../src/formats/byteSource';
import { writeZip } from '../../../src/formats/zipWrite';
import type { RunReport } from '../../../src/report/types';
import { gatherRuns, type FoundFile, type FoundFolder, type FoundRuns } from '../../../src/session/gatherRuns';
import { json, runFiles, runReport } from '../../support/runFiles';

type Files = Record<string, Uint8Array>;
const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

const folder = (from: string, files: Files): FoundFolder => ({ from, read: (path) => Promise.resolve(files[path]) });
const file = (from: string, bytes: Uint8Array): FoundFile => ({
  from,
  open: () =>
    Promise.resolve({
      name: from,
      size: bytes.byteLength,
      read: (start: number, end: number) => Promise.resolve(bytes.slice(start, end)),
    } satisfies ByteSource),
});
const gather = (found: Partial<FoundRuns>) => gatherRuns({ folders: [], zips: [], judges: [], grids: [], ...found });

async function zip(files: Files): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  const inputs = Object.entries(files).map(([path, bytes]) => ({ path, bytes }));
  await writeZip(inputs, new Date(0), (bytes) => {
    parts.push(bytes.slice());
  });
  return new Uint8Array(await new Blob(parts as BlobPart[]).arrayBuffer());
}
const inside = (name: string, files: Files): Files =>
  Object.fromEntries(Object.entries(files).map(([path, bytes]) => [`${name}/${path}`, bytes]));

const report = (changes: Partial<RunReport>): RunReport => runReport(changes);
const seeded = (seed: number, changes: Partial<RunReport> = {}): RunReport => {
  const plain = runReport(changes);
  return { ...plain, experiment: { ...plain.experiment, seed } };
};

describe('runs', () => {
  it('count once, in a folder, in its copy, and in a zip of it', async () => {
    const files = runFiles();
    const found = await gather({
      folders: [folder('/a/smoke', files), folder('/copy/smoke', files)],
      zips: [file('/z/smoke.zip', await zip(inside('smoke-1', files)))],
    });
    expect(found.runs.map(({ runId, from, answers }) => [runId, from, answers.length])).toEqual([
      ['smoke-1', '/a/smoke', 2],
    ]);
    expect(found.again).toEqual([
      { from: '/copy/smoke', as: '/a/smoke' },
      { from: '/z/smoke.zip:smoke-1', as: '/a/smoke' },
    ]);
    expect(found.left).toEqual([]);
  });

  it('two with one id and different reports are two', async () => {
    const found = await gather({
      folders: [folder('/a/x', runFiles()), folder('/b/x', runFiles(seeded(7)))],
    });
    expect(found.runs.map(({ runId, report: { experiment } }) => [runId, experiment.seed])).toEqual([
      ['smoke-1', 0],
      ['smoke-1-2', 7],
    ]);
  });

  it('several in one zip are several', async () => {
    const bytes = await zip({
      ...inside('one', runFiles()),
      ...inside('two', runFiles(seeded(1, { runId: 'smoke-2' }))),
    });
    const found = await gather({ zips: [file('/both.zip', bytes)] });
    expect(found.runs.map(({ from }) => from)).toEqual(['/both.zip:one', '/both.zip:two']);
  });

  it('without predictions, or with damaged ones, count without intervals, and that is told', async () => {
    const { 'predictions.jsonl': lines, ...without } = runFiles();
    const damaged = bytesOf(`${new TextDecoder().decode(lines)}{"system":`);
    const found = await gather({
      folders: [
        folder('/a', without),
        folder('/b', { ...runFiles(seeded(1, { runId: 'smoke-2' })), 'predictions.jsonl': damaged }),
      ],
    });
    expect(found.runs.map(({ answers }) => answers.length)).toEqual([0, 0]);
    expect(found.left.map(({ from }) => from)).toEqual(['/a/predictions.jsonl', '/b/predictions.jsonl']);
    expect(found.left[1]!.reason).toMatch(/^line 3.*counted without single answers/);
  });

  it('a finished part that other runs share is no run', async () => {
    const part = report({ evaluations: [runReport().evaluations[0]!], timings: [{ phase: 'instruct', seconds: 1 }] });
    const found = await gather({ folders: [folder('/a', runFiles(part))] });
    expect(found.runs).toEqual([]);
    expect(found.left[0]!.reason).toBe('it ends after instruct: a part that other runs share, no run of its own');
  });
});

describe('full runs', () => {
  it('jobs that ended early as they should are neither runs nor missing, and grid.json tells the cells', async () => {
    const shared = { ...runFiles(report({ runId: 'i', state: 'stopped' })), 'ended.json': json({ until: 'instruct' }) };
    const series = { name: 'Smoke', experiment: 'smoke', seeds: 2 };
    const found = await gather({
      folders: [folder('/g/instruct-1', shared), folder('/g/cell-seed0', runFiles())],
      grids: [file('/g/grid.json', json({ format: 'pupil-grid', series, runs: [], jobs: [] }))],
    });
    expect([found.runs.length, found.pending, found.left]).toEqual([1, [], []]);
    expect(found.grids).toMatchObject([{ name: 'Smoke', runs: 2, finished: 1 }]);
  });
});

describe('unfinished runs', () => {
  it('say how far they got: stopped, failed with the error, killed with the last checkpoint', async () => {
    const timings: RunReport['timings'] = [{ phase: 'self-refine', seconds: 1 }];
    const error = { code: 'training', message: 'the loss is NaN' };
    const killed = {
      'run-folder.json': json({ runId: 'k', name: 'Killed', seed: 3, createdAt: '' }),
      'checkpoints/run.json': json({ phase: 'instruct', step: 5, updatedAt: '2026-01-01T00:00:00Z' }),
      'metrics.jsonl': bytesOf('{"phase":"instruct","step":5,"totalSteps":90,"loss":1}\n{"phase":"instr'),
    };
    const found = await gather({
      folders: [
        folder('/s', runFiles(report({ runId: 's', state: 'stopped', timings }))),
        folder('/f', runFiles(report({ runId: 'f', state: 'failed', timings, error }))),
        folder('/k', killed),
        folder('/n', { 'run-folder.json': killed['run-folder.json'], 'checkpoints/run.json': bytesOf('{"phase"') }),
      ],
    });
    expect(found.runs).toEqual([]);
    expect(found.pending.map(({ state, how, seed }) => [state, how, seed])).toEqual([
      ['stopped', 'self-refine, step 4 of 4', 0],
      ['failed', 'self-refine, step 4 of 4; the loss is NaN', 0],
      ['unfinished', 'instruct, step 5 of 90, last checkpoint 2026-01-01T00:00:00Z', 3],
      ['unfinished', 'before its first checkpoint', 3],
    ]);
  });

  it('a copy made before the run ended gives way to the run', async () => {
    const found = await gather({
      folders: [folder('/early', runFiles(report({ state: 'stopped' }))), folder('/late', runFiles())],
    });
    expect(found.pending).toEqual([]);
    expect(found.again).toEqual([{ from: '/early', as: '/late' }]);
  });
});

describe('hostile files', () => {
  it('are told one by one, and the good run counts', async () => {
    const hostile: [string, Uint8Array, RegExp][] = [
      ['/h/cut', json(runReport()).slice(0, 900), /cut\/report\.json/],
      ['/h/version', json({ ...runReport(), version: 2 }), /version 1 of a report, got 2/],
      ['/h/other', json({ format: 'pupil-series-report' }), /expected the report of a run/],
      [
        '/h/number',
        json({ ...runReport(), evaluations: [{ ...runReport().evaluations[0]!, n: '<img>' }] }),
        /evaluations\[0\]\.n/,
      ],
      ['/h/empty', new Uint8Array(), /report\.json/],
    ];
    const found = await gather({
      folders: [
        ...hostile.map(([from, bytes]) => folder(from, { 'report.json': bytes })),
        folder('/h/nothing', {}),
        { from: '/h/unreadable', read: () => Promise.reject(new PupilError('source', 'EACCES')) },
        folder('/good', runFiles()),
      ],
      zips: [
        file('/h/cut.zip', (await zip(runFiles())).slice(0, 500)),
        file('/h/none.zip', await zip({ 'a.txt': bytesOf('a') })),
      ],
      judges: [file('/h/judge.json', json({ format: 'pupil-judge', version: 1, judge: 'x', rows: [{ run: 'good' }] }))],
      grids: [file('/h/grid.json', json({ name: 'G' }))],
    });
    expect(found.runs.map(({ from }) => from)).toEqual(['/good']);
    const reasons = new Map(found.left.map(({ from, reason }) => [from, reason]));
    for (const [from, , reason] of hostile) expect(`${from} ${reasons.get(from)}`).toMatch(reason);
    expect(reasons.get('/h/nothing')).toMatch(/neither a report\.json nor a record/);
    expect(reasons.get('/h/unreadable')).toBe('EACCES');
    expect(reasons.get('/h/cut.zip')).toMatch(/expected a zip file/);
    expect(reasons.get('/h/none.zip')).toMatch(/no report\.json/);
    expect(reasons.get('/h/judge.json')).toMatch(/expected ratings/);
    expect(reasons.get('/h/grid.json')).toMatch(/experiment/);
    expect(found.left).toHaveLength(hostile.length + 6);
  });
});

describe('judges and grids', () => {
  const quality = { n: 2, mean: 2.5, counts: {}, unparsable: {}, missing: 0 };
  const table = (...runs: string[]): Uint8Array =>
    json({
      format: 'pupil-judge',
      version: 1,
      judge: 'GPT-4',
      rows: runs.map((run) => ({ run, system: 'Self-refined', tasks: { 'A stories': quality }, all: quality })),
    });

  it('ratings find their runs by id, folder and file; strangers are told', async () => {
    const found = await gather({
      folders: [folder('/a/first', runFiles()), folder('/a/second', runFiles(seeded(1, { runId: 'smoke-2' })))],
      judges: [file('/a/judge.json', table('smoke-1', 'second', 'third', 'smoke-1 (teachers)'))],
    });
    expect(found.judged.map(({ runId, judge }) => [runId, judge])).toEqual([
      ['smoke-1', 'GPT-4'],
      ['smoke-2', 'GPT-4'],
      ['smoke-1', 'GPT-4'],
    ]);
    expect(found.left).toEqual([
      { from: '/a/judge.json', reason: 'ratings are left out: third is none of the finished runs' },
    ]);
  });

  it('a series’ own report tells its cells as its document does', async () => {
    const series = { name: 'Smoke grid', experiment: 'smoke', seeds: 2 };
    const finished = report({ name: 'Smoke grid' });
    for (const document of [series, { format: 'pupil-series-report', series }]) {
      const found = await gather({
        folders: [folder('/s/cell-seed0', runFiles(finished))],
        grids: [file('/s/series.json', json(document))],
      });
      expect(found.grids).toMatchObject([
        { runs: 2, finished: 1, missing: [{ runs: 1, why: ['1 of 2 seeds not begun'] }] },
      ]);
    }
  });
});
