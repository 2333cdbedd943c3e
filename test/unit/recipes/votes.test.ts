// votes.test.ts: answers to one question as a vote: whose samples they are, ties, samples without an answer, answers written in
// several ways, and accuracies of votes with what was cut off. The counting alone is test/unit/tasks/vote.test.ts.
import { describe, expect, it } from 'vitest';
import type { Generation } from '../../../src/model/generator';
import { voteAccuracy, voteOnAnswers, type Question } from '../../../src/recipes/evaluate';
import { judgeItem, sameAnswer } from '../../../src/tasks/score';
import type { TaskItem, TaskKind } from '../../../src/tasks/task';

const question = (kind: TaskKind, item: TaskItem): Question => ({
  itemId: item.id,
  prompt: '',
  ids: [],
  target: item.target,
  judges: [],
  read: (text) => judgeItem(kind, item, text),
  isSame: (a, b) => sameAnswer(kind, item, a, b),
});
const choice = question('choice', { id: 'c', question: '?', choices: ['owl', 'cod', 'ant', 'cod'], target: 'B' });
const sum = question('number', { id: 'n', question: '?', target: '39' });
const formula = question('expression', { id: 'e', question: '?', target: '\\frac{1}{2}' });

/** Ids are indices of texts. */
function vote(questions: Question[], k: number, texts: string[], cut: number[] = []) {
  const answers = texts.map((_, i): Generation => ({ ids: [i], stopped: cut.includes(i) ? 'length' : 'eos' }));
  return voteOnAnswers(questions, answers, k, ([id]) => texts[id!]!);
}
const says = (answer: string): string => `Because. The answer is ${answer}.`;

describe('votes', () => {
  it('each question has its own k samples, in their order', () => {
    const texts = [says('A'), says('B) cod'), says('B'), says('7'), says('39'), says('39.0')];
    const [first, second] = vote([choice, sum], 3, texts);
    expect(first).toMatchObject({ itemId: 'c', answer: 'B', votes: 2, answered: 3, samples: 3, correct: true });
    expect(second).toMatchObject({ itemId: 'n', answer: '39', votes: 2, answered: 3, samples: 3, correct: true });
    expect([first!.texts, second!.texts]).toEqual([texts.slice(0, 3), texts.slice(3)]);
  });

  it('a tie goes to the answer sampled first, right or wrong', () => {
    expect(vote([choice], 4, [says('A'), says('B'), says('B'), says('A')])[0]).toMatchObject({
      answer: 'A',
      correct: false,
    });
    expect(vote([choice], 4, [says('B'), says('A'), says('A'), says('B')])[0]).toMatchObject({
      answer: 'B',
      correct: true,
    });
  });

  it('answers that are the same vote together, however they are written', () => {
    expect(vote([sum], 3, [says('40'), says('39'), says('39.00')])[0]).toMatchObject({ votes: 2, correct: true });
    // Two options of one text are one answer; the target is the other of them.
    expect(vote([choice], 3, [says('A'), says('D'), says('B')])[0]).toMatchObject({ votes: 2, correct: true });
    const halves = ['\\boxed{\\frac12}', '\\boxed{3}', '\\boxed{0.5}'];
    expect(vote([formula], 3, halves)[0]).toMatchObject({ votes: 2, correct: true });
  });

  it('samples without an answer do not vote; with none at all the vote is wrong', () => {
    expect(vote([sum], 4, ['Hm.', 'Hm.', 'Hm.', says('39')])[0]).toMatchObject({
      answer: '39',
      votes: 1,
      answered: 1,
      samples: 4,
      correct: true,
    });
    const [none] = vote([sum], 2, ['Hm.', '']);
    expect(none).toMatchObject({ votes: 0, answered: 0, samples: 2, correct: false });
    expect(none).not.toHaveProperty('answer');
  });

  it('accuracy is over questions, what was cut off over samples', () => {
    const texts = [says('B'), says('B'), says('A'), says('A')];
    expect(voteAccuracy(vote([choice, choice], 2, texts, [0, 3]), 'self-consistency (2)')).toMatchObject({
      scorer: 'self-consistency (2)',
      correct: 1,
      n: 2,
      cutOff: 2,
    });
  });
});
