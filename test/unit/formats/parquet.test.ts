// Claims about formats/parquet*.ts: files as Arrow writes them give its rows in every compression and page layout that is
// taken; a file that is none, is cut off, damaged or lies about its sizes gives a PupilError, soon. How the fixtures were made:
// test/fixtures/parquet/README.md.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PupilError } from '../../../src/base/errors';
import { parquetToJsonLines } from '../../../src/formats/parquet';
import { isParquet } from '../../../src/formats/parquetMagic';
import { countInRuns } from '../../../src/formats/parquetPages';
import { readParquet } from '../../../src/formats/parquetRead';
import { thriftStructEnd } from '../../../src/formats/parquetThrift';
import { readRows } from '../../../src/formats/rows';
import { bytesAt, expectRefusal, onlyPupilErrors, text } from './files';

const fixture = (name: string): Uint8Array => bytesAt(`test/fixtures/parquet/${name}.parquet`);
const WHOLE = ['none', 'snappy', 'gzip', 'zstd', 'brotli', 'lz4', 'plain', 'pages_v1', 'pages_v2'];
const ROWS = new TextDecoder()
  .decode(bytesAt('test/fixtures/parquet/rows.jsonl'))
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as Record<string, unknown>);
const parsed = async (bytes: Uint8Array): Promise<unknown[]> =>
  (await parquetToJsonLines(bytes, 'x.parquet')).split('\n').map((line) => JSON.parse(line) as unknown);

/** A file with this footer, or these bytes as one, and a footer length, truthful or not. */
function withFooter(footer: Uint8Array, length = footer.byteLength): Uint8Array {
  const out = new Uint8Array(4 + footer.byteLength + 8);
  out.set(text('PAR1'));
  out.set(footer, 4);
  new DataView(out.buffer).setUint32(4 + footer.byteLength, length, true);
  out.set(text('PAR1'), 8 + footer.byteLength);
  return out;
}

describe('rows', () => {
  it.each(WHOLE)('%s: texts, numbers, dates, nulls, lists, structs of lists and lists of structs', async (name) => {
    expect(await parsed(fixture(name))).toEqual(ROWS);
  });

  it('delta encodings', async () => {
    expect(await parsed(fixture('delta'))).toEqual(
      ROWS.map(({ id, count, big, score }) => ({ id, count, big, score })),
    );
  });

  it('whole numbers are numbers where those are exact, else texts', async () => {
    const rows = await readParquet(fixture('none'), 'x');
    expect(rows.slice(0, 3).map(({ big, unsigned, count }) => [big, unsigned, count])).toEqual([
      [9007199254740991, 0, -5],
      ['-4611686018427387904', '18446744073709551615', -2],
      [7, 2147483648, null],
    ]);
  });

  it('line n is row n, also where there is one row only and it looks like a container of rows', async () => {
    const lines = (await parquetToJsonLines(fixture('snappy'), 'x')).split('\n');
    expect(lines).toHaveLength(ROWS.length);
    expect(JSON.parse(lines[17]!)).toEqual(ROWS[17]);
    const one = await parquetToJsonLines(bytesAt('test/fixtures/parquet/one_row.parquet'), 'x');
    const { rows } = readRows({ path: 'x.parquet', text: one });
    expect(rows).toEqual([{ value: { data: [{ a: 1 }, { a: 2 }] }, path: 'x.parquet', line: 1 }]);
  });

  it('a file is parquet by its name, or by its first and last bytes', () => {
    expect(isParquet('a/train-00000-of-00001.parquet', text('{}'))).toBe(true);
    expect(isParquet('a.bin', fixture('none'))).toBe(true);
    expect(isParquet('a.jsonl', text('PAR1 is how it begins'))).toBe(false);
    expect(isParquet('parquet.jsonl', text('{}'))).toBe(false);
  });
});

describe('what is no parquet file that Pupil takes', () => {
  it.each([
    ['an empty one', new Uint8Array(0), 'the file is empty'],
    ['JSON lines', text('{"question": "How many?", "answer": "3"}\n'), 'do not begin with PAR1'],
    [
      'a Git-LFS pointer',
      text('version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n'),
      'Git-LFS pointer',
    ],
    ['a web page', text('<!doctype html><title>404</title>'), 'HTML'],
    ['its first four bytes', text('PAR1'), 'ends with PAR1'],
    ['its magic twice over', text('PAR1PAR1'), 'ends with PAR1'],
    ['an encrypted one', text('PARE............PARE'), 'encrypted'],
    ['one without rows', fixture('no_rows'), 'the parquet file has none'],
    ['an encoding', fixture('delta_byte_array'), 'encoding DELTA_BYTE_ARRAY, which is not supported'],
    ['too many rows', fixture('many_rows'), 'at most 4194304 rows, the footer says 5000000'],
    ['a page of 300 MB in 9 kB', fixture('long_text'), 'bytes unpacked, more than 268435456'],
    ['a footer of no length', withFooter(new Uint8Array(8), 0), 'got one of 0'],
    ['a footer longer than the file', withFooter(new Uint8Array(8), 9), 'got one of 9'],
    ['a footer of 4 GB', withFooter(new Uint8Array(8), 0xffffffff), 'got one of 4294967295'],
    ['a footer of zeros', withFooter(new Uint8Array(8)), 'a parquet file that can be read'],
    ['a number without end', withFooter(new Uint8Array(2e6).fill(0x80).fill(0x15, 0, 1)), 'longer than 64 bits'],
    ['structs in structs', withFooter(new Uint8Array(1e5).fill(0x1c)), 'nests too deep'],
    ['a list of 2^31', withFooter(Uint8Array.of(0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 7, 0, 0)), 'counts 2147483647'],
  ])('%s', async (_, bytes, words) => {
    await expectRefusal(() => parquetToJsonLines(bytes, 'x.parquet'), 'format', 'x.parquet', words);
  });

  it('a compression that is unknown', async () => {
    // The codec of the first column of delta.parquet, an i32 of zigzag 0, behind its path "id" (a list of one text).
    const bytes = fixture('delta').slice();
    const path = [0x19, 0x18, 2, 0x69, 0x64, 0x15];
    const at = bytes.findIndex((_, i) => path.every((byte, j) => bytes[i + j] === byte)) + path.length;
    expect(bytes[at]).toBe(0);
    for (const [zigzag, name] of [
      [6, 'LZO'],
      [40, 'an unknown one'],
    ] as const) {
      bytes[at] = zigzag;
      await expectRefusal(() => parquetToJsonLines(bytes, 'x.parquet'), 'format', 'column id', `got ${name}`);
    }
  });
});

describe('damage', () => {
  it.each([...WHOLE, 'delta'])('%s cut off at every 64th byte is refused', async (name) => {
    const bytes = fixture(name);
    for (let end = 0; end < bytes.length; end += 64) {
      await expectRefusal(() => parquetToJsonLines(bytes.subarray(0, end), 'x.parquet'), 'format', 'x.parquet');
    }
  });

  it.each([...WHOLE, 'delta'])('%s with a byte flipped gives rows or a PupilError', async (name) => {
    const bytes = fixture(name);
    const good = await parquetToJsonLines(bytes, 'x');
    const everyNth = Math.ceil(bytes.length / (name === 'brotli' ? 30 : 150)); // its decoder takes 10 ms a time
    let refused = 0;
    let noticed = 0;
    for (let at = 0; at < bytes.length; at += everyNth) {
      const flipped = bytes.slice();
      flipped[at] = [~flipped[at]!, 0, flipped[at]! ^ 0x80][at % 3]!;
      const got = await parquetToJsonLines(flipped, 'x').catch((error: unknown) => {
        expect(error).toBeInstanceOf(PupilError);
        return undefined;
      });
      if (got === undefined) refused++;
      if (got !== good) noticed++;
    }
    const tried = Math.ceil(bytes.length / everyNth);
    expect(refused).toBeGreaterThan(tried / 4); // else nothing would be checked here
    expect(noticed).toBeGreaterThan(tried / 3);
  });

  it('bytes in random places replaced by random ones', async () => {
    const files = WHOLE.filter((name) => name !== 'brotli').map(fixture);
    const edits = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...files), edits, async (bytes, changes) => {
        const damaged = bytes.slice();
        for (const [at, value] of changes) damaged[at % damaged.length] = value;
        await onlyPupilErrors(() => parquetToJsonLines(damaged, 'x'));
      }),
      { numRuns: 300 },
    );
  });
});

describe('countInRuns', () => {
  it('counts in repeated and packed runs, whose last group may be filled up', () => {
    // Three times 1 (header 3·2), then one packed group 1,0,1,1,0,0,0,0 of which five count.
    expect(countInRuns(Uint8Array.of(6, 1, 3, 0b00001101), 0, 1, 8, 1)).toBe(6);
    // Width 3: 0 to 7 packed as the format's own example has them.
    expect(countInRuns(Uint8Array.of(3, 0b10001000, 0b11000110, 0b11111010), 0, 3, 8, 6)).toBe(1);
  });

  it.each([
    [
      'a run longer than the page has values',
      [0xfe, 0xff, 0xff, 0xff, 0x0f, 1],
      1,
      /a run of 2147483647 values where 8/,
    ],
    ['a length of more than 35 bits', [0x80, 0x80, 0x80, 0x80, 0x80, 0x01], 1, /impossible length/],
    ['packed groups beyond the page', [0x21, 0xff], 1, /packed values where 8 are left/],
    ['packed groups of no bits', [0x81, 0x80, 0x80, 0x08], 0, /packed values where 8 are left/],
    ['too few values', [4, 1], 1, /2 values where 8 were announced/],
    ['values of 200 bits', [4, 1], 200, /200 bits/],
  ])('%s', (_, bytes, width, reason) => {
    expect(() => countInRuns(Uint8Array.from(bytes), 0, width, 8, undefined)).toThrow(reason);
  });
});

describe('thriftStructEnd', () => {
  it('finds the end of a struct with every type that parquet uses', () => {
    const struct = [
      ...[0x11, 0x12], // true, false: no bytes of their own
      ...[0x13, 9], // byte
      ...[0x15, 0x80, 1], // i32 of two bytes
      ...[0x17, 0, 0, 0, 0, 0, 0, 0, 0], // double
      ...[0x18, 2, 0x61, 0x62], // binary
      ...[0x19, 0x21, 1, 2], // list of two booleans, a byte each
      ...[0x19, 0x18, 1, 0x63], // list of one binary
      ...[0x1c, 0x15, 4, 0], // struct
      ...[0x06, 0x64, 7], // i64 of a field whose number is written out
      0,
    ];
    expect(thriftStructEnd(Uint8Array.of(0xff, ...struct, 0xff), 1, struct.length + 2)).toBe(struct.length + 1);
    for (let end = 1; end <= struct.length; end++) {
      expect(() => thriftStructEnd(Uint8Array.of(0xff, ...struct), 1, end)).toThrow();
    }
  });
});
