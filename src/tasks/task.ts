// task.ts: what a benchmark is to the rest of Pupil: items read from texts, the prompts of Tables 2 and 3, and the
// extractor that reads an answer. One file per benchmark implements it; splits are in split.ts, scoring in score.ts.
import { PupilError } from '../base/errors';
import type { ColumnMapping, TaskId } from '../config/experiment';
import type { PlacedRow, RejectedRow, RowsResult, SourceText } from '../formats/rows';
import { readRows } from '../formats/rows';
import type { Extraction } from './extract/answerText';
import { extractChoice, LETTERS } from './extract/choice';
import { extractExpression } from './extract/expression';
import { extractNumber } from './extract/number';
import { extractYesNo } from './extract/yesNo';

/**
 * "choice": options with letters, the target is a letter. "number": the target is a number in its shortest form.
 * "expression": the target is mathematics in LaTeX, compared as the benchmark MATH does. "yesno": "yes" or "no".
 */
export type AnswerKind = 'choice' | 'number' | 'expression' | 'yesno';

/** "mixed": items of several kinds, told apart by {@link answerKind} (the lesson, files of one's own). */
export type TaskKind = AnswerKind | 'mixed';

export interface TaskItem {
  id: string;
  question: string;
  /** Option texts in letter order; absent for the other kinds. */
  choices?: readonly string[];
  target: string;
  /**
   * What is asked apart from its wording, where the benchmark knows it. Items of one content are not independent: errors
   * are counted by content.
   */
  content?: string;
}

export interface LoadedItems {
  items: TaskItem[];
  rejected: RejectedRow[];
}

/** A benchmark. Prompts carry no wrapper and no suffix: those are a run's choice. */
export interface Task {
  readonly id: TaskId;
  readonly title: string;
  readonly kind: TaskKind;
  /**
   * Reads items from texts already fetched, in their order. Bad rows are reported, not thrown.
   * @param mapping the columns of a file of one's own; only the task `custom` looks at it.
   */
  load(sources: readonly SourceText[], mapping?: ColumnMapping): LoadedItems;
  /** Table 2. */
  plainPrompt(item: TaskItem): string;
  /** Table 3: the plain prompt and "Let's think step by step". */
  cotPrompt(item: TaskItem): string;
  /** The answer that a text commits to, in the form of `target`. */
  extract(text: string, item: Pick<TaskItem, 'choices' | 'target'>): Extraction;
}

/** Ends the CoT prompt, after one space (Table 3). */
export const COT_TRIGGER = "Let's think step by step";

/** "A, B, C, D" for four options. */
export function letterList(count: number): string {
  return LETTERS.slice(0, count).split('').join(', ');
}

/** Table 2, left: with as many letters as there are options. */
export function choicePrompt(item: TaskItem): string {
  const choices = item.choices ?? [];
  return [
    `Choose the answer to the question only from options ${letterList(choices.length)}.`,
    `Question: ${item.question}`,
    'Choices:',
    ...choices.map((choice, i) => `${LETTERS[i]}) ${choice}`),
    'Answer:',
  ].join('\n');
}

/** Table 2, right. */
export function numberPrompt(item: TaskItem): string {
  return [
    'Answer the following mathematical question with numerical solution.',
    `Question: ${item.question}`,
    'Answer:',
  ].join('\n');
}

/**
 * Yes-or-no questions. Ours: the paper names StrategyQA (Table 9) and gives no prompt for it. It is the first line of
 * Table 2, left, with the two answers in place of letters; a list of choices would say them twice.
 */
export function yesNoPrompt(item: TaskItem): string {
  return [`Choose the answer to the question only from options Yes, No.`, `Question: ${item.question}`, 'Answer:'].join(
    '\n',
  );
}

const PLAIN_PROMPTS: Readonly<Record<AnswerKind, (item: TaskItem) => string>> = {
  choice: choicePrompt,
  number: numberPrompt,
  expression: numberPrompt, // MATH: Table 2 has one prompt for mathematics
  yesno: yesNoPrompt,
};

/** The answer of one kind that a text commits to. */
export function extractAnswer(kind: AnswerKind, text: string, choices: readonly string[] | undefined): Extraction {
  switch (kind) {
    case 'choice':
      return extractChoice(text, choices, choices?.length ?? 5);
    case 'number':
      return extractNumber(text);
    case 'expression':
      return extractExpression(text);
    case 'yesno':
      return extractYesNo(text);
  }
}

/** The prompts and the extractor of a kind of task, for the files of single benchmarks. */
export function taskOfKind(kind: AnswerKind): Pick<Task, 'kind' | 'plainPrompt' | 'cotPrompt' | 'extract'> {
  const plainPrompt = PLAIN_PROMPTS[kind];
  return {
    kind,
    plainPrompt,
    cotPrompt: (item) => `${plainPrompt(item)} ${COT_TRIGGER}`,
    extract: (text, { choices }) => extractAnswer(kind, text, choices),
  };
}

/** Of an item or row of a mixed task: options make a choice, a target of yes or no such a question, all else numbers. */
export function answerKind({ choices, target }: Pick<TaskItem, 'choices' | 'target'>): 'choice' | 'number' | 'yesno' {
  if (choices !== undefined) return 'choice';
  return /^(?:yes|no)$/i.test(target.trim()) ? 'yesno' : 'number';
}

/** The prompts and the extractor where every item is asked after its own kind. */
export function mixedTask(): Pick<Task, 'kind' | 'plainPrompt' | 'cotPrompt' | 'extract'> {
  const plainPrompt = (item: TaskItem): string => PLAIN_PROMPTS[answerKind(item)](item);
  return {
    kind: 'mixed',
    plainPrompt,
    cotPrompt: (item) => `${plainPrompt(item)} ${COT_TRIGGER}`,
    extract: (text, item) => extractAnswer(answerKind(item), text, item.choices),
  };
}

/** Thrown inside a row reader to reject that row with a reason. */
export class RowProblem extends Error {}

/**
 * Reads the rows of several texts with one reader each row; perhaps none of them can be used.
 * @param rowsOf the container of the rows: JSON, unless a benchmark comes in another.
 */
export function readItems(
  sources: readonly SourceText[],
  read: (row: Record<string, unknown>, place: PlacedRow) => TaskItem,
  rowsOf: (source: SourceText) => RowsResult = readRows,
): LoadedItems {
  const items: TaskItem[] = [];
  const rejected: RejectedRow[] = [];
  for (const source of sources) {
    const { rows, rejected: broken } = rowsOf(source);
    rejected.push(...broken);
    for (const place of rows) {
      try {
        if (typeof place.value !== 'object' || place.value === null || Array.isArray(place.value)) {
          throw new RowProblem('expected an object');
        }
        items.push(read(place.value as Record<string, unknown>, place));
      } catch (error) {
        if (!(error instanceof RowProblem)) throw error;
        rejected.push({ path: place.path, line: place.line, reason: error.message });
      }
    }
  }
  rejected.sort((a, b) => (a.path === b.path ? a.line - b.line : 0));
  return { items, rejected };
}

/** @throws PupilError `data` where no row at all could be used, naming the first reason. */
export function expectItems(title: string, loaded: LoadedItems): LoadedItems {
  if (loaded.items.length === 0) {
    const first = loaded.rejected[0];
    throw new PupilError(
      'data',
      `${title}: expected rows of this benchmark, got none that can be used` +
        (first === undefined ? '' : ` (${first.path}:${first.line}: ${first.reason})`),
      'Check that the file belongs to this task.',
    );
  }
  return loaded;
}

/** {@link readItems}, of which there must be some. */
export const loadItems = (title: string, ...how: Parameters<typeof readItems>): LoadedItems =>
  expectItems(title, readItems(...how));

/** A text field that must be there and not blank, without surrounding white space. */
export function requiredText(row: Record<string, unknown>, key: string): string {
  const value = row[key];
  if (typeof value !== 'string' || value.trim() === '') {
    throw new RowProblem(`expected a text in ${key}, got ${JSON.stringify(value) ?? 'nothing'}`);
  }
  return value.trim();
}

/**
 * Under which two questions count as the same: white space, case and Unicode form do not matter. Choices are part of it,
 * where there are any: the same stem with other options is another question.
 */
export function questionKey(question: string, choices?: readonly string[]): string {
  const plain = (text: string): string => text.normalize('NFKC').toLowerCase().split(/\s+/).filter(Boolean).join(' ');
  return [question, ...(choices ?? [])].map(plain).join('\n');
}
