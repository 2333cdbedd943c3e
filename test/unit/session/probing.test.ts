// probing.test.ts: the four ways of probing (by letter and by text, by sum and by mean over tokens) in a run, against
// log-probabilities worked out here in float64 from the logits that `inspect` gives for every prompt with every option, one a
// row: no packing, no log-softmax kernel, no sums of the GPU. The lesson's student, options of one to four words.
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { readSafetensorsHeader, readTensorNumbers, tensorEntry } from '../../../src/formats/safetensors';
import { inLibraryOrder, writeSafetensors } from '../../../src/formats/safetensorsWrite';
import { memorySource } from '../../../src/formats/byteSource';
import { nodeGpu } from '../../../src/gpu/node';
import type { RunReport } from '../../../src/report/types';
import { Session } from '../../../src/session/session';
import { MemoryRunStore } from '../../../src/storage/memory';

vi.setConfig({ testTimeout: 600_000 });

const LESSON = new URL('../../fixtures/lesson/', import.meta.url);
const file = (name: string): Uint8Array => new Uint8Array(readFileSync(new URL(name, LESSON)));
const VOCABULARY = JSON.parse(new TextDecoder().decode(file('vocab.json'))) as string[];
/** The lesson's tokens are words, signs, line breaks and letters with their bracket. */
const idsOf = (text: string): number[] =>
  text.match(/\n|[A-D]\)|\d|[A-Za-z']+|[^\sA-Za-z\d]/g)!.map((piece) => {
    const id = VOCABULARY.indexOf(piece);
    if (id < 0) throw new Error(`the lesson has no word ${piece}`);
    return id;
  });

const ROWS = [
  { q: 'What needs polish?', options: ['truck', 'tea', 'bench needs polish', 'nickel'], answer: 'C' },
  { q: 'What shines brightly?', options: ['apple', 'iron', 'fly', 'robin shines brightly'], answer: 'B' },
  { q: 'What needs polish?', options: ['apple needs polish', 'iron', 'robin'], answer: 'B' },
  { q: 'What shines brightly?', options: ['tea', 'nickel shines', 'bench', 'tea'], answer: 'D' },
  { q: 'What shines brightly?', options: ['truck shines brightly.', 'bench'], answer: 'A' },
];
const promptOf = ({ q, options }: (typeof ROWS)[number]): string =>
  `Choose the answer to the question only from options ${options.map((_, i) => 'ABCD'[i]).join(', ')}.\n` +
  `Question: ${q}\nChoices:\n${options.map((option, i) => `${'ABCD'[i]}) ${option}\n`).join('')}Answer:\n`;

const jsonl = (rows: readonly unknown[]): Uint8Array =>
  new TextEncoder().encode(rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
const FILES = {
  'student/config.json': file('student-p10/config.json'),
  'student/model.safetensors': file('student-p10/model.safetensors'),
  'vocab.json': file('vocab.json'),
  'own.jsonl': jsonl([...ROWS, { q: 'What needs 3?', answer: 3 }]),
  'numbers.jsonl': jsonl([
    { q: 'What needs 3?', answer: 3 },
    { q: 'What needs 4?', answer: 4 },
  ]),
};
const task = (name: string, path: string, choices: boolean): object => ({
  id: 'custom',
  name,
  files: { all: [path] },
  mapping: { question: 'q', target: 'answer', ...(choices ? { choices: 'options' } : {}) },
  split: { order: 'file', trainCount: 0 },
  use: ['evaluate'],
});
const EXPERIMENT = {
  name: 'Probing',
  student: {
    source: { kind: 'directory', path: 'student' },
    tokenizer: { kind: 'words', path: 'vocab.json' },
    quantize: 'none',
    tier: 'f32',
  },
  prompt: { wrapper: 'none', promptSuffix: '\n' },
  tasks: [task('own', 'own.jsonl', true), task('numbers', 'numbers.jsonl', false)],
  demonstrations: [],
  phases: { baseline: true, instruct: false, selfRefine: false },
  evaluation: { prompts: ['plain'], maxNewTokens: 2, batchSize: 8, temperature: 0, probing: true },
};
const NAMES = ['probing', 'probing, per token', 'probing by text', 'probing by text, per token'] as const;

let session: Session;
beforeAll(async () => {
  session = new Session(await nodeGpu(), new MemoryRunStore());
  await session.open({ tier: 'f32' });
});

/** log π of every token of `completion` after `prompt`, from whole rows of logits. */
async function tokenLogps(sequences: { prompt: number[]; completion: number[] }[]): Promise<number[][]> {
  const [B, T] = [sequences.length, Math.max(...sequences.map((s) => s.prompt.length + s.completion.length))];
  const ids = new BigInt64Array(B * T);
  const mask = new BigInt64Array(B * T);
  sequences.forEach(({ prompt, completion }, b) =>
    [...prompt, ...completion].forEach((id, t) => {
      ids[b * T + t] = BigInt(id);
      mask[b * T + t] = 1n;
    }),
  );
  const batch = writeSafetensors(
    inLibraryOrder([
      { name: 'input_ids', dtype: 'i64', shape: [B, T], data: ids },
      { name: 'attention_mask', dtype: 'i64', shape: [B, T], data: mask },
    ]),
  );
  const out: Record<string, Uint8Array> = {};
  await session.inspect({
    kind: 'logits',
    files: { kind: 'memory', files: { ...FILES, 'batch.safetensors': batch } },
    out: { kind: 'memory', files: out },
    options: { student: 'student', batch: 'batch.safetensors', out: 'logits.safetensors' },
  });
  const tensors = await readSafetensorsHeader(memorySource('logits', out['logits.safetensors']!));
  const logits = await readTensorNumbers(tensors, 'logits'); // (B, T, V)
  const V = tensorEntry(tensors, 'logits').shape[2]!;
  return sequences.map(({ prompt, completion }, b) =>
    completion.map((id, i) => {
      const at = (b * T + prompt.length + i - 1) * V;
      const row = Array.from({ length: V }, (_, v) => logits[at + v]!);
      const most = Math.max(...row);
      return row[id]! - most - Math.log(row.reduce((sum, logit) => sum + Math.exp(logit - most), 0));
    }),
  );
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

describe('probing', () => {
  it('chooses by letter and by text, by sum and by mean, what the logits of whole forward passes say', async () => {
    const out: Record<string, Uint8Array> = {};
    const summary = await session.run(
      {
        runId: 'probing',
        experiment: EXPERIMENT,
        files: { kind: 'memory', files: FILES },
        out: { kind: 'memory', files: out },
      },
      () => undefined,
    );
    expect(summary.error).toBeUndefined();
    const report = summary.report as RunReport;
    const lines = new TextDecoder()
      .decode(out['predictions.jsonl'])
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { taskId: string; prompt: string; probed?: Record<string, string> });
    const probed = lines.flatMap((line) => (line.probed === undefined ? [] : [line.probed]));
    expect(probed).toHaveLength(ROWS.length);

    const margins: number[] = [];
    const expected: Record<string, string>[] = [];
    for (const row of ROWS) {
      const prompt = [1, ...idsOf(promptOf(row))];
      const scoresOf = async (texts: string[]): Promise<[number[], number[]]> => {
        const logps = await tokenLogps(texts.map((text) => ({ prompt, completion: idsOf(text) })));
        return [logps.map(sum), logps.map((values) => sum(values) / values.length)];
      };
      const scores = [
        ...(await scoresOf(row.options.map((_, i) => `${'ABCD'[i]})`))),
        ...(await scoresOf(row.options)),
      ];
      // The options of the fourth row that read alike are one answer, the target's letter.
      const letters = row.options.map((option, i) =>
        option === row.options['ABCD'.indexOf(row.answer)] ? row.answer : 'ABCD'[i]!,
      );
      const best = scores.map((own) => letters[own.indexOf(Math.max(...own))]!);
      for (const own of scores) {
        const distinct = [...own]
          .sort((a, b) => b - a)
          .filter((score, i, all) => i === 0 || all[i - 1]! - score > 1e-9);
        if (distinct.length > 1) margins.push(distinct[0]! - distinct[1]!);
      }
      expected.push(Object.fromEntries(NAMES.map((name, i) => [name, best[i]!])));
    }
    expect(probed).toEqual(expected);
    // The test can tell the four ways apart, and no choice hangs on rounding.
    expect(Math.min(...margins)).toBeGreaterThan(1e-3);
    const by = (name: string): string => expected.map((letters) => letters[name]).join('');
    expect(new Set([by('probing'), by('probing by text'), by('probing by text, per token')]).size).toBe(3);
    expect(by('probing')).toBe(by('probing, per token')); // each letter is one token

    const rows = report.evaluations.filter(({ scorer }) => scorer.startsWith('probing'));
    expect(rows.map(({ taskId, prompt, scorer, correct, n }) => [taskId, prompt, scorer, correct, n])).toEqual(
      NAMES.map((name) => [
        'own',
        'plain',
        name,
        ROWS.filter(({ answer }, i) => expected[i]![name] === answer).length,
        ROWS.length,
      ]),
    );
    const html = new TextDecoder().decode(out['report.html']);
    for (const name of NAMES) expect(html).toContain(`<td>${name}</td>`);
    // Questions and tasks without options are left out by name, in the report and in the log.
    const told = ['numbers: left out of probing', 'own: 5 of 6 test items are probed'];
    for (const text of told) expect(report.log.map(({ message }) => message).join('\n')).toContain(text);
    expect(report.tasks.find(({ taskId }) => taskId === 'numbers')!.notes.join()).toContain('left out of probing');
    expect(lines.filter(({ taskId }) => taskId === 'numbers').every((line) => line.probed === undefined)).toBe(true);
  });
});
