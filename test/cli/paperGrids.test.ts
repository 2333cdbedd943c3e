// paperGrids.test.ts: grids/paper-*.json: as scripts/paperGrids.mjs makes them, valid in every cell, with what the paper's tables
// need, and planned without weights, data or demonstrations.
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { gridsFolder } from '../../src/cli/project';
import { gridJobs } from '../../src/cli/full/jobs';
import { loadSeries } from '../../src/cli/experimentFile';
import { parseSeries, expandSeries } from '../../src/config/series';
import { factsOf } from '../../src/report/cells';
import { gridText, paperGrids } from '../../scripts/paperGrids.mjs';
import type { MeasureSpeedRequest } from '../../src/session/protocol';
import { jsonLines, pupil } from './fakeSession';

const grids = [...paperGrids()] as [string, { experiment: unknown; seeds: number }][];

describe.each(grids)('%s', (file, document) => {
  it('is checked in as the script makes it', () => {
    expect(readFileSync(join(gridsFolder(), `${file}.json`), 'utf8')).toBe(gridText(document));
  });

  it('has every cell of Tables 1, 10 or 11 and Figures 2 to 5, valid, three seeds each', () => {
    const series = parseSeries(document);
    const runs = expandSeries(series, document.experiment);
    const facts = runs.filter(({ seed }) => seed === 0).map((run) => factsOf(run.experiment, 'x'));
    expect(runs).toHaveLength(3 * facts.length);
    const count = (of: (one: (typeof facts)[number]) => boolean): number => facts.filter(of).length;
    const family = (wanted: string) => (one: (typeof facts)[number]) => one.teachers.every((t) => t.family === wanted);
    const straight = (one: (typeof facts)[number]) => one.way === 'both' && one.trainedOn[0] === one.refinedOn[0];
    for (const wanted of ['in-family', 'out-family']) {
      const own = family(wanted);
      expect(count((one) => own(one) && straight(one) && one.share === 1)).toBe(8); // six tasks, MATH and MMLU
      for (const share of [0.25, 0.5, 0.75])
        expect(count((one) => own(one) && straight(one) && one.share === share)).toBe(6);
      for (const share of [0.25, 0.5, 0.75, 1]) {
        expect(count((one) => own(one) && one.way === 'refine' && one.share === share)).toBe(6);
      }
    }
    expect(count((one) => one.way === 'both' && one.trainedOn[0] !== one.refinedOn[0])).toBe(30);
    expect(count(({ way }) => way === 'none')).toBe(0);
    const { phases, adapter, student, evaluation } = runs[0]!.experiment;
    expect(phases).toMatchObject({
      instruct: { epochs: 4, learningRate: 2e-5, weightDecay: 1e-4, schedule: 'cosine', warmupRatio: 0.03 },
      selfRefine: { learningRate: 1e-6, beta: 0.1, warmupSteps: 100, batchSize: 128, maxSteps: 1000 },
    });
    expect([adapter.rank, student.quantize, evaluation.temperature]).toEqual([64, 'nf4-double', 0.1]);
  });

  it('its cross rows take phase 1 from its straight ones', () => {
    const loaded = loadSeries(`${file}`, { absentFiles: true, seeds: 1 })!;
    const jobs = gridJobs(loaded);
    const cross = jobs.filter(({ kind, title }) => kind === 'cell' && title.includes('refined on'));
    expect(cross).toHaveLength(30);
    expect(new Set(cross.map(({ after }) => after)).size).toBe(6);
  });
});

/** A grid with some of its cells: planning all of them takes a minute. */
function someCells(wanted: RegExp): string {
  const document = structuredClone(paperGrids().get('paper-llama2-7b')) as {
    axes: { values: { label: string }[] }[];
  };
  const [axis] = document.axes;
  axis!.values = axis!.values.filter(({ label }) => wanted.test(label));
  const path = join(mkdtempSync(join(tmpdir(), 'pupil-grid-')), 'grid.json');
  writeFileSync(path, JSON.stringify(document));
  return path;
}

interface Told {
  seconds: number;
  hours: number;
  scheduleHours: number;
  estimates: string[];
  jobs: {
    id: string;
    kind: string;
    title: string;
    after?: string;
    phases: string[];
    seconds: number;
    gpuBytes: number;
  }[];
  peak: { gpuBytes: number };
  disk: { totalBytes: number; runBytes: number; studentBytes: number };
  speeds: { isEstimate: boolean; from: string };
  fit: { fits: boolean; remedies: { setting: string; gpuBytes: number }[] };
}

async function plan(...args: string[]): Promise<Told> {
  const { PUPIL_DATA } = process.env;
  delete process.env['PUPIL_DATA'];
  try {
    const { code, out, hosts, err } = await pupil(['full', ...args, '--plan', '--json']);
    expect([code, hosts, err]).toEqual([0, [], '']);
    return jsonLines(out)[0] as unknown as Told;
  } finally {
    if (PUPIL_DATA !== undefined) process.env['PUPIL_DATA'] = PUPIL_DATA;
  }
}

describe('full GRID --plan', () => {
  const grid = someCells(/^(MultiArith, Llama-2-70b(, 25 %.*)?|(OBQA|MultiArith), refined on (OBQA|MultiArith).*)$/);
  const small = someCells(/^MultiArith, Llama-2-70b, 25 %$/);
  const card = ['--card', 'a6000', '--cards', '4'];

  it('without weights, data or demonstrations, on four A6000: every figure that is assumed is told', async () => {
    const told = await plan(grid, ...card, '--seeds', '1');
    expect(told).toMatchObject({
      type: 'series-plan',
      parameters: 6738415616,
      runs: 5,
      schedule: { cards: 4 },
      speeds: { isEstimate: true },
      fit: { memoryBytes: 48 * 2 ** 30, fits: true },
    });
    const { seconds, hours, scheduleHours, estimates, jobs, disk, peak } = told;
    expect(hours).toBeCloseTo(seconds / 3600, 6);
    // Never faster than four cards without a pause, never slower than one.
    expect(scheduleHours).toBeGreaterThanOrEqual(hours / 4 - 1e-9);
    expect(scheduleHours).toBeLessThan(hours);
    expect(estimates).toContain('Llama-2-7b-hf is not here: planned by the published shape');
    expect(estimates.join('\n')).toMatch(/OBQA: no demonstrations by Llama-2-70b yet .*pupil teach/);
    expect(estimates.join('\n')).toMatch(/SIQA: its files are not here .*33410 to train, 1954 to test/);
    // NF4 of 7B: 3.9 GB as bench/notes/2026-11-26-h100.md measured it, 4.39 GB in tier f32.
    expect(disk.studentBytes).toBeGreaterThan(4.2e9);
    expect(disk.studentBytes).toBeLessThan(4.6e9);
    expect(peak.gpuBytes).toBeGreaterThan(disk.studentBytes);
    const kinds = (kind: string) => jobs.filter((job) => job.kind === kind);
    // One straight cell and one cross cell share phase 1.
    expect([kinds('baseline').length, kinds('instruct').length, kinds('cell').length]).toEqual([0, 1, 5]);
    const cross = jobs.find(({ title }) => title.startsWith('MultiArith, refined on OBQA'))!;
    expect(cross.phases).toEqual(['generate-pairs', 'self-refine', 'evaluate']);
    expect(jobs.find(({ id }) => id === cross.after)!.phases).toContain('instruct');
  });

  it('a card that is too small: settings that would fit, each with its bytes, the last one below the card’s', async () => {
    const { fit, peak, speeds } = await plan(small, '--memory', '6GiB', '--seeds', '1');
    expect(fit.fits).toBe(false);
    expect(peak.gpuBytes).toBeGreaterThan(6 * 2 ** 30);
    expect(fit.remedies[0]!.setting).toMatch(
      /^(phases\.selfRefine\.microBatchTokens|evaluation\.batchSize|phases\.selfRefine\.sampling\.batchSize) \d+ → \d+$/,
    );
    expect(fit.remedies.at(-1)!.gpuBytes).toBeLessThanOrEqual(6 * 2 ** 30);
    const bytes = [peak.gpuBytes, ...fit.remedies.map(({ gpuBytes }) => gpuBytes)];
    expect(bytes).toEqual([...bytes].sort((a, b) => b - a));
    // Nobody said a speed: one is assumed, and told to be.
    expect(speeds).toMatchObject({ isEstimate: true, from: expect.stringContaining('assumed') as string });
    // What is not even enough for the weights fits with no setting.
    const hopeless = await plan(small, '--memory', '1GiB', '--seeds', '1');
    expect(hopeless.fit.remedies.every(({ gpuBytes }) => gpuBytes > 2 ** 30)).toBe(true);
  });

  it('stated speeds give hours that scale with them, answers by their own speed', async () => {
    const of = async (speed: string): Promise<number> =>
      (await plan(small, '--seeds', '1', '--tokens-per-second', speed)).seconds;
    const [slow, fast, slowAnswers] = [await of('100,100'), await of('200,200'), await of('100,50')];
    expect(slow / fast).toBeCloseTo(2, 6);
    expect(slowAnswers).toBeGreaterThan(slow);
    expect(slowAnswers).toBeLessThan(2 * slow);
  });

  it.runIf(process.env['PUPIL_TEST_LONG'])('all 130 experiments of the paper’s Llama-2-7b', async () => {
    const told = await plan('paper-llama2-7b', ...card);
    expect(told.jobs.filter(({ kind }) => kind === 'cell')).toHaveLength(390);
    expect(told.fit.fits).toBe(true);
  });

  it('bad flags', async () => {
    for (const flags of [
      ['--card', 'a5'],
      ['--tokens-per-second', 'x'],
      ['--cards', '0'],
      ['--measure', '--tokens-per-second', '360,104'],
      ['--measure', '--gflops', '1000'],
    ]) {
      const { code } = await pupil(['full', grid, '--plan', ...flags]);
      expect([flags, code]).toEqual([flags, 2]);
    }
  });

  it.each(['--measure', '--card a6000', '--cards 4', '--gflops 9', '--tokens-per-second 360', '--memory 8GiB'])(
    '%s without --plan starts nothing',
    async (flag) => {
      for (const verb of [
        ['full', small, '--local'],
        ['run', 'paper'],
        ['run', small],
      ]) {
        const { code, out, hosts } = await pupil([...verb, ...flag.split(' '), '--json']);
        expect([code, hosts]).toEqual([2, []]);
        expect(out).toContain(`${flag.split(' ')[0]}: expected --plan beside it`);
      }
    },
  );

  it('--measure: hours by what the device did, at the first job’s batches; of one run as of a grid', async () => {
    const speed = { trainedPerSecond: 200, readPerSecond: 400, generatedPerSecond: 50 };
    const measured = {
      ...{
        device: 'a card',
        software: false,
        tier: 'f32',
        layers: { measured: 2, whole: 32 },
        stepMs: 1,
        answersMs: 1,
      },
      ...speed,
    };
    for (const verb of [
      ['full', small, '--seeds', '1'],
      ['run', 'paper'],
    ]) {
      const args = [...verb, '--plan', '--data', gridsFolder(), '--json'];
      const { code, out, calls } = await pupil([...args, '--measure'], { measureSpeed: () => measured });
      expect([code, calls.map(({ method }) => method)]).toEqual([0, ['open', 'measureSpeed']]);
      const [request] = calls[1]!.args as [MeasureSpeedRequest];
      expect(request).toMatchObject({ quantize: 'nf4-double', adapter: { rank: 64 }, answering: { batchSize: 32 } });
      expect(request.config['hidden_size']).toBe(4096);
      // One micro-batch, as full as its mean sequences fill it: 2048 tokens in the grid, 4096 in the preset.
      const tokens = request.training.sequences * request.training.tokens;
      const most = verb[1] === 'paper' ? 4096 : 2048;
      expect(tokens).toBeLessThanOrEqual(most);
      expect(tokens).toBeGreaterThan(most / 2);
      const told = jsonLines(out).find(({ type }) => type === 'plan' || type === 'series-plan') as unknown as Told;
      expect(told.speeds.isEstimate).toBe(true);
      expect(told.speeds.from).toContain(
        'measured on a card, tier f32, 2 of 32 layers: 200 tokens/s trained, 400 read',
      );
      const stated = await pupil([...args, '--tokens-per-second', '200,50']);
      const other = jsonLines(stated.out)[0] as unknown as Told;
      // Stated speeds take reading to be three times as fast as training; measured, it is twice.
      expect(told.seconds).toBeGreaterThan(other.seconds);
      expect(told.seconds).toBeLessThan(1.5 * other.seconds);
    }
    // Of several cards one is measured; all of them work.
    const args = ['full', small, '--seeds', '1', '--plan', '--measure', '--gpus', '2,3', '--json'];
    const { out, hosts } = await pupil(args, { measureSpeed: () => measured });
    expect(hosts.map(({ card }) => card)).toEqual([2]);
    expect(jsonLines(out).find(({ type }) => type === 'series-plan')).toMatchObject({ schedule: { cards: 2 } });
  });
});
