// tokenizer.test.ts: the word tokenizer against the prototype's own ids, and the wrapped library against published ids.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { HuggingFaceTokenizer } from '../../../src/text/tokenizer';
import { WordTokenizer } from '../../../src/text/wordTokenizer';

const lesson = new URL('../../fixtures/lesson/', import.meta.url);
const data = process.env['PUPIL_DATA'];
const json = (path: string | URL): unknown => JSON.parse(readFileSync(path, 'utf8'));

interface LessonRow {
  plain_prompt: string;
  cot_prompt: string;
  teacher_answer: string | null;
  prompt_ids: number[];
  plain_prompt_ids: number[];
}

describe('WordTokenizer', () => {
  const tokenizer = new WordTokenizer(json(new URL('vocab.json', lesson)) as string[]);
  const rows = ['train-in-seed0', 'train-in-seed1', 'train-in-seed2', 'test'].flatMap((name) =>
    readFileSync(new URL(`task-C-${name}.jsonl`, lesson), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as LessonRow),
  );

  it('has 449 tokens with pad 0, bos 1, eos 2', () => {
    expect([tokenizer.vocabSize, tokenizer.padId, tokenizer.bosId, tokenizer.eosIds]).toEqual([449, 0, 1, [2]]);
  });

  it('gives the prototype’s ids for all 1,400 plain and CoT prompts of task C', () => {
    expect(rows).toHaveLength(1400);
    for (const row of rows) {
      expect(tokenizer.encode(row.cot_prompt, { addBos: true })).toEqual(row.prompt_ids);
      expect(tokenizer.encode(row.plain_prompt, { addBos: true })).toEqual(row.plain_prompt_ids);
    }
  });

  it('reads every teacher answer back as it was written', () => {
    for (const row of rows) {
      if (row.teacher_answer === null) continue;
      expect(tokenizer.decode(tokenizer.encode(row.teacher_answer))).toBe(row.teacher_answer);
    }
  });

  it('reads the prototype’s greedy ids back as its texts', () => {
    const expected = json(new URL('student-p10/expected.json', lesson)) as {
      examples: { greedy: number[]; text: string }[];
    };
    for (const example of expected.examples) expect(tokenizer.decode(example.greedy)).toBe(example.text);
  });

  it('names words outside its vocabulary instead of guessing', () => {
    expect(tokenizer.unknownPieces('The quokka eats zinc, quokka!')).toEqual(['quokka', 'eats', '!']);
    expect(() => tokenizer.encode('The quokka')).toThrow(/got "quokka"/);
  });

  it('keeps or leaves out special tokens when reading back', () => {
    expect(tokenizer.decode([1, 61, 76, 2])).toBe('The answer');
    expect(tokenizer.decode([1, 61, 76, 2], { skipSpecial: false })).toBe('<bos> The answer <eos>');
  });

  it('refuses a vocabulary that is not a list of distinct texts with the special tokens', () => {
    expect(() => new WordTokenizer(['<pad>', '<bos>'])).toThrow(/<eos>/);
    expect(() => new WordTokenizer(['<pad>', '<bos>', '<eos>', 'a', 'a'])).toThrow(/twice/);
    expect(() => new WordTokenizer({} as string[])).toThrow(/list of texts/);
  });
});

describe('HuggingFaceTokenizer refuses what is not a tokenizer', () => {
  it('names the file and what came', () => {
    expect(() => new HuggingFaceTokenizer({ tokenizer: [], tokenizerConfig: {} })).toThrow(
      /tokenizer\.json must be a JSON object, got an array/,
    );
    expect(() => new HuggingFaceTokenizer({ tokenizer: {}, tokenizerConfig: {} })).toThrow(/tokenizer\.json: model/);
    expect(() => new HuggingFaceTokenizer({ tokenizer: { model: { type: 'No' } }, tokenizerConfig: {} })).toThrow(
      /a form this library reads/,
    );
  });
});

describe.skipIf(data === undefined)('HuggingFaceTokenizer on real files (needs PUPIL_DATA)', () => {
  const load = (folder: string, prefix = ''): HuggingFaceTokenizer =>
    new HuggingFaceTokenizer({
      tokenizer: json(`${data}/${folder}/${prefix}tokenizer.json`),
      tokenizerConfig: json(`${data}/${folder}/${prefix}tokenizer_config.json`),
    });

  it('story_llama: bos, eos, pad, and the prompt ids of the independent forward pass', () => {
    const tokenizer = load('weights/story_llama');
    const golden = json(`${data}/weights/story_llama/golden_numpy_f64.json`) as {
      prompt: string;
      prompt_ids: number[];
      greedy_64_new_ids: number[];
    };
    expect([tokenizer.vocabSize, tokenizer.bosId, tokenizer.eosIds, tokenizer.padId]).toEqual([2048, 1, [2], 0]);
    expect(tokenizer.encode(golden.prompt, { addBos: true })).toEqual(golden.prompt_ids);
    expect(tokenizer.encode(golden.prompt)).toEqual(golden.prompt_ids.slice(1));
    const text = tokenizer.decode([...golden.prompt_ids, ...golden.greedy_64_new_ids]);
    expect(text.startsWith('Once upon a time')).toBe(true);
    expect(tokenizer.encode(text, { addBos: true }).slice(0, 6)).toEqual(golden.prompt_ids);
    expect(tokenizer.unknownPieces('Tom has 3 + 4 = 7.')).toEqual(['+', '=']);
    expect([tokenizer.encode(''), tokenizer.decode([])]).toEqual([[], '']);
  });
});
