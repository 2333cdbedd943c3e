// expression.ts: the mathematical expression that an answer text commits to (MATH), and when two expressions are the same
// answer. Equality is the benchmark's: both are written in one form and compared as text. It does no algebra: 2/4 and 1/2,
// or x+1 and 1+x, are different, as they are in the published evaluation.
//
// Rules of MATH's own evaluation (Hendrycks et al. 2021, `strip_string` and `is_equiv`), reimplemented from their published
// description and marked [MATH] below; what we add is marked [ours] and listed in docs/answers.md.
import { lastPhrases, REVISION, withoutNextQuestion } from './answerText';
import type { Extraction } from './answerText';
import { lastBoxed } from './boxed';
import { ANSWER_PHRASE, extractNumber, findNumbers, numberText } from './number';

/** [MATH] \frac12, \frac1{72}, \frac{a}2: braces around what \frac takes. */
function braceFractions(text: string): string {
  return text.replace(
    /\\frac(?:\{((?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*)\}|([^{}\\]))(?:\{|([^{}\\]))/g,
    (whole, braced: string | undefined, bare: string | undefined, second: string | undefined) =>
      `\\frac{${braced ?? bare!}}${second === undefined ? whole.slice(-1) : `{${second}}`}`,
  );
}

/** [ours] "1,234,567" and "39.0" in the form a number target has; other texts as they are. */
function plainNumber(text: string): string {
  const number = /^([-+]?)(\d{1,3}(?:,\d{3})+|\d+)?(\.\d*)?$/.exec(text);
  if (number === null || !/\d/.test(text)) return text;
  const digits = text.replaceAll(',', '');
  // Long integers keep every digit; a float would not.
  return number[3] === undefined ? digits.replace(/^\+/, '') : numberText(Number(digits));
}

/**
 * One form for the ways of writing an answer: spaces, sizes of brackets and fractions, degrees, percent and currency
 * signs, units in \text, "x =" in front, missing braces and a missing 0 before the point do not matter.
 */
export function normalizeExpression(expression: string): string {
  let text = expression
    .replaceAll('−', '-') // [ours] typographic minus
    .replace(/^\s*(?:\$\$?|\\\(|\\\[)([^]*?)(?:\$\$?|\\\)|\\\])\s*\.?\s*$/, '$1') // [ours] math delimiters around it all
    .replaceAll('\n', '')
    .replaceAll('\\!', '') // [MATH]
    .replaceAll(/\\[,;:]|\\ |~/g, ' ') // [ours] other spaces; \\ of a matrix row is kept
    .replaceAll('\\\\', '\\') // [MATH]
    .replace(/\\[tdc]frac/g, '\\frac') // [MATH] tfrac, dfrac
    .replace(/\\(?:left|right)(?![A-Za-z])/g, '') // [MATH]
    .replace(/\^\s*(?:\{\s*\\circ\s*\}|\\circ)|°|\\degree(?:s)?(?![A-Za-z])/g, '') // [MATH] degrees
    .replace(/\\?\$/g, '') // [MATH] \$; [ours] $
    .replace(/\\?%/g, '') // [MATH] \%; [ours] %
    .trim();
  // [ours] an answer that is text as a whole; [MATH] units: \text after something else, from its beginning to the end.
  const whole = /^\\(?:text|textbf|textit|mathrm|mathbf|mbox)\s*\{([^{}]*)\}\.?$/.exec(text);
  if (whole !== null) text = whole[1]!;
  else {
    const units =
      /^(?!\\(?:text|mbox|mathrm)\b)([^]*?\S)\s*\\(?:text|mbox|mathrm)\s*\{[^{}]*\}(?:\^\{?\d\}?)?\.?$/.exec(text);
    if (units !== null && !/\\(?:text|mbox|mathrm)\b/.test(units[1]!)) text = units[1]!;
  }
  text = text
    .replace(/\\(?:text|mbox|mathrm)\s*\{([^{}]*)\}/g, '$1') // [ours] words within an answer: (\text{E})
    .trim()
    .replace(/\.$/, '') // [ours] end of the sentence
    .replace(/(^|[\s{(,[-])\.(?=\d)/g, '$10.'); // [MATH] .5 is 0.5
  const sides = text.split('=');
  if (sides.length === 2 && sides[0]!.trim().length <= 2) text = sides[1]!; // [MATH] "x = 5"
  text = text.replace(/\\sqrt\s*([^\s{[\\])/g, '\\sqrt{$1}').replace(/\s+/g, ''); // [MATH]
  text = braceFractions(text);
  if (text === '0.5') return '\\frac{1}{2}'; // [MATH]
  const slash = /^(-?\d+)\/(-?\d+)$/.exec(text);
  if (slash !== null) return `\\frac{${Number(slash[1])}}{${Number(slash[2])}}`; // [MATH]
  return plainNumber(text);
}

/** The benchmark's equality of two answers. Two blank ones are not equal: nothing is no answer. */
export function sameExpression(a: string, b: string): boolean {
  const normal = normalizeExpression(a);
  return normal !== '' && normal === normalizeExpression(b);
}

/** Words of ordinary language: three letters and more that are no command and stand in no \text. */
const hasWords = (text: string): boolean =>
  /(?<![\\A-Za-z])[A-Za-z]{3,}/.test(text.replace(/\\(?:text|mbox|mathrm|operatorname)\s*\{[^{}]*\}/g, ''));

/** A formula in the text: between $, $$, \( \) or \[ \]. A currency sign opens none, for no second one closes it. Longer ones are no answers. */
const FORMULA = /(?<!\\)\$\$?([^$]{1,1000})(?<!\\)\$\$?|\\\(([^]{0,1000}?)\\\)|\\\[([^]{0,1000}?)\\\]/g;

const formulaText = (match: RegExpMatchArray): string => (match[1] ?? match[2] ?? match[3])!.trim();

/** What a formula comes to: the part after its last "=". */
const result = (formula: string): string => formula.slice(formula.lastIndexOf('=') + 1).trim();

const withoutMarks = (text: string): string => text.replace(/^[\s*_`"“:]+|[\s*_`"”]+$/g, '').replace(/[.,;]$/, '');

/**
 * The expression that a text gives as its answer. In this order, on the text before any invented next question: the last
 * \boxed (none where that is cut off); after the last "answer is" the first formula of its sentence, the sentence itself
 * where it has no words, else its number; a text without words as a whole; what the last formula comes to; the number
 * that extractNumber finds.
 */
export function extractExpression(text: string): Extraction {
  const own = withoutNextQuestion(text);
  if (own.trim() === '') return { rule: 'empty text' };
  const boxed = lastBoxed(own);
  if (boxed === null) return { rule: 'boxed, cut off' };
  if (boxed !== undefined) {
    return boxed.trim() === '' ? { rule: 'boxed, empty' } : { answer: boxed.trim(), rule: 'boxed' };
  }
  const phrased = fromPhrase(own);
  if (phrased !== undefined) return phrased;
  const bare = withoutMarks(own);
  if (bare.length <= 200 && !bare.includes('\n') && !hasWords(bare)) return { answer: bare, rule: 'whole text' };
  const formula = [...own.matchAll(FORMULA)].at(-1);
  if (formula !== undefined && result(formulaText(formula)) !== '') {
    return { answer: result(formulaText(formula)), rule: 'last formula' };
  }
  return extractNumber(own);
}

function fromPhrase(text: string): Extraction | undefined {
  for (const phrase of lastPhrases(text, ANSWER_PHRASE)) {
    const after = text.slice(phrase.index + phrase[0].length);
    if (/^\s*not\b/i.test(after)) continue;
    const taken = [...after.matchAll(REVISION)].at(-1);
    const said = taken === undefined ? undefined : readAnswer(after.slice(taken.index + taken[0].length));
    if (said !== undefined) return { ...said, rule: `revised: ${said.rule}` };
    const answer = readAnswer(after);
    if (answer !== undefined) return answer;
  }
  return undefined;
}

/** The answer in the first sentence of what follows "the answer is". */
function readAnswer(after: string): Extraction | undefined {
  const trimmed = after.trimStart();
  // A full stop inside a formula ends nothing.
  const masked = trimmed.replace(FORMULA, (formula) => '_'.repeat(formula.length));
  const end = /[.!?](?=[*_`"”’)]*(?:\s|$))|\n/.exec(masked);
  const sentence = end === null ? trimmed : trimmed.slice(0, end.index);
  const formula = sentence.matchAll(FORMULA).next().value;
  if (formula !== undefined) return { answer: result(formulaText(formula)), rule: 'answer phrase' };
  const bare = withoutMarks(sentence);
  if (bare !== '' && !hasWords(bare)) return { answer: bare, rule: 'answer phrase' };
  const number = findNumbers(bare);
  const [first] = number;
  if (first === undefined || first.unfinished) return undefined;
  return { answer: bare.slice(first.start, first.end), rule: 'answer phrase, number' };
}
