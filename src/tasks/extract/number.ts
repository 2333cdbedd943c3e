// number.ts: the number that an answer text commits to. Strict: where the text does not say one number there is none.
// It reads text only; whether the number is right is decided in score.ts.

import { REVISION, withoutNextQuestion } from './answerText';
import type { Extraction } from './answerText';

const NOTHING: Extraction = { rule: 'nothing found' };

// One number as written: sign, currency, digits with commas in groups of three or without, decimals, exponent; then
// optionally a fraction bar. The sign is a sign only where it cannot be an operator or a hyphen (see signOf).
const NUMBER =
  /(?<![\p{L}\d_.,])([-−–+]?)([$€£¥]?)([-−–]?)(\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d+(?:\.\d+)?(?:[eE][-+]?\d+)?|\.\d+)(?!\d)/gu;

const ANSWER_PHRASE =
  /(?:\b(?:final |correct |right )?(?:answer|result|solution)(?: to [^.\n]{0,60}?| here| then)?(?: \([^()\n]*\))?(?:\s+(?:is|was|be|equals|should be|would be|will be|must be|comes to)\b|\s*[:=])|####)/giu;

interface FoundNumber {
  value: number;
  start: number;
  end: number;
  /** An operand of something not worked out ("16 - 4"), or one end of a range ("5-7", "5 to 7", "2:30"). */
  unfinished: boolean;
}

/** What may stand between two numbers that belong to one expression. A colon only without spaces: "Step 1: 29" is none. */
const OPERATOR = /^(?:\s*[-−–+*×÷/^]\s*|:|\s*x\s*|\s+(?:minus|plus|times|divided by|to|over)\s+)$/i;

/** All numbers of a text in order, simple fractions and mixed numbers as their value. */
export function findNumbers(text: string): FoundNumber[] {
  const found: FoundNumber[] = [];
  for (const match of text.matchAll(NUMBER)) {
    const [whole, lead, , inner, digits] = match;
    const isOperator = lead !== '' && operatorBefore(text, match.index);
    const negative = /[-−–]/.test(lead !== '' ? lead! : inner!) && !isOperator;
    const magnitude = Number(digits!.replaceAll(',', ''));
    const value = negative && magnitude !== 0 ? -magnitude : magnitude;
    const start = isOperator ? match.index + lead!.length : match.index;
    const end = match.index + whole.length;

    const previous = found.at(-1);
    const between = previous === undefined ? '' : text.slice(previous.end, start);
    if (previous !== undefined && between === '/' && value !== 0 && text[end] !== '/') {
      previous.value /= value;
      previous.end = end;
      joinMixed(text, found);
      continue;
    }
    const unfinished = OPERATOR.test(between);
    if (unfinished) previous!.unfinished = true;
    found.push({ value, start, end, unfinished });
  }
  return found;
}

/** "3 1/2": a fraction below one, a single space after a whole number, is added to it. */
function joinMixed(text: string, found: FoundNumber[]): void {
  const [whole, fraction] = [found.at(-2), found.at(-1)!];
  if (whole === undefined || text.slice(whole.end, fraction.start) !== ' ') return;
  if (!Number.isInteger(whole.value) || !(fraction.value > 0 && fraction.value < 1)) return;
  whole.value += (whole.value < 0 ? -1 : 1) * fraction.value;
  whole.end = fraction.end;
  found.pop();
}

/** A sign right after a number, a letter or a closing bracket (spaces apart) is a minus operator or a hyphen. */
function operatorBefore(text: string, index: number): boolean {
  const before = text
    .slice(Math.max(0, index - 20), index)
    .trimEnd()
    .at(-1);
  if (before === undefined) return false;
  if (/[\d)\]%]/.test(before)) return true;
  return /\p{L}/u.test(before) && !/\s/.test(text[index - 1] ?? ' ');
}

/** A number as answers are compared and shown: shortest decimal form. */
export function numberText(value: number): string {
  return String(Object.is(value, -0) ? 0 : value);
}

/**
 * The number a segment ends up with: its first one; where that is an operand or stands before "=", what the last "="
 * gives. Undefined where there is none, null where nothing was worked out ("5-7", "16 - 4").
 */
function committed(segment: string): number | null | undefined {
  const first = findNumbers(segment)[0];
  if (first === undefined) return undefined;
  const beforeEquals = /^\s*=/.test(segment.slice(first.end));
  if (first.unfinished || beforeEquals) {
    const equals = segment.lastIndexOf('=');
    const result = equals < first.end ? undefined : findNumbers(segment.slice(equals + 1))[0];
    if (result !== undefined && !result.unfinished) return result.value;
  }
  return first.unfinished ? null : first.value;
}

/** Text up to the end of its first sentence; a point inside a number does not end it. */
function firstSentence(text: string): string {
  const trimmed = text.trimStart();
  const end = /[.!?](?=\s|$)|\n/.exec(trimmed);
  return end === null ? trimmed : trimmed.slice(0, end.index);
}

/**
 * The number that a text gives as its answer. In this order, on the text before any invented next question: the last
 * `\boxed{n}`; the last `#### n` or "answer is n" (see {@link committed}), unless it is taken back after that ("wait,
 * …"), when the last number counts; the last number of the text, remarks in brackets left out.
 * A range ("5-7") or an operation not worked out ("16 - 4") is no answer. "1/2" is 0.5, "$1,234.50" 1234.5, "3." 3.
 */
export function extractNumber(text: string): Extraction {
  const own = withoutNextQuestion(text);
  return fromBoxed(own) ?? fromPhrase(own) ?? fromLast(own);
}

function fromBoxed(text: string): Extraction | undefined {
  const boxes = [...text.matchAll(/\\boxed\s*\{((?:[^{}]|\{[^{}]*\})*)\}/g)];
  const last = boxes.at(-1)?.[1];
  if (last === undefined) return undefined;
  const fraction = last.replace(/\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}/g, '$1/$2');
  const value = committed(fraction);
  return typeof value === 'number' ? { answer: numberText(value), rule: 'boxed' } : undefined;
}

function fromPhrase(text: string): Extraction | undefined {
  const phrases = [...text.matchAll(ANSWER_PHRASE)];
  for (const phrase of phrases.reverse()) {
    const after = text.slice(phrase.index + phrase[0].length);
    if (/^\s*not\b/i.test(after)) continue;
    const sentence = firstSentence(after);
    const value = committed(sentence);
    if (value === undefined) continue;
    const revision = [...after.matchAll(REVISION)].at(-1);
    if (revision !== undefined) {
      const revised = fromLast(after.slice(revision.index + revision[0].length));
      if (revised !== NOTHING) return { ...revised, rule: `revised: ${revised.rule}` };
    }
    return value === null
      ? { rule: 'answer phrase, not one number' }
      : { answer: numberText(value), rule: 'answer phrase' };
  }
  return undefined;
}

function fromLast(text: string): Extraction {
  const bare = text.replace(/\([^()]*\)/g, (remark) => (/\p{L}/u.test(remark) ? ' '.repeat(remark.length) : remark));
  const numbers = findNumbers(bare);
  const last = (numbers.length > 0 ? numbers : findNumbers(text)).at(-1);
  if (last === undefined) return NOTHING;
  if (last.unfinished) return { rule: 'last number, not worked out' };
  return { answer: numberText(last.value), rule: 'last number' };
}

/** Equal up to the rounding of f64 arithmetic on decimal answers. */
export function sameNumber(a: number, b: number): boolean {
  return Math.abs(a - b) <= 1e-6 * Math.max(1, Math.abs(a), Math.abs(b));
}
