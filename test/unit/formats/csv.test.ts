// Claims about formats/csv.ts: RFC 4180, newlines and quotes inside quotes included; what is not CSV is refused by line.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readdirSync, readFileSync } from 'node:fs';
import { parseCsv, parseCsvRecords } from '../../../src/formats/csv';
import { anyText, DATA, expectRefusal, onlyPupilErrors } from './files';

const fields = (source: string): string[][] => parseCsv(source, 'x.csv').map((row) => row.fields);

describe('parseCsv', () => {
  const cases: [string, string, string[][]][] = [
    [
      'plain',
      'a,b\nc,d\n',
      [
        ['a', 'b'],
        ['c', 'd'],
      ],
    ],
    [
      'CRLF, no last newline',
      'a,b\r\nc,d',
      [
        ['a', 'b'],
        ['c', 'd'],
      ],
    ],
    ['a byte-order mark', '\ufeff"a",b', [['a', 'b']]],
    ['quotes hold commas, quotes and newlines', '"a,1","say ""hi""","x\r\ny"\n', [['a,1', 'say "hi"', 'x\r\ny']]],
    [
      'empty fields',
      ',\n"",\n',
      [
        ['', ''],
        ['', ''],
      ],
    ],
    ['blank lines are skipped, a quoted empty field is a row', 'a\n\n""\nb', [['a'], [''], ['b']]],
    ['spaces belong to the field', ' a , b ', [[' a ', ' b ']]],
    ['nothing', '', []],
  ];
  it.each(cases)('%s', (_claim, source, wanted) => {
    expect(fields(source)).toEqual(wanted);
  });

  it('rows know the line they begin on', () => {
    const rows = parseCsv('a\n"b\nc"\n\nd', 'x.csv');
    expect(rows.map(({ lineNumber }) => lineNumber)).toEqual([1, 2, 5]);
  });

  it('another delimiter', () => {
    expect(parseCsv('a\tb,c', 'x.tsv', '\t')[0]!.fields).toEqual(['a', 'b,c']);
  });

  it('what is not CSV is refused with file and line', async () => {
    await expectRefusal(() => fields('a\n"b\nc'), 'format', 'x.csv:2', 'closing quote');
    await expectRefusal(() => fields('a\n"b"c\n'), 'format', 'x.csv:2', 'after the closing quote', '"c"');
    await expectRefusal(() => fields('a\nb"c\n'), 'format', 'x.csv:2', 'quotes around');
  });

  it('any fields, quoted, come back', () => {
    const row = fc.array(anyText(), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(fc.array(row, { maxLength: 5 }), fc.constantFrom('\n', '\r\n'), (rows, newline) => {
        const quote = (value: string) => `"${value.replaceAll('"', '""')}"`;
        expect(fields(rows.map((r) => r.map(quote).join(',')).join(newline))).toEqual(rows);
      }),
      { numRuns: 300 },
    );
  });

  it('any text gives rows or a PupilError', async () => {
    const source = fc.string({ unit: fc.constantFrom('a', '"', ',', '\n', '\r', ' '), maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(source, (value) => onlyPupilErrors(() => fields(value))),
      { numRuns: 1000 },
    );
  });

  it.skipIf(DATA === undefined)('MMLU: every row of every subject has six fields (needs PUPIL_DATA)', () => {
    for (const split of ['dev', 'test']) {
      for (const file of readdirSync(`${DATA}/mmlu/${split}`)) {
        const rows = parseCsv(readFileSync(`${DATA}/mmlu/${split}/${file}`, 'utf8'), file);
        const odd = rows.filter((row) => row.fields.length !== 6).map((row) => `${file}:${row.lineNumber}`);
        expect(odd).toEqual([]);
        expect(rows.length).toBeGreaterThan(4);
      }
    }
  });
});

describe('parseCsvRecords', () => {
  it('names fields by the first row', () => {
    expect(parseCsvRecords('q,a\n1+1,2\n', 'x.csv')).toEqual([{ q: '1+1', a: '2' }]);
  });
  it('ragged rows, repeated names and empty files are refused', async () => {
    await expectRefusal(() => parseCsvRecords('q,a\n1\n', 'x.csv'), 'format', 'x.csv:2', '2 fields', 'got 1');
    await expectRefusal(() => parseCsvRecords('q,q\n', 'x.csv'), 'format', 'x.csv:1', '"q"');
    await expectRefusal(() => parseCsvRecords('', 'x.csv'), 'format', 'x.csv', 'empty');
  });
});
