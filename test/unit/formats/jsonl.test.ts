// Claims about formats/jsonl.ts: lines survive any cut of the stream; a bad line is reported by number and stops nothing.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseJsonl, type JsonlLine } from '../../../src/formats/jsonl';
import { anyText, bytesAt, DATA, expectRefusal, onlyPupilErrors, text } from './files';

type Input = Parameters<typeof parseJsonl>[0];
async function linesOf(input: Input, maxLineBytes?: number): Promise<JsonlLine[]> {
  const lines: JsonlLine[] = [];
  for await (const line of parseJsonl(input, 'd.jsonl', maxLineBytes)) lines.push(line);
  return lines;
}
/** Values, and for bad lines `number: message`. */
const shown = (lines: JsonlLine[]): unknown[] =>
  lines.map((line) => ('value' in line ? line.value : `${line.lineNumber}: ${line.error.message}`));
async function* pieces<T>(...items: T[]): AsyncGenerator<T> {
  for (const item of items) yield await Promise.resolve(item);
}

describe('parseJsonl', () => {
  it('accepts a byte-order mark, CRLF, blank lines and a missing last newline; numbers count blank lines', async () => {
    const lines = await linesOf('\ufeff{"a":1}\r\n\r\n  \n[2]\n"x\u2028y"');
    expect(lines).toEqual([
      { lineNumber: 1, value: { a: 1 } },
      { lineNumber: 4, value: [2] },
      { lineNumber: 5, value: 'x\u2028y' },
    ]);
  });

  it('a bad line is reported with its number and reason, and the next one read', async () => {
    const lines = shown(await linesOf('1\n{"a":\n{"a":1}{"b":2}\n4\n{"cut": "o'));
    expect([lines[0], lines[3]]).toEqual([1, 4]);
    for (const [i, number] of [
      [1, 2],
      [2, 3],
      [4, 5],
    ] as const) {
      expect(lines[i]).toMatch(new RegExp(`^${number}: d\\.jsonl:${number}: expected JSON, .+`));
    }
  });

  it('a line that is not UTF-8 is reported, the others read', async () => {
    const bytes = Uint8Array.of(0x31, 0x0a, 0x22, 0xff, 0x22, 0x0a, 0x33);
    expect(shown(await linesOf(pieces(bytes)))).toEqual([1, '2: d.jsonl:2: expected JSON, the line is not UTF-8', 3]);
  });

  it('a line over the limit is reported without being held', async () => {
    const lines = shown(await linesOf(pieces('1\n"', 'x'.repeat(40), 'x'.repeat(40), '"\n3\n'), 16));
    expect(lines).toEqual([1, '2: d.jsonl:2: expected JSON, the line is longer than 16 bytes', 3]);
  });

  it('a Git-LFS pointer or a web page is refused as a whole', async () => {
    const pointer = 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n';
    await expectRefusal(() => linesOf(pointer), 'format', 'd.jsonl', 'Git-LFS pointer');
    await expectRefusal(() => linesOf(pieces(text('<!doctype html>\n<p>'))), 'format', 'd.jsonl', 'HTML');
  });

  it('nothing gives nothing', async () => {
    expect(await linesOf('')).toEqual([]);
    expect(await linesOf(pieces())).toEqual([]);
  });

  it('any values, cut anywhere as bytes or as text, come back in order', async () => {
    const values = fc.array(fc.oneof(fc.jsonValue(), anyText()), { maxLength: 8 });
    const cuts = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(values, cuts, fc.boolean(), async (items, sizes, asBytes) => {
        const whole = items.map((item) => JSON.stringify(item)).join('\n');
        const source = asBytes ? text(whole) : whole;
        const parts: (string | Uint8Array)[] = [];
        for (let at = 0, i = 0; at < source.length; i++) {
          const size = sizes[i % sizes.length]!;
          parts.push(source.slice(at, at + size));
          at += size;
        }
        const wanted = JSON.parse(JSON.stringify(items)) as unknown[];
        expect(shown(await linesOf(pieces(...parts)))).toEqual(wanted);
      }),
      { numRuns: 200 },
    );
  });

  it('random bytes give lines, errors, or a PupilError', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 100 }), (bytes) => onlyPupilErrors(() => linesOf(pieces(bytes)))),
      { numRuns: 300 },
    );
  });

  it.skipIf(DATA === undefined)('GSM8K test: 1319 rows (needs PUPIL_DATA)', async () => {
    const lines = await linesOf(pieces(bytesAt(`${DATA}/gsm8k/test.jsonl`)));
    expect(lines).toHaveLength(1319);
    expect(lines.every((line) => 'value' in line)).toBe(true);
  });
});
