// choice.test.ts: the option that an answer text commits to: what breaks string matching, one text each.
import { describe, expect, it } from 'vitest';
import { extractChoice } from '../../../src/tasks/extract/choice';

const FOUR = ['linen', 'owl', 'bike', 'melon'];
const ARTICLE = ['bird', 'fish', 'ant', 'horse'];
const FOOD = ['horse', 'hunger', 'food', 'exaggeration', 'horse food'];

// [text, choices, the letter or undefined, what is hard about it]
const CORPUS: [string, readonly string[], string | undefined, string][] = [
  ['D) melon', FOUR, 'D', 'letter and text'],
  ['D', FOUR, 'D', 'bare letter'],
  ['D.', FOUR, 'D', 'letter and full stop'],
  ['(D)', FOUR, 'D', 'letter in brackets'],
  ['D)', FOUR, 'D', 'letter and bracket'],
  ['(d) melon', FOUR, 'D', 'small letter in brackets'],
  ['D: melon', FOUR, 'D', 'letter and colon'],
  ['melon', FOUR, 'D', 'the option’s text'],
  ['Melon.', FOUR, 'D', 'the option’s text as a sentence'],
  ['The answer is D) melon.', FOUR, 'D', 'phrase, letter and text'],
  ['The answer is D.', FOUR, 'D', 'phrase and letter'],
  ['The answer is (D).', FOUR, 'D', 'phrase and letter in brackets'],
  ['The answer is melon.', FOUR, 'D', 'phrase and text'],
  ['The answer is "melon".', FOUR, 'D', 'phrase and quoted text'],
  ['The correct answer is option D', FOUR, 'D', 'the word option'],
  ['The correct option is D', FOUR, 'D', 'correct option'],
  ['Answer: B', FOUR, 'B', 'answer with a colon'],
  ['Final answer: B) owl.', FOUR, 'B', 'final answer'],
  ['I would choose B because owls fly.', FOUR, 'B', 'a verb of choosing'],
  ['So the answer is (d) melon.', FOUR, 'D', 'PaLM’s form'],
  [
    'The thing that hangs from branches is a fruit. A) linen is a fabric A). B) owl is a bird B). C) bike is a vehicle C). D) melon is a fruit D). We need fruit D) melon. Therefore the answer is D) melon.',
    FOUR,
    'D',
    'the lesson’s chain names every letter',
  ],
  ['A) linen is a fabric A). B) owl is a bird B). C) bike', FOUR, undefined, 'a chain cut off'],
  ['The answer is either (a) linen or (d) melon.', FOUR, undefined, 'two answers are none'],
  ['The answer is A or B', FOUR, undefined, 'two bare letters'],
  ['The answer is linen or owl', FOUR, undefined, 'two option texts'],
  ['The answer is B, not C.', FOUR, 'B', 'an excluded letter'],
  ['The answer is B) owl rather than C) bike.', FOUR, 'B', 'an excluded option'],
  ['The answer is not A. The answer is B.', FOUR, 'B', 'a denied answer first'],
  ['The answer is B. It is not A.', FOUR, 'B', 'a denial after'],
  ['The answer is A. Wait, the owl flies. The answer is B.', FOUR, 'B', 'an answer revised by a second phrase'],
  ['The answer is A. Actually, it is B) owl.', FOUR, 'B', 'an answer revised without a phrase'],
  ['A. No, B.', FOUR, 'B', 'bare letters revised'],
  ['The answer is C) melon.', FOUR, 'C', 'letter against text: the prompt asks for the letter'],
  ['', FOUR, undefined, 'empty text'],
  ['\n', FOUR, undefined, 'blank text'],
  ['I do not know.', FOUR, undefined, 'no option'],
  ['E) plum', FOUR, undefined, 'a letter that is no option'],
  ['The answer is E.', FOUR, undefined, 'a phrase with a letter that is no option'],
  ['A melon hangs from branches.', FOUR, 'D', 'the article A is no letter'],
  ['A bird', ARTICLE, 'A', 'A before its own option’s text'],
  ['A horse can run.', ARTICLE, 'D', 'A as article before another option'],
  ['An ant is small.', ARTICLE, 'C', 'An is no letter'],
  ['Option A fits.', FOUR, 'A', 'the word option makes A a letter'],
  ['Answer Choices: A', FOUR, 'A', 'answer choices'],
  ['I bought it. It is D', FOUR, 'D', 'the pronoun I is no option'],
  ['It’s horse food.', FOOD, 'E', 'an option inside a longer option'],
  ['He could eat a horse, so he is full of hunger', FOOD, undefined, 'two option texts without a decision'],
  ['B) owl\nA) linen is cloth.', FOUR, 'B', 'a first line that is an option, then talk'],
  ['Linen is cloth (A). Bikes roll (C). Therefore D fits best.', FOUR, 'D', 'a conclusion with one letter'],
  ['The owls and bikers like melons', FOUR, undefined, 'option texts inside other words'],
  [
    'The answer is D) melon.\n\nQ: What flies?\nAnswer Choices:\n(a) owl\nA: So the answer is (a) owl.',
    FOUR,
    'D',
    'an invented next question',
  ],
  ['D) melon\nQuestion: What is red?\nAnswer: A', FOUR, 'D', 'an invented question'],
  ['the answer is d) melon', FOUR, 'D', 'small letter with a bracket'],
  ['the answer is d', FOUR, 'D', 'a small letter that is the whole answer'],
  ['the answer is a', FOUR, undefined, 'a text cut off after an article'],
  ['the answer is a.', FOUR, 'A', 'no article before a full stop'],
  ['the answer is d melon', FOUR, 'D', 'its text'],
  ['A) linen\nB) owl\nC) bike\nD) melon', FOUR, undefined, 'the list of options repeated'],
  ['A\nB\nC\nD', FOUR, undefined, 'the letters repeated'],
  ['A) linen\nB) owl\nC) bike\nD) melon\nAnswer: B', FOUR, 'B', 'the list repeated, then an answer'],
  ['B is wrong.', FOUR, undefined, 'the only letter is ruled out'],
  ["B isn't right. C) fits.", FOUR, 'C', 'one is ruled out'],
  ['The answer is **not** A', FOUR, undefined, 'a bold not'],
  ['Owls fly. A bikeshed does not.', ['bike', 'owl'], undefined, 'an article before a longer word than the option'],
  ['THE ANSWER IS D', FOUR, 'D', 'capitals'],
  ['The answer is **D**', FOUR, 'D', 'Markdown'],
  ["The answer isn't A) linen but D) melon.", FOUR, 'D', 'a contraction of not'],
  ['Vitamin C and B12', FOUR, 'C', 'only one of these is an option letter'],
  ['The best choice would be C', FOUR, 'C', 'best choice would be'],
  [
    'So the answer is (c) Washington D.C.',
    ['city', 'state', 'washington d.c.', 'run'],
    'C',
    'an abbreviation with letters',
  ],
  ['The answer is B) vitamin C.', ['zinc', 'vitamin C', 'iron'], 'B', 'a letter inside the option’s text'],
  ['ABCD', FOUR, undefined, 'letters run together'],
];

describe('extractChoice', () => {
  it.each(CORPUS)('%j of %j gives %j: %s', (text, choices, expected) => {
    expect(extractChoice(text, choices, choices.length).answer).toBe(expected);
  });

  it('works without the options’ texts', () => {
    expect(extractChoice('The answer is (e).', undefined, 5).answer).toBe('E');
    expect(extractChoice('A bird', undefined, 5).answer).toBeUndefined();
  });

  it('two options of one text count as one', () => {
    const choices = ['bus depot', 'beach', 'train station', 'bridge', 'bridge'];
    expect(extractChoice('The answer is bridge.', choices, 5).answer).toBe('D');
  });

  it.each(['(', '1', '1,', '-', 'A ', 'answer ', 'the answer to ', '(a', 'no ', '\n', '\\boxed{', 'not ', '.1', '1/'])(
    'takes no more than three seconds for 40,000 times %j, whatever follows',
    (piece) => {
      const text = piece.repeat(40_000);
      const start = performance.now();
      extractChoice(text, FOUR, 4);
      expect(performance.now() - start).toBeLessThan(3000);
    },
  );
});
