// readAhead.test.ts: reads come in order, so many at a time, and an error in its turn.
import { expect, it } from 'vitest';
import { readAhead } from '../../../src/formats/readAhead';

const later = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

it('gives results in order though later reads end first, with `depth` asked for beside the one in use', async () => {
  const asked: number[] = [];
  const ends: (() => void)[] = [];
  const reads = Array.from({ length: 9 }, (_, i) => (): Promise<number> => {
    asked.push(i);
    return new Promise((resolve) => (ends[i] = () => resolve(i)));
  });
  const got: number[] = [];
  const all = (async () => {
    for await (const value of readAhead(reads, 3)) {
      got.push(value);
      expect(asked.length).toBe(Math.min(9, value + 1 + 3));
    }
  })();
  await later(1);
  expect(asked).toEqual([0, 1, 2]);
  for (const last of [2, 5, 8]) {
    for (const i of [last, last - 1, last - 2]) {
      expect(got.length).toBe(last - 2);
      ends[i]!();
      await later(1);
    }
    expect(got.length).toBe(last + 1);
  }
  await all;
  expect(got).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
});

it('asks for no read that is not due yet', async () => {
  let asked = 0;
  function* reads(): Generator<() => Promise<number>> {
    for (;;) yield () => Promise.resolve(asked++);
  }
  for await (const value of readAhead(reads(), 4)) if (value === 2) break;
  expect(asked).toBe(7); // 0, 1, 2, and four ahead
});

it('throws a failure when its turn comes, and none that nobody waits for', async () => {
  const got: number[] = [];
  const fail = (text: string) => (): Promise<number> => Promise.reject(new Error(text));
  const reads = [(): Promise<number> => later(5).then(() => 0), fail('second'), fail('third')];
  const all = async (): Promise<void> => {
    for await (const value of readAhead(reads, 3)) got.push(value);
  };
  await expect(all()).rejects.toThrow('second');
  expect(got).toEqual([0]);
  await later(5);
});
