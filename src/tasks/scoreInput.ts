// scoreInput.ts: the rows that `pupil score` judges: texts generated elsewhere, as JSON lines or a JSON array of
// {"target", "text", "choices"?}. Reading only; judging is in score.ts.
import type { RejectedRow, SourceText } from '../formats/rows';
import { readRows } from '../formats/rows';
import type { ScoreRow } from './score';

export interface ScoreInput {
  rows: ScoreRow[];
  /** The line of each row, from 1. */
  lines: number[];
  rejected: RejectedRow[];
}

/**
 * Rows to score. A target may be a text, a number, or true and false; choices a list of texts. Other keys are ignored.
 * @throws PupilError `format` where the file is no rows at all.
 */
export function readScoreRows(source: SourceText): ScoreInput {
  const { rows: placed, rejected } = readRows(source);
  const rows: ScoreRow[] = [];
  const lines: number[] = [];
  for (const { value, path, line } of placed) {
    const row = value as Record<string, unknown> | null;
    const target = row?.['target'];
    const text = row?.['text'];
    const choices = row?.['choices'] ?? undefined; // null as written by others
    const problem =
      typeof row !== 'object' || row === null || Array.isArray(row)
        ? `expected an object, got ${JSON.stringify(value)}`
        : !['string', 'number', 'boolean'].includes(typeof target)
          ? `expected a text, a number, true or false in target, got ${JSON.stringify(target) ?? 'nothing'}`
          : typeof text !== 'string'
            ? `expected a text in text, got ${JSON.stringify(text) ?? 'nothing'}`
            : choices !== undefined && !(Array.isArray(choices) && choices.every((c) => typeof c === 'string'))
              ? `expected a list of texts in choices, got ${JSON.stringify(choices)}`
              : undefined;
    if (problem !== undefined) rejected.push({ path, line, reason: problem });
    else {
      lines.push(line);
      rows.push({
        target: String(target as string | number | boolean),
        text: text as string,
        ...(choices === undefined ? {} : { choices: choices as string[] }),
      });
    }
  }
  return { rows, lines, rejected };
}
