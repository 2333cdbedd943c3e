// A file of JSON lines in slices: every row, damage counted and told, the page given its turn, and left when nobody waits.
import { describe, expect, it } from 'vitest';
import { readLines } from '../../../../src/app/inside/readLines';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const same = (value: unknown): unknown => value;

describe('readLines', () => {
  it('reads rows in order with their lines, blank lines and a missing last line break included', async () => {
    const read = await readLines(bytes('{"a":1}\n\n  \r\n{"a":"ü → 🎓"}\r\n{"a":3}'), (value, line) => ({
      value,
      line,
    }));
    expect(read!.rows).toEqual([
      { value: { a: 1 }, line: 0 },
      { value: { a: 'ü → 🎓' }, line: 3 },
      { value: { a: 3 }, line: 4 },
    ]);
    expect(read!.damaged).toEqual({ count: 0, examples: [] });
  });

  it('counts damaged lines, names the first of them, and keeps the others', async () => {
    const torn = Array.from({ length: 8 }, (_, i) => `{"a":${i}`).join('\n');
    const read = await readLines(bytes(`{"a":1}\n${torn}\n{"a":2}\n{"b":0}\n`), (value) => {
      if (!('a' in (value as object))) throw new Error('expected a');
      return value;
    });
    expect(read!.rows).toEqual([{ a: 1 }, { a: 2 }]);
    expect(read!.damaged.count).toBe(9);
    expect(read!.damaged.examples.map(({ line }) => line)).toEqual([2, 3, 4, 5, 6]);
  });

  it('gives the page its turn every 12 ms of work, and says how far it is', async () => {
    let clock = 0;
    const shares: number[] = [];
    let longest = 0;
    let since = 0;
    await readLines(bytes('[1]\n'.repeat(100)), same, {
      now: () => (clock += 1), // a line takes a millisecond
      pause: () => {
        longest = Math.max(longest, clock - since);
        since = clock;
        return Promise.resolve();
      },
      onShare: (share) => shares.push(share),
    });
    expect(shares.length).toBeGreaterThan(5);
    expect(longest).toBeLessThanOrEqual(16);
    expect([...shares].sort((a, b) => a - b)).toEqual(shares);
  });

  it('ends when nobody waits for the rest', async () => {
    let rows = 0;
    let clock = 0;
    const read = await readLines(
      bytes('[1]\n'.repeat(1000)),
      (value) => {
        rows++;
        return value;
      },
      { now: () => (clock += 5), isOver: () => rows > 10 },
    );
    expect(read).toBeUndefined();
    expect(rows).toBeLessThan(20);
  });
});
