// Claims about session/dataFiles.ts: a parquet file gives a run the items and demonstrations that the same rows as JSON lines
// give; messages name its rows; other files stay what they are.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseExperiment } from '../../../src/config/experiment';
import { dataFiles } from '../../../src/session/dataFiles';
import { prepare, type Prepared } from '../../../src/session/prepare';
import { readTaskItems } from '../../../src/session/taskItems';
import { openMemoryRoot } from '../../../src/sources/memory';
import { TASKS } from '../../../src/tasks/registry';
import { lessonTokenizerFiles } from '../../../src/tasks/lesson/tokenizerFiles';
import { HuggingFaceTokenizer } from '../../../src/text/tokenizer';

const FIXTURES = 'test/fixtures/parquet/hub';
const bytesOf = (name: string): Uint8Array => new Uint8Array(readFileSync(`${FIXTURES}/${name}`));
const text = (value: string): Uint8Array => new TextEncoder().encode(value);

describe('dataFiles', () => {
  const root = openMemoryRoot({
    'a.jsonl': text('\ufeff{"a":"ü"}\n'),
    'named.jsonl': bytesOf('obqa.parquet'),
    'broken.parquet': bytesOf('obqa.parquet').subarray(0, 700),
    'latin1.csv': new Uint8Array([0x61, 0xfc, 0x0a]),
  });
  const files = dataFiles(root);

  it('reads text, generated files, and parquet whatever its name', async () => {
    expect(await files.readText('a.jsonl')).toBe('{"a":"ü"}\n');
    expect((await files.readText('lesson:sums/development?count=3')).trim().split('\n')).toHaveLength(3);
    expect(JSON.parse((await files.readText('named.jsonl')).split('\n')[1]!)).toMatchObject({ id: '7-2' });
  });

  it('refuses what is neither, and what is not there', async () => {
    await expect(files.readText('broken.parquet')).rejects.toMatchObject({ code: 'format' });
    await expect(files.readText('latin1.csv')).rejects.toThrow('latin1.csv: expected UTF-8 text');
    await expect(files.readText('none.parquet')).rejects.toMatchObject({ code: 'source' });
    await expect(files.readText('lesson:sums/nothing')).rejects.toThrow(/as part/);
  });

  it('a row that cannot be used is named by its number in the parquet file', async () => {
    const hub = openMemoryRoot({ 'validation/0000.parquet': bytesOf('piqa.parquet') });
    const warnings: string[] = [];
    const config = { name: 'P' };
    const paths = ['validation/0000.parquet'];
    const items = await readTaskItems(TASKS.piqa, config, paths, dataFiles(hub), (told) => warnings.push(told));
    expect(items.map(({ id }) => id)).toEqual(['piqa-validation-0000-1', 'piqa-validation-0000-2']);
    expect(warnings).toEqual([
      'P: 1 rows of validation/0000.parquet cannot be used, first validation/0000.parquet:3: expected an answer in label, got nothing: a published test set without labels?',
    ]);
  });
});

describe('a run', () => {
  const { 'tokenizer.json': tokenizer, 'tokenizer_config.json': tokenizerConfig } = lessonTokenizerFiles(512);
  const loaded = { tokenizer: new HuggingFaceTokenizer({ tokenizer, tokenizerConfig }) };
  // As if it could say any word: a student of whole words would be spared these questions.
  Object.defineProperty(loaded.tokenizer, 'words', { value: undefined });

  /** The same experiment over files with this ending; the teacher's answers lie in a file of the same kind. */
  const prepared = async (ending: 'parquet' | 'jsonl'): Promise<Prepared> => {
    const file = (part: string): string => `${part}-00000-of-00001.${ending}`;
    const experiment = parseExperiment({
      name: 'x',
      student: { source: { kind: 'bundled', name: 'lesson' } },
      prompt: { wrapper: 'none', maxPromptTokens: 400 },
      tasks: [
        { id: 'csqa', name: 'C', files: { train: [file('csqa')], test: [file('csqa-test')] } },
        { id: 'gsm8k', name: 'G', files: { all: [file('gsm8k')] }, split: { trainCount: 1 } },
      ],
      demonstrations: [
        {
          label: 'published',
          task: 'G',
          files: [file('gsm8k')],
          format: 'fields',
          fields: { question: 'question', answer: 'answer' },
        },
      ],
      phases: { instruct: {}, selfRefine: false },
      evaluation: { probing: true, maxNewTokens: 32 },
    });
    const root = openMemoryRoot({
      [file('csqa')]: bytesOf(`csqa.${ending}`),
      [file('csqa-test')]: bytesOf(`csqa_test.${ending}`),
      [file('gsm8k')]: bytesOf(`gsm8k.${ending}`),
    });
    return prepare(experiment, root, loaded, { vocabSize: 477, maxPositions: 512 });
  };
  /** What a run works on; functions compare by identity and are left out, as are the files' own names. */
  const content = (made: Prepared): unknown =>
    JSON.parse(JSON.stringify(made).replaceAll('.parquet', '.jsonl')) as unknown;

  it('whose train and test are parquet has the items, prompts and demonstrations of the same rows as JSON lines', async () => {
    const fromParquet = await prepared('parquet');
    expect(fromParquet.tasks.map(({ items }) => items.length)).toEqual([2, 1]);
    expect(fromParquet.examples).toHaveLength(1);
    expect(fromParquet.warnings.join('\n')).toContain('csqa-00000-of-00001.parquet:3: expected an answer in answerKey');
    expect(content(fromParquet)).toEqual(content(await prepared('jsonl')));
  });

  it('reads a task that is only evaluated without any training file', async () => {
    const experiment = parseExperiment({
      name: 'x',
      student: { source: { kind: 'bundled', name: 'lesson' } },
      prompt: { wrapper: 'none', maxPromptTokens: 400 },
      tasks: [{ id: 'csqa', name: 'C', files: { test: ['csqa-test.jsonl'] }, use: ['evaluate'] }],
      demonstrations: [],
      phases: { instruct: false, selfRefine: false },
      evaluation: { maxNewTokens: 32 },
    });
    const root = openMemoryRoot({ 'csqa-test.jsonl': bytesOf('csqa_test.jsonl') });
    const { tasks } = await prepare(experiment, root, loaded, { vocabSize: 477, maxPositions: 512 });
    expect(tasks.map(({ items, summary }) => [items.length, summary.trainItems])).toEqual([[2, 0]]);
  });
});
