// diskRow.ts: what the readers of demonstration files share: a demonstration as it is found, a fault of a single row, and
// fields by name. Which file form has which fields is in diskFormats.ts.
import type { DemonstrationsConfig } from '../config/experiment';
import { readRows, type RejectedRow, type RowsResult, type SourceText } from '../formats/rows';
import { readTable } from '../formats/table';

/** A demonstration as found: texts that may identify its item, and the teacher's answer as it stands. */
export interface FoundDemonstration {
  path: string;
  line: number;
  /** The item's own id, where the file has one. */
  itemId?: string;
  /** Questions or whole prompts, most telling first. */
  questions: string[];
  choices?: string[];
  answer: string;
}

export interface FoundDemonstrations {
  found: FoundDemonstration[];
  rejected: RejectedRow[];
}

export type Row = Record<string, unknown>;

/** Thrown inside a row reader to reject that row with a reason. */
export class RowProblem extends Error {}

/** The rows of a file: CSV and TSV by the file's name, everything else as JSON. */
export const rowsOf = (file: SourceText): RowsResult =>
  /\.[ct]sv$/i.test(file.path) ? readTable(file) : readRows(file);

/** Told in a message, without flooding it. */
const shown = (value: unknown): string => (JSON.stringify(value) ?? 'nothing').slice(0, 120);

/** @throws RowProblem where it is no text. */
export function expectText(value: unknown, name: string): string {
  if (typeof value === 'string') return value;
  throw new RowProblem(`expected a text in ${name}, got ${shown(value)}`);
}

export const textOf = (row: Row, key: string): string => expectText(row[key], key);

export const textOr = (row: Row, key: string, otherwise: string): string =>
  row[key] === undefined || row[key] === null ? otherwise : textOf(row, key);

/** The value at a path of keys and indices: `model.solution`, `messages.1.content`. Undefined where it leads nowhere. */
export function valueAt(row: unknown, path: string): unknown {
  let value = row;
  for (const key of path.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Row)[key];
  }
  return value;
}

/** One of several rationales in a text, parted by the marker. Without a marker the whole text. */
export function pickRationale(
  answer: string,
  config: Pick<DemonstrationsConfig, 'rationaleMarker' | 'rationaleIndex'>,
): string {
  if (config.rationaleMarker === undefined) return answer;
  const parts = answer.split(config.rationaleMarker);
  const part = parts[config.rationaleIndex];
  if (part === undefined) {
    throw new RowProblem(`expected a rationale number ${config.rationaleIndex}, got ${parts.length} of them`);
  }
  return part;
}
