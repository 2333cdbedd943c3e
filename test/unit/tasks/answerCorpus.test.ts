// answerCorpus.test.ts: hostile answer texts of every kind, one row each, judged by the strict scorer's extractors. What is
// here is what models were seen to write, or what breaks a careless reader. More on numbers and options: number.test.ts,
// choice.test.ts.
import { describe, expect, it } from 'vitest';
import { lastBoxed } from '../../../src/tasks/extract/boxed';
import { extractChoice } from '../../../src/tasks/extract/choice';
import { extractExpression, normalizeExpression, sameExpression } from '../../../src/tasks/extract/expression';
import { extractNumber } from '../../../src/tasks/extract/number';
import { leadingNumberWords } from '../../../src/tasks/extract/numberWords';
import { extractYesNo } from '../../../src/tasks/extract/yesNo';

// [text, answer or undefined, what is hard about it]
type Case = [text: string, answer: string | undefined, why: string];

const NUMBERS: Case[] = [
  ['The answer is 3.', '3', 'full stop'],
  ['The answer is 3.0.', '3', 'decimal and full stop'],
  ['The answer is 1,319 problems.', '1319', 'comma group and a unit'],
  ['The answer is $1,234,567.', '1234567', 'currency and two groups'],
  ['The answer is 12,50 €.', undefined, 'a decimal comma might be a list'],
  ['The answer is 1.234,50.', undefined, 'another language’s groups'],
  ['The answer is 1.234.567.', undefined, 'points as groups'],
  ['The answer is 1\u202f234.', '1234', 'narrow no-break space as group'],
  ['The answer is 1\u00a0234 km.', '1234', 'no-break space as group'],
  ['The answer is 2,2,2.', undefined, 'a list without spaces'],
  ['The answer is 5-7.', undefined, 'a range'],
  ['The answer is 5–7.', undefined, 'a range with a dash'],
  ['The answer is between 5 and 7.', undefined, 'a range in words'],
  ['The answer is 3 or 4.', undefined, 'one of two'],
  ['The answer is $2 million.', '2000000', 'a scale in words'],
  ['The answer is 1/2 million', '500000', 'a fraction of a scale'],
  ['Answer: negative 5', '-5', 'a sign in words'],
  ['Answer: minus 5', '-5', 'a sign in words'],
  ['The answer is 10 minus 5', undefined, 'minus as an operator'],
  ['There were 10 apples minus 3', '3', 'minus after a unit is no sign'],
  ['The answer is ½.', '0.5', 'a fraction in one sign'],
  ['The answer is 3½.', '3.5', 'a mixed number with a fraction in one sign'],
  ['The answer is １８', '18', 'digits of full width'],
  ['The answer is $\\frac{1}{2}$.', '0.5', 'a LaTeX fraction without a box'],
  ['\\boxed{2\\frac{1}{2}}', '2.5', 'a mixed number in LaTeX'],
  ['The answer is $1{,}200$.', '1200', 'a LaTeX comma without a box'],
  ['The answer is $6 \\times 3 = 18$', '18', 'a LaTeX working'],
  ['The answer is $12 \\cdot 3 = 36$', '36', 'a LaTeX working'],
  ['Thus, $6 \\times 3$', undefined, 'a LaTeX working left undone'],
  ['The answer is 100% - 20% = 80%', '80', 'a working in percent'],
  ['The answer is 5 apples + 3 apples = 8 apples.', '8', 'a working with units'],
  ['The answer is 12, since 15 - 3 = 12 and 4 + 4 = 8.', '12', 'workings as reasons'],
  ['The answer is 1/2.', '0.5', 'a fraction'],
  ['The answer is 1/2 cup, so 2 1/2 cups in all.', '0.5', 'a fraction, then a mixed number'],
  ['The answer is \u22124.', '-4', 'unicode minus'],
  ['The answer is –4.', '-4', 'en dash as minus'],
  ['The answer is -$60.', '-60', 'minus before the currency'],
  ['The answer is ≈ 7.', '7', 'about'],
  ['The answer is ~7.', '7', 'tilde'],
  ['The answer is 7 😀.', '7', 'emoji'],
  ['😀 7 😀', '7', 'a number between emoji'],
  ['The answer is <b>7</b>.', '7', 'HTML'],
  ['<p>The answer is <strong>1,007</strong></p>', '1007', 'HTML around it all'],
  ['The answer is **7**.', '7', 'Markdown bold'],
  ['**Answer:** 7', '7', 'Markdown around the phrase'],
  ['### Answer\n7', '7', 'a heading at the very start ends nothing'],
  ['The answer is $7$.', '7', 'LaTeX inline'],
  ['The answer is \\(7\\).', '7', 'LaTeX brackets'],
  ['\\boxed{7}', '7', 'a box'],
  ['\\boxed{1{,}234}', '1234', 'LaTeX comma'],
  ['\\boxed{\\dfrac{3}{4}}', '0.75', 'a fraction in a box'],
  ['First \\boxed{3}, no: \\boxed{4}', '4', 'several boxes'],
  ['So the answer is \\boxed{4', '4', 'a box cut off, the number is said'],
  ['42 (see step 3)', '42', 'a remark with a number'],
  ['The answer is 42 (see step 3).', '42', 'a remark after the phrase'],
  ['Step 1: 10. Step 2: 20. The answer is 20 (step 2).', '20', 'steps'],
  ['A: 26', '26', 'GSM8K’s own form'],
  ['#### 1,234', '1234', 'GSM8K’s mark'],
  ['She has 3+4=<<3+4=7>>7 pens.\n#### 7', '7', 'annotations'],
  ['The answer is 3. Wait, no. The answer is 4.', '4', 'revised by a phrase'],
  ['The answer is 3. Actually, it is 4.', '4', 'revised without a phrase'],
  ['The answer is 3. Let me recheck: 2 + 2 = 4.', '4', 'rechecked'],
  ['The answer is 8.\n\nQ: Tom has 3 hats.\nA: The answer is 3.', '8', 'an invented question'],
  ['8\nQuestion: Tom has 3 hats.', '8', 'an invented question after a bare number'],
  ['', undefined, 'empty'],
  [' \n\t ', undefined, 'blank'],
  ['I cannot help with that.', undefined, 'a refusal'],
  ['As there are 5 boxes, the answer is not known.', undefined, 'declines after the phrase'],
  ['There are 5 boxes. The answer is that we cannot know.', undefined, 'declines in a clause'],
  ['There are 5 boxes. The answer is impossible to determine.', undefined, 'impossible'],
  ['There are 5 boxes. Therefore, the answer is', undefined, 'ends where the answer should come'],
  ['There are 5 boxes. Therefore, the answer is: \n\n', undefined, 'ends after a colon'],
  ['The answer is fifty-six.', '56', 'number words'],
  ['The answer is two hundred and five dollars.', '205', 'number words with a unit'],
  ['The answer is one of the two.', undefined, '"one" as a pronoun'],
  ['The answer is 96 * 5 = 480.', '480', 'a working and its result'],
  ['The answer is 3 x 68 = 204\n2 x 80 = 160\nThe total cost was $364.', '364', 'the working goes on'],
  ['The answer is $192 x 12 = \n\n$2,304', '2304', 'the result on another line'],
  ['The answer is 90 + 80 + 150, which equals 320.', '320', 'equals in words'],
  ['The answer is 26 + 36 - 48 = 14. The answer (words) is fourteen.', '14', 'twice'],
  ['The answer is 3:45.', undefined, 'a time'],
  ['The answer is 25%.', '25', 'percent'],
  ['The answer is 2^3.', undefined, 'a power not worked out'],
  ['The answer is 1e3.', '1000', 'exponent'],
  ['The answer is 007.', '7', 'leading zeros'],
  ['答案是 42。', '42', 'Chinese'],
  ['Die Antwort ist 42.', '42', 'German'],
  ['The answer is NaN.', undefined, 'not a number'],
];

const OPTIONS = ['a stone', 'an owl', 'none of the above', 'a car'];
const CHOICES: Case[] = [
  ['B', 'B', 'letter'],
  ['B.', 'B', 'letter and point'],
  ['B)', 'B', 'letter and bracket'],
  ['(B)', 'B', 'letter in brackets'],
  ['[B]', 'B', 'letter in square brackets'],
  ['**B**', 'B', 'bold'],
  ['**B)** an owl', 'B', 'bold with the text'],
  ['`B`', 'B', 'code'],
  ['"B"', 'B', 'quotes'],
  ['<b>B</b>', 'B', 'HTML'],
  ['$\\boxed{B}$', 'B', 'LaTeX box'],
  ['\\boxed{\\text{B}}', 'B', 'LaTeX box and text'],
  ['B 😀', 'B', 'emoji'],
  ['Answer: B', 'B', 'colon'],
  ['answer is: (b)', 'B', 'small letter in brackets'],
  ['an owl', 'B', 'the text'],
  ['An owl!', 'B', 'the text, shouted'],
  ['The answer is an owl.', 'B', 'phrase and text'],
  ['The answer is option B', 'B', 'the word option'],
  ['The answer is none of the above.', 'C', 'an option that says none'],
  ['None of the above', 'C', 'the same, bare'],
  ['The answer is both A and B.', undefined, 'both'],
  ['A and B', undefined, 'two letters'],
  ['A or B', undefined, 'either'],
  ['The answer is A. Wait, B.', 'B', 'revised'],
  ['The answer is A. Sorry, the answer is D.', 'D', 'revised by a phrase'],
  ['Not A, not B, not C, so D.', 'D', 'by exclusion'],
  ['It is not B.', undefined, 'an exclusion alone'],
  ['The answer is B because A is heavy.', 'B', 'a reason with another letter'],
  ['The answer is E.', undefined, 'no such option'],
  ['I cannot answer this question.', undefined, 'a refusal'],
  ['', undefined, 'empty'],
  ['B\n\nQuestion: What swims?\nAnswer: A', 'B', 'an invented question'],
  ['B) an owl\nC) none of the above', 'B', 'the first line is an option, the list goes on'],
  ['A car has wheels. The answer is D.', 'D', 'an article and a letter'],
  ['Die Antwort ist B.', 'B', 'German'],
];

const YES_NO: Case[] = [
  ['Yes', 'yes', 'bare'],
  ['no', 'no', 'bare, small'],
  ['YES!', 'yes', 'shouted'],
  ['No.', 'no', 'full stop'],
  ['**No**', 'no', 'bold'],
  ['**Yes**, because owls fly.', 'yes', 'bold, then a reason'],
  ['<b>no</b>', 'no', 'HTML'],
  ['"Yes"', 'yes', 'quotes'],
  ['Yes 😀', 'yes', 'emoji'],
  ['The answer is yes.', 'yes', 'phrase'],
  ['So the answer is no.', 'no', 'phrase, no'],
  ['the answer is NO', 'no', 'capitals'],
  ['The answer is: Yes', 'yes', 'colon'],
  ['Answer: no, because it sinks.', 'no', 'a reason after it'],
  ['Therefore, the answer (Yes or No) is No.', 'no', 'the options repeated'],
  ['Yes or no? No.', 'no', 'the question repeated'],
  ['The answer is yes or no.', undefined, 'only the options'],
  ['The answer is both yes and no.', undefined, 'both'],
  ['Yes and no.', undefined, 'both, bare'],
  ['No, wait, yes.', 'yes', 'revised'],
  ['Yes. Actually, no.', 'no', 'revised the other way'],
  ['The answer is yes. Hmm, let me recheck. The answer is no.', 'no', 'revised by a phrase'],
  ['The answer is not yes.', undefined, 'a denial is no answer'],
  ['The answer is not known. There is no record of it.', undefined, '"no" inside a sentence'],
  ['There is no evidence of that.', undefined, 'no evidence'],
  ['No one has ever done it.', undefined, 'no one'],
  ['No, no one has ever done it.', 'no', 'no, then no one'],
  ['No doubt: yes.', 'yes', 'no doubt'],
  ['Yes, there is no doubt.', 'yes', 'yes with no doubt'],
  ['It has no wings. So the answer is no.', 'no', 'no as a determiner first'],
  ['An owl has no gills. Thus, no.', 'no', 'a conclusion'],
  ['Owls fly. So yes, it could.', 'yes', 'a conclusion with yes'],
  ['Owls fly, so it could.', undefined, 'an argument only implies'],
  ['It depends.', undefined, 'it depends'],
  ['The answer is yes in Rome. But the answer is that it depends.', 'yes', 'a later phrase without an answer'],
  ['The answer is yes in Rome. The answer is unknown elsewhere.', undefined, 'declined at the end'],
  ['The answer is true.', 'yes', 'true'],
  ['False.', 'no', 'false'],
  ['It is true that owls fly.', undefined, 'true inside a sentence'],
  ['y', 'yes', 'one letter'],
  ['N.', 'no', 'one letter and point'],
  ['Nope.', 'no', 'nope'],
  ['Yesterday it did.', undefined, 'yes inside a word'],
  ['Nothing could.', undefined, 'no inside a word'],
  ['Know.', undefined, 'know'],
  ['', undefined, 'empty'],
  ['   ', undefined, 'blank'],
  ['I am unable to answer.', undefined, 'a refusal'],
  ['Yes.\n\nQ: Do fish fly?\nA: No.', 'yes', 'an invented question'],
  ['Sí', undefined, 'another language'],
  ['A whale is 15 feet long. No. The answer is no.', 'no', 'twice the same'],
];

const EXPRESSIONS: Case[] = [
  ['\\boxed{\\frac{1}{2}}', '\\frac{1}{2}', 'braces inside braces'],
  ['so $\\boxed{3}$, or rather $\\boxed{\\sqrt{3}}$.', '\\sqrt{3}', 'several boxes'],
  ['\\boxed{\\left\\{1,2\\right\\}}', '\\left\\{1,2\\right\\}', 'escaped braces'],
  ['\\fbox{7}', '7', 'fbox'],
  ['\\boxed 5$', '5', 'a box without braces'],
  ['\\boxed{\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}}', '\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}', 'a matrix'],
  ['The answer is 4. \\boxed{\\frac{1', undefined, 'a box cut off'],
  ['\\boxed{}', undefined, 'an empty box'],
  ['The answer is $\\frac{3}{4}$.', '\\frac{3}{4}', 'phrase and formula'],
  ['The answer is $x = 5$.', '5', 'what the formula comes to'],
  ['The answer is 3/4.', '3/4', 'phrase without LaTeX'],
  ['The answer is 0.75.', '0.75', 'a point in the number and one after it'],
  ['The answer is 12 apples.', '12', 'phrase with a unit'],
  ['The answer is \\(2\\pi\\).', '2\\pi', 'LaTeX brackets'],
  ['The answer is **(3, 4)**.', '(3, 4)', 'bold'],
  ['Thus $a+b = 7$ and so $ab = 12$.', '12', 'the last formula'],
  ['2\\sqrt{3}', '2\\sqrt{3}', 'the text as a whole'],
  ['We get 3 and then 9', '9', 'words: the last number'],
  ['The answer is $4$. Wait, it is $5$.', '5', 'revised'],
  ['\\boxed{7}\n\nProblem: Find x.\n\\boxed{9}', '7', 'an invented problem'],
  ['', undefined, 'empty'],
  ['I do not know.', undefined, 'a refusal'],
];

describe('extractNumber', () => {
  it.each(NUMBERS)('%j gives %j: %s', (text, answer) => expect(extractNumber(text).answer).toBe(answer));
});

describe('extractChoice', () => {
  it.each(CHOICES)('%j gives %j: %s', (text, answer) => {
    expect(extractChoice(text, OPTIONS, OPTIONS.length).answer).toBe(answer);
  });
});

describe('extractYesNo', () => {
  it.each(YES_NO)('%j gives %j: %s', (text, answer) => expect(extractYesNo(text).answer).toBe(answer));
});

describe('extractExpression', () => {
  it.each(EXPRESSIONS)('%j gives %j: %s', (text, answer) => expect(extractExpression(text).answer).toBe(answer));
});

// [one writing, another, the same answer?, the rule]
const PAIRS: [string, string, boolean, string][] = [
  ['\\dfrac{1}{2}', '\\frac{1}{2}', true, 'sizes of fractions'],
  ['\\tfrac12', '\\frac{1}{2}', true, 'missing braces'],
  ['\\frac1{72}', '\\frac{1}{72}', true, 'one missing brace'],
  ['\\frac{\\sqrt{3}}2', '\\frac{\\sqrt3}{2}', true, 'braces of fraction and root'],
  ['1/2', '\\frac{1}{2}', true, 'a slash between whole numbers'],
  ['-1/2', '\\frac{-1}{2}', true, 'a slash with a sign'],
  ['a/b', '\\frac{a}{b}', false, 'a slash between letters'],
  ['0.5', '\\frac{1}{2}', true, 'the one decimal that the benchmark knows'],
  ['.5', '\\frac12', true, 'a missing zero'],
  ['0.25', '\\frac{1}{4}', false, 'no other decimal'],
  ['2/4', '1/2', false, 'no algebra'],
  ['x+1', '1+x', false, 'no algebra with letters'],
  ['x=5', '5', true, 'a variable in front'],
  ['x = 5', '5', true, 'a variable with spaces'],
  ['x=y=5', '5', false, 'two equals signs'],
  ['10\\text{ cm}', '10', true, 'units'],
  ['10\\text{ cm}^2', '10', true, 'units with a power'],
  ['10\\mbox{ cm}', '10', true, 'units in mbox'],
  ['\\text{Evelyn}', 'Evelyn', true, 'an answer in words'],
  ['(\\text{E})', '\\text{(E)}', true, 'text inside brackets'],
  ['\\text{even}', '\\text{odd}', false, 'other words'],
  ['90^\\circ', '90', true, 'degrees'],
  ['90^{\\circ}', '90°', true, 'degrees in braces and as a sign'],
  ['50\\%', '50', true, 'percent'],
  ['\\$32', '32', true, 'dollars'],
  ['$32$', '32', true, 'math delimiters'],
  ['1,\\!234', '1234', true, 'LaTeX comma'],
  ['1,234', '1234', true, 'comma groups'],
  ['(1,234)', '(1234)', false, 'a pair is no number'],
  ['39.0', '39', true, 'a trailing zero'],
  ['39.', '39', true, 'a full stop'],
  ['\\left( 3, \\frac{\\pi}{2} \\right)', '(3,\\frac{\\pi}{2})', true, 'sizes of brackets'],
  ['[0,1)', '(0,1)', false, 'open and closed intervals'],
  ['[0, 1)', '[0,1)', true, 'spaces in intervals'],
  ['(-\\infty,0)\\cup(0,\\infty)', '(-\\infty, 0) \\cup (0, \\infty)', true, 'unions'],
  ['\\begin{pmatrix}1\\\\2\\end{pmatrix}', '\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}', true, 'matrices, spaces apart'],
  ['\\begin{pmatrix}1\\\\2\\end{pmatrix}', '\\begin{pmatrix}2\\\\1\\end{pmatrix}', false, 'another matrix'],
  ['\\leftarrow', 'arrow', false, '\\left is a command of its own'],
  ['1,2', '2,1', false, 'order'],
  ['−3', '-3', true, 'unicode minus'],
  ['', '', false, 'nothing is no answer'],
  ['12345678901234567890', '12345678901234567891', false, 'every digit counts'],
];

describe('sameExpression', () => {
  it.each(PAIRS)('%j and %j: %s (%s)', (a, b, same) => {
    expect(sameExpression(a, b)).toBe(same);
    expect(sameExpression(b, a)).toBe(same);
    expect(normalizeExpression(normalizeExpression(a))).toBe(normalizeExpression(a));
  });
});

describe('lastBoxed', () => {
  it('tells an open box, no box, and an empty one apart', () => {
    expect(lastBoxed('\\boxed{1} and \\boxed{2')).toBeNull();
    expect(lastBoxed('boxed{1}')).toBeUndefined();
    expect(lastBoxed('\\boxed{}')).toBe('');
    expect(lastBoxed('\\boxedx{1}')).toBeUndefined();
  });
});

describe('leadingNumberWords', () => {
  it.each([
    ['twelve', 12],
    ['Twenty-five percent', 25],
    ['two hundred fifty-five', 255],
    ['a hundred', 100],
    ['one hundred and eighty dollars', 180],
    ['one hundred fifty-seven thousand four hundred', 157400],
    ['three million', 3000000],
    ['zero', 0],
  ])('%j is %d', (text, value) => expect(leadingNumberWords(text)).toBe(value));

  it.each(['', 'a cat', 'one of them', 'ten point five', 'two to three', 'five twenty', 'the two', 'someone', 'half'])(
    '%j is none',
    (text) => expect(leadingNumberWords(text)).toBeUndefined(),
  );
});

describe.each([
  ['extractYesNo', extractYesNo],
  ['extractExpression', extractExpression],
] as const)('%s', (_, extract) => {
  it.each([
    '(',
    '1',
    '-',
    'yes ',
    'no ',
    'yes or ',
    'the answer to ',
    'answer is ',
    '\n',
    '\\boxed{',
    '$',
    '\\(',
    'one ',
  ])('takes no more than three seconds for 40,000 times %j, whatever follows', (piece) => {
    const start = performance.now();
    extract(piece.repeat(40_000));
    expect(performance.now() - start).toBeLessThan(3000);
  });
});

it('the corpus has at least 150 texts', () => {
  const texts = [...NUMBERS, ...CHOICES, ...YES_NO, ...EXPRESSIONS, ...PAIRS];
  expect(texts.length).toBeGreaterThanOrEqual(150);
});
