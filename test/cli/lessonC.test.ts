// lessonC.test.ts: the experiment on a student that can learn, cut short: accuracy must rise. In a file of its own, since it
// takes longest. The whole one is in test/long.
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { pupil } from './process';
import { expectComplete, folder, shortened } from './shortRun';

describe('student-p10', () => {
  it('task C in headless Chromium: accuracy with the CoT prompt rises', { timeout: 1_200_000 }, async () => {
    const path = shortened('lesson-c-student-p10', {
      tasks: [{ split: { testLimit: 40 } }],
      phases: { selfRefine: { maxSteps: 16, evaluateEverySteps: 16 } },
      evaluation: { prompts: ['cot'], probing: false },
    });
    const out = join(folder, 'lesson-c');
    const ended = await pupil(['run', path, '--out', out, '--json']);
    expect(ended.code, ended.err).toBe(0);
    const report = expectComplete(out);
    const accuracy = (system: string): number => {
      const row = report.evaluations.find((r) => r.system === system && r.prompt === 'cot' && r.scorer === 'strict')!;
      return row.correct / row.n;
    };
    expect(accuracy('Instruction-tuned')).toBeGreaterThan(accuracy('Baseline') + 0.15);
    expect(accuracy('Self-refined')).toBeGreaterThan(accuracy('Baseline') + 0.25);
  });
});
