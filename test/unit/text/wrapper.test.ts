// wrapper.test.ts: prompts are wrapped and encoded the same way everywhere; chat templates and stopping rules.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { renderChat } from '../../../src/text/chatTemplate';
import { cutAtEnd, cutAtTexts } from '../../../src/text/stopping';
import { WordTokenizer } from '../../../src/text/wordTokenizer';
import {
  alpacaPrompt,
  barePrompt,
  decodeAnswer,
  encodeAnswer,
  encodePrompt,
  splitPrompt,
  wrapPrompt,
} from '../../../src/text/wrapper';

const vocab = new URL('../../fixtures/lesson/vocab.json', import.meta.url);
const words = new WordTokenizer(JSON.parse(readFileSync(vocab, 'utf8')) as string[]);

const bare = 'Answer the following mathematical question with numerical solution.\nQuestion: How many?\nAnswer:';
const parts = {
  instruction: 'Answer the following mathematical question with numerical solution.',
  input: 'Question: How many?\nAnswer:',
};
// A small template in the manner of Llama-2’s.
const template =
  "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}[INST] {{ m['content'].strip() }} [/INST]" +
  "{% elif m['role'] == 'assistant' %} {{ m['content'] }} {{ eos_token }}{% else %}" +
  "{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}";

describe('prompt wrapping', () => {
  it('splits a bare prompt into instruction and input, and back', () => {
    expect(splitPrompt(bare)).toEqual(parts);
    expect(barePrompt(parts)).toBe(bare);
    expect(barePrompt(splitPrompt('one line'))).toBe('one line');
  });

  it('none: the bare prompt and the suffix', () => {
    expect(wrapPrompt(parts, { wrapper: 'none', promptSuffix: '\n' }).text).toBe(`${bare}\n`);
  });

  it('alpaca: the published template, character for character', () => {
    expect(wrapPrompt(parts, { wrapper: 'alpaca', promptSuffix: '' }).text).toBe(
      'Below is an instruction that describes a task, paired with an input that provides further context. Write a response that appropriately completes the request.\n\n### Instruction:\nAnswer the following mathematical question with numerical solution.\n\n### Input:\nQuestion: How many?\nAnswer:\n\n### Response:',
    );
    expect(alpacaPrompt({ instruction: 'Say hello.', input: '' })).toBe(
      'Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n### Instruction:\nSay hello.\n\n### Response:',
    );
  });

  it('chat: the student’s own template around the bare prompt', () => {
    const options = { wrapper: 'chat', promptSuffix: '', chatTemplate: template } as const;
    const specialTexts = { bos_token: '<s>', eos_token: '</s>' };
    const prompt = wrapPrompt(parts, options, { specialTexts, controlTexts: ['<s>', '</s>'] });
    expect(prompt.text).toBe(`<s>[INST] ${bare} [/INST]`);
    expect(() => wrapPrompt(parts, { wrapper: 'chat', promptSuffix: '' })).toThrow(/has none/);
  });

  it('a template that refuses a role, or cannot be read, is a text error', () => {
    expect(() => renderChat(template, [{ role: 'system', content: 'x' }], {})).toThrow(/Only user and assistant/);
    expect(() => renderChat('{% for %}', [], {})).toThrow(/chat template/);
  });

  it('encodes bos once, the answer with its end, and reads the answer back', () => {
    expect(encodePrompt(words, { text: 'The answer', literal: [] })).toEqual([1, 61, 76]);
    const seen: unknown[] = [];
    const recording = Object.assign(Object.create(words) as WordTokenizer, {
      specialTexts: { bos_token: '<s>' },
      encode: (text: string, options: { addBos?: boolean }) => (seen.push(options.addBos), []),
    });
    encodePrompt(recording, { text: '<s>x', literal: [] });
    encodePrompt(recording, { text: '<s>x', literal: [{ start: 0, end: 4 }] }); // typed by a person
    expect(seen).toEqual([false, true]);
    expect(encodeAnswer(words, 'The answer is 16.', 2)).toEqual([61, 76, 238, 10, 15, 8, 2]);
    expect(encodeAnswer(words, 'The answer is 1', null)).toEqual([61, 76, 238, 10]);
    expect(decodeAnswer(words, encodeAnswer(words, 'The answer is 16.', 2))).toBe('The answer is 16.');
  });
});

describe('stopping', () => {
  it('cuts at the first end of text and says why generation ended', () => {
    expect(cutAtEnd([5, 6, 2, 7], [2, 3])).toEqual({ ids: [5, 6], stopped: 'eos' });
    expect(cutAtEnd([3], [2, 3])).toEqual({ ids: [], stopped: 'eos' });
    expect(cutAtEnd([5, 6], [2])).toEqual({ ids: [5, 6], stopped: 'length' });
  });

  it('cuts text at the earliest of several stops', () => {
    expect(cutAtTexts('So 4.\n\nQ: What\nA: 5', ['\nA:', '\n\nQ:'])).toBe('So 4.');
    expect(cutAtTexts('So 4.', ['\n\nQ:'])).toBe('So 4.');
  });
});
