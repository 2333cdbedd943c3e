// The rows of Inside on the files of a real run: filters find what the run counted, and the changes between two ways of answering
// are the report's comparisons.
import { describe, expect, it } from 'vitest';
import {
  AnswerJoin,
  changeOf,
  compare,
  defaultPair,
  mentions,
  readAnswer,
  type AnswerLineRow,
  type Answers,
  verdictOf,
} from '../../../../src/app/inside/answers';
import { filterDemonstrations, leftOutOf, readDemonstration } from '../../../../src/app/inside/demonstrationRows';
import { filterPairs, readPair, reasonsOf, type PairFilter } from '../../../../src/app/inside/pairRows';
import { compareSystems } from '../../../../src/session/comparisons';
import type { PredictionSet } from '../../../../src/session/runState';
import { fixtureRows, smokeReport } from './smokeRun';

const report = smokeReport();

function answersOf(rows: readonly AnswerLineRow[]): Answers {
  const join = new AnswerJoin();
  for (const row of rows) join.add(row);
  return join.answers();
}

describe('pairs', () => {
  const rows = fixtureRows('smokeRun/pairs.jsonl', readPair);
  const all: PairFilter = { search: '', task: '', from: '', split: '', case: '' };
  const count = (filter: Partial<PairFilter>): number => filterPairs(rows, { ...all, ...filter }).length;

  it('filters find as many as the run counted', () => {
    const { counts } = report.pairs;
    expect(count({})).toBe(counts['pairs']);
    expect(count({ split: 'training' })).toBe(counts['training_pairs']);
    expect(count({ split: 'validation' })).toBe(counts['validation_pairs']);
    expect(count({ case: 'teacher_fallback' })).toBe(count({ from: 'teacher' }));
    expect(count({ from: 'student' }) + count({ from: 'teacher' })).toBe(rows.length);
    expect(count({ from: 'teacher', split: 'validation' })).toBeLessThanOrEqual(counts['validation_pairs']!);
    // Every pair was made, none skipped: so the counts of cases are those of pairs.
    expect(counts['identical_skipped']! + counts['too_long']!).toBe(0);
    for (const name of ['cot_correct', 'teacher_fallback', 'plain_correct', 'plain_reasons'] as const) {
      expect(count({ case: name }), name).toBe(counts[name]);
    }
  });

  it('searches questions and answers, whatever the case of letters', () => {
    const [first] = rows;
    const word = first!.chosen.text.split(' ')[0]!;
    expect(filterPairs(rows, { ...all, search: `  ${word.toUpperCase()} ` })).toContain(first);
    expect(count({ search: 'no such words anywhere' })).toBe(0);
  });

  it('says why a pair came out so', () => {
    const fallback = rows.find(({ cases }) => cases.includes('teacher_fallback'))!;
    expect(reasonsOf(fallback, 'cot')[0]).toContain(`the teacher (${fallback.teacher!})`);
    expect(fallback.replaced).toBeDefined();
    expect(reasonsOf({ ...fallback, cases: ['cot_correct', 'plain_correct'] }, 'cot').join(' ')).toMatch(
      /own answer to the CoT prompt, gives the target.*gives the target, too/,
    );
    expect(reasonsOf({ ...fallback, cases: ['plain_correct'] }, 'answer').join(' ')).toMatch(/y gives .* ŷ misses/);
  });

  it('reads pairs of earlier versions, and refuses what is no pair', () => {
    const answer = { text: 'x', ids: [1], from: 'student' };
    const old = {
      ...{ taskId: 't', itemId: 'i', sample: 0, target: '7', prompt: { text: 'q', ids: [1] } },
      ...{ chosen: answer, rejected: answer, cases: ['cot_correct', 'a case to come'] },
    };
    expect(readPair(old, 3)).toMatchObject({ index: 3, split: 'training', cases: ['cot_correct'] });
    expect(() => readPair({ ...old, chosen: undefined }, 3)).toThrow(/chosen/);
    expect(() => readPair(null, 0)).toThrow();
  });
});

describe('answers side by side', () => {
  const answers = answersOf(fixtureRows('smokeRun/predictions.jsonl', readAnswer));

  it('changes between two ways of answering are the comparisons of a report', () => {
    const lines = fixtureRows('lessonRun/predictions.jsonl', (value) => value as PredictionSet & { itemId: string });
    const sets = new Map<string, PredictionSet>();
    for (const { system, taskId, prompt, ...prediction } of lines) {
      const key = `${system} ${taskId} ${prompt}`;
      const set = sets.get(key) ?? { system, taskId, prompt, predictions: [] };
      set.predictions.push(prediction as unknown as PredictionSet['predictions'][number]);
      sets.set(key, set);
    }
    const { items } = answersOf(fixtureRows('lessonRun/predictions.jsonl', readAnswer));
    const compared = compareSystems([...sets.values()]); // what a report's comparisons are made by
    expect(compared).toHaveLength(12);
    const seen = { gained: 0, lost: 0 };
    for (const row of compared) {
      const own = items.filter(({ taskId }) => taskId === row.taskId);
      const { counts, p, n } = compare(own, `${row.first}.cot`, `${row.second}.cot`, row.scorer);
      expect([counts.lost, counts.gained, p], JSON.stringify(row)).toEqual([row.onlyFirst, row.onlySecond, row.p]);
      expect(n).toBe(14);
      seen.gained += counts.gained;
      seen.lost += counts.lost;
    }
    expect(seen.gained).toBeGreaterThan(20);
    expect(seen.lost).toBeGreaterThan(0);
    expect(seen.lost).not.toBe(seen.gained); // swapping the two would be seen
  });

  it('verdicts add up to the accuracies, probing included', () => {
    for (const { system, taskId, prompt, scorer, correct, n } of report.evaluations) {
      const own = answers.items.filter((item) => item.taskId === taskId);
      const verdicts = own.map((item) => verdictOf(item, `${system}.${prompt}`, scorer));
      expect(verdicts.filter((verdict) => verdict === true).length, `${system} ${prompt} ${scorer}`).toBe(correct);
      expect(verdicts.filter((verdict) => verdict !== undefined).length).toBe(n);
    }
  });

  it('compares the baseline’s CoT with the refined student’s unless told otherwise', () => {
    expect(defaultPair(answers.ways)).toEqual(['Baseline.cot', 'Self-refined.cot']);
    expect(defaultPair([])).toEqual(['', '']);
  });

  it('a vote goes by its own scorer, beside the single answers', () => {
    const line = { taskId: 't', prompt: 'cot', itemId: 'i', question: 'q', target: '7' };
    const { items, ways } = answersOf(
      [
        { ...line, system: 'Baseline', text: '8', stopped: 'eos', correct: { strict: false }, answer: '8' },
        {
          ...{ ...line, system: 'Baseline', texts: ['7', '7', '8'], stopped: ['eos', 'eos', 'length'], answer: '7' },
          ...{ votes: 2, answered: 3, samples: 3, correct: { 'self-consistency (3)': true } },
        },
      ].map(readAnswer),
    );
    expect(ways.map(({ id }) => id)).toEqual(['Baseline.cot', 'Baseline.cot.vote']);
    expect(changeOf(items[0]!, 'Baseline.cot', 'Baseline.cot.vote', 'strict')).toBe('gained');
    expect(mentions(items[0]!, '8')).toBe(true); // in what was said
    expect(mentions(items[0]!, 'q')).toBe(true); // in the question
    expect(mentions(items[0]!, '9')).toBe(false);
  });

  it('refuses lines that are no answers', () => {
    expect(() => readAnswer({ system: 'Somebody' })).toThrow();
    expect(() => readAnswer(7)).toThrow();
  });
});

describe('demonstrations', () => {
  const rows = fixtureRows('smokeRun/demonstrations.jsonl', readDemonstration);

  it('are those that the run used; right and wrong are parts of them', () => {
    const used = report.demonstrations.reduce((sum, one) => sum + one.used, 0);
    expect(rows).toHaveLength(used);
    const of = (verdict: 'right' | 'wrong' | 'edited'): number =>
      filterDemonstrations(rows, { search: '', task: '', teacher: '', verdict }).length;
    expect(of('right') + of('wrong')).toBe(used);
    expect(of('edited')).toBe(0);
    expect(rows.every(({ promptTokens, answerTokens }) => promptTokens! > 0 && answerTokens! > 0)).toBe(true);
    expect(filterDemonstrations(rows, { search: rows[3]!.itemId, task: '', teacher: '', verdict: '' })).toEqual([
      rows[3],
    ]);
  });

  it('tell what was left out, with counts above zero alone', () => {
    expect(leftOutOf(report.demonstrations).map(({ used }) => used)).toEqual(
      report.demonstrations.map(({ used }) => used),
    );
    expect(leftOutOf([{ label: 'x', taskId: 't', read: 9, used: 5, tooLong: 3, excludedByHand: 1 }])).toEqual([
      { label: 'x', taskId: 't', read: 9, used: 5, reasons: ['3 too long', '1 left out by hand'] },
    ]);
    expect(leftOutOf(undefined)).toEqual([]);
  });
});
