// byHand.test.ts: demonstrations left out and edited by hand, and demonstrations from a kept file, as a run takes them: what is
// trained on, what the report and demonstrations.jsonl say, and the warning for ids that are of no demonstration.
import { expect, it, vi } from 'vitest';
import { nodeGpu } from '../../../src/gpu/node';
import type { SessionEvent } from '../../../src/session/protocol';
import type { RunReport } from '../../../src/report/types';
import { renderReport } from '../../../src/report/html';
import { Session } from '../../../src/session/session';
import type { Demonstration } from '../../../src/teachers/demonstration';
import { MemoryRunStore } from '../../../src/storage/memory';
import { tinyExperiment, tinyFiles } from './tinyRun';

vi.setConfig({ testTimeout: 600_000 });

it('a run leaves out and edits as the experiment says, from a kept file, and records both', async () => {
  const session = new Session(await nodeGpu(), new MemoryRunStore());
  const { 'train.jsonl': train, ...files } = tinyFiles();
  const path = await session.keepFile('train.jsonl', train!);
  const entry = { label: 'scripted', task: 'C', files: [path], format: 'lesson', family: 'in-family' };
  const task = { id: 'lesson', name: 'C', files: { train: [path], test: ['test.jsonl'] }, split: { order: 'file' } };
  const changes = {
    tasks: [{ ...task, use: ['instruct'] }],
    phases: { baseline: false, instruct: { epochs: 1, batchSize: 4, learningRate: 0.01 }, selfRefine: false },
  };
  const root = { kind: 'memory' as const, files };
  const plain = tinyExperiment({ ...changes, demonstrations: [entry] });
  const { demonstrations: all } = await session.previewDemonstrations({
    experiment: plain,
    files: root,
    entry: entry as never,
  });
  expect(all).toHaveLength(12);
  const [one, two, three] = all;
  const answer = three!.answer; // of words that the student knows
  const experiment = tinyExperiment({
    ...changes,
    demonstrations: [
      {
        ...entry,
        exclude: [one!.id, 'scripted/none'],
        edits: [
          { id: two!.id, answer },
          { id: three!.id, answer: 'A zebra says so' },
        ],
      },
    ],
  });
  const out: Record<string, Uint8Array> = {};
  const events: SessionEvent[] = [];
  const request = { runId: 'by-hand', experiment, files: root, out: { kind: 'memory' as const, files: out } };
  const summary = await session.run(request, (event) => events.push(event));
  expect(summary.state).toBe('finished');
  const report = summary.report as RunReport;
  expect(report.demonstrations).toMatchObject([
    { read: 12, used: 10, excludedByHand: 1, editedByHand: 2, unknownWords: 1, teacherN: 12, teacherCorrect: 12 },
  ]);
  expect(renderReport(report)).toContain('Edited by hand');
  const used = new TextDecoder()
    .decode(out['demonstrations.jsonl'])
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Demonstration);
  expect(used.map(({ id }) => id)).not.toContain(one!.id);
  expect(used.find(({ id }) => id === two!.id)).toMatchObject({
    answer,
    original: { answer: two!.answer, correct: true },
  });
  const warnings = events.flatMap((event) => (event.type === 'log' && event.level === 'warning' ? event.message : []));
  expect(warnings.join('\n')).toContain('scripted/none');
  expect(warnings.join('\n')).toContain('1 demonstrations by scripted have words that the student does not know');
  expect(warnings.join('\n')).toContain('zebra');
});
