// diskGuess.ts: what form a file of demonstrations has, guessed from its first rows, for a preview that a person corrects.
// A guess trains nothing: an experiment names its format.
import type { DemonstrationsConfig } from '../config/experiment';
import type { SourceText } from '../formats/rows';
import { isZeroShotLog } from './diskLog';
import { rowsOf, type Row } from './diskRow';

export interface FormatGuess {
  format: DemonstrationsConfig['format'];
  /** With the format `fields`. */
  fields?: NonNullable<DemonstrationsConfig['fields']>;
  /** Every path to a text in the rows, for a form where the guess is corrected. */
  paths: string[];
  /** What it was recognised by, in words. */
  because: string;
  /** False where names alone say nothing certain: somebody should look. */
  certain: boolean;
}

/** Rows that are looked at. */
const LOOKED_AT = 50;

/** Forms by the keys that only they have, most telling first. */
const BY_KEYS: readonly (readonly [Exclude<DemonstrationsConfig['format'], 'fields'>, readonly string[]])[] = [
  ['jsonl', ['itemId', 'instruction', 'question', 'answer']],
  ['lesson', ['plain_prompt', 'teacher_answer']],
  ['llm-adapters', ['question', 'chain-of-thought']],
  ['chat', ['messages']],
  ['sharegpt', ['conversations']],
  ['prompt-completion', ['prompt', 'completion']],
  ['alpaca', ['instruction', 'output']],
];

const QUESTION_NAMES = /^(?:question|problem|query|prompt|instruction|input|goal|squestion)$/i;
const ANSWER_NAMES =
  /^(?:response|output|completion|rationale|solution|cot|chain[-_]of[-_]thought|reasoning|explanation|teacher_answer|generation|answer)$/i;
const ID_NAMES = /^(?:id|item_?id|qid|uid|unique_id)$/i;

/** Paths to values in the rows, two levels deep, with the values found there. */
function valuesByPath(rows: readonly Row[]): Map<string, unknown[]> {
  const values = new Map<string, unknown[]>();
  const add = (path: string, value: unknown): void => {
    const known = values.get(path);
    if (known === undefined) values.set(path, [value]);
    else known.push(value);
  };
  for (const row of rows) {
    for (const [key, value] of Object.entries(row)) {
      add(key, value);
      if (typeof value !== 'object' || value === null || Array.isArray(value)) continue;
      for (const [inner, innerValue] of Object.entries(value)) add(`${key}.${inner}`, innerValue);
    }
  }
  return values;
}

const lastName = (path: string): string => path.slice(path.lastIndexOf('.') + 1);

function guessFields(rows: readonly Row[]): Omit<FormatGuess, 'format'> {
  const values = valuesByPath(rows);
  const everywhere = [...values].filter(([, found]) => found.length === rows.length);
  const texts = everywhere.filter(([, found]) => found.every((value) => typeof value === 'string'));
  const paths = texts.map(([path]) => path);
  const meanLength = (path: string): number =>
    (values.get(path) as string[]).reduce((sum, text) => sum + text.length, 0) / rows.length;

  const question = paths.find((path) => QUESTION_NAMES.test(lastName(path)));
  // A target ("B") and a rationale may stand side by side: the longer one reasons.
  const answer = paths
    .filter((path) => path !== question && ANSWER_NAMES.test(lastName(path)))
    .sort((a, b) => meanLength(b) - meanLength(a))[0];
  const choices = everywhere.find(
    ([path, found]) =>
      /^(?:choices|options)(?:\.text)?$/i.test(path) &&
      found.every((value) => Array.isArray(value) && value.every((choice) => typeof choice === 'string')),
  )?.[0];
  const itemId = paths.find((path) => ID_NAMES.test(path));
  if (question === undefined || answer === undefined) {
    return { paths, because: `no known names among ${paths.join(', ') || 'its fields'}`, certain: false };
  }
  const fields = {
    question,
    answer,
    ...(choices === undefined ? {} : { choices }),
    ...(itemId === undefined ? {} : { itemId }),
  };
  return { fields, paths, because: `its rows have ${question} and ${answer}`, certain: false };
}

/**
 * The form of a file. `fields` without a mapping: nothing was recognised, a person has to name question and answer.
 * @throws PupilError `format` for a file that is no rows at all.
 */
export function guessFormat(file: SourceText): FormatGuess {
  if (isZeroShotLog(file.text)) {
    return {
      format: 'zero-shot-cot-log',
      paths: [],
      because: 'it has the samples of a zero-shot-CoT log',
      certain: true,
    };
  }
  const values = rowsOf(file)
    .rows.slice(0, LOOKED_AT)
    .map(({ value }) => value);
  if (values.length > 0 && values.every((value) => typeof value === 'string')) {
    return {
      format: 'cot-aligned',
      paths: [],
      because: 'its rows are texts alone; they need the file whose rows they belong to',
      certain: true,
    };
  }
  const rows = values.filter((value) => typeof value === 'object' && value !== null && !Array.isArray(value)) as Row[];
  const known = BY_KEYS.find(([, keys]) => rows.length > 0 && rows.every((row) => keys.every((key) => key in row)));
  const guessed = guessFields(rows);
  if (known === undefined) return { format: 'fields', ...guessed };
  return { format: known[0], paths: guessed.paths, because: `its rows have ${known[1].join(', ')}`, certain: true };
}
