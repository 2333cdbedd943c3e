// decodeRows.test.ts: the schedule of batched decoding, played without a GPU: every prompt is answered once with its own
// tokens, places are never shared, rows are never wasted, and answers are told in order.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { DecodeRows } from '../../../src/model/decodeRows';

/** Plays answers of the given lengths (the last token is the end, unless cut) and returns what the GPU would compute. */
function play(lengths: readonly number[], places: number, steps: number, cut = Infinity) {
  const batch = new DecodeRows(lengths.length, places);
  let computed = 0;
  let turns = 0;
  let told = 0;
  const placeOf = new Map<number, number>();
  while (!batch.done) {
    if (turns++ > 10_000) throw new Error('the schedule does not end');
    const fresh = batch.admit();
    batch.rows.slice(0, fresh).forEach((row) => {
      expect(row.ids).toEqual([]);
      placeOf.set(row.prompt, row.place);
    });
    expect(batch.rows.length).toBeGreaterThan(0);
    expect(batch.rows.length).toBeLessThanOrEqual(places);
    expect(new Set(batch.rows.map(({ place }) => place)).size).toBe(batch.rows.length);
    for (const row of batch.rows) {
      expect(row.place).toBe(placeOf.get(row.prompt));
      expect(row.place).toBeLessThan(places);
    }
    computed += batch.rows.length * steps;
    batch.take(
      batch.rows.map(({ prompt, ids }) => {
        const whole = Math.min(lengths[prompt]!, cut);
        const to = Math.min(whole, ids.length + steps + (ids.length === 0 ? 1 : 0));
        const news = Array.from({ length: to - ids.length }, (_, i) => 1000 * prompt + ids.length + i);
        if (to < whole) return { ids: news, stopped: undefined };
        return { ids: news, stopped: whole < lengths[prompt]! ? ('length' as const) : ('eos' as const) };
      }),
    );
    const inOrder = batch.answersInOrder();
    expect(inOrder.length).toBeGreaterThanOrEqual(told);
    told = inOrder.length;
  }
  return { answers: batch.answersInOrder(), computed };
}

it('every prompt gets its own tokens in its own place, whatever the lengths, the batch and the steps', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 60 }),
      fc.integer({ min: 1, max: 20 }),
      fc.integer({ min: 1, max: 9 }),
      (lengths, places, steps) => {
        const { answers } = play(lengths, places, steps, 30);
        expect(answers).toEqual(
          lengths.map((length, p) => ({
            // The end token is not part of the answer; an answer that was cut has none.
            ids: Array.from({ length: Math.min(length - 1, 30) }, (_, i) => 1000 * p + i),
            stopped: length > 30 ? 'length' : 'eos',
          })),
        );
      },
    ),
    { seed: 1, numRuns: 200 },
  );
});

it('200 answers of 8 to 56 tokens, 64 rows: less than a sixth of the work is for nothing, where whole batches waste over a third', () => {
  const lengths = Array.from({ length: 200 }, (_, p) => 8 + ((p * 29) % 49));
  const useful = lengths.reduce((a, b) => a + b, 0);
  const { computed } = play(lengths, 64, 2);
  let whole = 0;
  for (let at = 0; at < 200; at += 64) whole += Math.max(...lengths.slice(at, at + 64)) * Math.min(64, 200 - at);
  expect(useful / whole).toBeLessThan(2 / 3);
  expect(useful / computed).toBeGreaterThan(5 / 6);
});

it('answers are told in the prompts’ order: an early one that is slow holds back the later', () => {
  const batch = new DecodeRows(3, 2);
  expect(batch.admit()).toBe(2);
  expect(
    batch.take([
      { ids: [5], stopped: undefined },
      { ids: [7, 2], stopped: 'eos' },
    ]),
  ).toBe(true);
  expect(batch.completed).toBe(1);
  expect(batch.answersInOrder()).toEqual([]);
  expect(batch.admit()).toBe(1);
  expect(batch.rows.map(({ prompt, place }) => [prompt, place])).toEqual([
    [2, 1],
    [0, 0],
  ]);
  batch.take([
    { ids: [9, 9], stopped: 'length' },
    { ids: [2], stopped: 'eos' },
  ]);
  expect(batch.done).toBe(true);
  expect(batch.answersInOrder()).toEqual([
    { ids: [5], stopped: 'eos' },
    { ids: [7], stopped: 'eos' },
    { ids: [9, 9], stopped: 'length' },
  ]);
});

it('waiting prompts wait until an eighth of the places is free, unless all that wait fit', () => {
  const batch = new DecodeRows(40, 32);
  expect(batch.admit()).toBe(32);
  const end = (rows: number[]) =>
    batch.take(batch.rows.map((_, r) => ({ ids: [1], stopped: rows.includes(r) ? 'eos' : undefined })));
  end([3, 4, 5]);
  expect(batch.admit()).toBe(0);
  end([0]);
  expect(batch.admit()).toBe(4); // 4 of 32; 4 still wait
  end([0, 1, 2, 3]);
  expect(batch.admit()).toBe(4);
  expect(batch.rows.length).toBe(32);
});
