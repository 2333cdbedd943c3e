// diskForms.test.ts: demonstrations as chats, logs, and rows with names of their own; and what form a file is guessed to have.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseExperiment } from '../../../src/config/experiment';
import { guessFormat } from '../../../src/teachers/diskGuess';
import { findDemonstrations } from '../../../src/teachers/diskFormats';
import { valueAt } from '../../../src/teachers/diskRow';
import { lessonFileText } from '../../../src/session/lessonFiles';

type Config = Parameters<typeof findDemonstrations>[0];
const data = process.env['PUPIL_DATA'];

const find = (config: Pick<Config, 'format' | 'fields'>, text: string) =>
  findDemonstrations({ rationaleIndex: 0, ...config }, [{ path: 'd', text }], []);
const lines = (...rows: unknown[]): string => rows.map((row) => JSON.stringify(row)).join('\n');

describe('chats', () => {
  it('take the last answer, and what was asked right before it', () => {
    const chat = [
      { role: 'system', content: 'Think.' },
      { role: 'user', content: 'Hello' },
      { role: 'assistant', content: 'Hi' },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'Question: 2 + 2?\n' },
          { type: 'text', text: 'Answer:' },
        ],
      },
      { role: 'assistant', content: '4' },
      { role: 'user', content: 'Thanks' },
    ];
    expect(find({ format: 'chat' }, lines({ messages: chat })).found).toEqual([
      { path: 'd', line: 1, questions: ['Question: 2 + 2?\nAnswer:', '2 + 2?'], answer: '4' },
    ]);
  });

  it('of ShareGPT have other names', () => {
    const conversations = [
      { from: 'human', value: 'Q: What flies?' },
      { from: 'gpt', value: 'An owl.' },
    ];
    expect(find({ format: 'sharegpt' }, lines({ id: 'x', conversations })).found).toEqual([
      { path: 'd', line: 1, questions: ['Q: What flies?', 'What flies?'], answer: 'An owl.' },
    ]);
  });

  it('as prompt and completion are TRL’s conversational rows', () => {
    const row = { prompt: [{ role: 'user', content: 'Why?' }], completion: [{ role: 'assistant', content: 'So.' }] };
    expect(find({ format: 'prompt-completion' }, lines(row)).found).toMatchObject([
      { questions: ['Why?'], answer: 'So.' },
    ]);
  });

  it('that are damaged are rejected with line and reason, the others read', () => {
    const good = { messages: [{ role: 'user', content: 'a' }, { role: 'assistant', content: 'b' }] }; // prettier-ignore
    const bad = [
      { messages: 'no list' },
      { messages: [{ role: 'user', content: 'no answer' }] },
      { messages: [{ role: 'assistant', content: 'nothing asked' }] },
      { messages: [{ role: 'wizard', content: 'x' }] },
      {
        messages: [
          { role: 'user', content: [{ type: 'image_url' }] },
          { role: 'assistant', content: 'b' },
        ],
      },
      { messages: [null] },
      { messages: [{ role: 'user', content: 3 }, { role: 'assistant', content: 'b' }] }, // prettier-ignore
    ];
    const { found, rejected } = find({ format: 'chat' }, `${lines(good, ...bad)}\n{"messages": [`);
    expect(found).toHaveLength(1);
    expect(rejected.map(({ line }) => line).sort((a, b) => a - b)).toEqual([2, 3, 4, 5, 6, 7, 8, 9]);
    expect(rejected.map(({ reason }) => reason).join('\n')).toMatch(/wizard/);
    expect(rejected.map(({ reason }) => reason).join('\n')).toMatch(/image_url/);
  });
});

describe('rows with names of their own', () => {
  const fields = { question: 'question', answer: 'model.solution', choices: 'options', itemId: 'uid' };
  const row = { uid: 7, question: 'What flies?', options: ['owl', 'car'], model: { solution: 'The owl.', ok: true } };

  it('are read by paths', () => {
    expect(find({ format: 'fields', fields }, lines(row)).found).toEqual([
      { path: 'd', line: 1, itemId: '7', questions: ['What flies?'], choices: ['owl', 'car'], answer: 'The owl.' },
    ]);
  });

  it('are rejected one by one where a path leads nowhere', () => {
    const { found, rejected } = find(
      { format: 'fields', fields },
      lines(row, { ...row, model: null }, { ...row, options: 'owl' }, { ...row, question: undefined }),
    );
    expect(found).toHaveLength(1);
    expect(rejected).toEqual([
      { path: 'd', line: 2, reason: 'expected a text in model.solution, got nothing' },
      { path: 'd', line: 3, reason: 'expected a list of texts in options' },
      { path: 'd', line: 4, reason: 'expected a text in question, got nothing' },
    ]);
  });

  it('a path does not reach what every object has', () => {
    expect(valueAt({}, 'constructor.name')).toBeUndefined();
    expect(valueAt({ a: [{ b: 1 }] }, 'a.0.b')).toBe(1);
  });

  it('an experiment names the fields with this format, and only with it', () => {
    const experiment = (entry: object): (() => unknown) => {
      const base = JSON.parse(
        readFileSync(new URL('../../../experiments/lesson-c-student-p10.json', import.meta.url), 'utf8'),
      ) as { demonstrations: object[] };
      base.demonstrations = [{ ...base.demonstrations[0], ...entry }];
      return () => parseExperiment(base);
    };
    expect(experiment({ format: 'fields', fields: { question: 'q', answer: 'a' } })).not.toThrow();
    expect(experiment({ format: 'fields' })).toThrow(/demonstrations\[0\]\.fields/);
    expect(experiment({ format: 'chat', fields: { question: 'q', answer: 'a' } })).toThrow(/only the format fields/);
  });
});

const block = (n: number, body: string): string => `*************************\n${n}st data\n1_th_sampling\n${body}\n`;

describe('a log of zero-shot-CoT', () => {
  const log =
    'Namespace(x=1)\n' +
    block(1, 'Q: Two\nlines?\nA: Let us see.\n\n4 of them.\npred_before : 4.\nGT : 4\n*************************') +
    block(2, 'Q: cut off') +
    block(3, 'Q: Last?\nA: Yes\npred_before : Yes\nGT : yes\n*************************') +
    'accuracy : 50.0\n';

  it('gives all that was asked and answered, and names a sample that is cut', () => {
    expect(find({ format: 'zero-shot-cot-log' }, log)).toEqual({
      found: [
        { path: 'd', line: 4, questions: ['Two\nlines?'], answer: 'Let us see.\n\n4 of them.' },
        { path: 'd', line: 19, questions: ['Last?'], answer: 'Yes' },
      ],
      rejected: [{ path: 'd', line: 15, reason: 'expected "Q: …", "A: …" and "pred_before :" in this sample' }],
    });
    expect(log.split('\n')[18]).toBe('1_th_sampling');
  });

  it('is refused where it is something else', () => {
    expect(() => find({ format: 'zero-shot-cot-log' }, 'no log')).toThrow(/expected a log of zero-shot-CoT/);
  });

  it.skipIf(data === undefined).each([
    ['gsm8k', 1319],
    ['multiarith', 600],
    ['strategyqa', 2290],
  ])('%s: all %i answers of text-davinci-002 (needs PUPIL_DATA)', (name, count) => {
    for (const way of ['zero_shot', 'zero_shot_cot']) {
      const text = readFileSync(join(data!, 'zero_shot_cot/log', `${name}_${way}.log`), 'utf8');
      const { found, rejected } = find({ format: 'zero-shot-cot-log' }, text);
      expect([found.length, rejected]).toEqual([count, []]);
      expect(guessFormat({ path: 'x', text }).format).toBe('zero-shot-cot-log');
    }
  });
});

describe('the form of a file is guessed', () => {
  const guess = (text: string) => guessFormat({ path: 'd', text });

  it.each([
    ['chat', { messages: [], prompt: 'x' }],
    ['sharegpt', { conversations: [] }],
    ['alpaca', { instruction: 'a', input: '', output: 'b' }],
    ['prompt-completion', { prompt: 'a', completion: 'b' }],
    ['llm-adapters', { question: 'a', 'chain-of-thought': 'b', pred: 1 }],
    ['jsonl', { itemId: 'i', instruction: 'a', question: 'q', answer: 'b', choices: [] }],
    ['cot-aligned', 'a rationale'],
  ])('%s, by what its rows have', (format, row) => {
    expect(guess(lines(row, row))).toMatchObject({ format, certain: true });
  });

  it('lesson files are known as such', () => {
    expect(guess(lessonFileText('lesson:kinds/train?count=3&teacher=in-family')).format).toBe('lesson');
  });

  it('other names are guessed, the longer of two answers is the rationale, and somebody should look', () => {
    const row = { qid: 'a', problem: 'What?', answer: 'B', rationale: 'Because of this, B.', options: ['x', 'y'] };
    expect(guess(lines(row, row))).toEqual({
      format: 'fields',
      fields: { question: 'problem', answer: 'rationale', choices: 'options', itemId: 'qid' },
      paths: ['qid', 'problem', 'answer', 'rationale'],
      because: 'its rows have problem and rationale',
      certain: false,
    });
  });

  it('nothing is claimed where no name is known; the paths are there to choose from', () => {
    const unknown = guess(lines({ a: 'x', b: { c: 'y' }, n: 3 }));
    expect(unknown).toMatchObject({ format: 'fields', paths: ['a', 'b.c'], certain: false });
    expect(unknown.fields).toBeUndefined();
  });

  it('a field that not every row has is no candidate', () => {
    expect(
      guess(lines({ question: 'a', answer: 'b', rationale: 'long one' }, { question: 'a', answer: 'b' })).fields,
    ).toEqual({ question: 'question', answer: 'answer' });
  });

  it.skipIf(data === undefined).each([
    ['gsm8k/example_model_solutions.jsonl', 'fields'],
    ['llm_adapters/dataset/gsm8k/gsm8k_1.json', 'llm-adapters'],
    ['llm_adapters/dataset/openbookqa/train.json', 'alpaca'],
    ['cot/tinyllm/obqa/llm/train_CoT_0.json', 'cot-aligned'],
    ['math/cs336_sft.jsonl', 'fields'],
  ])('%s (needs PUPIL_DATA)', (path, format) => {
    const text = readFileSync(join(data!, path), 'utf8');
    const found = guess(text);
    expect(found.format).toBe(format);
    if (found.fields !== undefined) {
      expect(find({ format: 'fields', fields: found.fields }, text).rejected).toEqual([]);
    }
  });
});
