// paired.test.ts: two systems on the same questions: counts, McNemar, and Newcombe's paired interval against numbers worked out
// apart from the code; questions that do not match are told, never counted.
import { describe, expect, it } from 'vitest';
import { pairedDifferenceInterval, type PairedCounts } from '../../../src/base/statistics';
import type { AnswerRow, Row } from '../../../src/report/answers';
import { comparePaired } from '../../../src/report/paired';

const counts = (both: number, onlyFirst: number, onlySecond: number, neither: number): PairedCounts => ({
  both,
  onlyFirst,
  onlySecond,
  neither,
});
const ROW: Row = { system: 'Baseline', taskId: 'T', prompt: 'cot', scorer: 'strict' };

/** Answers to q0, q1, …: `1101`. */
const answers = (marks: string, change: (i: number) => Partial<AnswerRow> = () => ({})): AnswerRow[] =>
  Array.from(marks, (mark, i) => ({
    system: 'Baseline',
    taskId: 'T',
    prompt: 'cot',
    itemId: `q${i}`,
    target: 'A',
    correct: { strict: mark === '1' },
    ...change(i),
  }));
const compare = (first: AnswerRow[], second: AnswerRow[]) =>
  comparePaired({ row: ROW, answers: first }, { row: ROW, answers: second });

describe('pairedDifferenceInterval', () => {
  // First less second, by the formula of Newcombe 1998 (method 10) in Python; (36, 12, 2, 0) is his example, and (1, 1, 7, 12)
  // that of Fagerland et al. 2014, who print −0.507 to −0.026.
  it.each([
    [counts(14, 5, 0, 22), 0.011483241383033305, 0.2264926843512112],
    [counts(36, 12, 2, 0), 0.05692958400323869, 0.3404276029749407],
    [counts(1, 1, 7, 12), -0.506920226686141, -0.02555912416485978],
    [counts(50, 0, 0, 50), -0.019233693926800913, 0.019233693926800913],
    [counts(0, 0, 0, 4), -0.4898908364545973, 0.4898908364545973],
    [counts(20, 8, 3, 9), -0.039870551658435976, 0.27975344409224984],
  ])('of %j', (of, low, high) => {
    // Ours is second less first.
    const interval = pairedDifferenceInterval(of);
    expect(interval.low).toBeCloseTo(-high, 12);
    expect(interval.high).toBeCloseTo(-low, 12);
  });

  it('of the two exchanged is the same with its sign turned', () => {
    const [there, back] = [counts(20, 8, 3, 9), counts(20, 3, 8, 9)].map((of) => pairedDifferenceInterval(of));
    expect(there!.low).toBeCloseTo(-back!.high, 14);
  });

  it('of nothing is everything, and refuses what is no count', () => {
    expect(pairedDifferenceInterval(counts(0, 0, 0, 0))).toEqual({ low: -1, high: 1 });
    expect(() => pairedDifferenceInterval(counts(1, -1, 0, 0))).toThrow(RangeError);
  });
});

describe('comparePaired', () => {
  it('counts who was right where the other was wrong, and tests that', () => {
    const result = compare(answers('1111000000'), answers('1000111110'));
    expect(result.counts).toEqual(counts(1, 3, 5, 1));
    expect(result).toMatchObject({
      n: 10,
      difference: 0.2,
      warnings: [],
      unmatched: { first: 0, second: 0, different: 0 },
    });
    expect(result.p).toBeCloseTo((2 * (1 + 8 + 28 + 56)) / 256, 12); // P(X ≤ 3), X ~ Bin(8, ½), both sides
    expect(result.interval).toEqual({
      method: 'Newcombe, paired',
      ...pairedDifferenceInterval(counts(1, 3, 5, 1)),
      clusters: 10,
    });
  });

  it('matches by id, whatever the order, and tells how many do not match', () => {
    const second = answers('11110').reverse();
    const result = compare(answers('1010'), second);
    expect(result.n).toBe(4);
    expect(result.counts).toEqual(counts(2, 0, 2, 0));
    expect(result.unmatched).toEqual({ first: 0, second: 1, different: 0 });
    expect(result.warnings[0]).toContain('4 match, 0 are answered by the first only, 1 by the second only');
  });

  it('leaves out a question whose id is the same and whose target or wording is not', () => {
    const other = answers('1100', (i) => (i === 0 ? { target: 'B' } : i === 1 ? { question: 'new?' } : {}));
    const result = compare(
      answers('1100', () => ({ question: 'old?' })),
      other,
    );
    expect(result.n).toBe(2);
    expect(result.unmatched.different).toBe(2);
    expect(result.warnings.join()).toContain('2 questions of one id ask something else');
  });

  it('resamples questions of one content together, and says that the test does not', () => {
    const content = (i: number): Partial<AnswerRow> => ({ content: `c${i >> 1}` });
    const result = compare(answers('110000', content), answers('111100', content));
    expect(result.interval).toMatchObject({ method: 'cluster bootstrap', clusters: 3 });
    expect(result.warnings.join()).toContain('Of 6 questions 3 are different');
  });

  it('refuses tasks that differ, rows that are not there, and runs with no question in common', () => {
    const side = { row: ROW, answers: answers('11') };
    expect(() => comparePaired(side, { ...side, row: { ...ROW, taskId: 'U' } })).toThrow(
      'expected one task, got T and U',
    );
    expect(() => comparePaired(side, { ...side, row: { ...ROW, scorer: 'probing' } })).toThrow(
      /expected answers of Baseline to T/,
    );
    const elsewhere = answers('11', (i) => ({ itemId: `other${i}` }));
    expect(() => compare(answers('11'), elsewhere)).toThrow('of 2 and 2 none match');
    expect(() =>
      compare(
        answers('11'),
        answers('11', () => ({ target: 'B' })),
      ),
    ).toThrow('2 questions of one id ask something else');
  });

  it('says where prompt or scorer differ', () => {
    const both = [...answers('10'), ...answers('11', () => ({ prompt: 'plain' }))];
    const result = comparePaired({ row: { ...ROW, prompt: 'plain' }, answers: both }, { row: ROW, answers: both });
    expect(result.counts).toEqual(counts(1, 1, 0, 0));
    expect(result.warnings).toEqual([
      'The two were asked or scored in different ways: the difference is of these, too.',
    ]);
  });
});
