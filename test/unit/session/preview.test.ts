// preview.test.ts: what a run would read from a person's files, through SessionApi: demonstrations with guessed and corrected
// forms, tasks of one's own; the files it keeps; exclusions and edits as a run takes them. No GPU is asked for.
import { describe, expect, it } from 'vitest';
import type { DemonstrationsPreviewRequest, TaskPreviewRequest } from '../../../src/session/protocol';
import { Session } from '../../../src/session/session';
import { MemoryRunStore } from '../../../src/storage/memory';

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const jsonl = (...rows: unknown[]): Uint8Array => encode(rows.map((row) => JSON.stringify(row)).join('\n'));
const noGpu = (): never => {
  throw new Error('previews ask for no GPU');
};
const session = (): Session => new Session(noGpu, new MemoryRunStore());

/** Eight sums, six of which train; items are quiz-2 … quiz-9, after their lines. */
const QUIZ = ['Question,Answer', ...Array.from({ length: 8 }, (_, i) => `How much is ${i} + 1?,${i + 1}`)].join('\n');

const experiment = (more: object = {}): unknown => ({
  name: 'Quiz',
  student: { source: { kind: 'bundled', name: 'lesson' } },
  tasks: [
    {
      id: 'custom',
      name: 'Sums',
      files: { all: ['quiz.csv'] },
      split: { order: 'file', trainCount: 6 },
      use: ['instruct', 'evaluate'],
    },
  ],
  demonstrations: [{ label: 'T', task: 'Sums', files: ['d.jsonl'], format: 'prompt-completion' }],
  phases: { instruct: { epochs: 1, learningRate: 0.001, batchSize: 2 }, selfRefine: false },
  ...more,
});
const files = { kind: 'memory' as const, files: { 'quiz.csv': encode(QUIZ) } };

const request = (contents: Record<string, Uint8Array>, entry: object = {}): DemonstrationsPreviewRequest => ({
  experiment: experiment(),
  files,
  entry: { label: 'T', task: 'Sums', files: Object.keys(contents), ...entry },
  contents,
});

describe('previewDemonstrations', () => {
  it('guesses the form, gives each answer to its item, judges it, and lists every line that is left out', async () => {
    const text = [
      { question: 'How much is 0 + 1?', solution: 'One more than 0. The answer is 1.' },
      { question: 'how much is  1 + 1?', solution: 'The answer is 3.' },
      { question: 'How much is 7 + 1?', solution: 'The answer is 8.' },
      { question: 'How much is 90 + 1?', solution: 'The answer is 91.' },
      { question: 'How much is 2 + 1?', solution: '' },
    ]
      .map((row) => JSON.stringify(row))
      .join('\n');
    const preview = await session().previewDemonstrations(request({ 'own.jsonl': encode(`${text}\n{broken`) }));
    expect(preview.guess).toMatchObject({ format: 'fields', certain: false, paths: ['question', 'solution'] });
    expect(preview.entry).toMatchObject({ format: 'fields', fields: { question: 'question', answer: 'solution' } });
    expect(
      preview.demonstrations.map(({ itemId, target, correct, inTraining }) => [itemId, target, correct, inTraining]),
    ).toEqual([
      ['quiz-2', '1', true, true],
      ['quiz-3', '2', false, true],
      ['quiz-9', '8', true, false],
    ]);
    expect(preview.rejected.map(({ line }) => line)).toEqual([4, 5, 6]);
    expect(preview.rejected[0]!.reason).toContain('no item of Sums has this question');
    expect(preview.rejected[1]!.reason).toContain('empty');
    expect(preview.rejected[2]!.reason).toContain('not JSON');
    expect(preview.teacher).toMatchObject({ n: 2, correct: 1 });
    expect(preview).toMatchObject({ trainItems: 6, covered: 2, warnings: [] });
    expect(structuredClone(preview)).toEqual(preview);
  });

  it('reads CSV by its columns, and the mapping that a person gives in place of the guess', async () => {
    const csv = encode('q,target_reply,why\nHow much is 0 + 1?,1,"It is 1, of course"\n');
    const guessed = await session().previewDemonstrations(request({ 'own.csv': csv }));
    expect(guessed.entry).toBeUndefined();
    expect(guessed.guess?.paths).toEqual(['q', 'target_reply', 'why']);
    const fields = { question: 'q', answer: 'why' };
    const told = await session().previewDemonstrations(request({ 'own.csv': csv }, { format: 'fields', fields }));
    expect(told.demonstrations).toMatchObject([{ itemId: 'quiz-2', answer: 'It is 1, of course', correct: true }]);
  });

  it('says of a wrong form why no row fits, instead of refusing the file', async () => {
    const chat = jsonl({ prompt: 'How much is 0 + 1?', completion: '1' });
    const preview = await session().previewDemonstrations(request({ 'c.jsonl': chat }, { format: 'chat' }));
    expect(preview.demonstrations).toEqual([]);
    expect(preview.rejected).toMatchObject([{ path: 'c.jsonl', line: 1 }]);
  });

  it('shows exclusions and edits as a run takes them, and the teacher judged by what it said itself', async () => {
    const contents = {
      'd.jsonl': jsonl(
        { prompt: 'How much is 0 + 1?', completion: 'It is 7' },
        { prompt: 'How much is 1 + 1?', completion: 'It is 2' },
      ),
    };
    const edits = [{ id: 'T/quiz-2', answer: 'It is 1' }];
    const preview = await session().previewDemonstrations(
      request(contents, { format: 'prompt-completion', edits, exclude: ['T/quiz-3', 'T/none'] }),
    );
    expect(preview.demonstrations).toMatchObject([
      { id: 'T/quiz-2', answer: 'It is 1', correct: true, original: { answer: 'It is 7', correct: false } },
      { id: 'T/quiz-3', answer: 'It is 2', correct: true },
    ]);
    expect(preview.teacher).toMatchObject({ n: 2, correct: 1 });
    expect(preview.unknownIds).toEqual(['T/none']);
  });

  it.each([
    [{ task: 'Chess' }, 'expected one of this experiment (Sums)'],
    [{ files: [] }, 'at least one file'],
    [{ files: ['none.jsonl'] }, 'none.jsonl'],
    [{ format: 'cot-aligned' }, 'alignedWith'],
  ])('refuses %j with what to do', async (entry, part) => {
    await expect(
      session().previewDemonstrations(request({ 'd.jsonl': jsonl({ prompt: 'a', completion: 'b' }) }, entry)),
    ).rejects.toThrow(part);
  });
});

describe('previewTask', () => {
  const task = (contents: Record<string, Uint8Array>, more: object = {}): TaskPreviewRequest => ({
    task: { name: 'Mine', files: { all: Object.keys(contents) }, ...more },
    contents,
  });

  it('guesses the columns, splits, and tells repeated and contradictory questions and every row left out', async () => {
    const csv = encode(
      'Nr,Question,A,B,Answer\n1,Which flies?,owl,cod,A\n2,Which swims?,owl,cod,B\n3,which  swims?,owl,cod,A\n4,Which runs?,dog,cod,C\n5,,dog,cod,A\n6,too,few\n',
    );
    const split = { order: 'file', seed: 0, balanceTargets: false, trainCount: 1 };
    const preview = await session().previewTask(task({ 'zoo.csv': csv }, { split }));
    expect(preview.mapping).toMatchObject({ question: 'Question', choices: ['A', 'B'], target: 'Answer' });
    expect(preview.columns).toEqual(['Nr', 'Question', 'A', 'B', 'Answer']);
    expect(preview.firstRows[0]).toEqual({ Nr: '1', Question: 'Which flies?', A: 'owl', B: 'cod', Answer: 'A' });
    expect(preview.items.map(({ question, target, part }) => [question, target, part])).toEqual([
      ['Which flies?', 'A', 'train'],
      ['Which swims?', 'B', 'test'],
      ['which  swims?', 'A', 'test'],
    ]);
    expect(preview.rejected.map(({ line }) => line)).toEqual([5, 6, 7]);
    expect(preview).toMatchObject({ duplicates: 1, conflicting: ['Which swims?'], trainInTest: 0 });
    expect(structuredClone(preview)).toEqual(preview);
  });

  it('takes a corrected mapping, and says so where every row is left out by it', async () => {
    const contents = { 'q.jsonl': jsonl({ q: 'How many?', reply: '7', other: 'seven' }) };
    const none = await session().previewTask(task(contents));
    expect(none).toMatchObject({ columns: ['q', 'reply', 'other'], items: [] });
    expect(none.guess).toContain('no column looks like');
    const good = await session().previewTask(task(contents, { mapping: { question: 'q', target: 'reply' } }));
    expect(good.items).toMatchObject([{ question: 'How many?', target: '7' }]);
    const bad = await session().previewTask(task(contents, { mapping: { question: 'q', target: 'other' } }));
    expect(bad.items).toEqual([]);
    expect(bad.rejected[0]!.reason).toContain('a number, or yes or no');
  });

  it('leaves a training question out that is tested too, and counts it', async () => {
    const contents = {
      'train.csv': encode('question,answer\nHow many legs?,4\nHow many eyes?,2\n'),
      'test.csv': encode('question,answer\nHow many LEGS?,4\n'),
    };
    const preview = await session().previewTask({
      task: { name: 'Mine', files: { train: ['train.csv'], test: ['test.csv'] } },
      contents,
    });
    expect(preview.trainInTest).toBe(1);
    expect(preview.items.map(({ id, part, reason }) => [id, part, reason])).toEqual([
      ['train-2', 'dropped', 'question is in the test set too'],
      ['train-3', 'train', undefined],
      ['test-2', 'test', undefined],
    ]);
  });
});

describe('kept files', () => {
  it('have names that say their contents, and are read by any request beside its own files', async () => {
    const one = session();
    const path = await one.keepFile('My Quiz.CSV', encode(QUIZ));
    expect(path).toMatch(/^kept:my-quiz-[a-p]{8}\.csv$/);
    expect(await one.keepFile('My Quiz.CSV', encode(QUIZ))).toBe(path);
    expect(await one.keepFile('My Quiz.CSV', encode(`${QUIZ}\nmore,1`))).not.toBe(path);
    expect((await one.keptFiles()).map(({ path: name }) => name)).toContain(path);
    expect(new TextDecoder().decode(await one.keptFile(path))).toBe(QUIZ);
    const preview = await one.previewTask({ task: { name: 'Mine', files: { all: [path] } } });
    expect(preview.items).toHaveLength(8);
    const summary = await one.estimateTeaching({
      trainingOf: {
        experiment: experiment({
          tasks: [{ id: 'custom', name: 'Sums', files: { all: [path] }, split: { order: 'file', trainCount: 6 } }],
        }),
        task: 'Sums',
      },
      files: { kind: 'memory', files: {} },
      provider: 'ollama',
      model: 'm',
      maxTokens: 10,
      samples: 1,
      family: 'out-family',
    });
    expect(summary.items).toBe(6); // the training part only
    await one.deleteKeptFile(path);
    await expect(one.keptFile(path)).rejects.toMatchObject({ code: 'source' });
    await expect(one.keptFile('quiz.csv')).rejects.toMatchObject({ code: 'usage' });
    await expect(one.keepFile('empty.csv', new Uint8Array())).rejects.toMatchObject({ code: 'usage' });
  });

  it('of another browser are refused with what to do', async () => {
    const preview = session().previewTask({ task: { name: 'Mine', files: { all: ['kept:gone-00000000.csv'] } } });
    await expect(preview).rejects.toMatchObject({
      code: 'source',
      hint: expect.stringContaining('add it there again') as string,
    });
  });
});
