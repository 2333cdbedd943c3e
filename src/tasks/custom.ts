// custom.ts: a task of one's own: a CSV, TSV, JSON or JSONL file whose columns are named in the experiment, or guessed. Rows
// with options are choices; rows whose answer is a number or yes or no are such questions; anything else is reported, for no
// extractor could judge it.
import { PupilError } from '../base/errors';
import type { ColumnMapping } from '../config/experiment';
import type { SourceText } from '../formats/rows';
import { readTable } from '../formats/table';
import { LETTERS } from './extract/choice';
import { choiceTexts, fileStem, indexTarget, numberTarget, type Row } from './fields';
import { guessMapping } from './mapping';
import { expectItems, mixedTask, readItems, RowProblem } from './task';
import type { LoadedItems, Task } from './task';

/** How a file writes which option is right; one way for the whole file, since "1" alone could be the first or the second. */
type TargetStyle = 'letter' | 'text' | 'from 0' | 'from 1';

const show = (value: unknown): string => JSON.stringify(value) ?? 'nothing';

/** A field as text: texts trimmed, numbers and true and false written out. Empty where there is none. */
function fieldText(row: Row, column: string): string {
  const value = row[column];
  if (typeof value === 'string') return value.trim();
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : '';
}

/** A row's options; undefined where the mapping has none, or where all their fields are empty (a row without options). */
function readChoices(row: Row, choices: ColumnMapping['choices']): string[] | undefined {
  if (choices === undefined) return undefined;
  if (typeof choices !== 'string') {
    const texts = choices.map((column) => fieldText(row, column));
    while (texts.at(-1) === '') texts.pop(); // files of mixed counts leave the last ones empty
    return texts.length === 0 ? undefined : choiceTexts(texts, choices.join(', '));
  }
  const value = row[choices];
  if (value === undefined || value === null || value === '') return undefined;
  if (typeof value !== 'string') {
    return choiceTexts(
      Array.isArray(value) ? value.map((one: unknown) => (typeof one === 'number' ? String(one) : one)) : value,
      choices,
    );
  }
  if (/^\s*[[{]/.test(value)) {
    try {
      return choiceTexts(JSON.parse(value), choices);
    } catch (error) {
      if (error instanceof RowProblem) throw error;
      // not JSON: cut at "|" below
    }
  }
  return choiceTexts(value.split('|'), choices);
}

const letterIndex = (target: string): number => {
  const [, letter] = /^\(?([A-Za-z])\)?[.:)]?$/.exec(target) ?? [];
  return letter === undefined ? -1 : LETTERS.indexOf(letter.toUpperCase());
};
const textIndex = (target: string, choices: readonly string[]): number =>
  choices.findIndex((choice) => choice.toLowerCase() === target.toLowerCase());

/** The way that fits most rows; of equals the first. Numbers count from 0 where a 0 is among them. */
function targetStyle(rows: readonly { target: string; choices: readonly string[] }[]): TargetStyle {
  const isIndex = (target: string, first: number, count: number): boolean =>
    /^\d+$/.test(target) && Number(target) >= first && Number(target) < first + count;
  const counts: [TargetStyle, number][] = [
    ['text', rows.filter(({ target, choices }) => textIndex(target, choices) >= 0).length],
    [
      'letter',
      rows.filter(({ target, choices }) => letterIndex(target) >= 0 && letterIndex(target) < choices.length).length,
    ],
    [
      'from 0',
      rows.some(({ target }) => target === '0')
        ? rows.filter(({ target, choices }) => isIndex(target, 0, choices.length)).length
        : 0,
    ],
    ['from 1', rows.filter(({ target, choices }) => isIndex(target, 1, choices.length)).length],
  ];
  return counts.reduce((best, one) => (one[1] > best[1] ? one : best))[0];
}

/** The letter of the right option, written in one of the ways. */
function optionTarget(target: string, column: string, choices: readonly string[], style: TargetStyle): string {
  if (target === '') throw new RowProblem(`expected an answer in ${column}, got nothing`);
  if (style === 'from 0' || style === 'from 1') {
    return indexTarget(target, column, style === 'from 0' ? 0 : 1, choices.length);
  }
  const index = style === 'text' ? textIndex(target, choices) : letterIndex(target);
  if (index < 0 || index >= choices.length) {
    throw new RowProblem(
      `expected ${style === 'text' ? 'the text' : 'the letter'} of one option in ${column}, got ${show(target)}`,
    );
  }
  return LETTERS[index]!;
}

/** The target of a row without options: a number in its shortest form, or yes or no. */
function openTarget(row: Row, column: string): string {
  const text = fieldText(row, column);
  if (/^(?:yes|true)\.?$/i.test(text)) return 'yes';
  if (/^(?:no|false)\.?$/i.test(text)) return 'no';
  try {
    return numberTarget(row[column], column);
  } catch (error) {
    if (!(error instanceof RowProblem) || text === '') throw error;
    throw new RowProblem(
      `expected a number, or yes or no, in ${column} of a question without options, got ${show(text)}`,
    );
  }
}

/** The rows of files that are objects, as they stand. */
export const tableRows = (sources: readonly SourceText[]): Row[] =>
  sources
    .flatMap((source) => readTable(source).rows.map(({ value }) => value))
    .filter((row): row is Row => typeof row === 'object' && row !== null && !Array.isArray(row));

/** The columns that are read, and in words how they were guessed where nobody named them. */
export interface ChosenMapping {
  mapping: ColumnMapping;
  guess?: string;
}

/**
 * The columns as they are named, or as they can be guessed.
 *
 * @throws PupilError `data` for a named column that no row has, and where nothing can be guessed; with the columns there are.
 */
export function chooseMapping(sources: readonly SourceText[], given: ColumnMapping | undefined): ChosenMapping {
  const rows = tableRows(sources);
  if (given !== undefined) {
    const columns = new Set(rows.flatMap((row) => Object.keys(row)));
    for (const [what, named] of Object.entries(given)) {
      const missing = [named].flat().find((column) => !columns.has(column));
      if (missing === undefined || columns.size === 0) continue;
      throw new PupilError(
        'data',
        `custom: mapping.${what}: expected a column of ${sources.map(({ path }) => path).join(', ')}, got ${show(missing)}`,
        `There are: ${[...columns].join(', ')}.`,
      );
    }
    return { mapping: given };
  }
  const guess = guessMapping(rows);
  if (guess.mapping !== undefined) return { mapping: guess.mapping, guess: guess.reason };
  throw new PupilError(
    'data',
    `custom: expected columns of a question and its answer, ${guess.reason}`,
    'Name them as a mapping: {"question": …, "target": …, "choices"?: …}.',
  );
}

/**
 * The items of files whose columns are known; perhaps none, for a preview.
 * @throws PupilError `format` for a file that is no table at all.
 */
export function readCustomItems(sources: readonly SourceText[], mapping: ColumnMapping): LoadedItems {
  // The style of the targets is the file's: read once before the rows, bad ones left out.
  const styled = sources.flatMap((source) =>
    readTable(source).rows.flatMap(({ value }) => {
      if (typeof value !== 'object' || value === null) return [];
      try {
        const choices = readChoices(value as Row, mapping.choices);
        return choices === undefined ? [] : [{ target: fieldText(value as Row, mapping.target), choices }];
      } catch (error) {
        if (error instanceof RowProblem) return [];
        throw error;
      }
    }),
  );
  const style = targetStyle(styled);
  return readItems(
    sources,
    (row, place) => {
      const question = fieldText(row, mapping.question);
      if (question === '') {
        const columns = Object.keys(row).join(', ');
        throw new RowProblem(
          `expected a text in ${mapping.question}, got ${show(row[mapping.question])} (columns: ${columns})`,
        );
      }
      const choices = readChoices(row, mapping.choices);
      const id = mapping.id === undefined ? '' : fieldText(row, mapping.id);
      const content = mapping.content === undefined ? '' : fieldText(row, mapping.content);
      return {
        id: id === '' ? `${fileStem(place.path)}-${place.line}` : id,
        question,
        ...(choices === undefined ? {} : { choices }),
        target:
          choices === undefined
            ? openTarget(row, mapping.target)
            : optionTarget(fieldText(row, mapping.target), mapping.target, choices, style),
        ...(content === '' ? {} : { content }),
      };
    },
    (source) => readTable(source),
  );
}

export const custom: Task = {
  id: 'custom',
  title: 'Own task',
  ...mixedTask(),
  load: (sources, given) => expectItems('custom', readCustomItems(sources, chooseMapping(sources, given).mapping)),
};
