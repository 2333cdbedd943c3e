// score.ts: texts against targets: a verdict for each row, and accuracy with n and its Wilson interval. Three scorers:
// strict (the task's extractor), literal (bare substring), paper-compat (the authors' earlier published rule).
import { PupilError } from '../base/errors';
import { wilsonInterval } from '../base/statistics';
import type { Interval } from '../base/statistics';
import type { ScorerName } from '../config/experiment';
import { sequenceRatio } from './extract/difflib';
import { extractChoice, LETTERS } from './extract/choice';
import { extractExpression, sameExpression } from './extract/expression';
import { extractNumber, findNumbers, numberText, sameNumber } from './extract/number';
import { extractYesNo } from './extract/yesNo';
import { answerKind } from './task';
import type { AnswerKind, TaskItem, TaskKind } from './task';

/**
 * A generated text and what it should have said. `target`: a letter, "D) train", the option's text, a number, an
 * expression, or yes or no.
 */
export interface ScoreRow {
  target: string;
  text: string;
  choices?: readonly string[];
}

/** The judgement of one row. `answer` is what the scorer read from the text, absent where it read nothing. */
export interface Verdict {
  correct: boolean;
  answer?: string;
  rule: string;
}

export interface Score {
  n: number;
  correct: number;
  /** Share of correct rows in [0, 1]; NaN for no rows. */
  accuracy: number;
  /** Wilson's 95 % interval of the accuracy. */
  interval: Interval;
  /** Rows in which the scorer found no answer at all. */
  unanswered: number;
  verdicts: Verdict[];
}

/** Python's difflib ratio from which the authors' earlier code calls two answers the same. */
export const PAPER_RATIO = 0.6;

/**
 * The letter of a choice target, however it is written.
 * @throws PupilError `data` where it is no option.
 */
export function targetLetter(target: string, choices?: readonly string[]): string {
  const text = target.trim();
  const written = /^\(?([A-Za-z])(?:\)?\.?$|\)\s|[.:]\s)/.exec(text);
  const count = choices?.length ?? LETTERS.length;
  if (written !== null) {
    const index = LETTERS.indexOf(written[1]!.toUpperCase());
    if (index < count) return LETTERS[index]!;
  }
  const same = choices?.findIndex((choice) => choice.trim().toLowerCase() === text.toLowerCase()) ?? -1;
  if (same >= 0) return LETTERS[same]!;
  throw new PupilError(
    'data',
    `score: the target must be a letter of the options${choices === undefined ? '' : ` or one of their texts`}, got ${JSON.stringify(target)}`,
    'Give the letter ("B"), the letter with its text ("B) kettle"), or the text together with "choices".',
  );
}

/**
 * The number of a number target: "39", "39.0", "[39.0]", "1,234".
 * @throws PupilError `data` where it is no single number.
 */
export function targetNumber(target: string): number {
  const numbers = findNumbers(target);
  if (numbers.length !== 1 || numbers[0]!.unfinished || !/^[\s[$]*[-−+]?[\d.,/]+[\s\]%]*$/.test(target)) {
    throw new PupilError('data', `score: the target must be one number, got ${JSON.stringify(target)}`);
  }
  return numbers[0]!.value;
}

/**
 * A yes-or-no target: "yes", "No", "Yes.", "true", "false".
 * @throws PupilError `data` where it is neither.
 */
export function targetYesNo(target: string): 'yes' | 'no' {
  const word = target.trim().replace(/\.$/, '').toLowerCase();
  if (word === 'yes' || word === 'true') return 'yes';
  if (word === 'no' || word === 'false') return 'no';
  throw new PupilError('data', `score: the target must be yes or no, got ${JSON.stringify(target)}`);
}

/** How a row is judged: in a mixed task, one without choices whose target is neither number nor yes or no is a choice. */
function rowKind(kind: TaskKind, row: ScoreRow): AnswerKind {
  if (kind !== 'mixed') return kind;
  const own = answerKind(row);
  return own === 'number' && !/^-?[\d.,]+$/.test(row.target.trim()) ? 'choice' : own;
}

function strictVerdict(kind: AnswerKind, row: ScoreRow): Verdict {
  if (kind === 'number') {
    const target = targetNumber(row.target);
    const found = extractNumber(row.text);
    return { ...found, correct: found.answer !== undefined && sameNumber(Number(found.answer), target) };
  }
  if (kind === 'yesno') {
    const target = targetYesNo(row.target);
    const found = extractYesNo(row.text);
    return { ...found, correct: found.answer === target };
  }
  if (kind === 'expression') {
    if (row.target.trim() === '') throw new PupilError('data', 'score: the target must be an expression, it is empty');
    const found = extractExpression(row.text);
    return { ...found, correct: found.answer !== undefined && sameExpression(found.answer, row.target) };
  }
  const letter = targetLetter(row.target, row.choices);
  const optionCount = row.choices?.length ?? Math.max(5, LETTERS.indexOf(letter) + 1);
  const found = extractChoice(row.text, row.choices, optionCount);
  return { ...found, correct: found.answer !== undefined && sameOption(found.answer, letter, row.choices) };
}

/** The same letter, or options of the same text (CommonsenseQA has such items). */
function sameOption(a: string, b: string, choices: readonly string[] | undefined): boolean {
  if (a === b) return true;
  const text = (letter: string): string | undefined => choices?.[LETTERS.indexOf(letter)]?.trim().toLowerCase();
  return text(a) !== undefined && text(a) === text(b);
}

/** The target as a bare substring, as it is written, whatever its kind: "A", "5" and "no" match nearly anything. */
function literalVerdict(row: ScoreRow): Verdict {
  const correct = row.target !== '' && row.text.includes(row.target);
  return { correct, ...(correct ? { answer: row.target } : {}), rule: 'substring' };
}

// The choice rule of the authors' earlier published evaluation (Aligning_LLMs, utils.py): letters A to D only, with a
// bracket, and text up to the next point. Their rules for other answers are not published; ours keep the lead-in and the
// ratio.
const PAPER_LEAD = String.raw`(?:answer (?:is|from the given options would be)|correct answer to the question .+? is)`;
const PAPER_CHOICE = new RegExp(String.raw`${PAPER_LEAD} ([A-Da-d]\) .+?)\.`);
const PAPER_NUMBER = new RegExp(String.raw`${PAPER_LEAD} \$?(-?\d[\d,]*(?:\.\d+)?)`);
const PAPER_PATTERNS: Readonly<Record<AnswerKind, RegExp>> = {
  choice: PAPER_CHOICE,
  number: PAPER_NUMBER,
  expression: new RegExp(String.raw`${PAPER_LEAD} (.+?)(?:\.(?=\s|$)|\n|$)`),
  yesno: new RegExp(String.raw`${PAPER_LEAD} (yes|no)\b`, 'i'),
};

function paperVerdict(kind: AnswerKind, row: ScoreRow): Verdict {
  const found = PAPER_PATTERNS[kind].exec(row.text)?.[1];
  if (found === undefined) return { correct: false, rule: 'no match' };
  const extracted = kind === 'yesno' ? found.toLowerCase() : found;
  let target = row.target;
  if (kind === 'yesno') target = targetYesNo(row.target);
  else if (kind === 'number') target = numberText(targetNumber(row.target));
  else if (kind === 'choice' && row.choices !== undefined) {
    const letter = targetLetter(row.target, row.choices);
    target = `${letter}) ${row.choices[LETTERS.indexOf(letter)]}`;
  }
  const ratio = sequenceRatio(target, extracted);
  return { correct: ratio >= PAPER_RATIO, answer: extracted, rule: `ratio ${ratio.toFixed(3)}` };
}

/**
 * One text against one target.
 * @throws PupilError `data` where the target is no answer of this kind of task.
 */
export function judge(kind: TaskKind, row: ScoreRow, scorer: ScorerName = 'strict'): Verdict {
  switch (scorer) {
    case 'strict':
      return strictVerdict(rowKind(kind, row), row);
    case 'literal':
      return literalVerdict(row);
    case 'paper-compat':
      return paperVerdict(rowKind(kind, row), row);
  }
}

/** A generated text against an item of a task. `literal` looks for the bare target: "D", "39", "yes". */
export function judgeItem(kind: TaskKind, item: TaskItem, text: string, scorer: ScorerName = 'strict'): Verdict {
  return judge(kind, { ...item, text }, scorer);
}

/** When two answers that the strict scorer read, to one item, are the same. */
export function sameAnswer(kind: TaskKind, item: TaskItem, a: string, b: string): boolean {
  switch (rowKind(kind, { ...item, text: '' })) {
    case 'number':
      return sameNumber(Number(a), Number(b));
    case 'expression':
      return sameExpression(a, b);
    case 'choice':
      return sameOption(a, b, item.choices);
    case 'yesno':
      return a === b;
  }
}

/** Many texts: a verdict each, accuracy, and its interval. */
export function scoreRows(kind: TaskKind, rows: readonly ScoreRow[], scorer: ScorerName = 'strict'): Score {
  const verdicts = rows.map((row) => judge(kind, row, scorer));
  return summarize(verdicts);
}

/** Accuracy of verdicts, however they were made. */
export function summarize(verdicts: readonly Verdict[]): Score {
  const n = verdicts.length;
  const correct = verdicts.filter((verdict) => verdict.correct).length;
  return {
    n,
    correct,
    accuracy: correct / n,
    interval: wilsonInterval(correct, n),
    unanswered: verdicts.filter((verdict) => verdict.answer === undefined).length,
    verdicts: [...verdicts],
  };
}
