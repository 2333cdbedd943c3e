// table.ts: rows as objects, from JSON (rows.ts) or from CSV and TSV, told apart by the file's name and beginning. A row with
// another number of fields than there are columns is reported and does not stop the others. It converts no types: fields of
// CSV stay texts. Parquet comes here as JSON lines (parquet.ts).
import { parseCsv } from './csv';
import { refuseImpostor } from './jsonText';
import type { PlacedRow, RejectedRow, RowsResult, SourceText } from './rows';
import { readRows } from './rows';

/** Of the first line's commas, semicolons and tabs the most frequent; a comma where there is none. */
function delimiterOf(path: string, text: string): string {
  if (/\.tsv$/i.test(path)) return '\t';
  const first = text.slice(0, text.indexOf('\n') < 0 ? text.length : text.indexOf('\n')).replace(/"[^"]*"/g, '');
  const count = (character: string): number => first.split(character).length - 1;
  return [',', ';', '\t'].reduce((best, one) => (count(one) > count(best) ? one : best));
}

const isCsv = ({ path, text }: SourceText): boolean =>
  /\.[ct]sv$/i.test(path) || (!/\.jsonl?$/i.test(path) && !/^\ufeff?\s*[[{]/.test(text));

/**
 * @param columns names of the columns of a CSV without a header; without them its first row names them. They do not
 *   concern JSON.
 * @throws PupilError `format` for a file that is neither, e.g. a Git-LFS pointer, or CSV with a quote never closed.
 */
export function readTable(source: SourceText, columns?: readonly string[]): RowsResult {
  if (!isCsv(source)) return readRows(source);
  const { path, text } = source;
  refuseImpostor(new TextEncoder().encode(text.slice(0, 64)), path, 'CSV with a row a line');
  const csv = parseCsv(text, path, columns === undefined ? delimiterOf(path, text) : ',', 'keep');
  const names = columns ?? csv.shift()?.fields.map((name) => name.trim()) ?? [];
  const rows: PlacedRow[] = [];
  const rejected: RejectedRow[] = [];
  for (const { lineNumber: line, fields } of csv) {
    if (fields.length === names.length) {
      rows.push({ value: Object.fromEntries(names.map((name, i) => [name, fields[i]!])), path, line });
    } else rejected.push({ path, line, reason: `expected ${names.length} fields, got ${fields.length}` });
  }
  return { rows, rejected };
}
