// textStream.test.ts: whatever ids arrive, in whatever order, the pieces together are the tokenizer's own text of all of them, and
// no piece holds half a character. Texts that end an answer are found across tokens.
import fc from 'fast-check';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { StopTexts, TextStream, type TextPiece } from '../../../src/text/textStream';
import { HuggingFaceTokenizer, type TextTokenizer } from '../../../src/text/tokenizer';
import { WordTokenizer } from '../../../src/text/wordTokenizer';

const ROOT = join(import.meta.dirname, '../../..');
const json = (path: string): unknown => JSON.parse(readFileSync(path, 'utf8'));

function streamed(tokenizer: TextTokenizer, ids: readonly number[]): TextPiece[] {
  const stream = new TextStream(tokenizer);
  const pieces = ids.map((id) => stream.push(id)).filter((piece) => piece !== undefined);
  const rest = stream.finish();
  return rest === undefined ? pieces : [...pieces, rest];
}

const TEXTS = [
  "Hello, world! It isn't so; they're \" quoted \" and ' spaced ' . Was it ? Yes , it was n't.",
  'Emoji 👩‍👩‍👧‍👦 and 🇩🇪, 😀😀😀 in a row; combining é, ẹ́; 数学は美しい。Здравствуй!',
  'Tabs\tand\n\nlines\r\n   with   spaces  \n- a\n- b\n```js\nlet x = 1;\n```\n',
  '\ufffd is a character too \ufffd\ufffd end\ufffd',
  '½ × ¾ ≤ 1 — “quotes” … ﷽ 𝔘𝔫𝔦𝔠𝔬𝔡𝔢 \u200b zero width',
];

function holds(name: string, tokenizer: TextTokenizer, texts: readonly string[] = TEXTS): void {
  const check = (ids: readonly number[]): void => {
    const pieces = streamed(tokenizer, ids);
    expect(pieces.map(({ text }) => text).join('')).toBe(tokenizer.decode(ids));
    expect(pieces.reduce((sum, { tokens }) => sum + tokens, 0)).toBe(ids.length);
  };
  it(`${name}: texts in their own tokens`, () => {
    for (const text of texts) {
      const ids = tokenizer.encode(text, { addBos: true });
      check(ids);
      // No half character on the way: every piece but the last ends whole.
      const pieces = streamed(tokenizer, ids).slice(0, -1);
      if (!text.includes('\ufffd')) for (const piece of pieces) expect(piece.text).not.toContain('\ufffd');
    }
  });
  it(`${name}: 300 lists of random ids, special ones among them`, () => {
    const known = (id: number): boolean => {
      try {
        tokenizer.decode([id]);
        return true;
      } catch {
        return false; // holes of a vocabulary
      }
    };
    const id = fc.nat(tokenizer.vocabSize - 1).filter(known);
    fc.assert(fc.property(fc.array(id, { maxLength: 60 }), check), { numRuns: 300, seed: 7 });
  });
}

describe('TextStream', () => {
  const lesson = join(ROOT, 'public/students/lesson');
  const story = 'Tom has 12 pears and buys 5 more. How many?\nThe answer is 17.';
  holds(
    'the lesson student',
    new HuggingFaceTokenizer({
      tokenizer: json(join(lesson, 'tokenizer.json')),
      tokenizerConfig: json(join(lesson, 'tokenizer_config.json')),
    }),
    [story],
  );
  holds('words', new WordTokenizer(json(join(ROOT, 'test/fixtures/lesson/vocab.json')) as string[]), [story]);

  const data = process.env['PUPIL_DATA'];
  const real: [name: string, tokenizer: string, config: string][] = [
    [
      'Llama 2 (byte fallback)',
      'tokenizers/llama-2/llama_tokenizer.json',
      'tokenizers/llama-2/llama_tokenizer_config.json',
    ],
    ['TinyLlama', 'tokenizers/tinyllama/tokenizer.json', 'tokenizers/tinyllama/tokenizer_config.json'],
    ['GPT-2 (cleans up)', 'tokenizers/gpt2/gpt2_tokenizer.json', 'tokenizers/gpt2/gpt2_tokenizer_config.json'],
    ['SmolLM2', 'tokenizers/smollm2/tokenizer.json', 'tokenizers/smollm2/tokenizer_config.json'],
    ['story Llama', 'weights/story_llama/tokenizer.json', 'weights/story_llama/tokenizer_config.json'],
  ];
  describe.skipIf(data === undefined || !existsSync(data))('real tokenizers', { timeout: 300_000 }, () => {
    for (const [name, tokenizer, config] of real) {
      if (data === undefined) continue;
      const files = { tokenizer: json(join(data, tokenizer)), tokenizerConfig: json(join(data, config)) };
      holds(name, new HuggingFaceTokenizer(files));
    }
    it('GPT-2: spaces and signs that its clean-up joins, as single characters', () => {
      const [, path, config] = real[2]!;
      const gpt2 = new HuggingFaceTokenizer({
        tokenizer: json(join(data!, path)),
        tokenizerConfig: json(join(data!, config)),
      });
      const sign = fc.constantFrom(...[" '", "'", ' ', 'n', 't', 's', 've', 're', 'm', ' .', ',', ' ?', 'a']);
      fc.assert(
        fc.property(fc.array(sign, { maxLength: 12 }), (signs) => {
          const ids = signs.flatMap((one) => gpt2.encode(one));
          const pieces = streamed(gpt2, ids);
          expect(pieces.map(({ text }) => text).join('')).toBe(gpt2.decode(ids));
        }),
        { numRuns: 3000, seed: 11 },
      );
    });
    it('byte by byte: random bytes as Llama’s byte tokens between words', () => {
      const files = {
        tokenizer: json(join(data!, real[0]![1])),
        tokenizerConfig: json(join(data!, real[0]![2])),
      };
      const llama = new HuggingFaceTokenizer(files);
      const vocabulary = (files.tokenizer as { model: { vocab: Record<string, number> } }).model.vocab;
      const byteId = (byte: number): number => vocabulary[`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`]!;
      const bytes = (text: string): number[] => [...new TextEncoder().encode(text)].map(byteId);
      const part = fc.oneof(
        fc.string({ unit: 'binary', maxLength: 3 }).map(bytes),
        fc.uint8Array({ maxLength: 4 }).map((list) => [...list].map(byteId)),
        fc.constantFrom('😀', 'é', '中', '👩‍👧').map(bytes),
        fc.nat(llama.vocabSize - 1).map((id) => [id]),
      );
      fc.assert(
        fc.property(fc.array(part, { maxLength: 20 }), (parts) => {
          const ids = parts.flat();
          const pieces = streamed(llama, ids);
          expect(pieces.map(({ text }) => text).join('')).toBe(llama.decode(ids));
        }),
        { numRuns: 150, seed: 3 },
      );
      expect(streamed(llama, bytes('😀é')).map(({ text, tokens }) => [text, tokens])).toEqual([
        ['😀', 4],
        ['é', 2],
      ]);
    });
  });
});

describe('StopTexts', () => {
  const run = (stops: string[], texts: string[]): { text: string; stopped: boolean; held: string } => {
    const watch = new StopTexts<{ text: string }>(stops);
    let text = '';
    for (const one of texts) {
      const { pieces, stopped } = watch.push({ text: one });
      text += pieces.map((piece) => piece.text).join('');
      if (stopped) return { text, stopped, held: '' };
    }
    const held = watch.finish().map((piece) => piece.text);
    return { text, stopped: false, held: held.join('') };
  };

  it('cuts in front of a text that is spread over pieces, and inside a piece', () => {
    expect(run(['\n\nQ:'], ['an', 'swer', '\n', '\nQ', ': more'])).toEqual({ text: 'answer', stopped: true, held: '' });
    expect(run(['stop'], ['do not', ' stop now'])).toEqual({ text: 'do not ', stopped: true, held: '' });
    expect(run(['b', 'ab'], ['xab'])).toEqual({ text: 'x', stopped: true, held: '' });
  });

  it('holds back only what may be a beginning, whole pieces at a time', () => {
    expect(run(['\n\nQ:'], ['a\n', '\nB', 'c'])).toEqual({ text: 'a\n\nBc', stopped: false, held: '' });
    expect(run(['\n\nQ:'], ['a', '\n', '\n'])).toEqual({ text: 'a', stopped: false, held: '\n\n' });
    expect(run(['', 'zz'], ['a', 'z'])).toEqual({ text: 'a', stopped: false, held: 'z' });
  });

  it('says the same as a search in the whole text, however it is cut', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 3 });
    fc.assert(
      fc.property(fc.array(letters, { maxLength: 20 }), fc.array(letters, { maxLength: 3 }), (texts, stops) => {
        const whole = texts.join('');
        const ends = stops.filter((stop) => stop !== '' && whole.includes(stop)).map((stop) => whole.indexOf(stop));
        const { text, stopped, held } = run(stops, texts);
        expect(stopped).toBe(ends.length > 0);
        // The first that is complete decides; one that begins earlier and ends later may still be under way.
        if (!stopped) expect(text + held).toBe(whole);
        else expect(whole.startsWith(text) && stops.every((stop) => stop === '' || !text.includes(stop))).toBe(true);
      }),
      { numRuns: 2000, seed: 5 },
    );
  });
});
