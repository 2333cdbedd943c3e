// vote.test.ts: the answer of most samples, ties, samples without an answer, and answers written in several ways.
import { describe, expect, it } from 'vitest';
import { sameExpression } from '../../../src/tasks/extract/expression';
import { extractNumber } from '../../../src/tasks/extract/number';
import { majorityVote } from '../../../src/tasks/vote';

const answers = (...list: (string | undefined)[]) => list.map((answer) => (answer === undefined ? {} : { answer }));

describe('majorityVote', () => {
  it('takes the most frequent answer', () => {
    expect(majorityVote(answers('A', 'B', 'B', 'C'))).toEqual({ answer: 'B', votes: 2, answered: 4, samples: 4 });
  });

  it('a tie goes to the answer that came first', () => {
    expect(majorityVote(answers('B', 'A', 'A', 'B')).answer).toBe('B');
    expect(majorityVote(answers('A', 'B', 'B', 'A')).answer).toBe('A');
    expect(majorityVote(answers('C', 'A', 'A', 'B', 'B')).answer).toBe('A');
  });

  it('samples without an answer do not vote, but are counted', () => {
    const vote = majorityVote(answers(undefined, undefined, undefined, '7'));
    expect(vote).toEqual({ answer: '7', votes: 1, answered: 1, samples: 4 });
    expect(majorityVote(answers(undefined))).toEqual({ votes: 0, answered: 0, samples: 1 });
    expect(majorityVote([])).toEqual({ votes: 0, answered: 0, samples: 0 });
  });

  it('counts answers as the task compares them', () => {
    const given = answers('3', '\\frac{1}{2}', '\\frac12', '3', '0.5');
    expect(majorityVote(given).answer).toBe('3');
    expect(majorityVote(given, sameExpression)).toMatchObject({ answer: '\\frac{1}{2}', votes: 3 });
  });

  it('works on what the extractors give', () => {
    const texts = ['The answer is 8.', 'So 4 + 4 = 8', 'I do not know.', 'The answer is 9.0'];
    expect(majorityVote(texts.map(extractNumber))).toEqual({ answer: '8', votes: 2, answered: 3, samples: 4 });
  });
});
