// number.test.ts: the number that an answer text commits to: what breaks string matching, one text each.
import { describe, expect, it } from 'vitest';
import { extractNumber } from '../../../src/tasks/extract/number';

// [text, the answer it commits to or undefined, what is hard about it]
const CORPUS: [string, string | undefined, string][] = [
  ['The answer is 39.', '39', 'full stop after the number'],
  ['39', '39', 'bare number'],
  ['39.', '39', 'bare number with a full stop'],
  ['39.0', '39', 'trailing zero'],
  ['  42  \n', '42', 'white space'],
  ['The answer is 1,234.', '1234', 'comma groups'],
  ['The answer is 1,234,567.89 in total.', '1234567.89', 'comma groups and decimals'],
  ['The answer is $15.', '15', 'currency'],
  ['The answer is $1,050.50.', '1050.5', 'currency, comma, decimals'],
  ['The answer is €7.', '7', 'another currency'],
  ['The answer is 12 apples.', '12', 'unit'],
  ['The answer is 5kg.', '5', 'unit glued on'],
  ['The answer is 50%.', '50', 'percent'],
  ['The answer is -3.', '-3', 'minus sign'],
  ['The answer is −3 degrees.', '-3', 'typographic minus'],
  ['The answer is -$4.', '-4', 'minus before the currency'],
  ['The answer is $-4.', '-4', 'minus after the currency'],
  ['The answer is +8.', '8', 'plus sign'],
  ['The answer is 0.', '0', 'zero'],
  ['The answer is -0.', '0', 'minus zero'],
  ['The answer is .5.', '0.5', 'no digit before the point'],
  ['The answer is 1/2.', '0.5', 'fraction'],
  ['The answer is 3 1/2.', '3.5', 'mixed number'],
  ['The answer is 2e3.', '2000', 'exponent'],
  ['The answer is 5-7.', undefined, 'a range is not one number'],
  ['The answer is 5 to 7.', undefined, 'a range in words'],
  ['The answer is 16 - 4.', undefined, 'a subtraction left undone'],
  ['The answer is 16 - 4 = 12.', '12', 'a subtraction worked out'],
  ['The answer is 12 = 16 - 4.', '12', 'the result before its sum'],
  ['The answer is 12 (12 = 5 + 7).', '12', 'a sum in brackets after the answer'],
  ['The answer is x = 5.', '5', 'a variable'],
  ['42 (see step 3)', '42', 'a remark in brackets'],
  ['The answer is 42 (see step 3).', '42', 'a remark after the phrase'],
  ['First, 21 - 6 = 15. Then, 15 - 4 = 11. The answer is 11.', '11', 'numbers on the way'],
  ['First, 21 - 6 = 15. Then, 15 - 4 = 11', '11', 'no phrase: the last result'],
  ['First, 21 - 6 = 15. Then, 15 - 4', undefined, 'cut off inside a sum'],
  ['Step 1: 29 minus 9 equals 20. Step 2: 20 minus 4 equals 16. Final answer: 16.', '16', 'step numbers'],
  ['We have 10 apples and 5 pears, 15 pieces.', '15', 'no phrase: the last number'],
  ['The answer is 12. Wait, I forgot one. The answer is 13.', '13', 'an answer revised by a second phrase'],
  ['The answer is 12. Wait, that is wrong: 13.', '13', 'an answer revised without a phrase'],
  ['The answer is 12. Sorry, 5 + 9 = 14.', '14', 'an answer taken back'],
  ['They wait 5 minutes in 3 lines. The answer is 8.', '8', '"wait" as an ordinary word'],
  ['The answer is not 12. It is 15.', '15', 'a denied answer'],
  ['Answer: 7', '7', 'Answer with a colon'],
  ['answer = 7', '7', 'answer with an equals sign'],
  ['Therefore, the answer (arabic numerals) is 2.', '2', 'the second prompt of zero-shot CoT'],
  ['Therefore, the answer to the question is 81 pieces.', '81', 'words inside the phrase'],
  ['#### 72', '72', 'GSM8K’s mark'],
  ['So 5*2=<<5*2=10>>10 in all.\n#### 10', '10', 'GSM8K’s annotations'],
  ['so \\boxed{7} or rather \\boxed{8}', '8', 'several boxes: the last'],
  ['\\boxed{\\frac{1}{4}}', '0.25', 'a fraction in a box'],
  ['The answer is 5.\n\nQ: Bob has 9 hats. How many?\nA: The answer is 9.', '5', 'an invented next question'],
  ['5 cakes.\nQuestion: Ann has 4.', '5', 'an invented question without an answer'],
  ['The answer is 5.\n### Instruction:\nAnswer 77', '5', 'an invented instruction'],
  ['', undefined, 'empty text'],
  ['   \n ', undefined, 'blank text'],
  ['I do not know.', undefined, 'no number'],
  ['The answer is twelve.', '12', 'a number word'],
  ['the answer is the sum of both', undefined, 'a phrase without a number'],
  ['Her result was 10. So the sum of both is what the answer is', '10', 'a phrase with nothing after it'],
  ['The 3rd child has 14 sweets', '14', 'an ordinal before'],
  ['gpt-4 says 6', '6', 'a number inside a name'],
  ['A1 B2', undefined, 'digits glued to letters are no numbers'],
  ['The answer is 1 234', '1', 'a space is no thousands separator'],
  ['The answer is 12 - well, 12 cakes.', '12', 'a dash after the number'],
  ['3, 4 and 5', '5', 'a list'],
  ['The total was 18.The answer is 18.', '18', 'no space after the full stop'],
  ['It takes 2:30.', undefined, 'a time is not one number'],
  ['The answer is: **24**', '24', 'Markdown'],
  ['The answer is `24`', '24', 'code marks'],
  ['答案 is 9', '9', 'another script'],
];

describe('extractNumber', () => {
  it.each(CORPUS)('%j gives %j: %s', (text, expected) => {
    expect(extractNumber(text).answer).toBe(expected);
  });

  it('says by which rule', () => {
    expect(extractNumber('The answer is 3').rule).toBe('answer phrase');
    expect(extractNumber('3').rule).toBe('last number');
    expect(extractNumber('').rule).toBe('nothing found');
  });

  it.each(['(', '1', '1,', '-', 'A ', 'answer ', 'the answer to ', '(a', 'no ', '\n', '\\boxed{', 'not ', '.1', '1/'])(
    'takes no more than three seconds for 40,000 times %j, whatever follows',
    (piece) => {
      const text = piece.repeat(40_000);
      const start = performance.now();
      extractNumber(text);
      expect(performance.now() - start).toBeLessThan(3000);
    },
  );
});
