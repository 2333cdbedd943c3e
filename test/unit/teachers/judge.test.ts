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
  { id: 'b0', group: 'Baseline', question: 'q0', answer: 'Owl.' },
  { id: 'b1', group: 'Baseline', question: 'q1', answer: '' },
  { id: 's0', group: 'Self-refined', question: 'q0', answer: 'Because it flies: owl.' },
  { id: 's1', group: 'Self-refined', question: 'q1', answer: 'Because it swims: cod.' },
  { id: 's2', group: 'Self-refined', question: 'q2', answer: 'Hm.' },
];

describe('averages', () => {
  it('are over rated answers; the others are counted by what was wrong', () => {
    const replies = new Map([
      ['b0', 'Rating: [[1]]'],
      ['s0', 'Rating: [[3]]'],
      ['s1', 'Rating: [[2]]'],
      ['s2', 'I cannot rate this.'],
    ]);
    const none = { 'no rating': 0, 'not on the scale': 0, 'several ratings': 0 };
    expect(summarizeQuality(answers, replies)).toEqual([
      { group: 'Baseline', n: 1, mean: 1, counts: { 1: 1, 2: 0, 3: 0 }, unparsable: none, missing: 1 },
      {
        group: 'Self-refined',
        n: 2,
        mean: 2.5,
        sd: Math.SQRT1_2,
        counts: { 1: 0, 2: 1, 3: 1 },
        unparsable: { ...none, 'no rating': 1 },
        missing: 0,
      },
    ]);
  });

  it('of no replies say nothing', () => {
    expect(summarizeQuality(answers.slice(0, 1), new Map())).toMatchObject([{ n: 0, missing: 1 }]);
    expect(summarizeQuality(answers.slice(0, 1), new Map())[0]).not.toHaveProperty('mean');
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
  expect(summarizeQuality(answers, replies).map(({ group, n, mean }) => [group, n, mean])).toEqual([
    ['Baseline', 2, 1],
    ['Self-refined', 3, 7 / 3],
  ]);
});
