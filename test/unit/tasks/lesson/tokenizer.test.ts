// tokenizer.test.ts: the lesson's tokenizer files: read by the tokenizer library, every text of the corpus and of the
// teachers read back as it was, and words that are not known named.
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { LessonCorpus } from '../../../../src/tasks/lesson/corpus';
import { FAMILIES, lessonItems } from '../../../../src/tasks/lesson/families';
import { lessonScript } from '../../../../src/tasks/lesson/script';
import { lessonTokenizerFiles } from '../../../../src/tasks/lesson/tokenizerFiles';
import { LESSON_TOKENS } from '../../../../src/tasks/lesson/vocabulary';
import { askable, unknownWordsReply } from '../../../../src/text/askable';
import { HuggingFaceTokenizer } from '../../../../src/text/tokenizer';
import { WordTokenizer } from '../../../../src/text/wordTokenizer';

const files = JSON.parse(JSON.stringify(lessonTokenizerFiles(192))) as ReturnType<typeof lessonTokenizerFiles>;
const tokenizer = new HuggingFaceTokenizer({
  tokenizer: files['tokenizer.json'],
  tokenizerConfig: files['tokenizer_config.json'],
  generationConfig: files['generation_config.json'],
});
const words = new WordTokenizer(LESSON_TOKENS);

describe('the vocabulary', () => {
  it('is as small as it can be, and no token is there twice', () => {
    expect(LESSON_TOKENS.length).toBe(477);
    expect(new Set(LESSON_TOKENS).size).toBe(477);
  });

  it('is frozen: a student’s embedding knows its ids', () => {
    const digest = createHash('sha256').update(LESSON_TOKENS.join(' ')).digest('hex');
    expect(digest.slice(0, 16)).toBe('e084ee917a08c716');
  });

  it('has digits, option letters with their bracket and the line break as tokens of their own', () => {
    const ids = tokenizer.encode('A) 42\nB)');
    expect(ids.map((id) => LESSON_TOKENS[id])).toEqual(['A)', '4', '2', '\n', 'B)']);
  });
});

describe('the tokenizer', () => {
  it('knows its control tokens and puts bos before a prompt', () => {
    const { vocabSize, padId, bosId, eosIds, specialTexts } = tokenizer;
    expect({ vocabSize, padId, bosId, eosIds }).toEqual({ vocabSize: 477, padId: 0, bosId: 1, eosIds: [2] });
    expect(specialTexts['unk_token']).toBe('<unk>');
    expect(tokenizer.encode('Tom', { addBos: true })).toEqual([1, ...tokenizer.encode('Tom')]);
    expect(tokenizer.encode('Tom')).toHaveLength(1);
  });

  it('gives the ids of the word tokenizer and reads back every document as it was', () => {
    const corpus = new LessonCorpus(3);
    for (let i = 0; i < 3000; i++) {
      const { text } = corpus.document(i);
      const ids = tokenizer.encode(text);
      if (tokenizer.decode(ids) !== text || ids.join() !== words.encode(text).join() || words.decode(ids) !== text) {
        expect({ text: tokenizer.decode(ids), ids }).toEqual({ text, ids: words.encode(text) });
      }
    }
  });

  it('reads back every answer of every teacher as it was', () => {
    for (const family of FAMILIES) {
      for (const item of lessonItems(family, 'train', { count: 200, seed: 4 })) {
        for (const teachers of ['in-family', 'out-family'] as const) {
          for (let wording = 0; wording < lessonScript.wordings(teachers); wording++) {
            const text = lessonScript.write(item, teachers, wording);
            expect(tokenizer.unknownPieces(text)).toEqual([]);
            expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
          }
        }
      }
    }
  });

  it('keeps prompt and answer apart as they are together', () => {
    const prompt = 'Question: What has fins?\nAnswer:\n';
    expect([...tokenizer.encode(prompt), ...tokenizer.encode('C) cod')]).toEqual(tokenizer.encode(`${prompt}C) cod`));
  });
});

describe('a typed question', () => {
  it('with unknown words is named honestly', () => {
    const { unknown } = askable(tokenizer, 'How many zebras does Tom have in the zoo? Zebras!');
    expect(unknown).toEqual(['zebras', 'zoo', 'Zebras', '!']);
    expect(unknownWordsReply(['zebras', 'zoo'])).toBe('I do not know the words "zebras" and "zoo".');
    expect(unknownWordsReply(['a', 'b', 'c'])).toBe('I do not know the words "a", "b" and "c".');
    expect(unknownWordsReply(['zebras'])).toBe('I do not know the word "zebras".');
    expect(tokenizer.encode('zebras')).toEqual([tokenizer.encode('<unk>')[0]]);
  });

  it('is mended where only the case is wrong, whole words only', () => {
    expect(askable(tokenizer, ' tom has 3 Apples. how many apples does TOM have? ')).toEqual({
      text: 'Tom has 3 apples. How many apples does Tom have?',
      unknown: [],
    });
    // "Ant" is no word, "ant" is one, "Antlers" is left alone.
    expect(askable(tokenizer, 'Ant Antlers')).toEqual({ text: 'ant Antlers', unknown: ['Antlers'] });
  });
});
