// experiments.test.ts (long): the lesson and the three experiments whole, as they say, in headless Chromium.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { pupil } from '../cli/process';

const folder = mkdtempSync(join(tmpdir(), 'pupil-long-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Report {
  evaluations: { system: string; taskId: string; prompt: string; scorer: string; correct: number; n: number }[];
  pairs?: { counts: Record<string, number> };
  curves: { phase: string; step: number; values: Record<string, number> }[];
}

/** A preset, or a file of experiments/. */
async function run(name: string): Promise<Report> {
  const out = join(folder, name);
  const ended = await pupil(['run', name, '--out', out, '--json']);
  expect(ended.code, ended.err).toBe(0);
  return JSON.parse(readFileSync(join(out, 'report.json'), 'utf8')) as Report;
}

function epochMeans(report: Report, epochs: number): number[] {
  const losses = report.curves.filter((row) => row.phase === 'instruct').map((row) => row.values.loss!);
  const perEpoch = losses.length / epochs;
  return Array.from({ length: epochs }, (_, e) => {
    const part = losses.slice(Math.round(e * perEpoch), Math.round((e + 1) * perEpoch));
    return part.reduce((sum, value) => sum + value, 0) / part.length;
  });
}

describe.skipIf(!process.env.PUPIL_DATA)('story_llama (needs PUPIL_DATA)', () => {
  it.each(['multiarith-story-llama', 'csqa-story-llama'])(
    '%s: the loss falls by a third, pairs are made',
    async (name) => {
      const report = await run(name);
      const means = epochMeans(report, 4);
      expect(means.at(-1)! / report.curves.find((row) => row.phase === 'instruct')!.values.loss!).toBeLessThan(2 / 3);
      expect(report.pairs!.counts.pairs).toBeGreaterThan(0);
    },
  );
});

it('lesson-c-student-p10: about 54, then about 91, then about 98 % with the CoT prompt', async () => {
  const report = await run('lesson-c-student-p10');
  const accuracy = (system: string): number => {
    const row = report.evaluations.find((r) => r.system === system && r.prompt === 'cot' && r.scorer === 'strict')!;
    return row.correct / row.n;
  };
  // Three standard errors of 100 questions around the prototype's means.
  expect(Math.abs(accuracy('Baseline') - 0.54)).toBeLessThan(0.15);
  expect(Math.abs(accuracy('Instruction-tuned') - 0.913)).toBeLessThan(0.085);
  expect(accuracy('Self-refined')).toBeGreaterThan(0.93);
});

it('lesson: taught on stories, each phase raises stories and sums', async () => {
  const { evaluations } = await run('lesson');
  const correct = (system: string, task: string): number => {
    const row = evaluations.find((r) => r.system === system && r.taskId.startsWith(task) && r.prompt === 'cot')!;
    expect(row.n).toBe(100);
    return row.correct;
  };
  for (const task of ['A', 'B']) {
    expect(correct('Instruction-tuned', task), task).toBeGreaterThan(correct('Baseline', task));
    expect(correct('Self-refined', task), task).toBeGreaterThan(correct('Instruction-tuned', task) + 20);
    expect(correct('Self-refined', task), task).toBeGreaterThan(60);
  }
});
