// series.test.ts: `pupil run` of a series against a session that only remembers: which runs it is asked for, in which
// folders, what is skipped and what resumed, what people and machines are told. A real series is seriesRun.test.ts.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadSeries } from '../../src/cli/experimentFile';
import type { Experiment } from '../../src/config/experiment';
import type { RunRequest, SessionEvent } from '../../src/session/protocol';
import { jsonLines, pupil, ROW } from './fakeSession';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pupil-series-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const out = (): string => join(folder, 'out');

/** A series over the smoke preset: two shares of its demonstrations, two seeds. */
function seriesFile(change: object = {}): string {
  const file = join(folder, 'series.json');
  const series = {
    name: 'Shares',
    experiment: 'smoke',
    seeds: 2,
    axes: [
      {
        name: 'share',
        values: [{ label: '50 %', set: { 'demonstrations[0].fraction': 0.5 } }, { label: '100 %' }],
      },
    ],
    ...change,
  };
  writeFileSync(file, JSON.stringify(series));
  return file;
}

/** What the session leaves of a run in its folder, as far as the command line looks at it. */
function leave(request: RunRequest, state: string, correct = 3): void {
  const directory = (request.out as { directory: string }).directory.replace(/^folder:/, '');
  const report = {
    state,
    experiment: request.experiment,
    evaluations: [{ ...ROW, correct, n: 4 }],
    timings: [{ phase: 'instruct', seconds: 2 }],
    environment: { vendor: 'v', architecture: 'a', device: 'd', description: 'x', tier: 'f32', host: 'node' },
    student: { source: 's', parameters: 1, fingerprint: 'f' },
  };
  writeFileSync(join(directory, 'report.json'), JSON.stringify(report));
  writeFileSync(
    join(directory, 'predictions.jsonl'),
    [0, 1, 2, 3]
      .map((i) => ({ ...ROW, itemId: `q${i}`, target: 'A', text: '', correct: { strict: i < correct } }))
      .map((row) => `${JSON.stringify(row)}\n`)
      .join(''),
  );
}

/** A session whose n-th run ends in the n-th state; more runs finish. */
const ending = (...states: string[]) => ({
  run: ((request: RunRequest, on: (event: SessionEvent) => void) => {
    const state = states.shift() ?? 'finished';
    on({ type: 'evaluation', row: ROW });
    leave(request, state);
    const error = state === 'failed' ? { code: 'storage-full', message: 'no room' } : undefined;
    return { runId: request.runId, state, report: {}, artefacts: [], ...(error === undefined ? {} : { error }) };
  }) as never,
});

type Result = Awaited<ReturnType<typeof pupil>>;
const requests = (result: Result): RunRequest[] =>
  result.calls.filter((call) => call.method === 'run').map((call) => call.args[0] as RunRequest);
const told = (result: Result): string[] =>
  requests(result).map((request) => {
    const name = (request.out as { directory: string }).directory.slice(`folder:${out()}/`.length);
    return `${name}${request.resume === true ? ' resumed' : ''}`;
  });

const ALL = ['share-50-seed0', 'share-100-seed0', 'share-50-seed1', 'share-100-seed1'];

describe('run of a series', () => {
  it('makes every run in its folder, one session for all, and writes table and experiments', async () => {
    const result = await pupil(['run', seriesFile(), '--out', out()], ending());
    expect(result.code, result.err).toBe(0);
    expect(told(result)).toEqual(ALL);
    expect(result.hosts).toHaveLength(1);
    expect(result.hosts[0]).toMatchObject({ keepIn: out() });
    expect(result.err).toContain('run 2 of 4: 100 %, seed 0');
    expect(result.out).toContain(`4 of 4 runs finished: ${join(out(), 'series.html')}`);
    expect(result.out).toContain(
      [
        'share  System                 C',
        '50 %   Self-refined  75.0 ± 0.0',
        '100 %  Self-refined  75.0 ± 0.0',
        'strict accuracy %, mean ± sd over seeds',
      ].join('\n'),
    );
    const experiments = requests(result).map(({ experiment }) => experiment as Experiment);
    expect(experiments.map(({ seed, demonstrations }) => [seed, demonstrations[0]!.fraction])).toEqual([
      [0, 0.5],
      [0, 1],
      [1, 0.5],
      [1, 1],
    ]);
    const report = JSON.parse(readFileSync(join(out(), 'series.json'), 'utf8')) as {
      results: { mean: number; runs: unknown[] }[];
    };
    expect(report.results.map(({ mean, runs }) => [mean, runs.length])).toEqual([
      [0.75, 2],
      [0.75, 2],
    ]);
    // Each run's experiment is a file that runs alone.
    const alone = await pupil(['run', join(out(), ALL[2]!, 'experiment.json'), '--out', join(folder, 'alone')]);
    expect(requests(alone)[0]!.experiment).toEqual(experiments[2]);
  });

  it('said again skips what is finished and resumes what was interrupted', async () => {
    const first = await pupil(['run', seriesFile(), '--out', out()], ending('finished', 'stopped'));
    expect(first.code).toBe(130);
    expect(told(first)).toEqual(ALL.slice(0, 2));
    expect(first.err).toContain(`npm run pupil -- run ${join(folder, 'series.json')} --out ${out()} --resume`);
    expect(readFileSync(join(out(), 'series.html'), 'utf8')).toContain(
      '1 of 4 runs are finished (1 stopped, 2 waiting)',
    );
    const second = await pupil(['run', seriesFile(), '--out', out()], ending());
    expect(second.code, second.err).toBe(0);
    expect(told(second)).toEqual([`${ALL[1]} resumed`, ALL[2], ALL[3]]);
    expect(second.err).toContain('run 1 of 4: 50 %, seed 0, finished before');
    const third = await pupil(['run', seriesFile(), '--out', out()], ending());
    expect(third.code).toBe(0);
    expect(third.hosts).toHaveLength(0); // nothing to do, so nothing is started
  });

  it('shards make each its own runs of one folder; the one that ends last has the whole table', async () => {
    const second = await pupil(['run', seriesFile(), '--out', out(), '--shard', '2/3'], ending());
    expect(second.code, second.err).toBe(0);
    expect(told(second)).toEqual([ALL[1]]);
    expect(second.err).toContain('4 runs, 0 finished, 1 to make here (shard 2/3)');
    const first = await pupil(['run', seriesFile(), '--out', out(), '--shard', '1/3'], ending('finished', 'stopped'));
    expect(told(first)).toEqual([ALL[0], ALL[3]]);
    expect(first.err).toContain('--shard 1/3');
    const again = await pupil(['run', seriesFile(), '--out', out(), '--shard', '1/3'], ending());
    expect(told(again)).toEqual([`${ALL[3]} resumed`]);
    await pupil(['run', seriesFile(), '--out', out(), '--shard', '3/3'], ending());
    expect(readFileSync(join(out(), 'series.html'), 'utf8')).not.toContain('runs are finished (');
    const whole = await pupil(['run', seriesFile(), '--out', out()], ending());
    expect(whole.hosts).toHaveLength(0);
  });

  it.each(['0/2', '3/2', '2', '1/0', 'a/b', ''])('--shard %j is refused', async (shard) => {
    const result = await pupil(['run', seriesFile(), '--out', out(), '--shard', shard], ending());
    expect(result.code).toBe(2);
    expect(result.err).toContain('Expected k/n');
  });

  it('a single run has no shards', async () => {
    const result = await pupil(['run', 'smoke', '--out', out(), '--shard', '1/2'], ending());
    expect(result.code).toBe(2);
    expect(result.err).toContain('--shard: expected a series of runs, smoke is a single run');
  });

  it('a larger number of seeds adds runs to those that are there', async () => {
    await pupil(['run', seriesFile(), '--out', out()], ending());
    const more = await pupil(['run', seriesFile(), '--out', out(), '--seeds', '3'], ending());
    expect(told(more)).toEqual(['share-50-seed2', 'share-100-seed2']);
  });

  it('refuses a folder that holds a run of another experiment, finished or not, before anything is started', async () => {
    await pupil(['run', seriesFile(), '--out', out()], ending('finished', 'stopped'));
    const other = seriesFile({
      axes: [
        { name: 'share', values: [{ label: '50 %', set: { 'demonstrations[0].fraction': 0.25 } }, { label: '100 %' }] },
      ],
    });
    const finished = await pupil(['run', other, '--out', out()], ending());
    expect(finished.code).toBe(2);
    expect(finished.err).toContain('its demonstrations differ');
    rmSync(join(out(), ALL[0]!), { recursive: true });
    rmSync(join(out(), ALL[1]!, 'report.json')); // killed without a word
    const killed = await pupil(
      [
        'run',
        seriesFile({
          experiment: 'smoke',
          axes: [{ name: 'share', values: [{ label: '50 %' }, { label: '100 %', set: { 'adapter.rank': 2 } }] }],
        }),
        '--out',
        out(),
      ],
      ending(),
    );
    expect(killed.code).toBe(2);
    expect(killed.err).toContain('its adapter differ');
    expect([...finished.hosts, ...killed.hosts]).toHaveLength(0);
  });

  it('limits, names and notes may change: such a run is finished all the same', async () => {
    await pupil(['run', seriesFile(), '--out', out()], ending());
    const again = await pupil(['run', seriesFile({ name: 'Other', notes: 'n' }), '--out', out()], ending());
    expect(told(again)).toEqual([]);
  });

  it('a run that fails ends the series with 1; the next call goes on with it', async () => {
    const first = await pupil(['run', seriesFile(), '--out', out(), '--retries', '0'], ending('finished', 'failed'));
    expect(first.code).toBe(1);
    expect(told(first)).toHaveLength(2);
    expect(first.err).toContain('no room');
    const second = await pupil(['run', seriesFile(), '--out', out()], ending());
    expect(told(second)[0]).toBe(`${ALL[1]} resumed`);
  });

  it('a run whose loss is no number is that run’s own fault: the others are made, and the end is 1', async () => {
    let count = 0;
    const run = (request: RunRequest): unknown => {
      const failed = count++ === 0;
      leave(request, failed ? 'failed' : 'finished');
      const error = { code: 'training', message: 'loss is NaN' };
      return {
        runId: request.runId,
        state: failed ? 'failed' : 'finished',
        report: {},
        artefacts: [],
        ...(failed ? { error } : {}),
      };
    };
    const result = await pupil(['run', seriesFile(), '--out', out()], { run: run as never });
    expect(result.code).toBe(1);
    expect(told(result)).toEqual(ALL);
    expect(readFileSync(join(out(), 'series.html'), 'utf8')).toContain('1 failed');
  });

  it('Ctrl-C stops the run under way and begins no other', async () => {
    const run = (request: RunRequest): unknown => {
      process.emit('SIGINT');
      leave(request, 'stopped');
      return { runId: request.runId, state: 'stopped', report: {}, artefacts: [] };
    };
    const result = await pupil(['run', seriesFile(), '--out', out()], { run: run as never });
    expect(result.code).toBe(130);
    expect(told(result)).toEqual([ALL[0]]);
    expect(result.calls.filter(({ method }) => method === 'stop')).toHaveLength(1);
    expect(process.listenerCount('SIGINT')).toBe(0);
  });

  it('Ctrl-C at the very end of a run leaves it finished, and begins no other', async () => {
    const run = (request: RunRequest): unknown => {
      process.emit('SIGINT');
      leave(request, 'finished');
      return { runId: request.runId, state: 'finished', report: {}, artefacts: [] };
    };
    const result = await pupil(['run', seriesFile(), '--out', out()], { run: run as never });
    expect(result.code).toBe(130);
    expect(told(result)).toEqual([ALL[0]]);
    expect((await pupil(['run', seriesFile(), '--out', out()], ending())).code).toBe(0);
  });

  it('machines get which run comes, its events and result as of a single run, and the end', async () => {
    const result = await pupil(['run', seriesFile({ seeds: 1 }), '--json', '--out', out()], ending());
    const lines = jsonLines(result.out);
    const one = ['series-run', 'evaluation', 'run'];
    expect(lines.map(({ type }) => type)).toEqual([...one, ...one, 'series']);
    expect(lines[3]).toMatchObject({
      run: 2,
      runs: 2,
      id: 'share-100-seed0',
      cell: ['100 %'],
      seed: 0,
      state: 'started',
    });
    expect(lines[5]).toMatchObject({ state: 'finished', folder: join(out(), 'share-100-seed0') });
    expect(lines[6]).toMatchObject({ name: 'Shares', runs: 2, finished: 2, folder: out() });
  });

  it('--plan adds the cells up and starts nothing', async () => {
    const result = await pupil(['run', seriesFile(), '--plan', '--json']);
    expect(result.hosts).toHaveLength(0);
    const [plan] = jsonLines(result.out) as { cells: { flops: number; seeds: number }[]; totalFlops: number }[];
    expect(plan!.cells.map(({ seeds }) => seeds)).toEqual([2, 2]);
    expect(plan!.cells[0]!.flops).toBeLessThan(plan!.cells[1]!.flops);
    // The lesson's questions are the seed's own: the two seeds differ a little.
    expect(plan!.totalFlops / (2 * (plan!.cells[0]!.flops + plan!.cells[1]!.flops))).toBeCloseTo(1, 1);
  });
});

describe('run --seeds of a plain experiment', () => {
  it('is a series of one cell over its seed and the following ones', async () => {
    const result = await pupil(['run', 'smoke', '--seed', '5', '--seeds', '2', '--out', out()], ending());
    expect(result.code, result.err).toBe(0);
    expect(told(result)).toEqual(['smoke-seed5', 'smoke-seed6']);
    expect(existsSync(join(out(), 'series.html'))).toBe(true);
  });

  it('refuses a folder with a single run in it', async () => {
    mkdirSync(out());
    await pupil(['run', 'smoke', '--out', out()]);
    const result = await pupil(['run', 'smoke', '--seeds', '2', '--out', out()]);
    expect(result.code).toBe(2);
    expect(result.err).toContain('holds a single run');
  });

  it('0 is no number of seeds', async () => {
    expect((await pupil(['run', 'smoke', '--seeds', '0'])).code).toBe(2);
  });
});

describe('the series of the project', () => {
  it.each([
    ['prototype-table-c', 'C', 120, 100, 40],
    ['prototype-table-a', 'A', 200, 120, 60],
  ])('%s: four shares of task %s, three seeds, as the prototype', (name, task, trainCount, testLimit, maxSteps) => {
    const { runs, series } = loadSeries(name, {})!;
    expect(runs).toHaveLength(12);
    expect(runs.map(({ seed }) => seed)).toEqual([0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]);
    expect(runs.slice(0, 4).map(({ experiment }) => experiment.demonstrations[0]!.fraction)).toEqual([
      0.25, 0.5, 0.75, 1,
    ]);
    for (const { experiment, seed } of runs) {
      expect(experiment.tasks).toMatchObject([{ name: task, split: { order: 'file', trainCount, testLimit } }]);
      expect(experiment.demonstrations[0]!.files[0]).toContain(`task-${task}-train-in-seed${seed}.jsonl`);
      expect(experiment.adapter).toMatchObject({ rank: 16, alpha: 32, dropout: 0 });
      expect(experiment.phases).toMatchObject({
        instruct: {
          learningRate: 8e-4,
          epochs: 4,
          batchSize: 16,
          schedule: 'cosine',
          warmupRatio: 0.03,
          weightDecay: 1e-4,
        },
        selfRefine: {
          learningRate: 2e-4,
          batchSize: 16,
          maxSteps,
          beta: 0.1,
          sampling: { temperature: 0.7 },
          validationFraction: 0.1,
        },
      });
      expect(experiment.evaluation).toMatchObject({ temperature: 0.1, scorer: 'strict', prompts: ['cot'] });
    }
    expect(series.table.layout).toBe('curve');
  });
});

describe('files of a series', () => {
  it('a base experiment is found beside the series, and its paths count from its own folder', async () => {
    mkdirSync(join(folder, 'base'));
    for (const name of ['config.json', 'train.json', 'd.json']) writeFileSync(join(folder, 'base', name), '{}');
    const base = {
      name: 'b',
      student: { source: { kind: 'directory', path: '.' } },
      tasks: [{ id: 'multiarith', name: 'M', files: { all: ['train.json'] }, split: { trainCount: 4 } }],
      demonstrations: [{ label: 'T', task: 'M', files: ['d.json'], format: 'llm-adapters' }],
      phases: { instruct: {}, selfRefine: false },
    };
    writeFileSync(join(folder, 'base', 'e.json'), JSON.stringify(base));
    const result = await pupil(['run', seriesFile({ experiment: 'base/e.json', axes: [] }), '--out', out()], ending());
    expect(result.code, result.err).toBe(0);
    const [first] = requests(result);
    expect((first!.experiment as Experiment).tasks[0]!.files).toEqual({ all: [join(folder, 'base', 'train.json')] });
  });

  it('names the files that a later run would miss before the first one runs', async () => {
    const base = { experiment: 'lesson-c-student-p10', seeds: 4 };
    const result = await pupil(['run', seriesFile({ ...base, axes: [] }), '--out', out()], ending());
    expect(result.code).toBe(1);
    expect(result.err).toContain('task-C-train-in-seed3.jsonl');
    expect(result.hosts).toHaveLength(0);
  });

  it('eval names what a series is not', async () => {
    const result = await pupil(['eval', seriesFile()]);
    expect(result.code).toBe(2);
    expect(result.err).toContain('it is a series');
  });
});
