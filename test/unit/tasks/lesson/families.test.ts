// families.test.ts: the lesson's generated items: the paper's prompts, the right targets by a solver of its own, parts that
// do not meet, and everything that splits and scorers need of a benchmark.
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TASKS } from '../../../../src/tasks/registry';
import { lessonRow } from '../../../../src/tasks/lesson';
import { FAMILIES, lessonItems, type FamilyName, type LessonItem } from '../../../../src/tasks/lesson/families';
import { PART_SHARES, partOf, type Part } from '../../../../src/tasks/lesson/parts';
import { facts } from '../../../../src/tasks/lesson/prose';
import { RandomStream } from '../../../../src/base/random';
import { splitItems } from '../../../../src/tasks/split';
import { Knowledge, solveStory } from './solver';

const PARTS = ['test', 'development', 'train'] as const;
const LETTERS = 'ABCD';
const sizes = { test: 1200, development: 500, train: 600 };
const items = Object.fromEntries(
  FAMILIES.map((family) => [
    family,
    Object.fromEntries(PARTS.map((part) => [part, lessonItems(family, part, { count: sizes[part], seed: 0 })])),
  ]),
) as Record<FamilyName, Record<(typeof PARTS)[number], LessonItem[]>>;
const all = (family: FamilyName): LessonItem[] => PARTS.flatMap((part) => items[family][part]);
const withOptions = (family: FamilyName): boolean => family === 'kinds' || family === 'tools';

const knowledge = new Knowledge();
const random = new RandomStream(0, 'test/facts');
for (let i = 0; i < 2000; i++) knowledge.learn(facts(random).text);

describe('prompts are the paper’s', () => {
  it('stories', () => {
    const item = items.stories.test[0]!;
    const plain = `Answer the following mathematical question with numerical solution.\nQuestion: ${item.question}\nAnswer:`;
    expect(TASKS['lesson-stories'].plainPrompt(item)).toBe(plain);
    expect(TASKS['lesson-stories'].cotPrompt(item)).toBe(`${plain} Let's think step by step`);
  });

  it.each([
    ['lesson-kinds', 'A, B, C, D'],
    ['lesson-tools', 'A, B'],
  ] as const)('%s: as many letters as options', (id, letters) => {
    const item = items[id === 'lesson-kinds' ? 'kinds' : 'tools'].test[0]!;
    const options = item.choices!.map((choice, i) => `${LETTERS[i]}) ${choice}`).join('\n');
    expect(TASKS[id].plainPrompt(item)).toBe(
      `Choose the answer to the question only from options ${letters}.\nQuestion: ${item.question}\nChoices:\n${options}\nAnswer:`,
    );
  });
});

describe.each(FAMILIES)('%s', (family) => {
  it('has over a thousand test items of distinct questions', () => {
    const questions = new Set(items[family].test.map((item) => [item.question, ...(item.choices ?? [])].join('\n')));
    expect(questions.size).toBe(1200);
    expect(new Set(all(family).map((item) => item.id)).size).toBe(2300);
  });

  it('has the targets that an independent solver finds', () => {
    for (const item of all(family)) {
      const found = withOptions(family)
        ? LETTERS[knowledge.choose(item.question, item.choices!)]
        : String(solveStory(item.question).answer);
      expect([item.question, found]).toEqual([item.question, item.target]);
    }
  });

  it('names the content that an independent reader finds, of the right part', () => {
    for (const part of PARTS) {
      for (const { question, choices, problem } of items[family][part]) {
        const content =
          choices === undefined
            ? solveStory(question).content
            : `${knowledge.asked(question)}: ${[...choices].sort().join(' ')}`;
        expect([question, content, partOf(content)]).toEqual([question, problem.content, part]);
      }
    }
  });

  it('depends on the seed alone, and a smaller count is the beginning of a larger one', () => {
    const again = lessonItems(family, 'test', { count: 50, seed: 0 });
    expect(again).toEqual(items[family].test.slice(0, 50));
    const other = lessonItems(family, 'train', { count: 50, seed: 1 });
    expect(other.map((item) => item.question)).not.toEqual(
      items[family].train.slice(0, 50).map((item) => item.question),
    );
  });

  it('is read back from its rows by its own task and by `lesson`', () => {
    const text = items[family].test.map((item) => JSON.stringify(lessonRow(item))).join('\n');
    const plain = items[family].test.map(({ problem: _, ...item }) => item);
    for (const id of ['lesson', `lesson-${family}`] as const) {
      expect(TASKS[id].load([{ path: 'x.jsonl', text }])).toEqual({ items: plain, rejected: [] });
    }
  });

  it('splits without a question on both sides', () => {
    const split = splitItems(
      { train: items[family].train, test: items[family].test },
      { order: 'file', seed: 0, balanceTargets: false, trainCount: 400 },
    );
    expect(split).toMatchObject({ duplicates: 0, conflicting: [], uniqueQuestions: 1800 });
    expect([split.train.length, split.test.length]).toEqual([400, 1200]);
  });
});

describe('answers', () => {
  it('of stories lie in 0 … 99, and no number in them is 1', () => {
    for (const { target, question } of [...all('stories'), ...all('sums')]) {
      expect(Number(target)).toBeLessThanOrEqual(99);
      expect(question.match(/\d+/g)!.concat(target)).not.toContain('1');
    }
  });

  it.each(['kinds', 'tools'] as const)('of %s are equally frequent letters in every beginning', (family) => {
    const optionCount = family === 'kinds' ? 4 : 2;
    for (const size of [4, 100, 402, 1200]) {
      const targets = items[family].test.slice(0, size).map((item) => item.target);
      const counts = [...LETTERS].slice(0, optionCount).map((letter) => targets.filter((t) => t === letter).length);
      expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
    }
    const letters = items[family].test.map((item) => item.target).join('');
    expect(letters.slice(0, optionCount).repeat(3)).not.toBe(letters.slice(0, 3 * optionCount));
  });

  it('of options never fit two of them', () => {
    for (const family of ['kinds', 'tools'] as const) {
      for (const { choices } of all(family)) {
        expect(new Set(choices!.map((choice) => knowledge.is.get(choice))).size).toBe(choices!.length);
      }
    }
  });
});

describe('steps', () => {
  const steps = (item: LessonItem): number => (item.problem.family === 'story' ? item.problem.steps.length : 0);

  it('are two in stories and one in sums', () => {
    expect(new Set(all('stories').map(steps))).toEqual(new Set([2]));
    expect(new Set(all('sums').map(steps))).toEqual(new Set([1]));
  });

  it('are mixed as asked', () => {
    const mixed = lessonItems('stories', 'train', { count: 2000, seed: 3, steps: { one: 0.3, two: 0.6, three: 0.1 } });
    const share = (n: number): number => mixed.filter((item) => steps(item) === n).length / 2000;
    expect(Math.abs(share(1) - 0.3)).toBeLessThan(0.04);
    expect(Math.abs(share(2) - 0.6)).toBeLessThan(0.04);
    expect(Math.abs(share(3) - 0.1)).toBeLessThan(0.03);
    for (const item of mixed) expect(String(solveStory(item.question).answer)).toBe(item.target);
  });
});

describe('parts', () => {
  it('have the shares they should', () => {
    const counts: Record<Part, number> = { test: 0, development: 0, train: 0, pretraining: 0 };
    for (let i = 0; i < 20_000; i++) counts[partOf(`content ${i}`)]++;
    for (const part of Object.keys(counts) as Part[]) {
      expect(Math.abs(counts[part] / 20_000 - PART_SHARES[part])).toBeLessThan(0.015);
    }
  });

  it('are a matter of content, not of order, commutation or wording', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1e6 }), (seed) => {
        const [one] = lessonItems('kinds', 'test', { count: 1, seed });
        const turned = [...one!.choices!].reverse().sort(() => (seed % 2) - 0.5);
        expect(partOf(`${knowledge.asked(one!.question)}: ${turned.sort().join(' ')}`)).toBe('test');
      }),
      { numRuns: 50 },
    );
    const both = (text: string): string => solveStory(text).content;
    const asks = 'How many pears do they have together?';
    expect(both(`Tom has 9 pears and Zoe has 4 pears. ${asks}`)).toBe(
      both(`Zoe has 4 pears and Tom has 9 pears. ${asks}`),
    );
  });

  it('say so when they are exhausted', () => {
    expect(() => lessonItems('tools', 'test', { count: 5000, seed: 0 })).toThrow(
      /test of tools has, got a count of 5000/,
    );
  });
});

describe('the task files of single families', () => {
  it('refuse rows of the other kind', () => {
    const row = JSON.stringify(lessonRow(items.kinds.test[0]!));
    const good = JSON.stringify(lessonRow(items.sums.test[0]!));
    const { items: read, rejected } = TASKS['lesson-sums'].load([{ path: 'x', text: `${row}\n${good}` }]);
    expect(read).toHaveLength(1);
    expect(rejected).toEqual([{ path: 'x', line: 1, reason: 'expected a question without options' }]);
  });
});
