// settings.test.ts: what a tokenizer's files say of bos, eos, pad and added tokens, and how they are believed where they
// disagree; older forms of the files; bad files.
import { describe, expect, it } from 'vitest';
import { expectRows, answerEndId, readTokenizer, stopIds } from '../../../src/session/tokenizers';
import { encodeAnswer } from '../../../src/text/wrapper';
import { fromSentencePiece } from '../../../src/text/tokenizerJson';
import type { SentencePieceModel } from '../../../src/formats/sentencePiece';
import { HuggingFaceTokenizer } from '../../../src/text/tokenizer';
import { data, folderOf, llama3Like, REAL } from './files';

const read = (files: Record<string, object | string>): ReturnType<typeof readTokenizer> =>
  readTokenizer(folderOf(files), 'test');
/** Llama-3's kind has 263 words and six control tokens behind them. */
const WORDS = 263;
const BOS = WORDS;
const EOS = WORDS + 1;
const EOT = WORDS + 4;

describe('Llama-3’s kind of tokenizer', () => {
  it('cuts by its expression, takes whole words as they are, puts bos in front, reads back', async () => {
    const { tokenizer } = await read(llama3Like());
    const word = (text: string): number => tokenizer.encode(text)[0]!;
    expect(tokenizer.vocabSize).toBe(WORDS + 6);
    expect(tokenizer.encode('Hello world', { addBos: true })).toEqual([BOS, word('Hello'), word(' world')]);
    expect(tokenizer.encode('Hello world')).toHaveLength(2);
    expect(tokenizer.encode('1234')).toEqual([word('123'), word('4')]); // three digits at most, then the rest
    expect(tokenizer.encode('123')).toHaveLength(1); // no merge makes it: ignore_merges
    for (const text of ['Grüße, 世界 🙂', ' Hello\n\n world', "we'll 1,234.5"]) {
      expect(tokenizer.decode(tokenizer.encode(text))).toBe(text.replace(" 'll", "'ll"));
    }
  });

  it('merges as pairs and as texts are the same; special tokens as texts and as objects', async () => {
    const files = llama3Like();
    const json = files['tokenizer.json'] as { model: { merges: [string, string][] } };
    const { tokenizer } = await read(files);
    const texts = { ...json, model: { ...json.model, merges: json.model.merges.map((pair) => pair.join(' ')) } };
    const object = { __type: 'AddedToken', content: '<|begin_of_text|>', lstrip: false, special: true };
    const { tokenizer: other } = await read({
      ...llama3Like({ bos_token: object, eos_token: { content: '<|eot_id|>' } }),
      'tokenizer.json': texts,
    });
    expect(other.encode('Hello world', { addBos: true })).toEqual(tokenizer.encode('Hello world', { addBos: true }));
    expect([other.bosId, other.eosIds]).toEqual([BOS, [EOT]]);
  });
});

describe('bos', () => {
  it.each([
    ['the post-processor’s, by default', {}, true],
    ['add_bos_token false wins over it', { add_bos_token: false }, false],
    ['no bos_token: nothing to put', { bos_token: null }, false],
  ])('%s', async (_, config, has) => {
    const { tokenizer } = await read(llama3Like(config));
    expect(tokenizer.encode('Hello', { addBos: true })[0] === BOS).toBe(has);
  });

  it.each([
    ['PreTrainedTokenizerFast', {}, false],
    ['LlamaTokenizer', {}, true],
    ['GPT2Tokenizer', { add_bos_token: true }, true],
    ['GPT2Tokenizer', {}, false],
  ])('without a post-processor, class %s %o: %s', async (tokenizer_class, config, has) => {
    const files = llama3Like({ tokenizer_class, ...config });
    const { tokenizer } = await read({
      ...files,
      'tokenizer.json': { ...files['tokenizer.json'], post_processor: null },
    });
    expect(tokenizer.encode('Hello', { addBos: true })[0] === BOS).toBe(has);
  });

  it('add_eos_token ends no prompt: the student would go on behind its end', async () => {
    const { tokenizer } = await read(llama3Like({ add_eos_token: true }));
    expect(tokenizer.encode('Hello', { addBos: true })).toHaveLength(2);
  });
});

describe('pad and eos', () => {
  it.each([
    ['pad = eos', { pad_token: '<|end_of_text|>' }, EOS],
    ['pad = another', { pad_token: '<|eom_id|>' }, WORDS + 5],
    ['pad = null', { pad_token: null }, undefined],
    ['no pad', {}, undefined],
    ['pad without an id', { pad_token: '[PAD]' }, undefined],
  ])('%s: an answer ends with eos, and that end is trained', async (_, config, padId) => {
    const loaded = await read(llama3Like(config));
    expect(loaded.tokenizer.padId).toBe(padId);
    expect(encodeAnswer(loaded.tokenizer, 'Hello', answerEndId(loaded, 'none')).at(-1)).toBe(EOS);
    expect(stopIds(loaded)).toEqual([EOS]);
  });

  it('eos of generation_config.json, a list; of config.json only where that names none', async () => {
    const files = llama3Like({ eos_token: null });
    const generation = { 'generation_config.json': { eos_token_id: [EOS, EOT] } };
    const model = { 'config.json': { eos_token_id: 7 } };
    expect(stopIds(await read({ ...files, ...generation, ...model }))).toEqual([EOS, EOT]);
    expect(stopIds(await read({ ...files, ...model }))).toEqual([7]);
    expect(answerEndId(await read({ ...files, ...generation }), 'none')).toBe(EOS);
    const loaded = await read({ ...llama3Like(), ...generation, ...model });
    expect(loaded.tokenizer.eosIds).toEqual([EOS, EOT]);
    expect(loaded.tokenizer.specialTexts['eos_token']).toBe('<|end_of_text|>');
  });

  it('a missing name is found by its id, so that a chat template can write it', async () => {
    const { bos_token: _, ...config } = llama3Like()['tokenizer_config.json'] as Record<string, unknown>;
    const { tokenizer } = await read({
      ...llama3Like(),
      'tokenizer_config.json': config,
      'generation_config.json': { bos_token_id: BOS },
    });
    expect(tokenizer.specialTexts['bos_token']).toBe('<|begin_of_text|>');
    const map = await read({
      ...llama3Like(),
      'tokenizer_config.json': config,
      'special_tokens_map.json': { bos_token: { content: '<|eom_id|>' } },
    });
    expect(map.tokenizer.bosId).toBe(WORDS + 5);
  });

  it('nothing can end an answer: refused', async () => {
    const loaded = await read(llama3Like({ eos_token: null }));
    expect(() => answerEndId(loaded, 'none')).toThrow(/expected an end-of-text token, it has none/);
  });
});

describe('tokenizer and embedding', () => {
  it('more ids than rows: both numbers are named; fewer: fine, and rows without a token say nothing', async () => {
    const loaded = await read(llama3Like());
    expect(() => expectRows(loaded, WORDS + 5)).toThrow(/at most 268 ids.*rows, got 269/s);
    expect(() => expectRows(loaded, WORDS + 6)).not.toThrow();
    expect(() => expectRows(loaded, 512)).not.toThrow();
    expect(loaded.tokenizer.decode([...loaded.tokenizer.encode('Hello'), 300, 511])).toBe('Hello');
  });

  it('a pad token behind the embedding is no reason: nothing is padded', async () => {
    const added_tokens_decoder = { [WORDS + 6]: { content: '[PAD]', special: true } };
    const loaded = await read(llama3Like({ pad_token: '[PAD]', added_tokens_decoder }));
    expect(() => expectRows(loaded, WORDS + 6)).not.toThrow();
    expect(loaded.tokenizer.padId).toBe(WORDS + 6);
    const notPad = await read(llama3Like({ added_tokens_decoder }));
    expect(() => expectRows(notPad, WORDS + 6)).toThrow(/got 270/);
  });

  it.skipIf(data === undefined)(
    'of real files: SmolLM’s pad lies behind its 49152 rows, and its length limit is not applied',
    async () => {
      const loaded = await REAL.smollm();
      expect(() => expectRows(loaded, 49152)).not.toThrow();
      expect(loaded.tokenizer.encode('one two three '.repeat(200)).length).toBeGreaterThan(192);
      expect((await REAL['qwen2.5']()).tokenizer.vocabSize).toBe(151665); // of 151936 rows
      const tiny = await REAL.tinyllama();
      expect([tiny.tokenizer.padId, tiny.tokenizer.eosIds, stopIds(tiny)]).toEqual([2, [2], [2]]); // pad = eos
    },
  );
});

describe('flags of added tokens', () => {
  it('tokenizer_config.json is believed more: a token that is not special there is shown when reading back', async () => {
    const config = { added_tokens_decoder: { [EOT]: { content: '<|eot_id|>', special: false } } };
    const { tokenizer } = await read(llama3Like(config));
    expect(tokenizer.controlTexts).not.toContain('<|eot_id|>');
    expect(tokenizer.decode([EOT])).toBe('<|eot_id|>');
  });

  it('clean-up only where the file asks for it', async () => {
    const files = llama3Like();
    const { clean_up_tokenization_spaces: _, ...silent } = files['tokenizer_config.json'] as Record<string, unknown>;
    const text = 'x != 3 . Why ?';
    const back = async (config: object): Promise<string> => {
      const { tokenizer } = await read({ ...files, 'tokenizer_config.json': config });
      return tokenizer.decode(tokenizer.encode(text));
    };
    expect(await back(silent)).toBe(text);
    expect(await back({ ...silent, clean_up_tokenization_spaces: true })).toBe('x!= 3. Why?');
  });
});

describe('older forms', () => {
  const piece = (text: string, score: number, kind: SentencePieceModel['pieces'][number]['kind'] = 'normal') => ({
    text,
    score,
    kind,
  });
  const model: SentencePieceModel = {
    pieces: [
      piece('<unk>', 0, 'unknown'),
      piece('<s>', 0, 'control'),
      piece('</s>', 0, 'control'),
      ...Array.from({ length: 256 }, (_, byte) =>
        piece(`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`, 0, 'byte'),
      ),
      piece('▁a', -0),
      piece('ab', -1),
      piece('▁', -2),
      piece('a', -3),
      piece('b', -4),
    ],
    algorithm: 'bpe',
    byteFallback: true,
    unkId: 0,
    bosId: 1,
    eosId: 2,
    padId: undefined,
    addDummyPrefix: true,
    removeExtraWhitespaces: false,
    rewritesCharacters: false,
  };
  const [A, AB, SPACE, , B] = [259, 260, 261, 262, 263];

  it('SentencePiece: the best score merges first, a space begins every text but none behind a control token', () => {
    const { tokenizer, defaults } = fromSentencePiece(model, 'm');
    const made = new HuggingFaceTokenizer({ tokenizer, tokenizerConfig: defaults });
    expect(made.encode('ab', { addBos: true })).toEqual([1, A, B]);
    expect(made.encode(' ab')).toEqual([SPACE, A, B]);
    expect(made.encode('</s>ab')).toEqual([2, AB]);
    expect(made.encode('é')).toEqual([SPACE, 3 + 0xc3, 3 + 0xa9]); // its bytes
    expect(made.decode(made.encode('é ab'))).toBe('é ab');
    expect(made.decode(made.encode(' ab'))).toBe(' ab');
  });

  it.each([
    [{ algorithm: 'unigram' as const }, /kind "bpe", got "unigram"/],
    [{ rewritesCharacters: true }, /normalises/],
    [{ removeExtraWhitespaces: true }, /drops repeated spaces/],
  ])('SentencePiece with %o is refused', (change, message) => {
    expect(() => fromSentencePiece({ ...model, ...change }, 'm')).toThrow(message);
  });

  it('vocab.json and merges.txt: a class that does not say how text is cut, and bad files, are refused', async () => {
    const config = { 'tokenizer_config.json': { tokenizer_class: 'GPT2Tokenizer', eos_token: 'a' } };
    const vocab = { 'vocab.json': { a: 0, b: 1, ab: 2 } };
    const good = await read({ ...config, ...vocab, 'merges.txt': '#version: 0.2\na b\n' });
    expect(good.tokenizer.encode('ab')).toEqual([2]);
    await expect(read({ ...config, ...vocab, 'merges.txt': 'a b c\n' })).rejects.toThrow(
      /two pieces a line, got "a b c"/,
    );
    await expect(read({ ...config, 'vocab.json': { a: 'x' }, 'merges.txt': '' })).rejects.toThrow(/text → id/);
    await expect(read({ ...vocab, 'merges.txt': 'a b' })).rejects.toThrow(
      /GPT2Tokenizer or Qwen2Tokenizer, got tokenizer_class none/,
    );
  });

  it('nothing there: what may be there is named', async () => {
    await expect(read({})).rejects.toMatchObject({
      code: 'source',
      message: expect.stringMatching(/tokenizer.model/) as string,
    });
  });
});
