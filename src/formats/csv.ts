// csv.ts: CSV as RFC 4180 defines it: quoted fields may hold commas, doubled quotes and newlines. It converts no types.
import { PupilError } from '../base/errors';

/** A row and the line it begins on (from 1): with newlines inside quotes the two numbers differ. */
export interface CsvRow {
  lineNumber: number;
  fields: string[];
}

/**
 * All rows of a CSV text. Accepts a byte-order mark, CRLF, LF, and a missing last newline; skips blank lines. Spaces belong
 * to the field.
 * @param bareQuotes whether a quote inside an unquoted field is refused, as RFC 4180 has it, or belongs to the field, as in
 *   files that Python's csv wrote or reads (one of MMLU's).
 * @throws PupilError `format`, naming file and line, for a quote that is never closed, one inside an unquoted field, or
 *   text after a closing quote, e.g. `x.csv:3: expected a comma or a line end after the closing quote, got "b"`
 */
export function parseCsv(
  text: string,
  fileName: string,
  delimiter = ',',
  bareQuotes: 'refuse' | 'keep' = 'refuse',
): CsvRow[] {
  const rows: CsvRow[] = [];
  let lineNumber = 1;
  let at = text.startsWith('\ufeff') ? 1 : 0;
  const fail = (line: number, message: string): never => {
    throw new PupilError('format', `${fileName}:${line}: ${message}`, 'The file is not RFC 4180 CSV: repair the line.');
  };

  /** The quoted field whose opening quote is at `at`. */
  const quoted = (): string => {
    const openedOn = lineNumber;
    let value = '';
    for (let start = at + 1; ;) {
      const quote = text.indexOf('"', start);
      if (quote < 0)
        return fail(openedOn, 'expected a closing quote for the field that begins here, got the end of the file');
      value += text.slice(start, quote);
      at = quote + 1;
      if (text[at] !== '"') break;
      value += '"';
      start = at + 1;
    }
    lineNumber += value.split('\n').length - 1;
    if (at < text.length && text[at] !== delimiter && !/^\r?\n/.test(text.slice(at, at + 2))) {
      fail(lineNumber, `expected a comma or a line end after the closing quote, got ${JSON.stringify(text[at])}`);
    }
    return value;
  };

  /** The field up to the next delimiter or line end. */
  const unquoted = (): string => {
    const start = at;
    while (at < text.length && text[at] !== delimiter && text[at] !== '\n') at++;
    let value = text.slice(start, at);
    if (text[at] !== delimiter && value.endsWith('\r')) value = value.slice(0, -1);
    if (bareQuotes === 'refuse' && value.includes('"'))
      fail(lineNumber, 'expected quotes around a field that holds a quote');
    return value;
  };

  while (at < text.length) {
    const row: CsvRow = { lineNumber, fields: [] };
    let wasQuoted: boolean;
    for (;;) {
      wasQuoted = text[at] === '"';
      row.fields.push(wasQuoted ? quoted() : unquoted());
      if (text[at] !== delimiter || at >= text.length) break;
      at++;
    }
    if (text[at] === '\r') at++;
    if (text[at] === '\n') at++;
    lineNumber++;
    const blank = row.fields.length === 1 && row.fields[0] === '' && !wasQuoted;
    if (!blank) rows.push(row);
  }
  return rows;
}

/**
 * Rows as objects, named by the first row.
 * @throws PupilError `format` for a repeated name, or a row with more or fewer fields than names
 */
export function parseCsvRecords(text: string, fileName: string, delimiter = ','): Record<string, string>[] {
  const [header, ...rows] = parseCsv(text, fileName, delimiter);
  if (header === undefined)
    throw new PupilError('format', `${fileName}: expected a first row with names, the file is empty`);
  const names = header.fields;
  const repeated = names.find((name, i) => names.indexOf(name) !== i);
  if (repeated !== undefined) {
    throw new PupilError('format', `${fileName}:1: expected distinct column names, "${repeated}" comes twice`);
  }
  return rows.map(({ lineNumber, fields }) => {
    if (fields.length !== names.length) {
      throw new PupilError(
        'format',
        `${fileName}:${lineNumber}: expected ${names.length} fields, got ${fields.length}`,
      );
    }
    return Object.fromEntries(names.map((name, i) => [name, fields[i]!]));
  });
}
