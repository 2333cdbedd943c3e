// seriesRun.test.ts: a whole series as a person runs it, on Dawn in Node: three ways to train (both phases with a control,
// self-refine only, cross self-refine), interrupted in its second run and gone on with by the same command.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import type { SeriesReport } from '../../src/report/series';
import { LESSON } from './fakeSession';
import { pupil } from './process';
import { prototypeSmoke } from '../fixtures/prototypeSmoke';

const folder = mkdtempSync(join(tmpdir(), 'pupil-series-run-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The prototype's short run, cut short, with task A beside C: tested always, refined on in the cross cell only. */
function writeSeries(): string {
  const smoke = prototypeSmoke();
  const [taskC] = smoke.tasks;
  const files = (task: string): { train: string[]; test: string[] } => ({
    train: [join(LESSON, `task-${task}-train-in-seed0.jsonl`)],
    test: [join(LESSON, `task-${task}-test.jsonl`)],
  });
  const split = { order: 'file', trainCount: 6, testLimit: 3 };
  const experiment = {
    ...smoke,
    student: {
      ...smoke.student,
      source: { kind: 'directory', path: join(LESSON, 'student-p10') },
      tokenizer: { kind: 'words', path: join(LESSON, 'vocab.json') },
    },
    tasks: [
      { ...taskC, files: files('C'), split },
      { id: 'lesson', name: 'A', files: files('A'), split, use: ['evaluate'] },
    ],
    demonstrations: ['C', 'A'].map((task) => ({ ...smoke.demonstrations[0], task, files: files(task).train })),
  };
  const series = {
    name: 'Ways to train',
    experiment,
    set: {
      'evaluation.prompts': ['cot'],
      'evaluation.maxNewTokens': 16,
      'evaluation.probing': false,
      'phases.selfRefine.maxSteps': 2,
      'phases.selfRefine.minValidationPairs': 1,
      'phases.selfRefine.sampling.maxNewTokens': 16,
    },
    axes: [
      {
        name: 'way',
        values: [
          { label: 'both', set: { 'phases.control': { steps: 2 } } },
          {
            label: 'self-refine only',
            set: { 'phases.instruct': false, 'phases.baseline': false },
            systems: { 'Self-refined': 'Self-refine only' },
          },
          {
            label: 'C, then A',
            set: { 'tasks[0].use': ['instruct', 'evaluate'], 'tasks[1].use': ['selfRefine', 'evaluate'] },
            systems: { 'Self-refined': 'Cross Self-refine' },
          },
        ],
      },
    ],
    table: { layout: 'grid' },
  };
  const file = join(folder, 'series.json');
  writeFileSync(file, JSON.stringify(series));
  return file;
}

it('three ways to train, interrupted and gone on with, end in one table', { timeout: 1_200_000 }, async () => {
  const out = join(folder, 'out');
  const args = ['run', writeSeries(), '--out', out, '--json', '--host', 'node'];
  let runs = 0;
  let asked = false; // a second signal would end it without a checkpoint
  const first = await pupil(args, {
    onLine: (line, signal) => {
      if (line['type'] === 'series-run') runs++;
      if (runs !== 2 || line['type'] !== 'metrics' || asked) return;
      asked = true;
      signal('SIGINT');
    },
  });
  expect(first.code, first.err).toBe(130);
  const report = (): SeriesReport => JSON.parse(readFileSync(join(out, 'series.json'), 'utf8')) as SeriesReport;
  expect(report().runs.map(({ state }) => state)).toEqual(['finished', 'stopped', 'waiting']);

  const second = await pupil(args);
  expect(second.code, second.err).toBe(0);
  const begun = second.lines.filter(({ type }) => type === 'series-run').map(({ state }) => state);
  expect(begun).toEqual(['skipped', 'resumed', 'started']);
  const { runs: made, results, comparisons } = report();
  expect(made.map(({ state }) => state)).toEqual(['finished', 'finished', 'finished']);

  const systems = (cell: number): string[] => [
    ...new Set(results.filter((row) => row.cell === cell && row.system !== 'Baseline').map(({ system }) => system)),
  ];
  expect(systems(0)).toEqual(['Instruction-tuned', 'Instruction-tuned, more steps', 'Self-refined']);
  expect(systems(1)).toEqual(['Self-refined']);
  expect(systems(2)).toEqual(['Instruction-tuned', 'Self-refined']);
  for (const result of results) expect(result.runs).toMatchObject([{ seed: 0, n: 3 }]);
  expect(comparisons.filter(({ cell }) => cell === 0)).toHaveLength(2 * 3); // two tasks, three pairs of systems

  const lines = (id: string, name: string): Record<string, unknown>[] =>
    readFileSync(join(out, id, name), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(existsSync(join(out, 'way-self-refine-only-seed0', 'adapters/instruct'))).toBe(false);
  expect(lines('way-self-refine-only-seed0', 'metrics.jsonl').every((row) => row['phase'] === 'self-refine')).toBe(
    true,
  );
  // Cross: pairs of task A only, and phase 1's loss is that of the first cell, which was instructed on C alone.
  expect(new Set(lines('way-c-then-a-seed0', 'pairs.jsonl').map((row) => row['taskId']))).toEqual(new Set(['A']));
  const tuning = (id: string): unknown[] =>
    lines(id, 'metrics.jsonl').flatMap((row) => (row['phase'] === 'instruct' ? [row['loss']] : []));
  expect(tuning('way-c-then-a-seed0')).toEqual(tuning('way-both-seed0'));

  const html = readFileSync(join(out, 'series.html'), 'utf8');
  for (const text of [
    'Self-refine only',
    'Cross Self-refine',
    'Instruction-tuned, more steps',
    '<th scope="col" class="n">A</th>',
  ]) {
    expect(html).toContain(text);
  }
});
