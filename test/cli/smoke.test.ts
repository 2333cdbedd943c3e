// smoke.test.ts: the preset `smoke`, the lesson cut to seconds, whole in headless Chromium: what must hold of every run, that the
// report has every table, and, with the long tests, that nothing but the clock differs between two.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { RunReport } from '../../src/report/types';
import { pupil } from './process';
import { expectComplete, folder, metrics } from './shortRun';

const LONG = process.env['PUPIL_TEST_LONG'] !== undefined;
const outs = (LONG ? ['one', 'two'] : ['one']).map((name) => join(folder, `smoke-${name}`));

/** Everything a run computed: adapters, pairs, answers, and curves without what the clock says. */
function digestOf(out: string): Record<string, string> {
  const sha = (bytes: string | Buffer): string => createHash('sha256').update(bytes).digest('hex');
  const files = [
    'adapters/instruct/adapter_model.safetensors',
    'adapters/self-refine/adapter_model.safetensors',
    'demonstrations.jsonl',
    'pairs.jsonl',
    'predictions.jsonl',
  ];
  const curves = ['instruct', 'self-refine'].map((phase) =>
    metrics(out, phase).map(({ tokens_per_second: _speed, time: _time, ...values }) => values),
  );
  return {
    ...Object.fromEntries(files.map((file) => [file, sha(readFileSync(join(out, file)))])),
    curves: sha(JSON.stringify(curves)),
  };
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

describe('smoke in headless Chromium', () => {
  beforeAll(async () => {
    for (const out of outs) {
      const ended = await pupil(['run', 'smoke', '--out', out, '--json']);
      expect(ended.code, ended.err).toBe(0);
    }
  }, 600_000);

  it('leaves every artefact; DPO begins at ln 2 and both losses fall', () => {
    expectComplete(outs[0]!);
    for (const phase of ['instruct', 'self-refine']) {
      const losses = metrics(outs[0]!, phase).flatMap(({ loss }) => (loss === undefined ? [] : [loss]));
      expect(losses.length, phase).toBeGreaterThan(3);
      expect(mean(losses.slice(-2)), phase).toBeLessThan(mean(losses.slice(0, 2)));
    }
  });

  it.runIf(LONG)('gives the same bytes again', () => {
    expect(digestOf(outs[1]!)).toEqual(digestOf(outs[0]!));
  });

  it('counts pairs that add up, and evaluates every system on every task', () => {
    const report = JSON.parse(readFileSync(join(outs[0]!, 'report.json'), 'utf8')) as RunReport;
    const pairs = readFileSync(join(outs[0]!, 'pairs.jsonl'), 'utf8').trim().split('\n');
    const { counts } = report.pairs!;
    expect(counts['training_pairs']! + counts['validation_pairs']!).toBe(pairs.length);
    const rows = new Set(report.evaluations.map(({ system, taskId }) => `${system} ${taskId}`));
    for (const { name } of report.experiment.tasks) {
      for (const system of ['Baseline', 'Instruction-tuned', 'Self-refined']) {
        expect(rows, `${system} ${name}`).toContain(`${system} ${name}`);
      }
    }
  });

  it('has every table and curve in its report', () => {
    const html = readFileSync(join(outs[0]!, 'report.html'), 'utf8');
    for (const caption of [
      'Accuracy with n and the Wilson 95 % interval',
      'Preference pairs',
      'Before and after',
      'Self-refine: DPO loss',
      'Self-refine: rewards',
      'Instruction-tuning: loss',
      'The whole experiment',
      'scripted, in-family',
    ]) {
      expect(html, caption).toContain(caption);
    }
    // Self-contained: nothing is fetched, nothing runs.
    expect(html).not.toMatch(/<script|src="http|href="http|@import|url\(/);
  });
});
