// gridJobs.test.ts: a grid as jobs: what is shared and what waits for what; which job comes next, whatever fails.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { loadSeries } from '../../src/cli/experimentFile';
import { gridJobs, type GridJob } from '../../src/cli/full/jobs';
import { nextJob, settled, type JobState } from '../../src/cli/full/order';
import { demonstrationsOf, WAYS, writeTinyGrid, type GridAxes } from '../support/tinyGrid';

const folder = mkdtempSync(join(tmpdir(), 'pupil-grid-jobs-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const jobsOf = (axes: GridAxes, seeds = 1): GridJob[] => gridJobs(loadSeries(writeTinyGrid(folder, axes, seeds), {})!);
const SPLITS: GridAxes[number] = {
  name: 'split',
  values: [0.5, 1].map((share) => ({ label: `${share * 100} %`, set: { 'phases.instruct.fraction': share } })),
};

describe('jobs of a grid', () => {
  it('train an instructed adapter once for the cells that start from it, and answer a baseline once for all', () => {
    const jobs = jobsOf([WAYS, SPLITS], 2);
    const of = (kind: GridJob['kind']): GridJob[] => jobs.filter((job) => job.kind === kind);
    expect(of('cell')).toHaveLength(8);
    expect(of('instruct')).toHaveLength(4); // a split and a seed each
    expect(of('baseline')).toHaveLength(2); // a seed each: the test questions are the same
    for (const key of ['id', 'title'] as const) expect(new Set(jobs.map((job) => job[key])).size).toBe(jobs.length);
    for (const job of of('instruct')) {
      expect(job.until).toBe('instruct');
      expect(of('baseline').map(({ id }) => id)).toContain(job.after);
      const cells = of('cell').filter(({ after }) => after === job.id);
      expect(cells).toHaveLength(2);
      for (const cell of cells) {
        expect(cell.experiment.seed).toBe(job.experiment.seed);
        expect(cell.experiment.phases.instruct).toEqual(job.experiment.phases.instruct);
        expect(cell.until).toBeUndefined();
      }
    }
    // What is waited for stands before.
    jobs.forEach(({ after }, i) => {
      if (after !== undefined) expect(jobs.findIndex(({ id }) => id === after)).toBeLessThan(i);
    });
  });

  it('share phase 1 whatever stands as a placeholder at tasks without demonstrations', () => {
    // Refined on either task; in the cells the task that is not refined is for nothing, and a use must stand there.
    const values = (['C', 'A'] as const).map((refined) => ({
      label: refined,
      set: {
        demonstrations: [demonstrationsOf('C'), ...(refined === 'A' ? [demonstrationsOf('A')] : [])],
        'tasks[0].use': refined === 'C' ? ['instruct', 'selfRefine', 'evaluate'] : ['instruct'],
        'tasks[1].use': refined === 'C' ? ['instruct'] : ['selfRefine', 'evaluate'],
      },
    }));
    const jobs = jobsOf([{ name: 'refined', values }]);
    expect(jobs.map(({ kind }) => kind)).toEqual(['instruct', 'cell', 'cell']);
    expect(jobs.slice(1).map(({ after }) => after)).toEqual([jobs[0]!.id, jobs[0]!.id]);
    // With demonstrations the same use is none: then both tasks are taught.
    values[0]!.set.demonstrations.push(demonstrationsOf('A'));
    expect(jobsOf([{ name: 'refined', values }]).map(({ kind }) => kind)).toEqual(['cell', 'cell']);
  });

  it('share nothing where nothing is the same', () => {
    const rates = [1e-3, 2e-3].map((rate) => ({ label: `${rate}`, set: { 'phases.instruct.learningRate': rate } }));
    const jobs = jobsOf([{ name: 'rate', values: rates }]);
    expect(jobs.map(({ kind }) => kind)).toEqual(['baseline', 'cell', 'cell']);
    const alone = jobsOf([]);
    expect(alone.map(({ kind, after }) => ({ kind, after }))).toEqual([{ kind: 'cell', after: undefined }]);
  });

  it('keep a control with phase 1, and leave out what is off', () => {
    const control = jobsOf([WAYS, { name: 'c', values: [{ label: 'on', set: { 'phases.control': { steps: 2 } } }] }]);
    expect(control.find(({ kind }) => kind === 'instruct')!.until).toBe('control');
    const off = { name: 'b', values: [{ label: 'off', set: { 'phases.baseline': false } }] };
    expect(jobsOf([WAYS, off]).map(({ kind }) => kind)).toEqual(['instruct', 'cell', 'cell']);
  });
});

describe('order', () => {
  const jobs = jobsOf([WAYS, SPLITS]);
  const all = (state: JobState): Map<string, JobState> => new Map(jobs.map(({ id }) => [id, state]));

  it('makes whole cells early, each job once, and ends', () => {
    const states = all('waiting');
    const made: GridJob[] = [];
    for (let job = nextJob(jobs, states); job !== undefined; job = nextJob(jobs, states)) {
      if (job.after !== undefined) expect(states.get(job.after)).toBe('done');
      made.push(job);
      states.set(job.id, 'done');
    }
    expect(made).toHaveLength(jobs.length);
    expect(made.slice(0, 3).map(({ kind }) => kind)).toEqual(['baseline', 'instruct', 'cell']);
  });

  it('starts nothing that waits for what is running', () => {
    const states = all('waiting');
    const first = nextJob(jobs, states)!;
    states.set(first.id, 'running');
    expect(nextJob(jobs, states)).toBeUndefined();
    states.set(first.id, 'done');
    const second = nextJob(jobs, states)!;
    states.set(second.id, 'running');
    const third = nextJob(jobs, states)!;
    expect([second.kind, third.kind]).toEqual(['instruct', 'instruct']);
    expect(third.id).not.toBe(second.id);
  });

  it('blocks what stands behind a failed job and nothing else', () => {
    const states = all('waiting');
    const baseline = nextJob(jobs, states)!;
    states.set(baseline.id, 'done');
    const instruct = nextJob(jobs, states)!;
    states.set(instruct.id, 'failed');
    const after = settled(jobs, states);
    const blocked = jobs.filter(({ id }) => after.get(id) === 'blocked');
    expect(blocked.map((job) => job.after)).toEqual([instruct.id, instruct.id]);
    expect(nextJob(jobs, after)!.kind).toBe('instruct');
    states.set(baseline.id, 'failed');
    states.set(instruct.id, 'waiting');
    const none = settled(jobs, states);
    expect(nextJob(jobs, none)).toBeUndefined();
    expect([...none.values()].filter((state) => state === 'blocked')).toHaveLength(jobs.length - 1);
  });

  it('makes no shared job that no missing cell waits for', () => {
    const states = all('waiting');
    for (const { id, kind } of jobs) if (kind === 'cell') states.set(id, 'done');
    const after = settled(jobs, states);
    expect(nextJob(jobs, after)).toBeUndefined();
    expect([...after.values()].filter((state) => state === 'unneeded')).toHaveLength(3);
  });
});
