// golden.test.ts: every list of ids in PUPIL_DATA/tokenizers, against what our tokenizers give, and the texts read back. Where
// a published list cannot match or cannot be checked, the reason stands here.
import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { renderConversation } from '../../../src/text/conversation';
import { encodePrompt } from '../../../src/text/wrapper';
import type { ChatMessage } from '../../../src/text/chatTemplate';
import { data, folder, jsonOf, REAL, textOf } from './files';

interface SwiftCase {
  input: string;
  encoded: { input_ids: number[] };
  decoded_with_special: string;
  decoded_without_special: string;
}

describe.skipIf(data === undefined)('published ids (needs PUPIL_DATA)', () => {
  describe('llama.cpp, 34 ASCII texts', () => {
    const golden = (): { inputs: string[]; ids: Record<string, number[][]> } =>
      jsonOf('golden_llamacpp_ascii.json') as never;
    const idsOf = (name: string): number[][] =>
      Object.entries(golden().ids).find(([key]) => key.startsWith(`${name} `))![1];

    it.each([
      ['gpt2', 'gpt2'],
      ['gpt2', 'gpt2, vocab.json and merges.txt'],
      ['smollm', 'smollm'],
      ['qwen2', 'qwen2.5'],
      ['llama-2 spm, no BOS', 'llama-2'],
      ['llama-2 spm, no BOS', 'llama-2, tokenizer.model'],
    ] as const)('%s: %s gives its ids and reads them back', async (key, name) => {
      const { tokenizer } = await REAL[name]();
      const ids = idsOf(key);
      expect(ids).toHaveLength(34);
      golden().inputs.forEach((text, i) => {
        expect(tokenizer.encode(text), JSON.stringify(text)).toEqual(ids[i]);
        if (name !== 'gpt2') expect(tokenizer.decode(ids[i]!)).toBe(text); // that file asks for clean-up
      });
    });

    it('llama-2: TinyLlama’s file gives them too, except that a leading space counts as the one every text begins with', async () => {
      // Its tokenizer.json says so: Metaspace, prepend_scheme "first", which puts no second space before a space.
      const { tokenizer } = await REAL.tinyllama();
      const ids = idsOf('llama-2 spm, no BOS');
      golden().inputs.forEach((text, i) => {
        expect(tokenizer.encode(text.startsWith(' ') ? ` ${text}` : text), JSON.stringify(text)).toEqual(ids[i]);
      });
    });

    it('lists no model but these, and llama-3, whose tokenizer is not in the folder', () => {
      expect(Object.keys(golden().ids).map((key) => key.split(' (')[0])).toEqual([
        'llama-3',
        'qwen2',
        'smollm',
        'gpt2',
        'llama-2 spm, no BOS',
      ]);
    });
  });

  describe('transformers 4.57, 83 multilingual texts', () => {
    const inputs = (): { id: string; text: string }[] => jsonOf('golden_multilingual/inputs.json') as never;

    it.each([
      ['gpt2_multilingual', 'gpt2, vocab.json and merges.txt'],
      ['qwen2_5_multilingual', 'qwen2.5'],
    ] as const)('%s', async (file, name) => {
      const { entries } = jsonOf(`golden_multilingual/${file}.json`) as {
        entries: Record<'id' | 'decoded_with_special' | 'decoded_skip_special', string>[] & { input_ids: number[] }[];
      };
      const { tokenizer } = await REAL[name]();
      expect(entries).toHaveLength(83);
      for (const entry of entries) {
        const text = inputs().find((input) => input.id === entry.id)!.text;
        expect(tokenizer.encode(text, { addBos: true }), entry.id).toEqual(entry.input_ids);
        expect(tokenizer.decode(entry.input_ids), entry.id).toBe(entry.decoded_skip_special);
        expect(tokenizer.decode(entry.input_ids, { skipSpecial: false }), entry.id).toBe(entry.decoded_with_special);
      }
    });

    it('gpt2_multilingual: tokenizer.json of another publisher gives the same ids', async () => {
      const { entries } = jsonOf('golden_multilingual/gpt2_multilingual.json') as {
        entries: { id: string; input_ids: number[] }[];
      };
      const { tokenizer } = await REAL.gpt2();
      for (const entry of entries) {
        expect(tokenizer.encode(inputs().find((input) => input.id === entry.id)!.text)).toEqual(entry.input_ids);
      }
    });
  });

  describe('swift-transformers', () => {
    const golden = (): Record<string, SwiftCase[]> => jsonOf('swift_tokenizer_tests.json') as never;

    it.each([
      ['distilgpt2', 'gpt2', undefined],
      ['coreml-projects/Llama-2-7b-chat-coreml', 'llama-2', undefined],
      ['coreml-projects/Llama-2-7b-chat-coreml', 'llama-2, tokenizer.model', undefined],
      // see above: one text begins with spaces
      ['coreml-projects/Llama-2-7b-chat-coreml', 'tinyllama', '   leading space'],
    ] as const)('%s: %s gives its ids and its texts', async (model, name, otherwise) => {
      const { tokenizer } = await REAL[name]();
      expect(golden()[model]).toHaveLength(18);
      for (const { input, encoded, decoded_with_special, decoded_without_special } of golden()[model]!) {
        const ids = tokenizer.encode(input === otherwise ? ` ${input}` : input, { addBos: true });
        expect(ids, input).toEqual(encoded.input_ids);
        expect(tokenizer.decode(encoded.input_ids), input).toBe(decoded_without_special);
        expect(tokenizer.decode(encoded.input_ids, { skipSpecial: false }), input).toBe(decoded_with_special);
      }
    });

    it('of its other models the folder has no tokenizer', () => {
      expect(Object.keys(golden()).sort()).toEqual([
        'bert-base-uncased',
        'coreml-projects/Llama-2-7b-chat-coreml',
        'distilbert/distilbert-base-multilingual-cased',
        'distilgpt2',
        'google-bert/bert-base-uncased',
        'openai/whisper-large-v2',
        'openai/whisper-tiny.en',
        'pcuenq/Llama-3.2-1B-Instruct-tokenizer',
        'pcuenq/gemma-tokenizer',
        't5-base',
        'tiiuae/falcon-7b',
      ]);
      expect(readdirSync(folder).filter((name) => /bert|whisper|llama-3|gemma|t5|falcon/.test(name))).toEqual([]);
    });

    it.each([
      ['gpt2', 'gpt2/golden/gpt2_encoded_tokens.json'],
      ['llama-2', 'llama-2/golden/llama_encoded.json'],
      ['llama-2, tokenizer.model', 'llama-2/golden/llama_encoded.json'],
      ['tinyllama', 'llama-2/golden/llama_encoded.json'],
    ] as const)('%s: the article about Fatouville-Grestain', async (name, file) => {
      const golden = jsonOf(file) as { text: string; token_ids: number[]; decoded_text: string };
      const { tokenizer } = await REAL[name]();
      expect(tokenizer.encode(golden.text, { addBos: true })).toEqual(golden.token_ids);
      expect(tokenizer.decode(golden.token_ids, { skipSpecial: false })).toBe(golden.decoded_text);
    });
  });

  it.each(['v1', 'v2', 'v3'] as const)('mistral-common %s: a conversation of seven messages', async (version) => {
    const { messages } = jsonOf('mistral/golden_no_tools/sample.json') as { messages: ChatMessage[] };
    const { tokenizer, chatTemplate } = await REAL[`mistral ${version}, tokenizer.model`]();
    const { tokens } = jsonOf(`mistral/golden_no_tools/tokens_${version}.json`) as { tokens: number[] };
    const prompt = renderConversation(chatTemplate!, messages, tokenizer);
    const text = textOf(`mistral/golden_no_tools/text_${version}.txt`);
    expect(prompt.text.replaceAll(' ', '▁')).toBe(text);
    expect(encodePrompt(tokenizer, prompt)).toEqual(tokens);
    expect(tokenizer.encode(prompt.text, { addBos: false })).toEqual(tokens); // bos came from the template
  });
});
