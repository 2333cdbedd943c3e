// tasks.test.ts: benchmarks read from their files, the paper's prompts word for word, and splits without a leak.
import { readFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SplitConfig } from '../../../src/config/experiment';
import { csqa } from '../../../src/tasks/csqa';
import { lesson } from '../../../src/tasks/lesson';
import { multiarith } from '../../../src/tasks/multiarith';
import { TASKS } from '../../../src/tasks/registry';
import { judge } from '../../../src/tasks/score';
import { nestedShare, splitItems } from '../../../src/tasks/split';
import type { TaskItem } from '../../../src/tasks/task';
import { questionKey } from '../../../src/tasks/task';

const data = process.env['PUPIL_DATA'];
const fixtures = new URL('../../fixtures/lesson/', import.meta.url);
const split = (config: Partial<SplitConfig> = {}): SplitConfig => ({
  order: 'shuffled',
  seed: 0,
  balanceTargets: false,
  ...config,
});
const source = (path: string) => ({ path, text: readFileSync(path, 'utf8') });

describe('prompts', () => {
  it('Table 2 and 3, number tasks', () => {
    const item = { id: '1', question: 'How many pieces?', target: '3' };
    const plain =
      'Answer the following mathematical question with numerical solution.\nQuestion: How many pieces?\nAnswer:';
    expect(multiarith.plainPrompt(item)).toBe(plain);
    expect(multiarith.cotPrompt(item)).toBe(`${plain} Let's think step by step`);
  });

  it('Table 2 and 3, choice tasks: as many letters as options', () => {
    const item = { id: '1', question: 'What flies?', choices: ['stone', 'owl', 'car'], target: 'B' };
    const plain =
      'Choose the answer to the question only from options A, B, C.\nQuestion: What flies?\nChoices:\nA) stone\nB) owl\nC) car\nAnswer:';
    expect(csqa.plainPrompt(item)).toBe(plain);
    expect(csqa.cotPrompt(item)).toBe(`${plain} Let's think step by step`);
  });

  it('the registry knows every task by its id', () => {
    for (const [id, task] of Object.entries(TASKS)) expect(task.id).toBe(id);
  });
});

describe('loading', () => {
  const row = { iIndex: 7, lSolutions: [39.0], sQuestion: ' How many? ' };

  it('MultiArith: surrounding spaces and 39.0', () => {
    const { items } = multiarith.load([{ path: 'm.json', text: JSON.stringify([row]) }]);
    expect(items).toEqual([{ id: 'multiarith-7', question: 'How many?', target: '39' }]);
  });

  it('reports bad rows with file, line and reason, and keeps the others', () => {
    const text = [
      JSON.stringify(row),
      '{"iIndex": 1,',
      '',
      '[1]',
      '{"sQuestion": "x", "lSolutions": [1, 2]}',
      '{"lSolutions": [3]}',
    ].join('\n');
    const { items, rejected } = multiarith.load([{ path: 'm.jsonl', text }]);
    expect(items).toHaveLength(1);
    expect(rejected.map((r) => [r.line, r.reason.replace(/:.*/, '')])).toEqual([
      [2, 'not JSON'],
      [4, 'expected an object'],
      [5, 'expected one number in lSolutions, got [1,2]'],
      [6, 'expected a question in sQuestion, Question, question, instruction or input, got none of them'],
    ]);
  });

  it('refuses files that are something else', () => {
    const load = (text: string) => () => multiarith.load([{ path: 'm.json', text }]);
    expect(load('version https://git-lfs.github.com/spec/v1\noid sha256:1')).toThrow(/Git-LFS pointer/);
    expect(load('<!doctype html><p>no')).toThrow(/HTML/);
    expect(load('')).toThrow(/empty/);
    expect(load('[{"a": 1}, {"b"')).toThrow(/breaks off/);
    expect(load('[{"a": 1}]')).toThrow(/none that can be used \(m\.json:1: expected a question/);
  });

  it('CommonsenseQA: rows without an answer are rejected', () => {
    const good = {
      answerKey: 'B',
      id: 'x',
      question: {
        stem: 'Where?',
        choices: [
          { label: 'A', text: 'here' },
          { label: 'B', text: 'there' },
        ],
      },
    };
    const text = [
      good,
      { ...good, answerKey: undefined },
      { ...good, answerKey: 'C' },
      { ...good, question: { stem: 's' } },
    ]
      .map((r) => JSON.stringify(r))
      .join('\n');
    const { items, rejected } = csqa.load([{ path: 'c.jsonl', text }]);
    expect(items).toEqual([{ id: 'x', question: 'Where?', choices: ['here', 'there'], target: 'B' }]);
    expect(rejected.map((r) => r.reason)).toEqual([
      'expected an answer in answerKey, got nothing: a published test set without labels?',
      'expected a letter in answerKey, got "C"',
      'expected a list in question.choices, got nothing',
    ]);
  });

  it('lesson: 400 + 200 rows of task C, prompts rebuilt word for word', () => {
    for (const [name, count] of [
      ['task-C-train-in-seed0.jsonl', 400],
      ['task-C-test.jsonl', 200],
    ] as const) {
      const path = decodeURIComponent(new URL(name, fixtures).pathname);
      const { items, rejected } = lesson.load([source(path)]);
      expect([items.length, rejected.length]).toEqual([count, 0]);
      const rows = readFileSync(path, 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Record<string, string>);
      items.forEach((item, i) => {
        expect(`${lesson.plainPrompt(item)}\n`).toBe(rows[i]!['plain_prompt']);
        expect(`${lesson.cotPrompt(item)}\n`).toBe(rows[i]!['cot_prompt']);
      });
    }
  });

  it('lesson: every scripted teacher answer is right by the strict scorer', () => {
    const path = decodeURIComponent(new URL('task-C-train-in-seed1.jsonl', fixtures).pathname);
    const rows = readFileSync(path, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, string>);
    const { items } = lesson.load([source(path)]);
    const verdicts = rows.map((row, i) =>
      judge('mixed', { target: row['target']!, text: row['teacher_answer']!, choices: items[i]!.choices! }),
    );
    expect(verdicts.filter((v) => v.correct)).toHaveLength(400);
  });

  it('lesson: the letter decides in the prototype’s own greedy answers', () => {
    const choices = ['stone', 'car', 'cider', 'tram'];
    for (const [text, letter] of [
      ['D) cider', 'D'],
      ['The answer is C) car.', 'C'],
      ['A) tram', 'A'],
    ] as const) {
      expect(lesson.extract(text, { choices, target: 'A' }).answer).toBe(letter);
    }
  });

  it('lesson: arithmetic rows have no choices', () => {
    const prompt = 'Answer the following mathematical question with numerical solution.\nQuestion: How many?\nAnswer:';
    const text = JSON.stringify({ plain_prompt: `${prompt}\n`, target: '16' });
    const { items } = lesson.load([{ path: 'a/task-A.jsonl', text }]);
    expect(items).toEqual([{ id: 'task-A-1', question: 'How many?', target: '16' }]);
    expect(lesson.plainPrompt(items[0]!)).toBe(prompt);
    expect(lesson.extract('The answer is 16.', items[0]!).answer).toBe('16');
  });
});

describe('splitItems', () => {
  const items: TaskItem[] = Array.from({ length: 40 }, (_, i) => ({
    id: `i${i}`,
    question: `Question ${i % 30}?`,
    target: String(i % 30),
  }));

  it('keeps items of one question on one side, for any count and seed', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 0, max: 1000 }), (trainCount, seed) => {
        const result = splitItems({ pool: items }, split({ trainCount, seed }));
        const trained = new Set(result.train.map((item) => questionKey(item.question)));
        expect(result.test.filter((item) => trained.has(questionKey(item.question)))).toEqual([]);
        expect(result.train.length + result.test.length).toBe(40);
        expect(result.train.length).toBeLessThanOrEqual(trainCount);
        expect(result.train.length).toBeGreaterThanOrEqual(trainCount - 1);
      }),
    );
  });

  it.each([true, false])('without training items all are tested (balanced: %s)', (balanceTargets) => {
    const result = splitItems({ train: [], test: items }, split({ balanceTargets }));
    expect(result).toMatchObject({ train: [], dropped: [] });
    expect(new Set(result.test)).toEqual(new Set(items));
  });

  it('counts duplicates and names conflicting targets', () => {
    const result = splitItems(
      { pool: [...items, { id: 'z', question: ' question 0? ', target: '9' }] },
      split({ trainFraction: 0.5 }),
    );
    expect(result).toMatchObject({ total: 41, uniqueQuestions: 30, duplicates: 11, conflicting: ['Question 0?'] });
  });

  it('is the same for the same seed and another for another', () => {
    const ids = (seed: number): string[] =>
      splitItems({ pool: items }, split({ trainCount: 20, seed })).train.map((i) => i.id);
    expect(ids(3)).toEqual(ids(3));
    expect(ids(3)).not.toEqual(ids(4));
  });

  it('separate files: a training question that is tested is left out of training and reported', () => {
    const train = items.slice(0, 10);
    const test = [{ id: 't', question: 'QUESTION  3?', target: '3' }];
    const result = splitItems({ train, test }, split());
    expect(result.train.map((i) => i.id)).not.toContain('i3');
    expect(result.test).toEqual(test);
    expect(result.dropped).toEqual([{ itemId: 'i3', reason: 'question is in the test set too' }]);
  });

  it('file order takes the first rows, as the lesson’s prototype did', () => {
    const result = splitItems(
      { train: items.slice(0, 20), test: items.slice(20, 30) },
      split({ order: 'file', trainCount: 5, testLimit: 4 }),
    );
    expect(result.train.map((i) => i.id)).toEqual(['i0', 'i1', 'i2', 'i3', 'i4']);
    expect(result.test.map((i) => i.id)).toEqual(['i20', 'i21', 'i22', 'i23']);
  });

  it('balanced targets: every prefix is as equal as it can be', () => {
    const skewed: TaskItem[] = Array.from({ length: 60 }, (_, i) => ({
      id: `s${i}`,
      question: `S ${i}`,
      choices: ['x', 'y', 'z'],
      target: i < 40 ? 'A' : i < 50 ? 'B' : 'C',
    }));
    const { train } = splitItems({ train: skewed, test: [] }, split({ balanceTargets: true, trainCount: 27 }));
    for (const share of [0.25, 0.5, 0.75, 1]) {
      const counts = ['A', 'B', 'C'].map((t) => nestedShare(train, share).filter((i) => i.target === t).length);
      expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
    }
    expect(splitItems({ train: skewed, test: [] }, split({ balanceTargets: true })).train).toHaveLength(30);
  });

  it('balanced targets: equal by items, though questions occur twice', () => {
    const repeated: TaskItem[] = Array.from({ length: 200 }, (_, i) => ({
      id: `s${i}`,
      // Five questions of B twice.
      question: `S ${i >= 190 ? i - 95 : i}`,
      choices: ['x', 'y'],
      target: i < 90 ? 'A' : 'B',
    }));
    for (const trainCount of [40, 100, 160]) {
      const { train } = splitItems({ train: repeated, test: [] }, split({ balanceTargets: true, trainCount }));
      expect(train.filter(({ target }) => target === 'A')).toHaveLength(trainCount / 2);
      expect(train).toHaveLength(trainCount);
    }
  });

  it('smaller shares are parts of larger ones', () => {
    const { train } = splitItems({ pool: items }, split({ trainCount: 30 }));
    for (const [small, large] of [
      [0.25, 0.5],
      [0.5, 0.75],
      [0.75, 1],
    ] as const) {
      const outer = new Set(nestedShare(train, large));
      expect(nestedShare(train, small).every((item) => outer.has(item))).toBe(true);
    }
    expect(nestedShare([], 0.5)).toEqual([]);
    expect(nestedShare([1, 2, 3], 0.01)).toEqual([1]);
  });

  it('refuses more training items than there are', () => {
    expect(() => splitItems({ pool: items }, split({ trainCount: 41 }))).toThrow(/at most 40.*got 41/);
  });
});

describe.skipIf(data === undefined)('real benchmarks (needs PUPIL_DATA)', () => {
  it('MultiArith: 600 items, 580 questions, exactly 420 and 180 without a leak', () => {
    const { items, rejected } = multiarith.load([source(`${data}/zero_shot_cot/dataset/MultiArith/MultiArith.json`)]);
    expect([items.length, rejected.length]).toEqual([600, 0]);
    for (const seed of [0, 1, 2]) {
      const result = splitItems({ pool: items }, split({ trainCount: 420, seed }));
      expect(result).toMatchObject({ total: 600, uniqueQuestions: 580, duplicates: 20, conflicting: [], dropped: [] });
      expect([result.train.length, result.test.length]).toEqual([420, 180]);
      const trained = new Set(result.train.map((item) => questionKey(item.question)));
      expect(result.test.some((item) => trained.has(questionKey(item.question)))).toBe(false);
    }
  });

  it('CommonsenseQA: 9741 and 1221 items, the unlabelled test set is refused', () => {
    const folder = `${data}/zero_shot_cot/dataset/CommonsenseQA`;
    const train = csqa.load([source(`${folder}/train_rand_split.jsonl`)]).items;
    const test = csqa.load([source(`${folder}/dev_rand_split.jsonl`)]).items;
    expect([train.length, test.length]).toEqual([9741, 1221]);
    const result = splitItems({ train, test }, split({ trainCount: 4000, balanceTargets: true }));
    expect([result.train.length, result.test.length]).toEqual([4000, 1221]);
    for (const letter of 'ABCDE') expect(result.train.filter((i) => i.target === letter)).toHaveLength(800);
    expect(() => csqa.load([source(`${folder}/test_rand_split_no_answers.jsonl`)])).toThrow(/answerKey/);
  });
});
