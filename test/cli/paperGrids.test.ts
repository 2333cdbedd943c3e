// paperGrids.test.ts: grids/paper-*.json: as scripts/paperGrids.mjs makes them, valid in every cell, with what the paper's tables
// need, and planned without weights, data or demonstrations.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { gridsFolder } from '../../src/cli/project';
import { gridJobs } from '../../src/cli/full/jobs';
import { loadSeries } from '../../src/cli/experimentFile';
import { parseSeries, expandSeries } from '../../src/config/series';
import { factsOf } from '../../src/report/cells';
import { gridText, paperGrids } from '../../scripts/paperGrids.mjs';
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
      for (const share of [0.25, 0.5, 0.75]) expect(count((one) => own(one) && straight(one) && one.share === share)).toBe(6);
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

describe('full GRID --plan', () => {
  it('of the paper on four A6000: without weights, data or demonstrations, and every figure that is assumed is told', async () => {
    expect(existsSync('/data-of-the-plan')).toBe(false);
    const { PUPIL_DATA } = process.env;
    delete process.env['PUPIL_DATA'];
    try {
      const args = ['full', 'paper-llama2-7b', '--plan', '--card', 'a6000', '--cards', '4', '--seeds', '1'];
      const { code, out, hosts, err } = await pupil([...args, '--json']);
      expect([code, hosts, err]).toEqual([0, [], '']);
      const [plan] = jsonLines(out) as Record<string, never>[];
      expect(plan).toMatchObject({
        type: 'series-plan',
        parameters: 6738415616,
        runs: 130,
        schedule: { cards: 4 },
        speeds: { isEstimate: true },
        fit: { memoryBytes: 48 * 2 ** 30 },
      });
      const { seconds, scheduleHours, hours, estimates, jobs } = plan as unknown as {
        seconds: number;
        hours: number;
        scheduleHours: number;
        estimates: string[];
        jobs: { kind: string; phases: string[] }[];
      };
      expect(hours).toBeCloseTo(seconds / 3600, 6);
      // Never faster than four cards without a pause, never slower than one.
      expect(scheduleHours).toBeGreaterThanOrEqual(hours / 4 - 1e-9);
      expect(scheduleHours).toBeLessThan(hours / 3);
      expect(estimates).toContain('Llama-2-7b-hf is not here: planned by the published shape');
      expect(estimates.join('\n')).toMatch(/OBQA: no demonstrations by Llama-2-70b yet .*pupil teach/);
      expect(estimates.join('\n')).toMatch(/SIQA: its files are not here .*33410 to train, 1954 to test/);
      const shared = jobs.filter(({ kind }) => kind === 'instruct');
      expect(shared.length).toBeGreaterThanOrEqual(6);
      expect(shared.every(({ phases }) => phases.includes('instruct') && !phases.includes('self-refine'))).toBe(true);
      console.log(Object.keys(plan!), JSON.stringify({ ...plan, jobs: 0, estimates: 0, cells: 0 }), (await pupil(args)).out);
    } finally {
      if (PUPIL_DATA !== undefined) process.env['PUPIL_DATA'] = PUPIL_DATA;
    }
  });
});
