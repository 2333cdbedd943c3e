// disk.test.ts: demonstrations in every form they come in, matched to their items, counted, cut and chosen.
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { parseExperiment } from '../../../src/config/experiment';
import type { DemonstrationsConfig } from '../../../src/config/experiment';
import { resolvePaths } from '../../../src/config/paths';
import { TASKS } from '../../../src/tasks/registry';
import { judgeItem } from '../../../src/tasks/score';
import { splitItems } from '../../../src/tasks/split';
import type { Task, TaskItem } from '../../../src/tasks/task';
import { selectDemonstrations } from '../../../src/teachers/demonstration';
import type { TeacherTask } from '../../../src/teachers/demonstration';
import { loadDemonstrations } from '../../../src/teachers/disk';
import { numericOrder } from '../../../src/teachers/diskFormats';

const data = process.env['PUPIL_DATA'];
const experiments = new URL('../../../experiments/', import.meta.url);

function teacherTask(task: Task, name: string, items: readonly TaskItem[]): TeacherTask {
  return {
    id: name,
    items,
    plainPrompt: (item) => task.plainPrompt(item),
    cotPrompt: (item) => task.cotPrompt(item),
    isCorrect: (item, text) => judgeItem('mixed', item, text).correct,
  };
}

const numbers = teacherTask(TASKS.multiarith, 'M', [
  { id: 'm0', question: 'How many apples?', target: '4' },
  { id: 'm1', question: 'How many pears?', target: '5' },
  { id: 'm2', question: 'How many pears?', target: '5' },
]);
const options = teacherTask(TASKS.csqa, 'Q', [
  { id: 'q0', question: 'What flies?', choices: ['stone', 'owl'], target: 'B' },
  { id: 'q1', question: 'What flies?', choices: ['hawk', 'car'], target: 'A' },
]);

const config = (change: Partial<DemonstrationsConfig>): DemonstrationsConfig => ({
  label: 'T',
  task: 'M',
  files: ['d.json'],
  format: 'llm-adapters',
  family: 'out-family',
  fraction: 1,
  keepWrong: true,
  truncateAt: [],
  rationaleIndex: 0,
  ...change,
});
const from = (files: Record<string, unknown>) => (path: string) => {
  const value = files[path];
  return Promise.resolve(typeof value === 'string' ? value : JSON.stringify(value));
};

describe('loadDemonstrations', () => {
  it('llm-adapters: drops the mark "A:", matches by question, scores by the extractor', async () => {
    const rows = [
      { question: ' how many  APPLES? ', 'chain-of-thought': '\nA: 2 + 2 = 4. The answer is 4.', pred: 4, answer: 4 },
      { question: 'How many pears?', 'chain-of-thought': '\nA: The answer is 6.', pred: 6, answer: 5 },
    ];
    const result = await loadDemonstrations(config({}), numbers, from({ 'd.json': rows }));
    expect(result.demonstrations[0]).toEqual({
      id: 'T/m0',
      taskId: 'M',
      itemId: 'm0',
      instruction: 'Answer the following mathematical question with numerical solution.',
      question: "Question: How many apples?\nAnswer: Let's think step by step",
      answer: '2 + 2 = 4. The answer is 4.',
      target: '4',
      teacher: 'T',
      family: 'out-family',
      correct: true,
    });
    expect(result).toMatchObject({ correct: 1, accuracy: 0.5, rejected: [] });
  });

  it('a repeated question goes to each of its items in turn', async () => {
    const row = { question: 'How many pears?', 'chain-of-thought': '5' };
    const { demonstrations } = await loadDemonstrations(config({}), numbers, from({ 'd.json': [row, row, row] }));
    expect(demonstrations.map((d) => d.itemId)).toEqual(['m1', 'm2', 'm1']);
    expect(demonstrations.map((d) => d.id)).toEqual(['T/m1', 'T/m2', 'T/m1/1']);
  });

  it('alpaca: the question in the instruction, or our own prompt in instruction and input', async () => {
    const rows = [
      { instruction: 'How many apples?', input: '', output: '\nA: 4', answer: '4.0' },
      {
        instruction: 'Answer the following mathematical question with numerical solution.',
        input: 'Question: How many pears?\nAnswer:',
        output: '5',
      },
    ];
    const { demonstrations } = await loadDemonstrations(
      config({ format: 'alpaca' }),
      numbers,
      from({ 'd.json': rows }),
    );
    expect(demonstrations.map((d) => [d.itemId, d.answer, d.correct])).toEqual([
      ['m0', '4', true],
      ['m1', '5', true],
    ]);
  });

  it('prompt-completion: whole prompts tell items of one stem apart', async () => {
    const prompt = (a: string, b: string): string =>
      `Choose the answer to the question only from options A, B.\nQuestion: What flies?\nChoices:\nA) ${a}\nB) ${b}\nAnswer:`;
    const rows = [
      { prompt: `${prompt('hawk', 'car')} Let's think step by step`, completion: ' Hawks fly. The answer is A) hawk.' },
      { prompt: prompt('stone', 'owl'), completion: 'The answer is A) stone.' },
    ];
    const { demonstrations } = await loadDemonstrations(
      config({ format: 'prompt-completion' }),
      options,
      from({ 'd.json': rows.map((row) => JSON.stringify(row)).join('\n') }),
    );
    expect(demonstrations.map((d) => [d.itemId, d.correct])).toEqual([
      ['q1', true],
      ['q0', false],
    ]);
  });

  it('jsonl: Pupil’s own demonstrations come back as they were written', async () => {
    const rows = [{ question: 'How many apples?', 'chain-of-thought': 'The answer is 4.' }];
    const first = await loadDemonstrations(config({}), numbers, from({ 'd.json': rows }));
    const text = first.demonstrations.map((d) => JSON.stringify(d)).join('\n');
    const again = await loadDemonstrations(config({ format: 'jsonl' }), numbers, from({ 'd.json': text }));
    expect(again.demonstrations).toEqual(first.demonstrations);
  });

  const aligned = [
    { id: 'x', question: 'What flies?', choices: ['stone', 'owl'], answer: 'owl' },
    { id: 'y', question: 'What flies?', choices: ['hawk', 'car'], answer: 'hawk' },
  ];

  it('cot-aligned: shards in numeric order, an invented next question cut off', async () => {
    const files = Object.fromEntries(
      Array.from({ length: 11 }, (_, i) => [`c_${i}.json`, [`The answer is 4 and ${i}`]]),
    );
    const rows = Array.from({ length: 11 }, () => ({ question: 'How many apples?' }));
    const shuffled = Object.keys(files).sort(); // c_10 before c_2
    const result = await loadDemonstrations(
      config({ format: 'cot-aligned', files: shuffled, alignedWith: ['r.json'], truncateAt: [' and'] }),
      numbers,
      from({ ...files, 'r.json': rows.map((row) => JSON.stringify(row)).join('\n') }),
    );
    expect(result.demonstrations.every((d) => d.answer === 'The answer is 4' && d.correct)).toBe(true);
    expect(numericOrder(shuffled).at(-1)).toBe('c_10.json');
    expect(numericOrder(shuffled)[2]).toBe('c_2.json');
  });

  it('cot-aligned: matched by question and choices, one of several rationales', async () => {
    const change = {
      format: 'cot-aligned',
      files: ['c_0.json'],
      alignedWith: ['r.json'],
      truncateAt: ['\n\nQ:'],
      rationaleMarker: ' llama rationale:',
    } as const;
    const files = {
      'c_0.json': ['So the answer is (b) owl.\n\nQ: What?\nA: (a) llama rationale: Stones? (a)', 'So (a) hawk.'],
      'r.json': aligned,
    };
    const first = await loadDemonstrations(
      config({
        ...change,
        files: [...change.files],
        alignedWith: [...change.alignedWith],
        truncateAt: [...change.truncateAt],
      }),
      options,
      from(files),
    );
    expect(first.demonstrations.map((d) => [d.itemId, d.answer, d.correct])).toEqual([
      ['q0', 'So the answer is (b) owl.', true],
      ['q1', 'So (a) hawk.', true],
    ]);
    const second = await loadDemonstrations(
      config({
        ...change,
        files: [...change.files],
        alignedWith: [...change.alignedWith],
        truncateAt: [],
        rationaleIndex: 1,
      }),
      options,
      from(files),
    );
    expect(second.demonstrations.map((d) => d.answer)).toEqual(['Stones? (a)']);
    expect(second.rejected).toEqual([
      { path: 'c_0.json', line: 2, reason: 'expected a rationale number 1, got 1 of them' },
    ]);
  });

  it('cot-aligned: whatever would shift the alignment is an error', async () => {
    const load = (files: Record<string, unknown>, names: string[]) =>
      loadDemonstrations(
        config({ format: 'cot-aligned', files: names, alignedWith: ['r.json'] }),
        options,
        from(files),
      );
    await expect(load({ 'c_0.json': ['a', 'b', 'c'], 'r.json': aligned }, ['c_0.json'])).rejects.toThrow(
      /at most 2 rationales.*got 3/,
    );
    await expect(
      load({ 'c_0.json': ['a'], 'c_2.json': ['b'], 'r.json': aligned }, ['c_0.json', 'c_2.json']),
    ).rejects.toThrow(/expected shard 1.*c_2/);
    await expect(
      load({ 'c_0.json': ['a'], 'r.json': `${JSON.stringify(aligned[0])}\n{broken` }, ['c_0.json']),
    ).rejects.toThrow(/r\.json:2: not JSON/);
  });

  it('reports each rejected row with file, line and reason', async () => {
    const text = [
      '{"question": "How many apples?", "chain-of-thought": "4"}',
      '{"question": "How many plums?", "chain-of-thought": "4"}',
      '{"question": "How many apples?", "chain-of-thought": "  \\n A: "}',
      '{"question": "How many apples?"}',
      'oops',
    ].join('\n');
    const { rejected } = await loadDemonstrations(config({}), numbers, from({ 'd.json': text }));
    expect(rejected.map((r) => [r.line, r.reason.slice(0, 30)])).toEqual([
      [2, 'no item of M has this question'],
      [3, 'the answer is empty'],
      [4, 'expected a text in chain-of-th'],
      [5, expect.stringContaining('not JSON') as string],
    ]);
  });

  it('refuses files in which nothing fits', async () => {
    await expect(
      loadDemonstrations(config({}), options, from({ 'd.json': [{ question: 'x', 'chain-of-thought': 'y' }] })),
    ).rejects.toThrow(/none that fit \(d\.json:1: no item of Q/);
    await expect(
      loadDemonstrations(config({}), numbers, from({ 'd.json': 'version https://git-lfs.github.com/spec/v1' })),
    ).rejects.toThrow(/Git-LFS/);
  });
});

describe('selectDemonstrations', () => {
  const rows = ['apples', 'pears', 'pears'].map((what, i) => ({
    question: `How many ${what}?`,
    'chain-of-thought': i === 1 ? '7' : `${i === 0 ? 4 : 5}`,
  }));

  it('takes only items of the training split, in its order, and counts the rest', async () => {
    const { demonstrations } = await loadDemonstrations(config({}), numbers, from({ 'd.json': rows }));
    const keep = selectDemonstrations(demonstrations, ['m2', 'm1'], { fraction: 1, keepWrong: true });
    expect(keep.selected.map((d) => d.itemId)).toEqual(['m2', 'm1']);
    expect(keep).toMatchObject({ given: 3, notInTraining: 1, wrongKept: 1, wrongDropped: 0 });
    const drop = selectDemonstrations(demonstrations, ['m2', 'm1'], { fraction: 1, keepWrong: false });
    expect(drop.selected.map((d) => d.itemId)).toEqual(['m2']);
    expect(drop).toMatchObject({ wrongDropped: 1, wrongKept: 0 });
    const { id } = demonstrations.find(({ itemId }) => itemId === 'm2')!;
    const byHand = selectDemonstrations(demonstrations, ['m2', 'm1'], { fraction: 1, keepWrong: true, exclude: [id] });
    expect(byHand.selected.map((d) => d.itemId)).toEqual(['m1']);
    expect(byHand).toMatchObject({ given: 3, notInTraining: 1, excluded: 1, wrongDropped: 0 });
    const half = selectDemonstrations(demonstrations, ['m2', 'm1', 'm0', 'zz'], { fraction: 1, keepWrong: true }, 0.5);
    expect(half.selected.map((d) => d.itemId)).toEqual(['m2', 'm1']);
    expect(half).toMatchObject({ beyondFraction: 1, notInTraining: 0 });
    const one = selectDemonstrations(demonstrations, ['m2', 'm1'], { fraction: 1, keepWrong: true, limit: 1 });
    expect([one.selected.length, one.beyondLimit]).toEqual([1, 1]);
  });
});

/** Everything an experiment file says about its first task, run up to the demonstrations used for training. */
async function prepare(name: string, seed = 0) {
  const parsed = parseExperiment(readFileSync(new URL(name, experiments), 'utf8'));
  const roots = { base: decodeURIComponent(experiments.pathname), ...(data === undefined ? {} : { data }) };
  const e = resolvePaths({ ...parsed, seed }, roots);
  const { id, name: taskName, files, split } = e.tasks[0]!;
  const load = (paths: readonly string[]): TaskItem[] =>
    TASKS[id].load(paths.map((path) => ({ path, text: readFileSync(path, 'utf8') }))).items;
  const pools = 'all' in files ? { pool: load(files.all) } : { train: load(files.train), test: load(files.test) };
  const result = splitItems(pools, split);
  const items = 'pool' in pools ? pools.pool : [...pools.train, ...pools.test];
  const entry = e.demonstrations[0]!;
  const loaded = await loadDemonstrations(entry, teacherTask(TASKS[id], taskName, items), (path) =>
    readFile(path, 'utf8'),
  );
  return {
    split: result,
    loaded,
    selection: selectDemonstrations(
      loaded.demonstrations,
      result.train.map((item) => item.id),
      entry,
    ),
  };
}

describe('experiment files up to their demonstrations', () => {
  it('lesson C: 120 right demonstrations in file order for every seed, none of them tested', async () => {
    for (const seed of [0, 1, 2]) {
      const { split, loaded, selection } = await prepare('lesson-c-student-p10.json', seed);
      expect([split.train.length, split.test.length, loaded.accuracy]).toEqual([120, 100, 1]);
      expect(selection.selected).toHaveLength(120);
      expect(selection.selected.map((d) => d.itemId)).toEqual(split.train.map((item) => item.id));
    }
  });
});

describe.skipIf(data === undefined)('real demonstrations (needs PUPIL_DATA)', () => {
  it('MultiArith: 600 matched, 560 right as published, 420 for training', async () => {
    const { split, loaded, selection } = await prepare('multiarith-story-llama.json');
    expect([loaded.demonstrations.length, loaded.correct, loaded.rejected.length]).toEqual([600, 560, 0]);
    expect([split.train.length, split.test.length, selection.selected.length]).toEqual([420, 180, 420]);
    expect(selection.notInTraining).toBe(180);
    expect(selection.selected.every((d) => !d.answer.startsWith('A:'))).toBe(true);
  });

  it('CommonsenseQA: PaLM’s 9741 rationales on their items, about three quarters right', async () => {
    const { loaded, selection, split } = await prepare('csqa-story-llama.json');
    expect([loaded.demonstrations.length, loaded.rejected.length]).toEqual([9741, 0]);
    expect(loaded.demonstrations.some((d) => d.answer.includes('\n\nQ:'))).toBe(false);
    // A regular expression for "so the answer is (d) …" finds 7388 right; 44 of these name two options ("(a) or (b)").
    expect(loaded.correct).toBe(7388 - 44);
    expect([split.train.length, split.test.length, selection.selected.length]).toEqual([400, 200, 400]);
  });

  it('LLM-Adapters’ instruction rows of MultiArith match as well', async () => {
    const items = TASKS.multiarith.load([
      { path: 'm', text: readFileSync(`${data}/zero_shot_cot/dataset/MultiArith/MultiArith.json`, 'utf8') },
    ]).items;
    const path = `${data}/llm_adapters/dataset/MultiArith/test.json`;
    const loaded = await loadDemonstrations(
      config({ format: 'alpaca', files: [path] }),
      teacherTask(TASKS.multiarith, 'M', items),
      (p) => readFile(p, 'utf8'),
    );
    expect(loaded.demonstrations).toHaveLength(600);
    expect(loaded.rejected).toEqual([]);
  });
});
