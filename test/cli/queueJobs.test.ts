// queueJobs.test.ts: a grid as the jobs of a queue, without a queue: what may begin when, why a run is missing, paths that
// travel, progress and the board. Pure; the queue itself is gridWorker.test.ts.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { localPaths, mapPaths } from '../../src/config/paths';
import { loadSeries, locate } from '../../src/cli/experimentFile';
import { boardGrid, type BoardRow, type JobInfo } from '../../src/cli/full/boardState';
import { boardForPage, boardLines, changeLines } from '../../src/cli/full/boardText';
import { gridJobs } from '../../src/cli/full/jobs';
import { ProgressMeter } from '../../src/cli/full/jobProgress';
import { parseS3Address } from '../../src/cli/full/s3Store';
import { expectQueueFlags } from '../../src/cli/full/queueVerb';
import { toldAddress } from '../../src/cli/full/queueConnection';
import {
  followers,
  jobHash,
  missingRuns,
  queuedGrid,
  startable,
  withForerunners,
  type JobState,
} from '../../src/cli/full/queueJobs';
import { placesOf, withoutPlaces } from '../../src/cli/full/symbolicPaths';
import { experimentsFolder } from '../../src/cli/project';
import { WAYS, writeTinyGrid } from '../support/tinyGrid';

const folder = mkdtempSync(join(tmpdir(), 'pupil-queue-jobs-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const loaded = loadSeries(writeTinyGrid(folder, [WAYS], 2), {})!;
const grid = queuedGrid(loaded, gridJobs(loaded), undefined);
const instruct = grid.jobs.filter(({ kind }) => kind === 'instruct');

describe('jobs of a queued grid', () => {
  it('begin when what they wait for has ended', () => {
    const first = startable(grid.jobs, new Set());
    expect(first.every(({ after }) => after === undefined)).toBe(true);
    expect(first.length).toBeLessThan(grid.jobs.length);
    const begun = new Set(first.map(({ id }) => id));
    for (const queue = [...begun]; queue.length > 0;) {
      for (const { id } of followers(grid.jobs, queue.shift()!)) {
        expect(begun.has(id)).toBe(false);
        begun.add(id);
        queue.push(id);
      }
    }
    expect(begun.size).toBe(grid.jobs.length); // each comes, each once
    const cell = grid.jobs.find(({ after }) => after === instruct[0]!.id)!;
    expect(withForerunners(grid.jobs, cell.id).slice(0, 2)).toEqual([cell.id, instruct[0]!.id]);
  });

  it('are told apart by what they compute, not by name or order of keys', () => {
    const [one, two] = grid.jobs.filter(({ kind }) => kind === 'cell');
    const { experiment } = one!;
    const turned = Object.fromEntries(Object.entries({ ...experiment, name: 'other' }).reverse()) as typeof experiment;
    expect(jobHash({ experiment: turned })).toBe(jobHash({ experiment }));
    expect(jobHash(two!)).not.toBe(jobHash(one!));
    expect(jobHash({ experiment, until: 'instruct' })).not.toBe(jobHash({ experiment }));
  });

  it('say why a run is missing', () => {
    const states = new Map<string, { state: JobState; error?: string }>();
    for (const { id } of grid.jobs) states.set(id, { state: 'finished' });
    const [a, b] = instruct.map(({ id }) => followers(grid.jobs, id).map((job) => job.id));
    states.set(instruct[0]!.id, { state: 'failed', error: 'out of memory' });
    a!.forEach((id) => states.set(id, { state: 'blocked' }));
    states.set(b![0]!, { state: 'cancelled' });
    states.set(b![1]!, { state: 'failed', error: 'NaN' });
    const missing = missingRuns(grid, (id) => states.get(id)!);
    expect(new Map(missing.map(({ id, why }) => [id, why]))).toEqual(
      new Map([
        ...a!.map((id) => [id, `${instruct[0]!.id}, which it waits for, failed: out of memory`] as const),
        [b![0]!, 'cancelled'],
        [b![1]!, 'failed: NaN'],
      ]),
    );
  });
});

describe('paths that travel', () => {
  it('lie below {data} or beside this installation, and are found again elsewhere', () => {
    const { experiment } = loaded.runs[0]!;
    const data = join(folder, 'data');
    const moved = mapPaths(experiment, (path) => (path.endsWith('vocab.json') ? join(data, 'a b/vocab.json') : path));
    const symbolic = withoutPlaces(moved, data);
    expect(symbolic.student.tokenizer).toMatchObject({ path: '{data}/a b/vocab.json' });
    expect(symbolic.student.source).toEqual({ kind: 'directory', path: '../test/fixtures/lesson/student-p10' });
    expect(placesOf(symbolic)).toEqual([]);
    const plain = withoutPlaces(experiment, undefined);
    expect(locate(plain, experimentsFolder(), {}).experiment).toEqual(experiment);
    const far = mapPaths(experiment, (path) => path.replace(/^.*test/, '/mnt/elsewhere'));
    expect(placesOf(withoutPlaces(far, data)).length).toBeGreaterThan(0);
    expect(localPaths(withoutPlaces(far, '/mnt')).every((path) => path.startsWith('{data}/elsewhere'))).toBe(true);
    expect(withoutPlaces(far, '/mn')).toEqual(far); // part of a folder's name is no folder
  });

  it('leave no password in messages', () => {
    expect(toldAddress('redis://user:secret@box:6379/0')).toBe('redis://box:6379/0');
    expect(parseS3Address('s3://bucket/a/b/')).toEqual({ bucket: 'bucket', prefix: 'a/b/' });
    expect(() => parseS3Address('s3:///x')).toThrow(/expected s3/);
  });
});

describe('progress', () => {
  it('is counted in planned tokens, up to where the job ends, from where the sitting began', () => {
    let now = 0;
    const meter = new ProgressMeter({ host: 'box', worker: 'w', slot: 'slot-1' }, 'instruct', () => now);
    const row = { unit: 'steps', count: 10, trainedTokens: 100, forwardTokens: 0 };
    const baseline = { phase: 'baseline' as const, unit: 'questions', count: 10, trainedTokens: 0, forwardTokens: 100 };
    meter.hear({ type: 'plan', work: [baseline, { phase: 'instruct', ...row }, { phase: 'self-refine', ...row }] });
    meter.hear({ type: 'phase', phase: 'baseline', state: 'end' });
    meter.hear({ type: 'phase', phase: 'instruct', state: 'start' });
    expect(meter.progress.share).toBeCloseTo(100 / 400);
    expect(meter.progress.secondsLeft).toBeUndefined();
    now = 30_000;
    meter.hear({
      type: 'metrics',
      phase: 'instruct',
      step: 5,
      totalSteps: 10,
      values: { loss: 2, tokens_per_second: 9.6 },
    });
    const { share, secondsLeft, tokensPerSecond, loss } = meter.progress;
    expect(share).toBeCloseTo(250 / 400);
    expect(secondsLeft).toBe(30);
    expect({ tokensPerSecond, loss }).toEqual({ tokensPerSecond: 10, loss: 2 });
    meter.hear({ type: 'phase', phase: 'instruct', state: 'end' });
    expect(meter.progress.share).toBe(1);
  });
});

describe('the board', () => {
  const at = new Date(1_000_000).toISOString();
  const infos = new Map<string, JobInfo>(grid.jobs.map(({ id }) => [id, { state: 'blocked', begun: 0 }]));
  const first = startable(grid.jobs, new Set());
  infos.set(first[0]!.id, { state: 'finished', begun: 1, startedMs: 0, endedMs: 60_000 });
  const progress = { host: 'box', worker: 'w', slot: 'slot-1', gpu: '2', checkpoints: 1, since: at, at };
  infos.set(instruct[0]!.id, {
    state: 'running',
    begun: 2,
    progress: { ...progress, phase: 'instruct', done: 5, total: 10, unit: 'steps', share: 0.5, secondsLeft: 120 },
  });
  infos.set(instruct[1]!.id, { state: 'failed', begun: 3, error: '<img src=x onerror=alert(1)>\nmore' });
  const state = boardGrid(grid, infos, 'blocked', 1_000_000);

  it('says where each job is, how far, and why not', () => {
    const row = (id: string): object => state.rows.find((one) => one.id === id)!;
    expect(row(instruct[0]!.id)).toMatchObject({
      doing: 'instruct, 5 of 10 steps',
      where: 'box, GPU 2',
      share: 0.5,
      begun: 2,
    });
    expect(row(instruct[1]!.id)).toMatchObject({ state: 'failed', why: '<img src=x onerror=alert(1)>\nmore' });
    const behind = followers(grid.jobs, instruct[1]!.id)[0]!;
    expect(row(behind.id)).toMatchObject({ why: expect.stringContaining('which it waits for, failed') });
    expect(state.counts).toMatchObject({ running: 1, failed: 1 });
    expect(boardGrid(grid, infos, 'blocked', 1_060_000).rows.find(({ id }) => id === instruct[0]!.id)!.why).toBe(
      'nothing heard for 60 s',
    );
  });

  it('fits a terminal, tells changes only where it cannot redraw, and gives the page texts', () => {
    const board = { namespace: 'lab', paused: true, stopping: false, at, workers: ['w'], grids: [state] };
    const lines = boardLines(board, { width: 60, height: 100 });
    expect(lines[0]).toBe('lab (paused, running jobs go on), 1 worker busy');
    // The names that --cancel and --retry take.
    for (const { id } of grid.jobs) expect(boardLines(board).join('\n')).toContain(id);
    expect(lines.every((line) => line.length <= 60)).toBe(true);
    expect(lines.some((line) => line.includes('running'))).toBe(true);
    expect(changeLines(board, board)).toEqual([]);
    const before = boardGrid(
      grid,
      new Map(infos).set(instruct[1]!.id, { state: 'waiting', begun: 0 }),
      'blocked',
      1_000_000,
    );
    expect(changeLines({ ...board, grids: [before] }, board)[0]).toMatch(/^failed .*onerror/);
    expect(boardForPage(board)).toMatchObject({
      grids: [{ name: 'Tiny grid', summary: expect.stringContaining('1 failed') }],
    });
  });

  it('shows what runs and what failed first, as many rows as the screen has room for, and says what it leaves out', () => {
    const rows = Array.from({ length: 500 }, (_, i): BoardRow => {
      const of: JobState =
        i < 400 ? 'finished' : i < 480 ? 'waiting' : i < 482 ? 'failed' : i < 486 ? 'running' : 'blocked';
      return { id: `job-${i}`, kind: 'cell', title: `cell ${i}`, state: of, begun: 1 };
    });
    const large = { ...state, rows };
    const small = { ...state, grid: 'small', rows: state.rows.slice(0, 4) };
    const board = { namespace: 'lab', paused: false, stopping: false, at, workers: ['w'], grids: [large, small] };
    const lines = boardLines(board, { width: 200, height: 40 });
    expect(lines.length).toBe(40);
    const shown = lines.filter((line) => line.includes(' cell '));
    expect(shown.slice(0, 6).map((line) => line.trim().split(' ')[0])).toEqual([
      ...Array.from({ length: 4 }, () => 'running'),
      ...['failed', 'failed'],
    ]);
    expect(lines.join('\n')).toContain('… and 470 more: 56 waiting, 14 blocked, 400 finished (--once: all of them)');
    for (const { id } of small.rows) expect(lines.join('\n')).toContain(id);
    expect(boardLines(board).filter((line) => line.includes(' cell ')).length).toBe(500);
    expect(boardForPage(board)).toMatchObject({
      grids: [{ rows: expect.objectContaining({ 0: expect.objectContaining({ id: 'job-482' }) }) }, {}],
    });
    const empty = { ...board, grids: [] };
    expect(boardLines(empty, { width: 80, height: 40 })[1]).toContain('No grid is in this queue');
    expect(boardForPage(empty)).toMatchObject({ empty: expect.stringContaining('No grid') as string });
  });
});

describe('what is said to a queue', () => {
  it('is refused where it cannot be meant', () => {
    const all = { queue: true as const };
    expectQueueFlags({ ...all, pause: true, now: true });
    expectQueueFlags({ ...all, retry: 'way-both-seed0' });
    expect(() => expectQueueFlags({ ...all, now: true })).toThrow(/--now: expected with --pause/);
    expect(() => expectQueueFlags({ ...all, pause: true, retry: true })).toThrow(/one of --pause, --retry at a time/);
    expect(() => expectQueueFlags({ retry: true })).toThrow(/--retry: expected with --queue/);
  });
});
