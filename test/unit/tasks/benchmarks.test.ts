// benchmarks.test.ts: every benchmark read from rows of each form that it is found in: the original files and the Hub's data
// sets. Rows here are invented in those forms; the real files are read in realData.test.ts.
import { describe, expect, it } from 'vitest';
import type { TaskId } from '../../../src/config/experiment';
import { TASKS } from '../../../src/tasks/registry';
import type { LoadedItems } from '../../../src/tasks/task';

const jsonl = (...rows: unknown[]): string => rows.map((row) => JSON.stringify(row)).join('\n');
const load = (id: TaskId, text: string, path = 'x.jsonl'): LoadedItems => TASKS[id].load([{ path, text }]);
const reasons = (loaded: LoadedItems): string[] => loaded.rejected.map(({ line, reason }) => `${line}: ${reason}`);

const lettered = (texts: string[]): { label: string; text: string }[] =>
  texts.map((text, i) => ({ label: 'ABCDE'[i]!, text }));
const columns = (texts: string[]): unknown => ({ text: texts, label: texts.map((_, i) => 'ABCDE'[i]!) });
const FOUR = ['sun', 'moon', 'sea', 'wind'];
const item = (question: string, choices: string[] | undefined, target: string): unknown =>
  choices === undefined ? { question, target } : { question, choices, target };
/** Items without their ids. */
const bare = ({ items }: LoadedItems): unknown[] => items.map(({ id: _, ...rest }) => rest);

// [task, form, row, what it says]
const FORMS: [TaskId, string, unknown, unknown][] = [
  [
    'obqa',
    'original',
    { id: '7-1', question: { stem: 'What shines?', choices: lettered(FOUR) }, answerKey: 'A' },
    item('What shines?', FOUR, 'A'),
  ],
  [
    'obqa',
    'Hub',
    { id: '7-1', question_stem: 'What shines?', choices: columns(FOUR), answerKey: 'D' },
    item('What shines?', FOUR, 'D'),
  ],
  [
    'obqa',
    'tinyLLM',
    { id: '7-1', question: 'What shines?', choices: FOUR, answer: 'moon' },
    item('What shines?', FOUR, 'B'),
  ],
  [
    'obqa',
    'LLM-Adapters',
    {
      instruction:
        'Please choose the correct answer to the question: What shines?\n\nAnswer1: sun Answer2: moon Answer3: sea Answer4: wind\n\nAnswer format: answer1/answer2/answer3/answer4',
      input: '',
      output: 'the correct answer is answer3',
      answer: 'answer3',
    },
    item('What shines?', FOUR, 'C'),
  ],
  [
    'csqa',
    'original',
    { id: 'q', question: { stem: 'Where?', choices: lettered(FOUR) }, answerKey: 'B' },
    item('Where?', FOUR, 'B'),
  ],
  [
    'csqa',
    'Hub',
    { id: 'q', question: 'Where?', question_concept: 'x', choices: columns(FOUR), answerKey: 'B' },
    item('Where?', FOUR, 'B'),
  ],
  ['csqa', 'distilling', { id: 'q', question: 'Where?', choices: FOUR, answer: 'wind' }, item('Where?', FOUR, 'D')],
  ['piqa', 'Hub', { goal: 'cool tea', sol1: 'wait', sol2: 'heat', label: 0 }, item('cool tea', ['wait', 'heat'], 'A')],
  [
    'piqa',
    'label as text',
    { goal: 'cool tea', sol1: 'wait', sol2: 'heat', label: '1' },
    item('cool tea', ['wait', 'heat'], 'B'),
  ],
  [
    'piqa',
    'tinyLLM',
    { id: 'p', question: 'cool tea', choices: ['wait', 'heat'], answer: 'heat' },
    item('cool tea', ['wait', 'heat'], 'B'),
  ],
  [
    'piqa',
    'LLM-Adapters',
    {
      instruction:
        'Please choose the correct solution to the question: cool tea\n\nSolution1: wait\n\nSolution2: heat\n\nAnswer format: solution1/solution2',
      answer: 'solution2',
    },
    item('cool tea', ['wait', 'heat'], 'B'),
  ],
  [
    'siqa',
    'Hub',
    { context: 'Kim ran.', question: 'Why?', answerA: 'late', answerB: 'bored', answerC: 'ill', label: '1' },
    item('Kim ran. Why?', ['late', 'bored', 'ill'], 'A'),
  ],
  [
    'siqa',
    'letter',
    { context: 'Kim ran.', question: 'Why?', answerA: 'late', answerB: 'bored', answerC: 'ill', correct: 'C' },
    item('Kim ran. Why?', ['late', 'bored', 'ill'], 'C'),
  ],
  [
    'gsm8k',
    'original and Hub',
    { question: 'How many?', answer: 'He has 1000+234=<<1000+234=1234>>1,234.\n#### 1,234' },
    item('How many?', undefined, '1234'),
  ],
  ['gsm8k', 'a negative answer', { question: 'How cold?', answer: '#### -3' }, item('How cold?', undefined, '-3')],
  [
    'gsm8k',
    'LLM-Adapters, pred',
    { question: ' How many? ', 'chain-of-thought': 'A: 3', pred: 3, answer: 18 },
    item('How many?', undefined, '18'),
  ],
  [
    'gsm8k',
    'LLM-Adapters, lSolutions',
    { sQuestion: 'How many?', lSolutions: 18.0 },
    item('How many?', undefined, '18'),
  ],
  [
    'multiarith',
    'original',
    { iIndex: 1, sQuestion: ' How many? ', lSolutions: [39.0] },
    item('How many?', undefined, '39'),
  ],
  ['multiarith', 'Hub', { question: 'How many?', final_ans: '39' }, item('How many?', undefined, '39')],
  [
    'multiarith',
    'LLM-Adapters',
    { instruction: ' How many? ', input: '', output: 'x', answer: '15.0' },
    item('How many?', undefined, '15'),
  ],
  [
    'addsub',
    'original',
    { iIndex: 3, sQuestion: 'How much?', lSolutions: [9.43] },
    item('How much?', undefined, '9.43'),
  ],
  [
    'addsub',
    'Hub, Lila',
    {
      input: 'How much?',
      output_program: ['a = 9.43'],
      output_answer: '9.430',
      split: 'train',
      dataset: 'addsub.json',
    },
    item('How much?', undefined, '9.43'),
  ],
  [
    'singleeq',
    'original',
    { iIndex: 0, sQuestion: 'How much?', lSolutions: [43.0] },
    item('How much?', undefined, '43'),
  ],
  [
    'svamp',
    'original and Hub',
    { ID: 'chal-1', Body: 'Each costs 76 dollars', Question: 'How much?', Answer: 51.0 },
    item('Each costs 76 dollars How much?', undefined, '51'),
  ],
  [
    'svamp',
    'Hub, answer as text',
    { ID: 'chal-1', Body: 'Each costs 76 dollars.', Question: 'How much?', Answer: '51.0', question_concat: 'x' },
    item('Each costs 76 dollars. How much?', undefined, '51'),
  ],
  [
    'svamp',
    'distilling',
    { input: 'Each costs 76 dollars\nHow much?', label: '( ( 6.0 + 3.0 ) / 2.0 )' },
    item('Each costs 76 dollars How much?', undefined, '4.5'),
  ],
  [
    'math',
    'original',
    { problem: 'Find $x$.', level: 'Level 1', type: 'Algebra', solution: 'So \\boxed{3}, or \\boxed{\\frac{1}{2}}.' },
    item('Find $x$.', undefined, '\\frac{1}{2}'),
  ],
  [
    'math',
    'MATH-500',
    {
      problem: 'Find $x$.',
      solution: 'no box',
      answer: '\\text{Evelyn}',
      subject: 'Algebra',
      unique_id: 'test/a/1.json',
    },
    item('Find $x$.', undefined, '\\text{Evelyn}'),
  ],
  ['mmlu', 'Hub', { question: 'Which?', subject: 'anatomy', choices: FOUR, answer: 2 }, item('Which?', FOUR, 'C')],
  [
    'mmlu',
    'a letter',
    { question: 'Which?', subject: 'anatomy', choices: FOUR, answer: 'D' },
    item('Which?', FOUR, 'D'),
  ],
  [
    'strategyqa',
    'original and Hub',
    { qid: 'a', question: 'Could it?', answer: true, facts: [] },
    item('Could it?', undefined, 'yes'),
  ],
  [
    'strategyqa',
    'answer as text',
    { qid: 'a', question: 'Could it?', answer: 'No' },
    item('Could it?', undefined, 'no'),
  ],
];

describe('forms of rows', () => {
  it.each(FORMS)('%s: %s', (id, _, row, expected) => {
    for (const text of [
      jsonl(row),
      JSON.stringify([row]),
      JSON.stringify(row, null, 2),
      JSON.stringify({ rows: [{ row }] }),
    ]) {
      const loaded = load(id, text);
      expect(loaded.rejected).toEqual([]);
      expect(bare(loaded)).toEqual([expected]);
    }
  });

  it('StrategyQA: the examples of BIG-bench’s task.json', () => {
    const task = {
      name: 'strategyqa',
      metrics: ['rouge'],
      examples: [
        { input: 'Could it?', target_scores: { Yes: 1, No: 0 }, target: 'Yes. It could.' },
        { input: 'Would it?', target_scores: { Yes: 0, No: 1 }, target: 'No. It would not.' },
        { input: 'Or?', target_scores: { Yes: 1, No: 1 } },
      ],
    };
    const loaded = load('strategyqa', JSON.stringify(task, null, 1), 'task.json');
    expect(bare(loaded)).toEqual([item('Could it?', undefined, 'yes'), item('Would it?', undefined, 'no')]);
    expect(reasons(loaded)).toEqual([
      '3: expected {"Yes": 1, "No": 0} or the reverse in target_scores, got {"Yes":1,"No":1}',
    ]);
  });

  it('MMLU: CSV without a header, line breaks and commas inside quotes, the subject from the file’s name', () => {
    const text =
      'Which?,sun,moon,sea,wind,B\n"Two lines,\nwith a comma","a ""b""",c,d,e,A\nshort,row,C\nWhich?,sun,moon,sea,wind,\n';
    const loaded = load('mmlu', text, 'test/abstract_algebra_test.csv');
    expect(loaded.items).toEqual([
      { id: 'mmlu-abstract_algebra_test-1', question: 'Which?', choices: FOUR, target: 'B' },
      {
        id: 'mmlu-abstract_algebra_test-2',
        question: 'Two lines,\nwith a comma',
        choices: ['a "b"', 'c', 'd', 'e'],
        target: 'A',
      },
    ]);
    expect(reasons(loaded)).toEqual([
      '4: expected 6 fields, got 3',
      '5: expected an answer in answer, got nothing: a published test set without labels?',
    ]);
  });
});

describe('labels beside the rows', () => {
  const rows = jsonl({ goal: 'a', sol1: 'x', sol2: 'y' }, { goal: 'b', sol1: 'x', sol2: 'y' });
  const source = (path: string, text: string) => ({ path, text });

  it('are given to the rows whose name they have, in any order', () => {
    const other = jsonl({ goal: 'c', sol1: 'x', sol2: 'y' });
    const { items } = TASKS.piqa.load([
      source('d/valid-labels.lst', '1\n0\n'),
      source('d/train.jsonl', other),
      source('d/valid.jsonl', rows),
      source('d/train-labels.lst', '0'),
    ]);
    expect(items.map(({ question, target }) => question + target)).toEqual(['cA', 'aB', 'bA']);
    expect(items.map(({ id }) => id)).toEqual(['piqa-train-1', 'piqa-valid-1', 'piqa-valid-2']);
  });

  it('a damaged or blank line shifts nothing', () => {
    const damaged = rows.replace('\n', '\n\n{"goal":\n');
    const loaded = TASKS.piqa.load([source('valid.jsonl', damaged), source('valid-labels.lst', '1\n1\n0\n')]);
    expect(loaded.items.map(({ question, target }) => question + target)).toEqual(['aB', 'bA']);
    expect(loaded.rejected.map(({ line }) => line)).toEqual([3]);
  });

  it('one file of each needs no common name', () => {
    expect(TASKS.piqa.load([source('a.jsonl', rows), source('gold.lst', '0\n0')]).items).toHaveLength(2);
  });

  it('are refused where they fit no rows, or another number of rows', () => {
    expect(() => TASKS.piqa.load([source('valid.jsonl', rows), source('valid-labels.lst', '1')])).toThrow(
      /as many labels in valid-labels\.lst as rows in valid\.jsonl, 2, got 1/,
    );
    expect(() =>
      TASKS.siqa.load([source('a.jsonl', rows), source('b.jsonl', rows), source('dev-labels.lst', '1\n2')]),
    ).toThrow(/rows that dev-labels\.lst belongs to \(dev\.jsonl\)/);
    expect(() => TASKS.siqa.load([source('dev-labels.lst', '1\n2')])).toThrow(/got none/);
  });

  it('a label that is none is a rejected row', () => {
    const loaded = TASKS.piqa.load([source('valid.jsonl', rows), source('valid-labels.lst', '1\n2')]);
    expect(reasons(loaded)).toEqual(['2: expected 0 to 1 in label, got "2"']);
  });
});

describe('rows without an answer, or of another kind', () => {
  const good = (id: TaskId): unknown => FORMS.find(([task]) => task === id)![2];
  it.each([
    ['piqa', { goal: 'a', sol1: 'x', sol2: 'y', label: -1 }, /published test set without labels/],
    ['piqa', { goal: 'a', sol1: 'x', sol2: 'y' }, /published test set without labels/],
    ['siqa', { context: 'c', question: 'q', answerA: 'x', answerB: 'y', answerC: 'z', label: '' }, /without labels/],
    ['siqa', { context: 'c', question: 'q', answerA: 'x', answerB: 'y', answerC: 'z', label: '4' }, /1 to 3 in label/],
    ['csqa', { id: 'q', question: 'Where?', choices: columns(FOUR), answerKey: '' }, /without labels/],
    ['obqa', { id: 'q', question: 'Where?', choices: FOUR, answer: 'nowhere' }, /text of one option/],
    [
      'obqa',
      { id: 'q', question: 'Where?', choices: { text: FOUR, label: ['1', '2', '3', '4'] }, answerKey: 'A' },
      /choice 1/,
    ],
    ['obqa', { id: 'q', question: 'Where?', choices: { text: FOUR, label: ['A'] }, answerKey: 'A' }, /as many labels/],
    ['obqa', { instruction: 'Something else', answer: 'answer1' }, /Please choose/],
    ['gsm8k', { question: 'How many?', answer: 'He has 3 and 4.' }, /one number in answer/],
    ['gsm8k', { question: 'How many?' }, /without labels/],
    ['svamp', { input: 'How many?', label: '( 1.0 / 0.0 )' }, /an equation/],
    ['svamp', { input: 'How many?', label: '( process.exit ( ) )' }, /an equation/],
    ['math', { problem: 'Find.', solution: 'It is 3.' }, /\\boxed/],
    ['math', { problem: 'Find.', solution: 'It is \\boxed{3' }, /\\boxed/],
    ['mmlu', { question: 'q', choices: FOUR, answer: 4 }, /0 to 3 in answer/],
    ['mmlu', { question: 'q', choices: ['a', 'b'], answer: 0 }, /four options/],
    ['strategyqa', { question: 'q', answer: 'maybe' }, /true or false/],
  ] as [TaskId, unknown, RegExp][])('%s rejects %j', (id, row, reason) => {
    const loaded = load(id, jsonl(good(id), row));
    expect(loaded.items).toHaveLength(1);
    expect(loaded.rejected).toMatchObject([{ path: 'x.jsonl', line: 2 }]);
    expect(loaded.rejected[0]!.reason).toMatch(reason);
  });
});

describe('prompts', () => {
  it('MATH has the prompt of Table 2 for mathematics', () => {
    const prompt = TASKS.math.plainPrompt({ id: 'm', question: 'Find $x$.', target: '3' });
    expect(prompt).toBe(
      'Answer the following mathematical question with numerical solution.\nQuestion: Find $x$.\nAnswer:',
    );
  });

  it('StrategyQA names its two answers in place of letters', () => {
    const question = { id: 's', question: 'Could it?', target: 'yes' };
    const plain = 'Choose the answer to the question only from options Yes, No.\nQuestion: Could it?\nAnswer:';
    expect(TASKS.strategyqa.plainPrompt(question)).toBe(plain);
    expect(TASKS.strategyqa.cotPrompt(question)).toBe(`${plain} Let's think step by step`);
    expect(TASKS.strategyqa.extract('So the answer is no.', question).answer).toBe('no');
  });

  it.each([
    ['piqa', 'A, B'],
    ['siqa', 'A, B, C'],
    ['obqa', 'A, B, C, D'],
  ] as const)('%s offers the options %s', (id, letters) => {
    const [first] = load(id, jsonl(FORMS.find(([task]) => task === id)![2])).items;
    const lines = TASKS[id].plainPrompt(first!).split('\n');
    expect(lines[0]).toBe(`Choose the answer to the question only from options ${letters}.`);
    expect(lines[2]).toBe('Choices:');
    expect(lines[3]).toBe(`A) ${first!.choices![0]}`);
  });
});
