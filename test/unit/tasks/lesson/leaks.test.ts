// leaks.test.ts: nothing that is tested or chosen on is in the corpus or among the demonstrations: by content, by the words
// of the question, by what is asked together with the options, and by a reader that shares no code with the generators.
import { describe, expect, it } from 'vitest';
import { LessonCorpus, tokenCount } from '../../../../src/tasks/lesson/corpus';
import { asItem, FAMILIES, lessonItems, type LessonItem } from '../../../../src/tasks/lesson/families';
import { HeldOut, type Leak } from '../../../../src/tasks/lesson/leaks';
import { partOf, type Part } from '../../../../src/tasks/lesson/parts';
import { arithmetic } from '../../../../src/tasks/lesson/prose';
import { lessonScript } from '../../../../src/tasks/lesson/script';
import { choicePrompt, numberPrompt } from '../../../../src/tasks/task';
import { RandomStream } from '../../../../src/base/random';
import { solveStory } from './solver';

const TOKENS = 2_000_000;
const mixed = { one: 0.3, two: 0.5, three: 0.2 };

/** Items of every family and of stories with other numbers of steps. */
function itemsOf(part: Part, count: number, seed: number): LessonItem[] {
  const more = lessonItems('stories', part, { count, seed, steps: mixed });
  return [...FAMILIES.flatMap((family) => lessonItems(family, part, { count, seed })), ...more];
}

const tested = [...itemsOf('test', 1000, 0), ...itemsOf('development', 500, 0)];
const trained = [0, 1, 2].flatMap((seed) => itemsOf('train', 400, seed));
const fromCorpus = new HeldOut([...tested, ...trained], ['test', 'development', 'train']);
const fromTraining = new HeldOut(tested, ['test', 'development']);

const prompt = (item: LessonItem): string => (item.choices === undefined ? numberPrompt(item) : choicePrompt(item));
/** The story of a prompt or of prose: up to its question mark. */
const storyIn = (text: string): string | undefined =>
  /^(?:[^\n]*\nQuestion: )?([A-Z][^\n?]*How many [^?]*\?)/.exec(text)?.[1];

describe('the corpus', () => {
  it(`has no question of test, development and train in ${TOKENS.toLocaleString('en')} tokens`, () => {
    const corpus = new LessonCorpus(11);
    const leaks: { text: string; found: Leak[] }[] = [];
    let stories = 0;
    const held: string[] = [];
    for (let tokens = 0, i = 0; tokens < TOKENS; i++) {
      const { text, contents, kind } = corpus.document(i);
      tokens += tokenCount(text);
      const found = fromCorpus.find(text, contents);
      if (found.length > 0) leaks.push({ text, found });
      const story = kind === 'copying' ? undefined : storyIn(text);
      if (story !== undefined) {
        stories++;
        if (partOf(solveStory(story).content) !== 'pretraining') held.push(story);
      }
    }
    expect(leaks).toEqual([]);
    expect(held).toEqual([]);
    expect(stories).toBeGreaterThan(8000);
  }, 60_000);

  it('chains no sums that a held-out story would need', () => {
    const random = new RandomStream(5, 'test/arithmetic');
    const sum = String.raw`(\d+) (\+|-|\*|plus|minus|times) (\d+)(?: = | equals |\? )(\d+)\.`;
    const pair = new RegExp(String.raw`(?<!\d)(?=${sum} (?:What is )?${sum})`, 'g');
    const sign = (word: string): string => ({ plus: '+', minus: '-', times: '*' })[word] ?? word;
    const held: string[] = [];
    let chains = 0;
    for (let i = 0; i < 5000; i++) {
      for (const [, a, s, b, c, d, t, e] of arithmetic(random).text.matchAll(pair)) {
        if (c !== d) continue;
        chains++;
        const [x, y] = [Number(a), Number(b)];
        const turned = sign(s!) !== '-' && x > y;
        const content = `${turned ? y : x} ${sign(s!)} ${turned ? x : y} ${sign(t!)} ${e}`;
        if (partOf(content) !== 'pretraining') held.push(content);
      }
    }
    expect(held).toEqual([]);
    expect(chains).toBeGreaterThan(1000);
  });
});

describe('the demonstrations', () => {
  it('have no question of test and development', () => {
    for (const item of trained) {
      const answer = lessonScript.write(item, 'out-family', 0);
      expect(fromTraining.find(`${prompt(item)}\n${answer}`, [item.problem.content])).toEqual([]);
    }
  });
});

describe('a leak', () => {
  const story = tested.find((item) => item.choices === undefined)!;
  const choice = tested.find((item) => item.choices?.length === 4)!;
  const tool = tested.find((item) => item.choices?.length === 2)!;
  const ways = (text: string, contents: string[] = []): string[] =>
    fromCorpus.find(text, contents).map((leak) => leak.how);

  it('is caught by the content its maker names', () => {
    expect(ways('', [story.problem.content])).toEqual(['content']);
  });

  it('is caught by the words of a story, in prose, in a prompt and in small letters', () => {
    for (const text of [`${story.question} 12.`, prompt(story), `${prompt(story)}\n12`, story.question.toUpperCase()]) {
      expect([text, ways(text)]).toEqual([text, ['question']]);
    }
  });

  it('is caught by what is asked with the options, whatever the order and the wording', () => {
    for (const item of [choice, tool]) {
      const options = item.choices!;
      const turned = { ...item, choices: [...options].reverse() };
      const problem = item.problem;
      if (problem.family === 'story') throw new Error('not a choice');
      const prose = `The thing that ${problem.asked}: ${options.map((o, i) => `${'DCBA'[i]}) ${o}`).join(', ')}.`;
      for (const text of [prompt(item), prompt(turned), prose]) expect([text, ways(text)]).toEqual([text, ['options']]);
    }
  });

  it('is caught by the independent reader, in other words and about other things', () => {
    const { problem } = tested.find(({ problem: p }) => p.family === 'story' && p.content === '7 + 13 - 2') ?? story;
    const [first, ...more] = problem.content.split(/(?= [+*-])/);
    const deeds = more.map((step) => step.trim().split(' ') as [string, string]);
    const told = deeds.map(([sign, n]) => (sign === '+' ? `Then he buys ${n} more hats.` : `Then he loses ${n} hats.`));
    const text = `Tom has ${first} hats. ${told.join(' ')} How many hats does he have now?`;
    if (problem.content.includes('*')) throw new Error('choose another story');
    expect(solveStory(text).content).toBe(problem.content);
    expect(partOf(solveStory(storyIn(text)!).content)).not.toBe('pretraining');
  });

  it('is not seen where there is none', () => {
    const free = lessonItems('kinds', 'pretraining', { count: 50, seed: 0 });
    for (const item of free) expect(ways(prompt(item), [item.problem.content])).toEqual([]);
    expect(asItem(free[0]!.problem, 'x').question).toBe(free[0]!.question);
  });
});
