// custom.test.ts: files of one's own: what their columns are guessed to be, every way of writing the right option, and every
// row that cannot be used named with its number and reason.
import { describe, expect, it } from 'vitest';
import type { ColumnMapping } from '../../../src/config/experiment';
import { parseExperiment } from '../../../src/config/experiment';
import { preset } from '../../../src/config/presets';
import { readTable } from '../../../src/formats/table';
import { custom } from '../../../src/tasks/custom';
import { guessMapping } from '../../../src/tasks/mapping';
import { judge } from '../../../src/tasks/score';

const load = (text: string, mapping?: ColumnMapping, path = 'own.csv') => custom.load([{ path, text }], mapping);
const jsonl = (...rows: unknown[]): string => rows.map((row) => JSON.stringify(row)).join('\n');

describe('guessMapping', () => {
  it.each([
    [
      'names',
      [{ id: '1', Question: 'a', Choices: ['x', 'y'], Answer: 'A' }],
      { question: 'Question', choices: 'Choices', target: 'Answer', id: 'id' },
    ],
    [
      'columns of letters',
      [{ question: 'a', A: 'x', B: 'y', C: 'z', answer: 'C' }],
      { question: 'question', choices: ['A', 'B', 'C'], target: 'answer' },
    ],
    [
      'numbered columns out of order',
      [{ problem: 'ab', option_2: 'y', option_1: 'x', label: '1' }],
      { question: 'problem', choices: ['option_1', 'option_2'], target: 'label' },
    ],
    [
      'PIQA',
      [{ goal: 'ab', sol1: 'x', sol2: 'y', label: 0 }],
      { question: 'goal', choices: ['sol1', 'sol2'], target: 'label' },
    ],
    [
      'Social IQa',
      [{ context: 'ab', question: 'cd', answerA: 'x', answerB: 'y', answerC: 'z', label: '1' }],
      { question: 'question', choices: ['answerA', 'answerB', 'answerC'], target: 'label' },
    ],
    ['GSM8K', [{ question: 'ab', answer: '#### 3' }], { question: 'question', target: 'answer' }],
    [
      'a gap in the columns is no options',
      [{ question: 'ab', A: 'x', C: 'z', answer: '3' }],
      { question: 'question', target: 'answer' },
    ],
    [
      'no telling name, but question marks',
      [{ was: 'Wie viele?', gold: '3', gruppe: 'a', group: 'g' }],
      { question: 'was', target: 'gold', content: 'group' },
    ],
    [
      'a question that is a number is none',
      [{ text: 3, query: 'How many?', target: '3' }],
      { question: 'query', target: 'target' },
    ],
  ] as [string, Record<string, unknown>[], ColumnMapping][])('%s', (_, rows, mapping) => {
    expect(guessMapping(rows).mapping).toEqual(mapping);
    expect(guessMapping(rows).reason).toContain(`question in ${mapping.question}`);
  });

  it.each([
    [[], 'no rows'],
    [[{ a: 1, b: 2 }], 'no column looks like the question; there are a, b'],
    [[{ question: 'ab', note: 'x' }], 'no column looks like the answer; there are question, note'],
  ] as [Record<string, unknown>[], string][])('gives up on %j', (rows, reason) => {
    const guess = guessMapping(rows);
    expect(guess.mapping).toBeUndefined();
    expect(guess.reason).toContain(reason);
  });
});

describe('custom', () => {
  it('CSV with a column an option, guessed', () => {
    const { items, rejected } = load(
      'id,question,A,B,answer\nq1,"Big, or small?",big,small,B\nq2,Where?,here,there,a\n',
    );
    expect(rejected).toEqual([]);
    expect(items).toEqual([
      { id: 'q1', question: 'Big, or small?', choices: ['big', 'small'], target: 'B' },
      { id: 'q2', question: 'Where?', choices: ['here', 'there'], target: 'A' },
    ]);
  });

  it.each([
    ['letters', ['A', '(b)', 'C.'], 'ABC'],
    ['texts', ['x', 'Y', ' z '], 'ABC'],
    ['numbers from 0', ['0', '2', '1'], 'ACB'],
    ['numbers from 1', ['1', '3', '2'], 'ACB'],
  ])('the right option as %s', (_, targets, letters) => {
    const rows = targets.map((target, i) => ({ question: `Q ${i}`, choices: ['x', 'y', 'z'], target }));
    expect(
      load(jsonl(...rows), undefined, 'own.jsonl')
        .items.map(({ target }) => target)
        .join(''),
    ).toBe(letters);
  });

  it('options that are numbers are texts first', () => {
    const rows = [
      { question: 'Q', choices: ['3', '1', '2'], target: '3' },
      { question: 'R', choices: ['4', '5', '6'], target: 5 },
    ];
    expect(load(jsonl(...rows), undefined, 'own.jsonl').items.map(({ target }) => target)).toEqual(['A', 'B']);
  });

  it('one column of options: a JSON list or texts parted by "|"', () => {
    const { items } = load(
      'question\toptions\tanswer\nWhere?\there | there\tB\nWhen?\t"[""now"", ""then""]"\tA\n',
      undefined,
      'own.tsv',
    );
    expect(items.map(({ choices }) => choices)).toEqual([
      ['here', 'there'],
      ['now', 'then'],
    ]);
  });

  it('semicolons part columns where there are more of them', () => {
    expect(load('question;answer\nHow many, in all?;3\n').items).toMatchObject([
      { question: 'How many, in all?', target: '3' },
    ]);
  });

  it('numbers, and yes or no, need no options; each is asked and judged after its kind', () => {
    const { items } = load(
      jsonl({ question: 'How many?', target: '1,234' }, { question: 'Is it?', target: true }),
      undefined,
      'o.jsonl',
    );
    expect(items.map(({ target }) => target)).toEqual(['1234', 'yes']);
    expect(custom.plainPrompt(items[0]!)).toMatch(/^Answer the following mathematical question/);
    expect(custom.plainPrompt(items[1]!)).toMatch(/^Choose the answer to the question only from options Yes, No\./);
    expect(custom.extract('It is 1234.', items[0]!).answer).toBe('1234');
    expect(custom.extract('Yes.', items[1]!).answer).toBe('yes');
    expect(judge('mixed', { ...items[1]!, text: 'The answer is yes.' }).correct).toBe(true);
  });

  it('uses the experiment’s mapping, id and content, and says which rows it cannot use and why', () => {
    const text =
      'nr,Frage,a1,a2,richtig,thema\n1,Wo?,hier,da,A,ort\n2,,hier,da,A,ort\n3,Wann?,jetzt,,A,zeit\n4,Wer?,ich,du,C,person\n5,Was?,dies,das\n6,Wie?,so,anders,,art\n';
    const mapping = { question: 'Frage', choices: ['a1', 'a2'], target: 'richtig', id: 'nr', content: 'thema' };
    const { items, rejected } = load(text, mapping);
    expect(items).toEqual([{ id: '1', question: 'Wo?', choices: ['hier', 'da'], target: 'A', content: 'ort' }]);
    expect(rejected.map(({ line, reason }) => `${line}: ${reason}`)).toEqual([
      '3: expected a text in Frage, got "" (columns: nr, Frage, a1, a2, richtig, thema)',
      '4: expected 2 to 26 options in a1, a2, got 1',
      '5: expected the letter of one option in richtig, got "C"',
      '6: expected 6 fields, got 4',
      '7: expected an answer in richtig, got nothing',
    ]);
  });

  it('free text is no target that could be judged', () => {
    const text = jsonl({ question: 'Who?', target: 'Ada' }, { question: 'How many?', target: 3 });
    const { items, rejected } = load(text, undefined, 'o.jsonl');
    expect(items).toHaveLength(1);
    expect(rejected[0]!.reason).toBe(
      'expected a number, or yes or no, in target of a question without options, got "Ada"',
    );
  });

  it('refuses files without such columns, and files that are something else', () => {
    expect(() => load('a,b\n1,2\n')).toThrow(/no column looks like the question; there are a, b/);
    expect(() => load('version https://git-lfs.github.com/spec/v1\noid sha256:1\n')).toThrow(/Git-LFS/);
    expect(() => load('')).toThrow(/empty/);
    expect(() => load('question,answer\n"How?,3\n')).toThrow(/closing quote/);
    expect(() => load('question,answer\nHow?,3\n', { question: 'nope', target: 'answer' })).toThrow(
      /mapping\.question: expected a column of own\.csv, got "nope"/,
    );
  });
});

describe('readTable', () => {
  it('tells CSV from JSON by name and beginning', () => {
    const rows = (path: string, text: string): unknown[] => readTable({ path, text }).rows.map(({ value }) => value);
    expect(rows('a.csv', '\ufeffa,b\n1,2')).toEqual([{ a: '1', b: '2' }]);
    expect(rows('a', 'a,b\n1,2')).toEqual([{ a: '1', b: '2' }]);
    expect(rows('a', '[{"a": 1}]')).toEqual([{ a: 1 }]);
    expect(rows('a.txt', '{"a": 1}\n{"a": 2}')).toEqual([{ a: 1 }, { a: 2 }]);
    expect(readTable({ path: 'a.csv', text: 'a,b\n"x\ny",2\n3\n' }).rejected).toEqual([
      { path: 'a.csv', line: 4, reason: 'expected 2 fields, got 1' },
    ]);
  });
});

describe('mapping in an experiment', () => {
  const withTask = (task: Record<string, unknown>): unknown => {
    const base = preset('practical');
    return { ...base, tasks: base.tasks.map((own, i) => (i === 1 ? { ...own, ...task } : own)) };
  };

  it('belongs to the task custom', () => {
    const mapping = { question: 'q', choices: ['a', 'b'], target: 't' };
    const parsed = parseExperiment(withTask({ id: 'custom', mapping }));
    expect(parsed.tasks[1]!.mapping).toEqual(mapping);
    expect(() => parseExperiment(withTask({ id: 'csqa', mapping }))).toThrow(/tasks\[1\]\.mapping: expected nothing/);
    expect(() => parseExperiment(withTask({ id: 'custom', mapping: { question: 'q' } }))).toThrow(/mapping\.target/);
    expect(() => parseExperiment(withTask({ id: 'custom', mapping: { ...mapping, choices: ['a'] } }))).toThrow(
      /choices/,
    );
  });
});
