// fields.ts: the forms in which benchmarks write their questions, options and answers, each read into Pupil's: option texts
// in letter order, a letter, a number in its shortest form. What a file of one benchmark looks like is in its own file.
import { LETTERS } from './extract/choice';
import { findNumbers, numberText } from './extract/number';
import { requiredText, RowProblem } from './task';
import type { TaskItem } from './task';

export type Row = Record<string, unknown>;

const show = (value: unknown): string => JSON.stringify(value) ?? 'nothing';

/** Where a benchmark's test set was published without its answers. */
const isMissing = (value: unknown): boolean => value === undefined || value === null || value === '';

function missing(key: string): RowProblem {
  return new RowProblem(`expected an answer in ${key}, got nothing: a published test set without labels?`);
}

/**
 * Option texts: a list of texts, a list of {label, text}, or the Hub's {label: [], text: []}. Labels must be A, B, C… in order.
 */
export function choiceTexts(value: unknown, key: string): string[] {
  let pairs: { label?: unknown; text?: unknown }[];
  const columns = value as { label?: unknown; text?: unknown } | null | undefined;
  if (Array.isArray(value)) {
    pairs = value.map((one: unknown) =>
      typeof one === 'string' ? { text: one } : ((one ?? {}) as { label?: unknown; text?: unknown }),
    );
  } else if (Array.isArray(columns?.text) && Array.isArray(columns.label)) {
    const { text, label } = columns as { text: unknown[]; label: unknown[] };
    if (text.length !== label.length)
      throw new RowProblem(`expected as many labels as texts in ${key}, got ${show(value)}`);
    pairs = text.map((one, i) => ({ text: one, label: label[i] }));
  } else throw new RowProblem(`expected a list in ${key}, got ${show(value)}`);
  if (pairs.length < 2 || pairs.length > LETTERS.length) {
    throw new RowProblem(`expected 2 to ${LETTERS.length} options in ${key}, got ${pairs.length}`);
  }
  return pairs.map(({ label, text }, i) => {
    if ((label !== undefined && label !== LETTERS[i]) || typeof text !== 'string' || text.trim() === '') {
      throw new RowProblem(`expected {label: "${LETTERS[i]}", text} as choice ${i + 1}, got ${show({ label, text })}`);
    }
    return text.trim();
  });
}

/** A target that is a letter: "B". */
export function letterTarget(row: Row, key: string, count: number): string {
  const value = row[key];
  if (isMissing(value)) throw missing(key);
  if (typeof value !== 'string' || value.length !== 1 || !LETTERS.slice(0, count).includes(value)) {
    throw new RowProblem(`expected a letter in ${key}, got ${show(value)}`);
  }
  return value;
}

/** A target that is the text of one option. Of two options with the same text it is the first. */
export function textTarget(row: Row, key: string, choices: readonly string[]): string {
  const value = row[key];
  if (isMissing(value)) throw missing(key);
  const index = typeof value === 'string' ? choices.indexOf(value.trim()) : -1;
  if (index < 0) throw new RowProblem(`expected the text of one option in ${key}, got ${show(value)}`);
  return LETTERS[index]!;
}

/** A target that counts the options: 0, 1, … or 1, 2, …, as a number or a text. A negative one is the Hub's "no label". */
export function indexTarget(value: unknown, key: string, first: 0 | 1, count: number): string {
  const text = typeof value === 'number' || typeof value === 'string' ? String(value).trim() : value;
  if (isMissing(text) || text === '-1') throw missing(key);
  const index = typeof text === 'string' && /^\d+$/.test(text) ? Number(text) - first : -1;
  if (index < 0 || index >= count) {
    throw new RowProblem(`expected ${first} to ${first + count - 1} in ${key}, got ${show(value)}`);
  }
  return LETTERS[index]!;
}

/** A target that is a number: 39, 39.0, [39.0], "1,234", "…#### 1,234". In its shortest form. */
export function numberTarget(value: unknown, key: string): string {
  const one: unknown = Array.isArray(value) && value.length === 1 ? value[0] : value;
  if (typeof one === 'number' && Number.isFinite(one)) return numberText(one);
  if (isMissing(one)) throw missing(key);
  if (typeof one === 'string') {
    const text = one
      .slice(one.lastIndexOf('####') + 1)
      .replace(/^#*\s*/, '')
      .trim();
    const [number, ...more] = findNumbers(text);
    if (number !== undefined && more.length === 0 && !number.unfinished && /^[-−+]?[$€£¥]?[-−]?[\d.,/]+$/.test(text)) {
      return numberText(number.value);
    }
  }
  throw new RowProblem(`expected one number in ${key}, got ${show(value)}`);
}

/** The end of a file's path without its ending: "valid" of piqa/valid.jsonl. */
export const fileStem = (path: string): string =>
  path
    .split('/')
    .at(-1)!
    .replace(/\.[A-Za-z0-9]+$/, '');

/**
 * The part of a path that tells its rows from other files': the file's name, and the two folders above it where that is only a
 * number. The Hub's converted files are train/0000.parquet beside test/0000.parquet, MATH's train/algebra/1.json.
 */
export function placeName(path: string): string {
  const stem = fileStem(path);
  return /^\d+$/.test(stem) ? [...path.split('/').slice(-3, -1), stem].filter(Boolean).join('-') : stem;
}

/** An item's id: the row's own under one of these keys, else the file's name and the row's line. */
export function itemId(
  prefix: string,
  row: Row,
  keys: readonly string[],
  place: { path: string; line: number },
): string {
  for (const key of keys) {
    const own = row[key];
    if (typeof own === 'number' || (typeof own === 'string' && own.trim() !== '')) return `${prefix}-${own}`;
  }
  return `${prefix}-${placeName(place.path)}-${place.line}`;
}

/**
 * A question with lettered options in the forms that OpenBookQA and CommonsenseQA share: the original's nested `question`, the
 * Hub's columns, or a list of texts with the right one as `answer`.
 */
export function letteredQuestion(row: Row): Omit<TaskItem, 'id'> {
  const nested = row['question'];
  if (typeof nested === 'object' && nested !== null && !Array.isArray(nested)) {
    const { choices: given } = nested as Row;
    const choices = choiceTexts(given, 'question.choices');
    return {
      question: requiredText(nested as Row, 'stem'),
      choices,
      target: letterTarget(row, 'answerKey', choices.length),
    };
  }
  const key = row['question_stem'] === undefined ? 'question' : 'question_stem';
  if (typeof row[key] !== 'string') throw new RowProblem('expected a text or an object in question');
  const choices = choiceTexts(row['choices'], 'choices');
  const target =
    row['answerKey'] === undefined && row['answer'] !== undefined
      ? textTarget(row, 'answer', choices)
      : letterTarget(row, 'answerKey', choices.length);
  return { question: requiredText(row, key), choices, target };
}

/**
 * A choice row of LLM-Adapters: one instruction that holds question and options ("Answer1: … Answer2: …"), and "answer2"
 * or "solution2" as the answer. Undefined where the row has another form.
 */
export function adaptersChoice(row: Row): { question: string; choices: string[]; target: string } | undefined {
  if (typeof row['instruction'] !== 'string') return undefined;
  const instruction = requiredText(row, 'instruction');
  const [, question, options] =
    /^Please choose the correct (?:answer|solution) to the question:\s*([^]+?)\s*\n\s*((?:Answer|Solution)1:[^]*?)\s*\n\s*Answer format:/.exec(
      instruction,
    ) ?? [];
  if (question === undefined || options === undefined) {
    throw new RowProblem(
      'expected "Please choose the correct answer to the question: …" with its options in instruction',
    );
  }
  const choices = options
    .split(/\s*\b(?:Answer|Solution)\d:\s*/)
    .slice(1)
    .map((text) => text.trim());
  const [, number] = /^(?:answer|solution)(\d)$/.exec(typeof row['answer'] === 'string' ? row['answer'] : '') ?? [];
  if (number === undefined)
    throw new RowProblem(`expected "answer1", "answer2", … in answer, got ${show(row['answer'])}`);
  return { question, choices, target: indexTarget(number, 'answer', 1, choices.length) };
}
