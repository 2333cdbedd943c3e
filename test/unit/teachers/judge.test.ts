// judge.test.ts: the judge's prompt, the rating in its replies, averages, and all of it through the API teacher.
import { describe, expect, it } from 'vitest';
import { findProvider } from '../../../src/config/apiProviders';
import { planLesson } from '../../../src/teachers/apiPlan';
import { teachLesson } from '../../../src/teachers/apiTeacher';
import {
  judgePrompt,
  judgingTask,
  parseRating,
  summarizeQuality,
  type JudgedAnswer,
} from '../../../src/teachers/judge';
import { VirtualClock } from '../../support/fakeFetch';
import { PlainCache, quizLesson } from '../../support/quizTask';

describe('the prompt of Table 12', () => {
  it('has question and answer as they are, placeholders in them included', () => {
    const prompt = judgePrompt({ question: 'Is ${response} 2?\nA) yes', answer: '$& [[3]]\n' });
    expect(prompt).toMatch(
      /^Please act as an impartial judge and evaluate the quality of the response provided by an AI/,
    );
    expect(prompt).toContain('strictly following this format: "[[rating]]", for example: "Rating: [[2]]".\n');
    expect(prompt.endsWith('\n[question]\nIs ${response} 2?\nA) yes\n[AI assistant’s response]\n$& [[3]]\n')).toBe(
      true,
    );
  });
});

describe('a rating', () => {
  it.each([
    ['The answer is right. Rating: [[3]]', 3],
    ['Rating: [[1]].', 1],
    ['**Rating:** [[ 2 ]]', 2],
    ['[[2.0]]', 2],
    ['It deserves [[2]].\n\nRating: [[2]]', 2],
  ])('%j is read', (reply, rating) => expect(parseRating(reply)).toEqual({ rating }));

  it.each([
    ['', 'no rating'],
    ['Rating: 3', 'no rating'],
    ['Rating: [3]', 'no rating'],
    ['Rating: [[4]]', 'not on the scale'],
    ['Rating: [[0]]', 'not on the scale'],
    ['Rating: [[2.5]]', 'not on the scale'],
    ['Rating: [[-1]]', 'not on the scale'],
    ['Rating: [[3/3]]', 'not on the scale'],
    ['[[rating]]', 'not on the scale'],
    ['[[1]] or [[3]]', 'several ratings'],
    ['The format is [[rating]]: Rating: [[3]]', 'several ratings'],
  ] as const)('%j is none: %s', (reply, unparsable) => expect(parseRating(reply)).toEqual({ unparsable }));

  it('takes no time that grows with the square of a reply', () => {
    const start = performance.now();
    parseRating('[['.repeat(200_000));
    parseRating(`[[${' '.repeat(200_000)}`);
    expect(performance.now() - start).toBeLessThan(5000);
  });
});

const answers: JudgedAnswer[] = [
  { id: 'b0', question: 'q0', answer: 'Owl.' },
  { id: 'b1', question: 'q1', answer: '' },
  { id: 's0', question: 'q0', answer: 'Because it flies: owl.' },
  { id: 's1', question: 'q1', answer: 'Because it swims: cod.' },
  { id: 's2', question: 'q2', answer: 'Hm.' },
];

describe('averages', () => {
  const none = { 'no rating': 0, 'not on the scale': 0, 'several ratings': 0 };

  it('are over rated answers; the others are counted by what was wrong', () => {
    const rated = ['Rating: [[3]]', undefined, 'Rating: [[2]]', 'I cannot rate this.', '[[1]] [[2]]', '[[9]]'];
    const { interval, ...rest } = summarizeQuality(rated);
    expect(rest).toEqual({
      n: 2,
      mean: 2.5,
      sd: Math.SQRT1_2,
      counts: { 1: 0, 2: 1, 3: 1 },
      unparsable: { 'no rating': 1, 'not on the scale': 1, 'several ratings': 1 },
      missing: 1,
    });
    expect(interval).toEqual({ low: 2, high: 3 });
    // 1.96 · 0.5 / √100 = 0.098 on each side, by the central limit.
    const hundred = summarizeQuality(Array.from({ length: 100 }, (_, i) => `[[${2 + (i % 2)}]]`)).interval!;
    expect(Math.abs(hundred.low - 2.402)).toBeLessThan(0.02);
    expect(Math.abs(hundred.high - 2.598)).toBeLessThan(0.02);
  });

  it('of one rating has no spread, and of no replies says nothing', () => {
    expect(summarizeQuality(['[[1]]'])).toEqual({
      n: 1,
      mean: 1,
      counts: { 1: 1, 2: 0, 3: 0 },
      unparsable: none,
      missing: 0,
    });
    expect(summarizeQuality([undefined])).toEqual({ n: 0, counts: { 1: 0, 2: 0, 3: 0 }, unparsable: none, missing: 1 });
  });
});

it('a judge behind an API is asked about each answer once, and its replies belong to them', async () => {
  const asked: string[] = [];
  const clock = new VirtualClock();
  const task = judgingTask(answers);
  const plan = await planLesson({ ...quizLesson(0), task, items: task.items }, new PlainCache());
  const work = teachLesson(plan, {
    cache: new PlainCache(),
    provider: findProvider('openai'),
    clock,
    signal: new AbortController().signal,
    fetch: (_, init) => {
      const { messages } = JSON.parse(String(init?.body)) as { messages: { content: string }[] };
      const prompt = messages.at(-1)!.content;
      asked.push(prompt);
      const rating = prompt.includes('Because') ? 3 : 1;
      const choice = { message: { role: 'assistant', content: `Fair. Rating: [[${rating}]]` }, finish_reason: 'stop' };
      return Promise.resolve(Response.json({ id: `r${asked.length}`, model: 'judge', choices: [choice] }));
    },
  });
  const { demonstrations, correct } = (await clock.drive(work))!;
  expect(asked.sort()).toEqual(answers.map(judgePrompt).sort());
  expect(correct).toBe(answers.length);
  const replies = new Map(demonstrations.map(({ itemId, answer }) => [itemId, answer]));
  const meanOf = (ids: RegExp): number | undefined =>
    summarizeQuality(answers.filter(({ id }) => ids.test(id)).map(({ id }) => replies.get(id))).mean;
  expect([meanOf(/^b/), meanOf(/^s/)]).toEqual([1, 7 / 3]);
});
