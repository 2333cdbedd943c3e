// settingWords.test.ts: what cells are called that differ in nothing a table has a column for: by tasks, splits and teachers as a reader
// would name them, without places in lists and without folders.
import { describe, expect, it } from 'vitest';
import { parseExperiment, type Experiment } from '../../../src/config/experiment';
import { collectRuns, type CollectedRun } from '../../../src/report/cells';
import { settingWords } from '../../../src/report/settingWords';
import { publishedRuns } from '../../support/publishedRuns';
import { tinyExperiment } from '../session/tinyRun';

type Json = Record<string, unknown>;
const task = (name: string, id: string, changes: Json = {}): Json => ({
  ...{ id, name, files: { train: [`/home/me/data/${id}/train.jsonl`], test: [`/home/me/data/${id}/test.jsonl`] } },
  use: ['evaluate'],
  ...changes,
});
const OBQA = task('OBQA', 'obqa', { use: ['instruct', 'selfRefine', 'evaluate'], split: { trainCount: 4000 } });
const TEACHER = { label: 'Llama-2-70b', task: 'OBQA', files: ['/home/me/t.jsonl'], format: 'jsonl', keepWrong: true };

const experiment = (changes: Json): Experiment =>
  parseExperiment(tinyExperiment({ tasks: [OBQA], demonstrations: [TEACHER], ...changes }));
const words = (...of: Json[]): string[] =>
  settingWords(of.map((changes) => experiment(changes) as Experiment & Record<string, unknown>));

describe('cells that differ in', () => {
  it('what is tested are called by the tasks, not by places in the list', () => {
    const [own, all] = words({}, { tasks: [OBQA, task('CSQA', 'csqa'), task('PIQA', 'piqa')] });
    expect([own, all]).toEqual(['tested on OBQA', 'tested on OBQA + CSQA + PIQA']);
  });

  it('their splits, by what one says of a split, once for all tasks of which it is true', () => {
    const six = (split: Json): Json => ({ tasks: [{ ...OBQA, split }, task('CSQA', 'csqa', { split })] });
    expect(words(six({ trainCount: 400, testLimit: 100 }), six({ trainFraction: 0.25, seed: 3 }))).toEqual([
      'OBQA + CSQA: split seed 0, 400 training questions, 100 test questions',
      'OBQA + CSQA: split seed 3, all test questions, 25 % of the questions to train',
    ]);
    expect(words(six({}), six({ order: 'file', balanceTargets: true }))).toEqual([
      'OBQA + CSQA: in shuffled order, targets as they come',
      'OBQA + CSQA: in the order of the file, targets balanced',
    ]);
    expect(words({}, { tasks: [{ ...OBQA, split: {} }] })).toEqual([
      'OBQA: 4000 training questions',
      'OBQA: all training questions',
    ]);
  });

  it('the benchmark behind a name, by the benchmark’s', () => {
    expect(words({}, { tasks: [{ ...OBQA, id: 'csqa' }] })).toEqual(['OBQA: OpenBookQA', 'OBQA: CommonsenseQA']);
  });

  it('a teacher’s settings, by the teacher and the task; in files, without folders', () => {
    expect(words({}, { demonstrations: [{ ...TEACHER, keepWrong: false }] })).toEqual([
      'Llama-2-70b on OBQA: keepWrong true',
      'Llama-2-70b on OBQA: keepWrong false',
    ]);
    expect(words({}, { demonstrations: [{ ...TEACHER, files: ['/srv/other/u.jsonl'] }] })).toEqual([
      'Llama-2-70b on OBQA: files[0] "t.jsonl"',
      'Llama-2-70b on OBQA: files[0] "u.jsonl"',
    ]);
  });

  it('any other setting, by its path; a task that is for nothing, where there is no other difference', () => {
    const longer = { evaluation: { ...(tinyExperiment()['evaluation'] as Json), maxNewTokens: 9 } };
    expect(words({}, longer)).toEqual(['evaluation.maxNewTokens 6', 'evaluation.maxNewTokens 9']);
    const idle = task('MMLU', 'mmlu', { use: ['selfRefine'] });
    expect(words({}, { tasks: [OBQA, idle] })).toEqual(['without MMLU', 'with MMLU']);
    expect(words({ tasks: [OBQA, idle] }, { tasks: [idle, OBQA] })).toEqual([
      'tasks in the order OBQA, MMLU',
      'tasks in the order MMLU, OBQA',
    ]);
  });
});

it('a table of chosen runs calls them so', () => {
  const [one, next] = publishedRuns('lesson-grid', { answers: false }) as [CollectedRun, CollectedRun];
  const { experiment: whole } = one.report;
  const tasks = whole.tasks.filter(({ use }) => use.length > 1 || use[0] !== 'evaluate');
  const narrow: CollectedRun = {
    ...next,
    report: { ...next.report, experiment: { ...whole, seed: next.report.experiment.seed, tasks } },
  };
  const { report } = collectRuns([one, narrow]);
  expect(report.cells.map(({ labels }) => labels)).toEqual([
    [`tested on ${whole.tasks.map(({ name }) => name).join(' + ')}`],
    [`tested on ${tasks.map(({ name }) => name).join(' + ')}`],
  ]);
});
