// experiments.test.ts: the three experiments of experiments/, cut short, as a person runs them: real checkpoint, real tokenizer,
// real teachers' demonstrations, both phases, evaluation, report, adapters. The whole ones are in test/long.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { pupil } from './process';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'pupil-experiments-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Report {
  evaluations: { system: string; prompt: string; scorer: string; correct: number; n: number }[];
  pairs?: { counts: Record<string, number> };
}

type Tree = { [key: string]: unknown };

/** `over` laid onto `base`: objects and arrays member by member, everything else replaced. */
function laidOver(base: unknown, over: unknown): unknown {
  if (typeof base !== 'object' || base === null || typeof over !== 'object' || over === null) return over;
  const out = (Array.isArray(base) ? [...(base as unknown[])] : { ...base }) as Tree;
  for (const [key, value] of Object.entries(over)) out[key] = laidOver(out[key], value);
  return out;
}

/** The experiment with some of its settings replaced, at a path of the test's own. */
function shortened(name: string, changes: Tree): string {
  const text = readFileSync(join(ROOT, 'experiments', `${name}.json`), 'utf8').replaceAll('"../test/', `"${ROOT}test/`);
  const path = join(folder, `${name}.json`);
  writeFileSync(path, JSON.stringify(laidOver(JSON.parse(text), changes)));
  return path;
}

function metrics(out: string, phase: string): Record<string, number>[] {
  return readFileSync(join(out, 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, number> & { phase: string })
    .filter((row) => row.phase === phase);
}

/** What every finished run must have left behind. */
function expectComplete(out: string): Report {
  for (const phase of ['instruct', 'self-refine']) {
    for (const file of ['adapter_config.json', 'adapter_model.safetensors']) {
      expect(existsSync(join(out, 'adapters', phase, file)), `${phase}/${file}`).toBe(true);
    }
  }
  for (const file of [
    'report.json',
    'report.html',
    'metrics.jsonl',
    'demonstrations.jsonl',
    'pairs.jsonl',
    'predictions.jsonl',
  ]) {
    expect(existsSync(join(out, file)), file).toBe(true);
  }
  expect(readFileSync(join(out, 'report.html'), 'utf8')).toMatch(/Self-refined/);
  const first = metrics(out, 'self-refine').find((row) => row.step === 1)!;
  expect(Math.abs(first.loss! - Math.LN2)).toBeLessThan(1e-5);
  return JSON.parse(readFileSync(join(out, 'report.json'), 'utf8')) as Report;
}

describe.skipIf(!process.env.PUPIL_DATA)('story_llama (needs PUPIL_DATA)', () => {
  it(
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

  it('CSQA on Dawn in Node: PaLM’s demonstrations, five options, probing', { timeout: 900_000 }, async () => {
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
  });
});

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
