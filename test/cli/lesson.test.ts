// lesson.test.ts: the lesson cut short: fewer questions, one family, three epochs in place of four, 8 steps of DPO at twice the
// rate in place of 40. Accuracy must rise with each phase. In a file of its own, since it takes longest. The whole lesson is in
// test/long.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { preset } from '../../src/config/presets';
import { pupil } from './process';
import { expectComplete, folder } from './shortRun';

const QUESTIONS = 40;

describe('the bundled student', () => {
  it(
    'learns to reason in headless Chromium: baseline < instruction-tuned < self-refined',
    { timeout: 1_200_000 },
    async () => {
      const lesson = preset('lesson');
      const { instruct, selfRefine } = lesson.phases;
      const [stories] = lesson.tasks;
      const path = join(folder, 'lesson.json');
      const short = {
        ...lesson,
        tasks: [{ ...stories!, split: { ...stories!.split, testLimit: QUESTIONS } }],
        evaluation: { ...lesson.evaluation, prompts: ['cot'] },
        phases: {
          ...lesson.phases,
          instruct: { ...(instruct || {}), epochs: 3 },
          selfRefine: { ...(selfRefine || {}), learningRate: 4e-4, maxSteps: 8, evaluateEverySteps: 8 },
        },
      };
      writeFileSync(path, JSON.stringify(short));
      const out = join(folder, 'lesson');
      const ended = await pupil(['run', path, '--out', out, '--json']);
      expect(ended.code, ended.err).toBe(0);
      const right = (system: string): number =>
        expectComplete(out).evaluations.find((row) => row.system === system && row.prompt === 'cot')!.correct;
      const [baseline, tuned, refined] = ['Baseline', 'Instruction-tuned', 'Self-refined'].map(right) as [
        number,
        number,
        number,
      ];
      expect(baseline).toBeLessThan(0.15 * QUESTIONS);
      expect(tuned).toBeGreaterThan(baseline);
      expect(refined).toBeGreaterThan(tuned + 0.2 * QUESTIONS);
    },
  );
});
