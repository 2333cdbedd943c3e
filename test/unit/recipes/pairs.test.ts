// Preference pairs by eq. 4 and 5, case by case, with every count; the validation split.
import { describe, expect, it } from 'vitest';
import { PAIR_CASES } from '../../../src/config/pairCases';
import type { Generation } from '../../../src/model/generator';
import {
  buildPairs,
  describeCounts,
  splitValidation,
  type PairRules,
  type PreferencePair,
  type RefineItem,
} from '../../../src/recipes/pairs';

// Token ids stand for letters: 65 = "A". 2 ends a text.
const EOS = 2;
const ids = (text: string): number[] => [...text].map((letter) => letter.charCodeAt(0));
const says = (text: string): Generation => ({ ids: ids(text), stopped: 'eos' });
const cutOff = (text: string): Generation => ({ ids: ids(text), stopped: 'length' });

const rules: PairRules = {
  direction: 'cot',
  samplesPerPrompt: 1,
  wrongTeacher: 'keep',
  rejectOnlyWrong: false,
  maxTokens: 40,
  eosId: EOS,
  decode: (tokens) => String.fromCharCode(...tokens).trim(),
};

function item(overrides: Partial<RefineItem> & { teacherSays?: string } = {}): RefineItem {
  const teacherSays = overrides.teacherSays ?? 'so it is 7';
  return {
    taskId: 't',
    itemId: 'i',
    target: '7',
    plain: { text: 'x', ids: [10, 11] },
    cot: { text: 'x-hat', ids: [10, 11, 12] },
    teacher: { label: 'teacher', text: teacherSays, ids: [...ids(teacherSays), EOS] },
    isCorrect: (text) => text.endsWith('7'),
    ...overrides,
  };
}

/** One item, one sample. */
function one(y: Generation, yHat: Generation, change: Partial<PairRules> = {}, of: RefineItem = item()) {
  const { pairs, counts } = buildPairs([of], [y], [yHat], { ...rules, ...change });
  return { pair: pairs[0], counts };
}

describe('DPO_CoT (eq. 4)', () => {
  it('ŷ with the target is chosen, y rejected, both under x̂', () => {
    const { pair, counts } = one(says('8'), says('3+4=7'));
    expect(pair).toMatchObject({
      chosen: { text: '3+4=7', from: 'student', ids: [...ids('3+4=7'), EOS] },
      rejected: { text: '8', from: 'student', ids: [...ids('8'), EOS] },
      prompt: { ids: [10, 11, 12] },
    });
    expect(counts).toMatchObject({ prompts: 1, pairs: 1, cot_correct: 1, teacher_fallback: 0, plain_correct: 0 });
  });

  it('ŷ without the target: the demonstration’s answer is chosen', () => {
    const { pair, counts } = one(says('8'), says('3+4=9'));
    expect(pair?.chosen).toEqual({ text: 'so it is 7', from: 'teacher', ids: [...ids('so it is 7'), EOS] });
    expect(counts).toMatchObject({ cot_correct: 0, teacher_fallback: 1, teacher_wrong: 0, pairs: 1 });
  });

  it('says what the teacher’s answer took the place of, and who the teacher is', () => {
    expect(one(says('8'), cutOff('3+4=9')).pair).toMatchObject({
      teacher: 'teacher',
      replaced: { text: '3+4=9', cutOff: true },
    });
    const own = one(says('8'), says('3+4=7')).pair;
    expect(own?.teacher).toBe('teacher');
    expect(own).not.toHaveProperty('replaced');
  });

  it('the teacher is wrong too: kept as the paper’s text has it, or dropped; counted either way', () => {
    const wrong = item({ teacherSays: 'so it is 5' });
    expect(one(says('8'), says('9'), {}, wrong).counts).toMatchObject({
      teacher_wrong: 1,
      teacher_wrong_dropped: 0,
      pairs: 1,
    });
    const dropped = one(says('8'), says('9'), { wrongTeacher: 'drop' }, wrong);
    expect(dropped.pair).toBeUndefined();
    expect(dropped.counts).toMatchObject({ teacher_wrong: 1, teacher_wrong_dropped: 1, pairs: 0 });
    // A right ŷ needs no teacher.
    expect(one(says('8'), says('=7'), { wrongTeacher: 'drop' }, wrong).counts).toMatchObject({
      teacher_wrong: 0,
      pairs: 1,
    });
  });

  it('a correct y is rejected all the same, unless only wrong answers may be', () => {
    expect(one(says('7'), says('3+4=7')).counts).toMatchObject({
      plain_correct: 1,
      plain_correct_skipped: 0,
      pairs: 1,
    });
    const skipped = one(says('7'), says('3+4=7'), { rejectOnlyWrong: true });
    expect(skipped.pair).toBeUndefined();
    expect(skipped.counts).toMatchObject({ plain_correct: 1, plain_correct_skipped: 1, pairs: 0 });
  });

  it('y = y_w makes no pair, also where y repeats the teacher', () => {
    expect(one(says('=7'), says('=7')).counts).toMatchObject({ identical_skipped: 1, pairs: 0 });
    expect(one(says('so it is 7'), says('9')).counts).toMatchObject({ identical_skipped: 1, pairs: 0 });
  });

  it('answers cut off by the limit get no end of text and are counted', () => {
    const { pair, counts } = one(cutOff('8 8 8'), cutOff('= 7'));
    expect(pair?.chosen.ids).toEqual(ids('= 7'));
    expect(pair?.rejected.ids).toEqual(ids('8 8 8'));
    expect(counts).toMatchObject({ cot_cut_off: 1, plain_cut_off: 1, chosen_cut_off: 1 });
  });

  it('an empty y is a pair whose rejected answer is the end of text alone', () => {
    const { pair, counts } = one(says(''), says('=7'));
    expect(pair?.rejected.ids).toEqual([EOS]);
    expect(counts).toMatchObject({ empty: 1, pairs: 1 });
  });

  it('a pair that exceeds the context is left out', () => {
    expect(one(says('8'), says('7'.repeat(40))).counts).toMatchObject({ too_long: 1, pairs: 0 });
  });

  it('counts a y that reasons unasked', () => {
    const long = Array.from({ length: 13 }, () => 'a').join(' ');
    expect(one(says(long), says('=7'), { maxTokens: 100 }).counts.plain_reasons).toBe(1);
    expect(one(says('a b c'), says('=7')).counts.plain_reasons).toBe(0);
  });

  it('several samples a prompt: sample s of item i is entry k·i + s', () => {
    const items = [item({ itemId: 'a' }), item({ itemId: 'b' })];
    const { pairs, counts } = buildPairs(items, ['1', '2', '3', '4'].map(says), ['a7', 'b7', 'c7', 'd7'].map(says), {
      ...rules,
      samplesPerPrompt: 2,
    });
    expect(pairs.map((pair) => `${pair.itemId}${pair.sample} ${pair.chosen.text} ${pair.rejected.text}`)).toEqual([
      'a0 a7 1',
      'a1 b7 2',
      'b0 c7 3',
      'b1 d7 4',
    ]);
    expect(counts.prompts).toBe(4);
  });
});

describe('DPO_answer (eq. 5)', () => {
  it('y is chosen and ŷ rejected, both under x, whatever is correct', () => {
    const { pair, counts } = one(says('8'), says('3+4=7'), { direction: 'answer' });
    expect(pair).toMatchObject({ chosen: { text: '8' }, rejected: { text: '3+4=7' }, prompt: { ids: [10, 11] } });
    expect(counts).toMatchObject({ cot_correct: 1, teacher_fallback: 0, pairs: 1 });
  });
});

describe('counts', () => {
  it('every case has a line in the run log, zeros included', () => {
    const { counts } = one(says('8'), says('=7'));
    const lines = describeCounts(counts);
    expect(lines).toHaveLength(Object.keys(PAIR_CASES).length);
    expect(lines.find((line) => line.includes('teacher_wrong_dropped'))).toMatch(/^0 /);
  });
});

describe('validation split', () => {
  const pairs = (n: number, k = 1): PreferencePair[] =>
    Array.from({ length: n }, (_, i) => ({
      taskId: 't',
      itemId: String(Math.floor(i / k)),
      sample: i % k,
      target: '7',
      prompt: { text: '', ids: [1] },
      chosen: { text: '', ids: [1], from: 'student' as const },
      rejected: { text: '', ids: [2], from: 'student' as const },
      cases: [],
    }));
  const sizes = (n: number, k = 1, o = {}): [number, number] => {
    const { training, validation } = splitValidation(pairs(n, k), { fraction: 0.05, least: 8, seed: 1, ...o });
    expect([...training, ...validation].sort((a, b) => a - b)).toEqual(Array.from({ length: n }, (_, i) => i));
    return [training.length, validation.length];
  };

  it('5 %, at least 8, never more than half', () => {
    expect(sizes(420)).toEqual([399, 21]);
    expect(sizes(100)).toEqual([92, 8]);
    expect(sizes(10)).toEqual([5, 5]);
    expect(sizes(3)).toEqual([2, 1]);
    expect(sizes(1)).toEqual([1, 0]);
    expect(sizes(0)).toEqual([0, 0]);
    expect(sizes(100, 1, { fraction: 0, least: 0 })).toEqual([100, 0]);
  });

  it('is seeded, and all pairs of a question fall on one side', () => {
    const all = pairs(60, 3);
    const o = { fraction: 0.2, least: 0, seed: 1 };
    const { validation } = splitValidation(all, o);
    expect(splitValidation(all, o).validation).toEqual(validation);
    expect(splitValidation(all, { ...o, seed: 2 }).validation).not.toEqual(validation);
    const heldItems = new Set(validation.map((i) => all[i]!.itemId));
    expect(validation).toHaveLength(heldItems.size * 3);
  });
});
