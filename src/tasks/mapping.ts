// mapping.ts: which columns of a file of one's own hold the question, its options and its answer: guessed from the names and
// contents of the columns, for a person to confirm. The guess only looks; what a row then gives is decided in custom.ts.
import type { ColumnMapping } from '../config/experiment';

type Row = Record<string, unknown>;

/** Names that people give these columns, most telling first; compared without case, spaces, "_" and "-". */
const NAMES: Readonly<Record<'question' | 'choices' | 'target' | 'id' | 'content', readonly string[]>> = {
  question: [
    'question',
    'squestion',
    'questionstem',
    'stem',
    'problem',
    'prompt',
    'query',
    'input',
    'goal',
    'instruction',
    'text',
  ],
  choices: ['choices', 'options', 'candidates', 'alternatives', 'answers'],
  target: [
    'target',
    'answerkey',
    'answer',
    'finalans',
    'finalanswer',
    'correct',
    'correctanswer',
    'label',
    'gold',
    'groundtruth',
    'solution',
    'lsolutions',
    'output',
  ],
  id: ['id', 'qid', 'uid', 'uniqueid', 'itemid', 'questionid', 'iindex', 'index', 'idx'],
  content: ['content', 'group'],
};

const plain = (name: string): string => name.toLowerCase().replace(/[\s_-]+/g, '');

/** Columns of single options: "A", "option_1", "choice b", "sol2", "answerC"; the letter or number counts them. */
const OPTION_COLUMN = /^(?:option|opt|choice|answer|ans|sol|solution|candidate|ending)?[\s_-]*(?:([A-Ha-h])|([0-9]))$/;

/** A guess, and in words what it rests on or why there is none. */
export type MappingGuess = { mapping: ColumnMapping; reason: string } | { mapping?: never; reason: string };

/** Whether a value can be the options of one row: a list, the Hub's columns, or a text that is cut at "|". */
function looksLikeChoices(value: unknown): boolean {
  if (Array.isArray(value)) return value.length >= 2;
  if (typeof value === 'string') return value.includes('|') || /^\s*\[.*\]\s*$/s.test(value);
  return typeof value === 'object' && value !== null && Array.isArray((value as { text?: unknown }).text);
}

/** At least two columns of options that follow one another, in order. */
function optionColumns(columns: readonly string[]): string[] | undefined {
  const families = new Map<string, { place: number; name: string }[]>();
  for (const name of columns) {
    const found = OPTION_COLUMN.exec(name.trim());
    if (found === null) continue;
    const family = name.trim().slice(0, -1).toLowerCase() + (found[1] === undefined ? '0' : 'A');
    const place = found[1] === undefined ? Number(found[2]) : found[1].toUpperCase().charCodeAt(0) - 65;
    families.set(family, [...(families.get(family) ?? []), { place, name }]);
  }
  for (const found of families.values()) {
    const sorted = found.sort((a, b) => a.place - b.place);
    const first = sorted[0]!.place;
    if (sorted.length >= 2 && first <= 1 && sorted.every(({ place }, i) => place === first + i)) {
      return sorted.map(({ name }) => name);
    }
  }
  return undefined;
}

/**
 * Guesses the columns of question, options, answer, id and content from some rows; the first few hundred suffice.
 * Names count first; a question without a telling name is the column whose texts most often end in "?".
 */
export function guessMapping(rows: readonly Row[]): MappingGuess {
  const sample = rows.slice(0, 200);
  const columns = [...new Set(sample.flatMap((row) => Object.keys(row)))];
  if (columns.length === 0) return { reason: 'there are no rows with columns' };
  const named = (what: keyof typeof NAMES, free: readonly string[]): string | undefined => {
    for (const wanted of NAMES[what]) {
      const found = free.find((name) => plain(name) === wanted);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  const share = (name: string, holds: (value: unknown) => boolean): number =>
    sample.filter((row) => holds(row[name])).length / sample.length;

  const several = optionColumns(columns);
  const list = columns.find((name) => NAMES.choices.includes(plain(name)) && share(name, looksLikeChoices) > 0.5);
  const choices = list ?? several;
  let free = columns.filter((name) => name !== list && !(list === undefined && several?.includes(name)));

  const isText = (value: unknown): boolean => typeof value === 'string' && value.trim() !== '';
  const question =
    named(
      'question',
      free.filter((name) => share(name, isText) > 0.5),
    ) ??
    free
      .map((name) => ({ name, asks: share(name, (value) => isText(value) && (value as string).trim().endsWith('?')) }))
      .sort((a, b) => b.asks - a.asks)
      .find(({ asks }) => asks > 0.5)?.name;
  if (question === undefined) return { reason: `no column looks like the question; there are ${columns.join(', ')}` };
  free = free.filter((name) => name !== question);
  const target = named('target', free);
  if (target === undefined) return { reason: `no column looks like the answer; there are ${columns.join(', ')}` };
  free = free.filter((name) => name !== target);
  const id = named('id', free);
  const content = named('content', free);
  const mapping: ColumnMapping = {
    question,
    target,
    ...(choices === undefined ? {} : { choices }),
    ...(id === undefined ? {} : { id }),
    ...(content === undefined ? {} : { content }),
  };
  const words = Object.entries(mapping).map(
    ([key, value]) => `${key} in ${Array.isArray(value) ? value.join(', ') : String(value)}`,
  );
  return { mapping, reason: words.join('; ') };
}
