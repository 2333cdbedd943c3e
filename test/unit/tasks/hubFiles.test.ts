// hubFiles.test.ts: every benchmark read from the columns in which the Hugging Face Hub publishes it, from parquet files as
// `datasets` writes them and from the same rows as JSON lines. Rows are invented (test/fixtures/parquet/README.md).
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { TaskId } from '../../../src/config/experiment';
import { parquetToJsonLines } from '../../../src/formats/parquet';
import { TASKS } from '../../../src/tasks/registry';
import type { LoadedItems, TaskItem } from '../../../src/tasks/task';

const HUB = 'test/fixtures/parquet/hub';
const FOUR = ['sun', 'moon', 'sea', 'wind'];
const FIVE = ['harbour', 'desk', 'oven', 'cloud', 'shelf'];

async function fromParquet(id: TaskId, path: string): Promise<LoadedItems> {
  const bytes = new Uint8Array(readFileSync(`${HUB}/${id}.parquet`));
  return TASKS[id].load([{ path, text: await parquetToJsonLines(bytes, path) }]);
}

interface Published {
  id: TaskId;
  items: TaskItem[];
  /** Rows of a test set without labels. */
  unlabelled?: number[];
}

const SETS: [string, Published][] = [
  [
    'allenai/openbookqa',
    {
      id: 'obqa',
      items: [
        { id: 'obqa-7-1', question: 'What shines by day?', choices: FOUR, target: 'A' },
        { id: 'obqa-7-2', question: 'What moves a sail?', choices: FOUR, target: 'D' },
      ],
    },
  ],
  [
    'tau/commonsense_qa',
    {
      id: 'csqa',
      items: [
        { id: 'c1', question: 'Where does a boat rest?', choices: FIVE, target: 'A' },
        { id: 'c2', question: 'Where is bread made?', choices: FIVE, target: 'C' },
      ],
      unlabelled: [3],
    },
  ],
  [
    'ybisk/piqa',
    {
      id: 'piqa',
      items: [
        { id: 'piqa-part-1', question: 'cool tea', choices: ['wait', 'heat it'], target: 'A' },
        { id: 'piqa-part-2', question: 'dry a cup', choices: ['rinse it', 'wipe it'], target: 'B' },
      ],
      unlabelled: [3],
    },
  ],
  [
    'allenai/social_i_qa',
    {
      id: 'siqa',
      items: [
        {
          id: 'siqa-part-1',
          question: 'Kim ran to the station. Why did Kim do this?',
          choices: ['to be in time', 'to rest', 'to buy a house'],
          target: 'A',
        },
        {
          id: 'siqa-part-2',
          question: 'Ali lent Jo a coat. How would Jo feel?',
          choices: ['cold', 'bored', 'warm'],
          target: 'C',
        },
      ],
      unlabelled: [3],
    },
  ],
  [
    'openai/gsm8k',
    {
      id: 'gsm8k',
      items: [
        { id: 'gsm8k-part-1', question: 'Tom has 1000 nails and buys 234. How many has he?', target: '1234' },
        { id: 'gsm8k-part-2', question: 'Ann has 5 hats and gives 2 away. How many has she?', target: '3' },
      ],
    },
  ],
  [
    'EleutherAI/hendrycks_math',
    {
      id: 'math',
      items: [
        { id: 'math-algebra-part-1', question: 'Solve $2x=1$.', target: '\\frac{1}{2}' },
        {
          id: 'math-counting-probability-part-2',
          question: 'How many ways are there to order 3 books?',
          target: '6',
        },
      ],
    },
  ],
  [
    'cais/mmlu',
    {
      id: 'mmlu',
      items: [
        { id: 'mmlu-astronomy-part-1', question: 'What shines by day?', choices: FOUR, target: 'A' },
        { id: 'mmlu-astronomy-part-2', question: 'What has tides?', choices: FOUR, target: 'C' },
      ],
    },
  ],
  [
    'wics/strategy-qa, ChilleD/StrategyQA',
    {
      id: 'strategyqa',
      items: [
        { id: 'strategyqa-s1', question: 'Would a pear sink in water?', target: 'no' },
        { id: 'strategyqa-s2', question: 'Would an anvil sink in water?', target: 'yes' },
      ],
    },
  ],
  [
    'ChilleD/SVAMP',
    {
      id: 'svamp',
      items: [{ id: 'svamp-chal-1', question: 'Each pack costs 76 dollars. How much do 2 packs cost?', target: '152' }],
    },
  ],
  [
    'ChilleD/MultiArith',
    {
      id: 'multiarith',
      items: [
        {
          id: 'multiarith-part-1',
          question: 'Tom has 3 hats and buys 2 more. He loses 1. How many has he?',
          target: '4',
        },
        { id: 'multiarith-part-2', question: 'Ann picks 12 plums and eats 3. How many are left?', target: '9' },
      ],
    },
  ],
];

describe('data sets of the Hub', () => {
  it.each(SETS)('%s', async (_, { id, items, unlabelled = [] }) => {
    const loaded = await fromParquet(id, 'a/part.parquet');
    expect(loaded.items).toEqual(items);
    expect(loaded.rejected.map(({ line }) => line)).toEqual(unlabelled);
    for (const { path, reason } of loaded.rejected) {
      expect(path).toBe('a/part.parquet');
      expect(reason).toContain('a published test set without labels?');
    }
    const text = readFileSync(`${HUB}/${id}.jsonl`, 'utf8');
    const fromLines = TASKS[id].load([{ path: 'a/part.parquet', text }]);
    expect(fromLines).toEqual(loaded);
  });

  it('a test set of which no row has its label is refused', () => {
    const row = JSON.stringify({ goal: 'cut a rope', sol1: 'use a knife', sol2: 'use a spoon', label: -1 });
    expect(() => TASKS.piqa.load([{ path: 'test.parquet', text: `${row}\n${row}` }])).toThrow(
      /none that can be used \(test\.parquet:1: .*a published test set without labels/,
    );
  });
});

describe('ids of rows in files with the same name', () => {
  const idsOf = async (id: TaskId, ...paths: string[]): Promise<string[]> =>
    (await Promise.all(paths.map((path) => fromParquet(id, path)))).flatMap(({ items }) =>
      items.map((item) => item.id),
    );

  it('parts of one set differ: the Hub’s converted files are all named 0000.parquet', async () => {
    expect(await idsOf('piqa', '/d/plain_text/train/0000.parquet', '/d/plain_text/validation/0000.parquet')).toEqual([
      'piqa-plain_text-train-0000-1',
      'piqa-plain_text-train-0000-2',
      'piqa-plain_text-validation-0000-1',
      'piqa-plain_text-validation-0000-2',
    ]);
  });

  it('MATH’s original files, one problem each, differ by part and subject', () => {
    const row = JSON.stringify({ problem: 'Find.', level: 'Level 1', type: 'Algebra', solution: '\\boxed{1}' });
    const load = (path: string): string => TASKS.math.load([{ path, text: row }]).items[0]!.id;
    expect([load('MATH/train/algebra/1.json'), load('MATH/test/algebra/1.json')]).toEqual([
      'math-algebra-train-algebra-1-1',
      'math-algebra-test-algebra-1-1',
    ]);
  });

  it('MATH’s subjects and MMLU’s are in the rows: folders may name their files alike', async () => {
    const math = await idsOf('math', 'algebra/train-00000-of-00001.parquet');
    expect(math[0]).toBe('math-algebra-train-00000-of-00001-1');
    const mmlu = await idsOf('mmlu', 'astronomy/test-00000-of-00001.parquet');
    expect(mmlu[0]).toBe('mmlu-astronomy-test-00000-of-00001-1');
  });
});
