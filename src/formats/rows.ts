// rows.ts: the rows of a data file that is a JSON array, JSON lines, or one JSON object around them, whatever its name says.
// A bad line is reported with its number and does not stop the others. What a row means is the caller's business.
import { PupilError } from '../base/errors';
import { refuseImpostor } from './jsonText';

/** A text read from a file, and the path to name in messages. */
export interface SourceText {
  path: string;
  text: string;
}

/** One row and its place: the line in JSON lines (from 1), or the position in an array (from 1). */
export interface PlacedRow {
  value: unknown;
  path: string;
  line: number;
}

/** A row that could not be used, and why. */
export interface RejectedRow {
  path: string;
  line: number;
  reason: string;
}

export interface RowsResult {
  rows: PlacedRow[];
  rejected: RejectedRow[];
}

/**
 * Reads a JSON array (text starting with `[`), JSON lines, or a JSON object that holds the rows in a list `examples` (as
 * BIG-bench's files do), `data`, or `rows` (of `{row}`, as the Hub's row service answers); another object is one row. Blank
 * lines are skipped.
 * @throws PupilError `format` for an empty file, a Git-LFS pointer, an HTML page, or an array that is not JSON.
 */
export function readRows({ path, text }: SourceText): RowsResult {
  const start = text.replace(/^\ufeff/, '').trimStart();
  refuseImpostor(new TextEncoder().encode(start.slice(0, 64)), path, 'a JSON array or JSON lines');
  if (start.startsWith('[')) {
    const whole = parseArray(start);
    if (whole !== undefined) return { rows: whole.map((value, i) => ({ value, path, line: i + 1 })), rejected: [] };
    // Lines that are arrays themselves (a CSV kept as JSON lines) also start with '['.
    const first = start.slice(0, start.indexOf('\n') < 0 ? start.length : start.indexOf('\n'));
    if (parseArray(first) === undefined) {
      throw new PupilError(
        'format',
        `${path}: expected a JSON array, got text that breaks off or is not JSON`,
        'Fetch the file again, or save it as JSON lines so that single bad rows can be skipped.',
      );
    }
  }
  if (start.startsWith('{')) {
    const list = listOf(start);
    if (list !== undefined) return { rows: list.map((value, i) => ({ value, path, line: i + 1 })), rejected: [] };
  }
  const rows: PlacedRow[] = [];
  const rejected: RejectedRow[] = [];
  text.split('\n').forEach((raw, i) => {
    const line = i === 0 ? raw.replace(/^\ufeff/, '') : raw;
    if (line.trim() === '') return;
    try {
      rows.push({ value: JSON.parse(line), path, line: i + 1 });
    } catch (cause) {
      rejected.push({ path, line: i + 1, reason: `not JSON: ${(cause as Error).message}` });
    }
  });
  return { rows, rejected };
}

function parseArray(text: string): unknown[] | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** The rows of a text that is one JSON object; undefined where it is none, as JSON lines of several rows are not. */
function listOf(text: string): unknown[] | undefined {
  let whole: Record<string, unknown>;
  try {
    whole = JSON.parse(text) as Record<string, unknown>;
  } catch {
    return undefined;
  }
  for (const key of ['examples', 'data', 'rows']) {
    const list = whole[key];
    if (!Array.isArray(list) || list.length === 0 || !list.every((one) => typeof one === 'object' && one !== null))
      continue;
    return list.map((one: Record<string, unknown>) =>
      key === 'rows' && typeof one['row'] === 'object' ? one['row'] : one,
    );
  }
  return [whole];
}
