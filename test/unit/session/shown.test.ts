// Texts of a run for whoever looks on: bounded in number and in length, whatever the run.
import { describe, expect, it } from 'vitest';
import { isShown, MOST_CHARACTERS, MOST_SHOWN, shortened, shownAnswers, shownPairs } from '../../../src/session/shown';
import type { PreferencePair } from '../../../src/recipes/pairs';

const shownOf = (total: number): number[] =>
  Array.from({ length: total }, (_, i) => i).filter((i) => isShown(i, total));

describe('what is shown of many', () => {
  it.each([0, 1, 63, 64])('all of %i', (total) => {
    expect(shownOf(total)).toHaveLength(total);
  });

  it.each([65, 100, 4000, 7473])('64 of %i, the first among them, evenly', (total) => {
    const shown = shownOf(total);
    expect(shown).toHaveLength(MOST_SHOWN);
    expect(shown[0]).toBe(0);
    const gaps = shown.slice(1).map((at, i) => at - shown[i]!);
    expect(Math.max(...gaps) - Math.min(...gaps)).toBeLessThanOrEqual(1);
  });

  it('of answers that come in batches the same as of all at once', () => {
    const items = Array.from({ length: 100 }, (_, i) => ({
      taskId: 'C',
      itemId: `${i}`,
      target: 'A',
      plain: { text: 'x', ids: [1] },
      cot: { text: 'x-hat', ids: [1] },
      teacher: { label: 't', text: 'a', ids: [1] },
      isCorrect: (text: string) => text === '7',
    }));
    const answers = items.flatMap((_, i) =>
      [0, 1].map((sample) => ({ ids: [i % 10, sample], stopped: 'eos' as const })),
    );
    const more = { items, samplesPerPrompt: 2, decode: (ids: readonly number[]) => `${ids[0]}` };
    const whole = shownAnswers('y-hat', answers, { ...more, first: 0 });
    const batched = [0, 33, 66, 99, 132, 165, 198].flatMap((first) =>
      shownAnswers('y-hat', answers.slice(first, first + 33), { ...more, first }),
    );
    expect(batched).toEqual(whole);
    expect(whole).toHaveLength(MOST_SHOWN);
    for (const { index, text, correct, prompt } of whole) {
      expect(text).toBe(`${Math.floor(index / 2) % 10}`);
      expect(correct).toBe(text === '7');
      expect(prompt).toBe('x-hat');
    }
  });
});

describe('long texts', () => {
  it('are cut with a note, 1 MB of one word too', () => {
    const word = 'a'.repeat(1_000_000);
    const cut = shortened(word);
    expect(cut.length).toBeLessThan(MOST_CHARACTERS + 60);
    expect(cut).toContain('cut: 1000000 characters');
    expect(shortened('a'.repeat(MOST_CHARACTERS))).toHaveLength(MOST_CHARACTERS);
    const pair = { text: word, ids: [1], from: 'student' as const };
    const many = Array.from({ length: 500 }, (_, i): PreferencePair => {
      return {
        taskId: 'C',
        itemId: `${i}`,
        sample: 0,
        target: 'A',
        prompt: { text: word, ids: [] },
        chosen: pair,
        rejected: pair,
        cases: [],
      };
    });
    expect(JSON.stringify(shownPairs(many)).length).toBeLessThan(MOST_SHOWN * 3 * (MOST_CHARACTERS + 200));
  });

  it('are never cut within a character', () => {
    const emoji = `x${'😀'.repeat(MOST_CHARACTERS)}`;
    expect(shortened(emoji)).not.toMatch(/[\uD800-\uDBFF](?![\uDC00-\uDFFF])/);
  });
});
