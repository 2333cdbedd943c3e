// number.ts: the number that an answer text commits to. Strict: where the text does not say one number there is none.
// It reads text only; whether the number is right is decided in score.ts.

import { lastPhrases, REVISION, UNDECIDED, withoutNextQuestion } from './answerText';
import type { Extraction } from './answerText';
import { lastBoxed } from './boxed';
import { leadingNumberWords } from './numberWords';

const NOTHING: Extraction = { rule: 'nothing found' };

// One number as written: sign, currency, digits with commas in groups of three or without, decimals, exponent; then
// optionally a fraction bar. The sign is a sign only where it cannot be an operator or a hyphen (see signOf).
const NUMBER =
  /(?<![\p{L}\d_.,])([-−–+]?)([$€£¥]?)([-−–]?)(\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d+(?:\.\d+)?(?:[eE][-+]?\d+)?|\.\d+)(?!\d)/gu;

/** Where a text says which its answer is: "the answer is", "answer:", "####". */
export const ANSWER_PHRASE =
  /(?:\b(?:final |correct |right )?(?:answer|result|solution)(?: to [^.\n]{0,60}?| here| then)?(?: \([^()\n]*\))?(?:\s+(?:is|was|be|equals|should be|would be|will be|must be|comes to)\b|\s*[:=])|####)/giu;

interface FoundNumber {
  value: number;
  start: number;
  end: number;
  /**
   * An operand of something not worked out ("16 - 4"), one end of a range ("5-7", "5 to 7", "2:30"), one of several
   * ("3 or 4"), or digits that go on
   * after a comma or point in no way that is English ("3,5", "1.234,50", "2,2,2").
   */
  unfinished: boolean;
  /** The first of "between 3 and 4". */
  opensRange: boolean;
}

/** What may stand between two numbers that belong to one expression. A colon only without spaces: "Step 1: 29" is none. */
const OPERATOR =
  /^(?:%?\s*(?:[-−–+*×÷/^]|\\(?:times|cdot|div)(?![a-z]))\s*|:|\s*x\s*|\s+(?:minus|plus|times|divided by|to|or|over)\s+)$/i;

/** A number of them in words right after the digits: "2 million". */
const SCALES: Readonly<Record<string, number>> = { hundred: 1e2, thousand: 1e3, million: 1e6, billion: 1e9 };
const SCALE = /^\s+(hundred|thousand|million|billion)\b/i;

/** A sign in words before a number; "minus" only where it cannot be an operator ("10 apples minus 3"). */
const SIGN_WORD = /(?:\bnegative|(?:^|[:=(*]|\b(?:is|be|was|to|equals))\s*minus)\s+$/i;

/** All numbers of a text in order, simple fractions and mixed numbers as their value. */
export function findNumbers(source: string): FoundNumber[] {
  // A no-break or thin space before three digits groups thousands; an ordinary one may part two numbers.
  const text = source.replace(/(?<=\d)[\u00a0\u2009\u202f](?=\d{3}(?!\d))/g, ',');
  const found: FoundNumber[] = [];
  for (const match of text.matchAll(NUMBER)) {
    const [whole, lead, , inner, digits] = match;
    const isOperator = lead !== '' && operatorBefore(text, match.index);
    const negative = /[-−–]/.test(lead !== '' ? lead! : inner!) && !isOperator;
    const start = isOperator ? match.index + lead!.length : match.index;
    const end = match.index + whole.length;
    const scale = SCALES[SCALE.exec(text.slice(end, end + 20))?.[1]?.toLowerCase() ?? ''] ?? 1;
    const magnitude = Number(digits!.replaceAll(',', ''));
    const before = text.slice(Math.max(0, start - 20), start);
    const isNegative = (negative || SIGN_WORD.test(before)) && magnitude !== 0;
    const value = isNegative ? -magnitude : magnitude;

    const previous = found.at(-1);
    const between = previous === undefined ? '' : text.slice(previous.end, start);
    if (previous !== undefined && between === '/' && value !== 0 && text[end] !== '/') {
      previous.value *= scale / value;
      previous.end = end;
      joinMixed(text, found);
      continue;
    }
    const isOperand = OPERATOR.test(between) || (/\band\s+$/i.test(between) && previous!.opensRange);
    if (isOperand) previous!.unfinished = true;
    const opensRange = /\bbetween\s+$/i.test(before);
    const unfinished = isOperand || opensRange || /^[,.]\d/.test(text.slice(end, end + 2));
    found.push({ value: value * scale, start, end, unfinished, opensRange });
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

/** "=", in signs or words. */
const EQUALS = /=|\b(?:equals|(?:is|are) equal to|makes|comes to|totals|(?:for|giving) a total of)\b/gi;

/** What follows a first operand that has a unit: "5 apples + 3 apples". */
const OPERAND_WITH_UNIT =
  /^\s+(?!(?:as|because|since|so|and|or|if|when|for|from|with|given)\b)\p{L}+\s+(?:[+*×÷]|[-−–]\s)\s*[$€£¥]?\d/iu;

/** What a segment commits to; `worked` where it gives a working and its result ("9 + 9 = 18"). */
interface Commitment {
  /** Null where nothing was worked out ("5-7", "16 - 4"). */
  value: number | null;
  worked: boolean;
}

/**
 * The number a segment ends up with: its first one; where that is an operand or stands before "=", what the last "="
 * gives. Undefined where there is no number.
 */
function committed(segment: string): Commitment | undefined {
  const first = findNumbers(segment)[0];
  if (first === undefined) return undefined;
  const after = segment.slice(first.end);
  const beforeEquals = /^\s*=/.test(after) || OPERAND_WITH_UNIT.test(after);
  if (first.unfinished || beforeEquals) {
    const equals = [...segment.matchAll(EQUALS)].at(-1);
    if (equals !== undefined && equals.index >= first.end) {
      const result = findNumbers(segment.slice(equals.index + equals[0].length))[0];
      if (result !== undefined && !result.unfinished) return { value: result.value, worked: true };
      if (result === undefined) return { value: null, worked: true }; // the result may stand on the next line
    }
  }
  return { value: first.unfinished ? null : first.value, worked: first.unfinished && segment.includes('=') };
}

/** Text up to the end of its first sentence; a point inside a number does not end it. */
function firstSentence(text: string): string {
  const end = /[.!?](?=\s|$)|\n/.exec(text);
  return end === null ? text : text.slice(0, end.index);
}

/**
 * The number that a text gives as its answer. In this order, on the text before any invented next question: the last
 * `\boxed{n}`; the last `#### n` or "answer is n" (see {@link committed}), in words too ("twelve"), unless it is taken
 * back after that ("wait, …") or the working goes on, when the last number counts; the last number of the text, remarks
 * in brackets left out. A text that declines after "the answer is" ("not known"), or ends there, has no answer.
 * A range ("5-7"), an operation not worked out ("16 - 4") or a decimal comma ("3,5", which might be a list) is no answer.
 * "1/2" is 0.5, "$1,234.50" 1234.5, "3." 3.
 */
export function extractNumber(text: string): Extraction {
  const own = plainDigits(withSlashes(withoutNextQuestion(text)));
  return fromBoxed(own) ?? fromPhrase(own) ?? fromLast(own);
}

/** LaTeX fractions of plain terms as "a/b", after a whole number with a space between. */
const withSlashes = (latex: string): string =>
  latex
    .replace(/(?<=\d)\s?(?=\\[dt]?frac(?![a-z]))/g, ' ')
    .replace(/\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}/g, '$1/$2')
    .replaceAll('{,}', ',');

/** "½" as "1/2", after a whole number with a space between; digits of full width as ordinary ones. */
const plainDigits = (text: string): string =>
  text
    .replace(/(?<=\d)(?=[¼-¾⅐-⅞])/g, ' ')
    .replace(/[¼-¾⅐-⅞０-９]/g, (sign) => sign.normalize('NFKC').replace('\u2044', '/'));

function fromBoxed(text: string): Extraction | undefined {
  const last = lastBoxed(text);
  if (typeof last !== 'string') return undefined;
  const value = committed(last)?.value;
  return typeof value === 'number' ? { answer: numberText(value), rule: 'boxed' } : undefined;
}

/** After a working that is no sentence's end yet: another one, or a sentence that says what it comes to. */
const GOES_ON = /=|\b(?:so|therefore|thus|hence|this means|total|altogether|in all)\b/i;

/** Nothing but marks of a blank to be filled in. */
const BLANK = /^[\s:._*]*$/;

function fromPhrase(text: string): Extraction | undefined {
  const phrases = lastPhrases(text, ANSWER_PHRASE);
  for (const phrase of phrases) {
    const after = text.slice(phrase.index + phrase[0].length).replace(/^[\s:]+/, '');
    if (/^not\s+(?:simply\s+)?[-−$]?\d/i.test(after)) continue;
    if (BLANK.test(after) && phrase === phrases[0] && !/\bwhat (?:the )?$/i.test(text.slice(0, phrase.index))) {
      return { rule: 'answer phrase, nothing after it' };
    }
    const sentence = firstSentence(after);
    const found = committed(sentence);
    if (found === undefined) {
      if (UNDECIDED.test(sentence)) return { rule: 'answer phrase, undecided' };
      const inWords = leadingNumberWords(sentence);
      if (inWords !== undefined) return { answer: numberText(inWords), rule: 'answer phrase, in words' };
      continue;
    }
    const revision = [...after.matchAll(REVISION)].at(-1);
    if (revision !== undefined) {
      const revised = fromLast(after.slice(revision.index + revision[0].length));
      if (revised !== NOTHING) return { ...revised, rule: `revised: ${revised.rule}` };
    }
    const rest = after.slice(sentence.length);
    if (found.worked && GOES_ON.test(rest)) {
      const reached = fromLast(rest);
      if (reached.answer !== undefined) return { ...reached, rule: 'answer phrase, end of its working' };
    }
    if (found.worked && found.value === null) {
      const [next] = findNumbers(rest);
      if (next !== undefined && !next.unfinished) return { answer: numberText(next.value), rule: 'answer phrase' };
    }
    return found.value === null
      ? { rule: 'answer phrase, not one number' }
      : { answer: numberText(found.value), rule: 'answer phrase' };
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
