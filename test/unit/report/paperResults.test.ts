// paperResults.test.ts: the paper's layouts from runs: the published counts give the published cells, runs nobody planned as a
// series fall into its cells, and what is missing is said.
import { describe, expect, it } from 'vitest';
import { collectRuns, factsOf, type CollectedRun } from '../../../src/report/cells';
import { judgeRows, type JudgedRun } from '../../../src/report/judgeRows';
import { layPaper, paperResults, type PaperResults } from '../../../src/report/paperResults';
import { placeOf, type GridCell } from '../../../src/report/paperTables';
import { summarizeQuality } from '../../../src/teachers/judge';
import { publishedRuns, publishedSeries } from '../../support/publishedRuns';

const [gridRuns, splitRuns, teacherRuns, controlRuns] = ['grid', 'splits', 'teachers', 'control'].map((name) =>
  // The control's rows have their answers in every run of the tests, the others where there is time.
  publishedRuns(`lesson-${name}`, { answers: name === 'control' || process.env['PUPIL_TEST_LONG'] !== undefined }),
) as [CollectedRun[], CollectedRun[], CollectedRun[], CollectedRun[]];
const gridCells = collectRuns(gridRuns);
const grid = layPaper(gridCells, gridRuns, [], {});
const [splits, teachers] = [splitRuns, teacherRuns].map((runs) => paperResults(runs)) as [PaperResults, PaperResults];

/** `89.1 ± 0.8` */
const words = (cell: GridCell | null | undefined): string =>
  cell === null || cell === undefined
    ? '–'
    : `${(100 * cell.result.mean).toFixed(1)} ± ${(100 * cell.result.sd!).toFixed(1)}`;

function row(results: PaperResults, trainedOn: string, label: string): string[] {
  const block = results.grid.blocks.find((one) => one.trainedOn === trainedOn);
  return block?.rows.find((one) => one.label === label)?.cells.map(words) ?? [];
}

describe('Table 1 of the published grid', () => {
  it('has the cells that docs/results prints', () => {
    expect(grid.grid.tasks).toEqual(['A stories', 'B sums', 'C kinds', 'D tools']);
    expect(row(grid, '', 'Baseline CoT')).toEqual(['3.9 ± 0.5', '6.7 ± 0.6', '26.2 ± 1.3', '56.2 ± 2.2']);
    expect(row(grid, 'A stories', 'Instruction-tuning')).toEqual([
      '61.5 ± 4.7',
      '54.9 ± 6.0',
      '27.2 ± 1.2',
      '65.7 ± 1.1',
    ]);
    expect(row(grid, 'A stories', '+ Self-refine')).toEqual(['89.1 ± 0.8', '97.6 ± 0.5', '86.1 ± 7.7', '87.3 ± 13.3']);
    expect(row(grid, 'D tools', '+ Self-refine')).toEqual(['50.9 ± 19.1', '50.3 ± 17.4', '100.0 ± 0.0', '95.5 ± 4.0']);
  });

  it('puts into Cross Self-refine what was refined on the task that is tested, and leaves its own task empty', () => {
    expect(row(grid, 'A stories', 'Cross Self-refine')).toEqual(['–', '–', '69.0 ± 53.2', '–']);
    expect(row(grid, 'C kinds', 'Cross Self-refine')).toEqual(['91.1 ± 0.5', '–', '–', '–']);
    expect(row(grid, 'D tools', 'Cross Self-refine')).toEqual([]);
  });

  it('names the untouched student once, and its plain row beside the CoT row', () => {
    expect(grid.grid.blocks[0]!.rows.map(({ label }) => label)).toEqual(['Baseline', 'Baseline CoT']);
    expect(row(grid, '', 'Baseline')[0]).toBe('2.9 ± 0.5');
  });

  it('tells trained, in-domain and out-of-domain cells apart', () => {
    const cells = grid.grid.blocks.find(({ trainedOn }) => trainedOn === 'A stories')!.rows[0]!.cells;
    expect(cells.map((cell) => cell!.place)).toEqual(['trained', 'in-domain', 'out-domain', 'out-domain']);
  });

  it('every cell has all seeds with counts, and the same mean, sd and n as the published row', () => {
    const published = publishedSeries('lesson-grid');
    for (const result of published.results.filter(({ scorer }) => scorer === 'strict')) {
      const again = grid.series.results.find(
        (one) =>
          one.cell === result.cell &&
          one.system === result.system &&
          one.taskId === result.taskId &&
          one.prompt === result.prompt &&
          one.scorer === result.scorer,
      );
      expect(again?.runs).toEqual(result.runs);
      expect(again?.mean).toBe(result.mean);
      expect(again?.sd).toBe(result.sd);
    }
  });
});

describe('Figure 4 of the published splits', () => {
  const figure = splits.splits.find(({ taskId }) => taskId === 'A stories')!;
  const points = (name: string): string[] =>
    figure.lines
      .find((line) => line.name === name)!
      .points.map(({ share, result }) => `${share}: ${(100 * result.mean).toFixed(1)}`);

  it('has three lines over four shares, with the published means', () => {
    expect(points('Instruction-tuning only')).toEqual(['0.25: 12.0', '0.5: 61.5', '0.75: 89.3', '1: 89.5']);
    expect(points('Self-refine only')).toEqual(['0.25: 89.1', '0.5: 89.8', '0.75: 87.5', '1: 90.1']);
    expect(points('Both')).toEqual(['0.25: 89.3', '0.5: 89.1', '0.75: 86.8', '1: 85.6']);
    expect((100 * figure.baseline!.mean).toFixed(1)).toBe('3.9');
    expect(figure.place).toBe('trained');
  });

  it('says which shares were not run', () => {
    const without = splitRuns.filter(({ report }) => {
      const [teacher] = report.experiment.demonstrations;
      return !(teacher!.fraction === 0.25 && report.experiment.phases.instruct === false);
    });
    expect(paperResults(without).missing.splits).toEqual([
      'No run with 25 % of the demonstrations (self-refine only, A stories).',
    ]);
    expect(splits.missing.splits).toEqual([]);
    expect(grid.missing.splits[0]).toMatch(/same share of the demonstrations \(50 %\)/);
  });
});

describe('families and teachers', () => {
  it('one figure a teacher, in-family first, with the published bars and the teacher’s own accuracy', () => {
    const named = teachers.families.map(({ family, teacher, detail }) => [family, teacher, detail !== '']);
    expect(named).toEqual([
      ['in-family', 'scripted, in-family', false],
      ['in-family', 'scripted, in-family, 25 % wrong', true],
      ['in-family', 'scripted, in-family, 25 % wrong', true],
      ['in-family', 'scripted, in-family, 50 % wrong', true],
      ['in-family', 'scripted, in-family, 50 % wrong', true],
      ['out-family', 'scripted, out-family', false],
    ]);
    const out = teachers.families.at(-1)!;
    expect(out.bars.map(({ label, result }) => `${label} ${(100 * result.mean).toFixed(1)}`)).toEqual([
      'Baseline 2.9',
      'Baseline CoT 3.9',
      'Instruction-tuning 21.1',
      '+ Self-refine 91.1',
    ]);
    expect(out.teachers).toEqual([{ taskId: 'A stories', accuracy: 1 }]);
    expect(teachers.families[1]!.detail).toMatch(/keepWrong/);
  });

  it('Table 5 counts a seed once, with Wilson’s interval where all seeds have the same questions right', () => {
    const half = teachers.teachers.find(({ label }) => label.includes('50 %'))!;
    expect(half.runs).toEqual([0, 1, 2].map((seed) => ({ seed, correct: 30, n: 60 })));
    expect(half.mean).toBe(0.5);
    expect(half.sd).toBe(0);
    // Wilson 30/60: (0.5 + z²/120 ± z·√(0.25/60 + z²/14400)) / (1 + z²/60), z = 1.96
    expect(half.interval!.low).toBeCloseTo(0.37735, 5);
    expect(half.interval!.high).toBeCloseTo(0.62265, 5);
  });

  it('says which family nobody ran, and that Figure 5’s tasks are not there', () => {
    expect(grid.missing.families).toEqual(['No run with an out-family teacher alone, trained and tested on one task.']);
    expect(teachers.missing.families).toEqual([]);
    expect(teachers.missing.additional).toEqual(['No run was trained on MATH or MMLU.']);
  });
});

describe('the paper’s orderings', () => {
  const ordering = (results: PaperResults, id: string) => results.orderings.find((one) => one.id === id)!;

  it('are counted over runs and tasks: held, reversed, and how many cases there are', () => {
    // 25 and 50 %: rises in all 6; 75 and 100 %: docs/results has 88→84, 90→89, 90→88, 89→82, 91→89, 89→86.
    const refine = ordering(splits, 'refine-trained');
    expect([refine.cases.length, refine.held, refine.reversed]).toEqual([12, 6, 6]);
    expect(ordering(splits, 'instruct-trained')).toMatchObject({ held: 12, reversed: 0 });
    // Self-refine only against instruction-tuning only, by share and seed.
    expect(ordering(splits, 'refine-alone').cases).toHaveLength(12);
    const at25 = ordering(splits, 'refine-alone').cases.filter(({ detail }) => detail === '25 %');
    expect(at25.every(({ points }) => points > 70)).toBe(true);
  });

  it('out of domain they are told apart from the task that was trained', () => {
    expect(ordering(grid, 'refine-out-domain').cases.every(({ taskId, trainedOn }) => taskId !== trainedOn)).toBe(true);
    // D tools' own accuracy falls after self-refine in two seeds of three (99.3 → 95.5).
    const tools = ordering(grid, 'refine-trained').cases.filter(({ trainedOn }) => trainedOn === 'D tools');
    expect(tools.some(({ points }) => points < 0)).toBe(true);
  });
});

describe('runs that nobody planned as a series', () => {
  it('fall into the cells of the series that they are', () => {
    expect(grid.series.cells).toHaveLength(5);
    expect(splits.series.cells).toHaveLength(8);
    expect(teachers.series.cells).toHaveLength(6);
    expect(splits.series.series.axes.map(({ name }) => name)).toEqual(['demonstrations', 'way']);
    expect(grid.series.series.axes.map(({ name }) => name)[0]).toBe('trained on');
  });

  it('of one experiment with one seed count once: the newest', () => {
    const [one] = gridRuns as [CollectedRun];
    const again = { ...one, runId: 'again', report: { ...one.report, finishedAt: '2026-02-01T00:00:00Z' } };
    const { report, repeated } = collectRuns([one, again]);
    expect(report.runs.map(({ id }) => id)).toEqual(['again']);
    expect(repeated).toEqual([{ runId: one.runId, newer: 'again' }]);
    expect(report.results[0]!.sd).toBeUndefined();
  });

  it('with another student are other cells, wherever the student lay', () => {
    const [one, next] = gridRuns.filter(({ runId }) => runId.includes('taught-on-c-kinds-seed')) as [
      CollectedRun,
      CollectedRun,
    ];
    const change = (student: Partial<CollectedRun['report']['student']>): CollectedRun => {
      const { report } = next;
      const source = { kind: 'directory' as const, path: 'elsewhere' };
      const experiment = { ...report.experiment, student: { ...report.experiment.student, source } };
      return { ...next, report: { ...report, experiment, student: { ...report.student, ...student } } };
    };
    expect(collectRuns([one, change({})]).report.cells).toHaveLength(1);
    expect(collectRuns([one, change({ fingerprint: 'x' })]).report.cells).toHaveLength(2);
  });

  it('the control has a row of its own', () => {
    const control = paperResults(controlRuns);
    const half = control.grid.blocks.find(({ detail }) => detail === '50 %')!;
    expect(half.rows.map(({ label }) => label)).toEqual([
      'Instruction-tuning',
      'Instruction-tuning, more steps',
      '+ Self-refine',
    ]);
    expect(half.rows[1]!.cells.map(words)).toEqual(['90.3 ± 0.2', '97.8 ± 0.0', '63.9 ± 10.0', '91.9 ± 4.7']);
  });

  it('none at all give tables without rows, not an error', () => {
    const none = paperResults([]);
    expect(none.grid.blocks.flatMap(({ rows }) => rows)).toEqual([]);
    expect(none.orderings).toEqual([]);
  });

  it('what an experiment does is read from its use, not from its name', () => {
    const { experiment, student } = gridRuns.find(({ runId }) => runId.includes('refined-on-c'))!.report;
    const facts = factsOf(experiment, student.source);
    expect(facts).toMatchObject({ trainedOn: ['A stories'], refinedOn: ['C kinds'], way: 'both', share: 0.5 });
    expect(placeOf(facts, 'C kinds', 'Instruction-tuned')).toBe('out-domain');
    expect(placeOf(facts, 'C kinds')).toBe('trained');
  });
});

describe('the judge’s table', () => {
  const quality = (...ratings: number[]) => summarizeQuality(ratings.map((one) => `[[${one}]]`));
  const judged = (runId: string, ...ratings: number[]): JudgedRun => ({
    runId,
    judge: 'j',
    rows: [{ system: 'Self-refined', tasks: { T: quality(...ratings) }, all: quality(...ratings) }],
  });

  it('is of means over seeds: 2 and 3 are 2.5 ± 0.71; one run has its own interval instead', () => {
    const [a, b] = gridRuns.filter(({ runId }) => runId.includes('taught-on-d-tools'));
    const { rows, tasks } = judgeRows(gridCells, [judged(a!.runId, 1, 3), judged(b!.runId, 3, 3), judged('gone', 1)]);
    expect(tasks).toEqual(['T']);
    expect(rows).toHaveLength(1);
    expect(rows[0]!.all).toMatchObject({
      mean: 2.5,
      runs: [
        { mean: 2, n: 2 },
        { mean: 3, n: 2 },
      ],
    });
    expect(rows[0]!.all!.sd).toBeCloseTo(Math.SQRT1_2, 12);
    expect(rows[0]!.all!.interval).toBeUndefined();
    expect(judgeRows(gridCells, [judged(a!.runId, 1, 3)]).rows[0]!.all!.interval).toBeDefined();
  });
});
