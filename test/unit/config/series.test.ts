// series.test.ts: a series expands into the experiments it says, in order, each valid alone; and what is wrong with one is
// told with path, expectation and value.
import { describe, expect, it } from 'vitest';
import { PupilError } from '../../../src/base/errors';
import { parseExperiment, type ExperimentInput } from '../../../src/config/experiment';
import { expandSeries, isSeries, parseSeries, seriesJsonSchema, type SeriesInput } from '../../../src/config/series';
import { changed, formatPath, parsePath } from '../../../src/config/seriesPaths';

const base: ExperimentInput = {
  name: 'base',
  seed: 4,
  student: { source: { kind: 'directory', path: 'student' } },
  tasks: [{ id: 'multiarith', name: 'M', files: { all: ['m.json'] }, split: { trainCount: 420 } }],
  demonstrations: [{ label: 'T', task: 'M', files: ['d{seed}.json'], format: 'llm-adapters' }],
  phases: { instruct: {}, selfRefine: { maxSteps: 10 } },
};

function series(): SeriesInput & { axes: NonNullable<SeriesInput['axes']> } {
  return {
    name: 'Figure 4',
    experiment: 'base.json',
    seeds: 2,
    axes: [
      {
        name: 'split',
        values: [
          { label: '25 %', set: { 'demonstrations[0].fraction': 0.25 } },
          { label: '100 %', set: {} },
        ],
      },
      {
        name: 'phases',
        values: [
          { label: 'both' },
          {
            label: 'self-refine only',
            set: { 'phases.instruct': false },
            systems: { 'Self-refined': 'Self-refine only' },
          },
        ],
      },
    ],
  };
}

function refusal(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    expect(error).toBeInstanceOf(PupilError);
    expect((error as PupilError).code).toBe('config');
    return (error as PupilError).message;
  }
  throw new Error('expected a refusal');
}

describe('expandSeries', () => {
  it('combines all values, the first axis slowest, with one seed after the other', () => {
    const runs = expandSeries(parseSeries(series()), base);
    expect(runs.map(({ id }) => id)).toEqual([
      'split-25-phases-both-seed4',
      'split-25-phases-self-refine-only-seed4',
      'split-100-phases-both-seed4',
      'split-100-phases-self-refine-only-seed4',
      'split-25-phases-both-seed5',
      'split-25-phases-self-refine-only-seed5',
      'split-100-phases-both-seed5',
      'split-100-phases-self-refine-only-seed5',
    ]);
    expect(runs.map(({ experiment }) => experiment.demonstrations[0]!.fraction)).toEqual([
      0.25, 0.25, 1, 1, 0.25, 0.25, 1, 1,
    ]);
    expect(runs.map(({ experiment }) => experiment.phases.instruct === false)).toEqual(
      [false, true, false, true].concat([false, true, false, true]),
    );
    expect(runs[5]!.experiment).toMatchObject({ seed: 5, name: 'Figure 4: 25 %, self-refine only' });
    expect(runs[1]!.cell).toMatchObject({
      labels: ['25 %', 'self-refine only'],
      systems: { 'Self-refined': 'Self-refine only' },
    });
  });

  it('gives complete experiments: each parses to itself, and differs from the base in what is set and no more', () => {
    for (const { experiment, seed } of expandSeries(parseSeries(series()), base)) {
      expect(parseExperiment(experiment)).toEqual(experiment);
      const { demonstrations, phases, name: _name, ...rest } = experiment;
      const whole = parseExperiment(base);
      expect(rest).toEqual({ ...rest, student: whole.student, tasks: whole.tasks, evaluation: whole.evaluation, seed });
      expect(demonstrations[0]).toEqual({ ...whole.demonstrations[0], fraction: demonstrations[0]!.fraction });
      expect(phases.selfRefine).toEqual(whole.phases.selfRefine);
    }
  });

  it('without axes is the experiment over seeds', () => {
    const runs = expandSeries(parseSeries({ name: 'base', experiment: base, seeds: 3 }), base);
    expect(runs.map(({ id, seed }) => `${id} ${seed}`)).toEqual(['base-seed4 4', 'base-seed5 5', 'base-seed6 6']);
    expect(runs[0]!.experiment).toEqual(parseExperiment(base));
  });

  it('sets for all runs what is set before the axes, and lets no axis set it again', () => {
    const input = { ...series(), set: { 'evaluation.temperature': 0.5 } };
    const runs = expandSeries(parseSeries(input), base);
    expect(new Set(runs.map(({ experiment }) => experiment.evaluation.temperature))).toEqual(new Set([0.5]));
    input.axes[0]!.values[0]!.set = { evaluation: {} };
    expect(refusal(() => parseSeries(input))).toMatch(
      /set: expected a part that the whole series does not change as well/,
    );
    const nowhere = { ...series(), set: { 'phases.x.y': 1 } };
    expect(refusal(() => expandSeries(parseSeries(nowhere), base))).toMatch(
      /set: phases\.x\.y: expected phases\.x to be/,
    );
  });

  it('null takes a key away', () => {
    const input = series();
    input.axes = [
      {
        name: 'count',
        values: [{ label: 'share', set: { 'tasks[0].split.trainCount': null, 'tasks[0].split.trainFraction': 0.5 } }],
      },
    ];
    const [run] = expandSeries(parseSeries(input), base);
    expect(run!.experiment.tasks[0]!.split).toMatchObject({ trainFraction: 0.5 });
    expect(run!.experiment.tasks[0]!.split).not.toHaveProperty('trainCount');
  });

  it.each([
    [
      'a part that is not there',
      { 'phases.refine.maxSteps': 1 },
      /axes\[0\] \(x\): phases\.refine\.maxSteps: expected phases\.refine to be an object, got nothing/,
    ],
    [
      'a part of a phase that is off',
      { 'phases.control.steps': 1 },
      /expected phases\.control to be an object, got nothing/,
    ],
    ['an entry that is not there', { 'tasks[1].name': 'x' }, /expected tasks to have an entry 1/],
    ['a key of a list', { 'tasks.name': 'x' }, /expected tasks to be an object, got \[/],
  ])('refuses %s', (_, set, message) => {
    const input = { ...series(), axes: [{ name: 'a', values: [{ label: 'x', set }] }] };
    expect(refusal(() => expandSeries(parseSeries(input), base))).toMatch(message);
  });

  it('names the cell whose experiment is not valid, with the experiment’s own path', () => {
    const input = series();
    input.axes[0]!.values[1]!.set = { 'demonstrations[0].fraction': 7 };
    expect(refusal(() => expandSeries(parseSeries(input), base))).toMatch(
      /cell "100 %, both": [^]*demonstrations\[0\]\.fraction: expected <=1, got 7/,
    );
  });
});

describe('parseSeries', () => {
  it.each<[string, (s: ReturnType<typeof series>) => unknown, RegExp]>([
    ['an unknown key', (s) => Object.assign(s, { axis: [] }), /axis: expected no such key \(unknown\), got \[\]/],
    ['seeds that are a list', (s) => Object.assign(s, { seeds: [0, 1] }), /seeds: expected number, got \[0,1\]/],
    ['no seed', (s) => (s.seeds = 0), /seeds: expected >=1, got 0/],
    [
      'an axis without values',
      (s) => (s.axes[0]!.values = []),
      /axes\[0\]\.values: expected at least one entry, got \[\]/,
    ],
    [
      'a change of the seed',
      (s) => (s.axes[0]!.values[0]!.set = { seed: 1 }),
      /axes\[0\]\.values\[0\]\.set: expected no change of seed/,
    ],
    [
      'a path that is none',
      (s) => (s.axes[0]!.values[0]!.set = { 'a..b': 1 }),
      /set: expected a path such as .*, got "a\.\.b"/,
    ],
    [
      'labels that would share a folder',
      (s) => (s.axes[0]!.values[1]!.label = '25'),
      /values\[1\]\.label: expected a label that differs .*, got "25"/,
    ],
    [
      'two axes of one name',
      (s) => (s.axes[1]!.name = 'split'),
      /axes\[1\]\.name: expected a name that no other axis has/,
    ],
    [
      'two axes that change one part',
      (s) => (s.axes[1]!.values[0]!.set = { demonstrations: [] }),
      /axes\[1\]\.values\[0\]\.set: expected a part that split does not change as well, got "demonstrations"/,
    ],
    [
      'a table over an axis that is not there',
      (s) => (s.table = { axis: 'seeds' }),
      /table\.axis: expected the name of an axis \(split, phases\), got "seeds"/,
    ],
    [
      'an unknown layout',
      (s) => Object.assign(s, { table: { layout: 'pie' } }),
      /table\.layout: expected .*"curve".*, got "pie"/,
    ],
    [
      'an unknown system',
      (s) => Object.assign(s, { table: { compare: [['Baseline', 'Best']] } }),
      /table\.compare\[0\]\[1\]: expected .*"Self-refined".*, got "Best"/,
    ],
  ])('refuses %s', (_, change, message) => {
    const input = series();
    change(input);
    expect(refusal(() => parseSeries(input))).toMatch(message);
  });

  it('tells a series from an experiment', () => {
    expect(isSeries(series())).toBe(true);
    expect(isSeries(base)).toBe(false);
  });
});

describe('paths', () => {
  it.each(['a', 'a.b', 'a[0]', 'a[0][12].b_c.d'])('%s is read and written alike', (text) => {
    expect(formatPath(parsePath(text)!)).toBe(text);
  });
  it.each(['', '.a', 'a.', 'a[x]', 'a b', '[0]', '__proto__.', 'a[-1]'])('%j is none', (text) => {
    expect(parsePath(text)).toBeUndefined();
  });
  it('a change leaves the original alone', () => {
    const before = { a: [{ b: 1 }], c: 2 };
    expect(changed(before, ['a', 0, 'b'], 5)).toEqual({ document: { a: [{ b: 5 }], c: 2 } });
    expect(before).toEqual({ a: [{ b: 1 }], c: 2 });
  });
});

it('docs/series.schema.json is the schema in src/config (after a change: -u)', async () => {
  const text = `${JSON.stringify(seriesJsonSchema(), null, 2)}\n`;
  await expect(text).toMatchFileSnapshot('../../../docs/series.schema.json');
});
