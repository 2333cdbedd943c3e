// experiments.test.ts: the two experiments on real data, cut short, as a person runs them: real checkpoint, real tokenizer, real
// teachers' demonstrations, both phases, evaluation, report, adapters. The whole ones are in test/long.
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { pupil } from './process';
import { expectComplete, folder, metrics, shortened } from './shortRun';

describe.skipIf(!process.env.PUPIL_DATA)('story_llama (needs PUPIL_DATA)', () => {
  it.runIf(process.env.PUPIL_TEST_LONG)(
    'MultiArith in headless Chromium: the loss on the demonstrations falls by a third, pairs are made',
    { timeout: 900_000 },
    async () => {
      const path = shortened('multiarith-story-llama', {
        tasks: [{ split: { testLimit: 8 } }],
        demonstrations: [{ limit: 16 }],
        phases: {
          instruct: { epochs: 8, batchSize: 8, microBatchTokens: 2048, learningRate: 0.01 },
          selfRefine: {
            maxSteps: 3,
            batchSize: 4,
            microBatchTokens: 2048,
            minValidationPairs: 2,
            evaluateEverySteps: 3,
            sampling: { maxNewTokens: 24, batchSize: 16 },
          },
        },
        evaluation: { maxNewTokens: 16 },
      });
      const out = join(folder, 'multiarith');
      const ended = await pupil(['run', path, '--out', out, '--json']);
      expect(ended.code, ended.err).toBe(0);
      const report = expectComplete(out);
      const losses = metrics(out, 'instruct').map((row) => row.loss!);
      const lastEpoch = losses.slice(-2);
      expect(lastEpoch.reduce((sum, loss) => sum + loss, 0) / 2 / losses[0]!, losses.join(' ')).toBeLessThan(2 / 3);
      expect(report.pairs!.counts.pairs).toBeGreaterThan(0);
    },
  );

  it.runIf(process.env.PUPIL_TEST_LONG)(
    'CSQA on Dawn in Node: PaLM’s demonstrations, five options, probing',
    { timeout: 900_000 },
    async () => {
      const path = shortened('csqa-story-llama', {
        tasks: [{ split: { testLimit: 6 } }],
        demonstrations: [{ limit: 12 }],
        phases: {
          instruct: { epochs: 2, batchSize: 6, microBatchTokens: 1024 },
          selfRefine: {
            maxSteps: 2,
            batchSize: 4,
            microBatchTokens: 1024,
            minValidationPairs: 2,
            evaluateEverySteps: 2,
            sampling: { maxNewTokens: 16, batchSize: 12 },
          },
        },
        evaluation: { maxNewTokens: 12, probing: true },
      });
      const out = join(folder, 'csqa');
      const ended = await pupil(['run', path, '--out', out, '--json', '--host', 'node']);
      expect(ended.code, ended.err).toBe(0);
      const report = expectComplete(out);
      const losses = metrics(out, 'instruct').map((row) => row.loss!);
      expect(losses.at(-1)!).toBeLessThan(losses[0]!);
      expect(report.evaluations.some((row) => row.scorer === 'probing')).toBe(true);
    },
  );
});
