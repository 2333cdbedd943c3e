// csvWrite.ts: rows of JSON as CSV (RFC 4180), for spreadsheets. The names of nested objects are joined by dots; lists stay JSON.
import { isJsonObject } from './jsonText';

/** One row's values by column name: `{a: {b: 1}}` → `a.b`. */
function flatten(value: unknown, name: string, into: Map<string, unknown>): void {
  if (isJsonObject(value)) {
    for (const [key, inner] of Object.entries(value)) flatten(inner, name === '' ? key : `${name}.${key}`, into);
  } else into.set(name === '' ? 'value' : name, value);
}

/**
 * A text that a spreadsheet would compute (`=1+1`, `@x`) gets an apostrophe in front: texts come from models and from files.
 * Numbers are left alone.
 */
function field(value: unknown): string {
  if (value === undefined || value === null) return '';
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  const plain = /^[=+\-@\t\r]/.test(text) && !/^[+-]?[\d.,]+$/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain;
}

/** Columns in the order of their first appearance; a first row with their names; CRLF, as RFC 4180 has it. */
export function writeCsv(rows: readonly unknown[]): string {
  const flat = rows.map((row) => {
    const columns = new Map<string, unknown>();
    flatten(row, '', columns);
    return columns;
  });
  const names = [...new Set(flat.flatMap((columns) => [...columns.keys()]))];
  if (names.length === 0) return '';
  return [names, ...flat.map((columns) => names.map((name) => columns.get(name)))]
    .map((fields) => `${fields.map(field).join(',')}\r\n`)
    .join('');
}
