// lessonSeries.test.ts: the lesson's preset and its series say what docs/lesson.md says of them: every cell is an experiment,
// demonstrations answer the questions of the task they belong to, and nothing is chosen or trained on test questions.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { parseExperiment, type Experiment } from '../../../src/config/experiment';
import { preset, PRESET_NAMES } from '../../../src/config/presets';
import { expandSeries, parseSeries, type SeriesRun } from '../../../src/config/series';

const FOLDER = fileURLToPath(new URL('../../../experiments/series/', import.meta.url));
const names = readdirSync(FOLDER).filter((name) => name.endsWith('.json'));

function runsOf(name: string): SeriesRun[] {
  const series = parseSeries(JSON.parse(readFileSync(join(FOLDER, name), 'utf8')));
  const { experiment } = series;
  if (typeof experiment !== 'string') return expandSeries(series, experiment);
  if ((PRESET_NAMES as string[]).includes(experiment)) return expandSeries(series, preset(experiment));
  const file = join(FOLDER, experiment);
  expect(existsSync(file), experiment).toBe(true);
  return expandSeries(series, JSON.parse(readFileSync(file, 'utf8')));
}

/** What each phase trains on: names of tasks. */
const trained = ({ tasks }: Experiment, phase: 'instruct' | 'selfRefine'): string[] =>
  tasks.filter(({ use }) => use.includes(phase)).map(({ name }) => name);

function expectSound(experiment: Experiment): void {
  for (const { task, files } of experiment.demonstrations) {
    const own = experiment.tasks.find(({ name }) => name === task)!;
    expect('train' in own.files ? own.files.train : [], task).toEqual(files);
    expect(
      own.use.some((use) => use !== 'evaluate'),
      task,
    ).toBe(true);
  }
  for (const { files, use } of experiment.tasks) {
    if (!('train' in files)) throw new Error('expected separate files');
    expect(use).toContain('evaluate');
    for (const path of files.train) expect(path).toMatch(/^lesson:[a-z]+\/train\?seed=\{seed\}&/);
    for (const path of files.test) expect(path).toMatch(/^lesson:[a-z]+\/test\?/);
  }
}

describe('the lesson', () => {
  it('is taught on one family and tested on all four, over an NF4 base, with both baseline prompts', () => {
    const lesson = preset('lesson');
    expectSound(lesson);
    expect(lesson.student).toMatchObject({ source: { kind: 'bundled', name: 'lesson' }, quantize: 'nf4-double' });
    expect(lesson.tasks.map(({ id }) => id).sort()).toEqual([
      'lesson-kinds',
      'lesson-stories',
      'lesson-sums',
      'lesson-tools',
    ]);
    expect(lesson.phases.baseline).toBe(true);
    expect(trained(lesson, 'instruct')).toHaveLength(1);
    expect(trained(lesson, 'selfRefine')).toEqual(trained(lesson, 'instruct'));
    expectSound(preset('smoke'));
  });

  it.each(names)('%s expands into valid experiments with three seeds', (name) => {
    const runs = runsOf(name);
    expect(new Set(runs.map(({ seed }) => seed)).size).toBe(3);
    for (const { experiment } of runs) parseExperiment(JSON.parse(JSON.stringify(experiment)));
    if (name.startsWith('lesson-')) for (const { experiment } of runs) expectSound(experiment);
  });

  it('lesson-splits has four shares, each instructed and refined, and refined only', () => {
    const cells = runsOf('lesson-splits.json').filter(({ seed }) => seed === 0);
    expect(
      cells.map(({ experiment }) => [experiment.demonstrations[0]!.fraction, experiment.phases.instruct !== false]),
    ).toEqual([0.25, 0.5, 0.75, 1].flatMap((share) => [true, false].map((instructed) => [share, instructed])));
    for (const { experiment } of cells) expect(experiment.phases.selfRefine).not.toBe(false);
  });

  it('lesson-grid has every single family that is taught, and two crosses', () => {
    const ways = runsOf('lesson-grid.json')
      .filter(({ seed }) => seed === 0)
      .map(({ experiment }) => [trained(experiment, 'instruct'), trained(experiment, 'selfRefine')]);
    expect(ways).toEqual([
      [['A stories'], ['A stories']],
      [['C kinds'], ['C kinds']],
      [['D tools'], ['D tools']],
      [['A stories'], ['C kinds']],
      [['C kinds'], ['A stories']],
    ]);
  });

  it('lesson-control has as many further steps of instruction-tuning as self-refine has', () => {
    for (const { experiment } of runsOf('lesson-control.json')) {
      const { control, selfRefine } = experiment.phases;
      if (control === undefined || control === false || selfRefine === false) throw new Error('expected both');
      expect(control.steps).toBe(selfRefine.maxSteps);
    }
  });
});
