// schedule.test.ts: learning rates against those of transformers, step by step.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { learningRate, warmupStableDecay, warmupSteps, type ScheduleName } from '../../../src/optim/schedule';

interface Golden {
  base_lr: number;
  steps: number;
  lr: number[];
  lr_after_last_step: number;
}
const golden = JSON.parse(
  readFileSync(new URL('../../fixtures/golden/schedules/expected.json', import.meta.url), 'utf8'),
) as Record<string, Golden>;

const CASES: [string, ScheduleName, number][] = [
  ['cosine_warmup_ratio0.03_200_lr2e-5', 'cosine', warmupSteps(0.03, 200)],
  ['constant_with_warmup100_300_lr5e-7', 'constant', 100],
  ['linear_warmup100_decay_500_lr1e-3', 'linear', 100],
  ['linear_nowarmup_decay_50_lr1e-3', 'linear', 0],
];

describe('learningRate', () => {
  for (const [name, schedule, warmup] of CASES) {
    it(`equals transformers' ${name} at every step`, () => {
      const { base_lr: base, steps: total, lr, lr_after_last_step } = golden[name]!;
      expect(lr.length).toBe(total);
      const rates = [...lr, lr_after_last_step];
      for (const [step, expected] of rates.entries()) {
        const got = learningRate(schedule, step, { total, warmup, base });
        expect(Math.abs(got - expected), `step ${step}`).toBeLessThanOrEqual(1e-15 * base + 1e-12 * expected);
      }
    });
  }

  it('starts at 0 with a warm-up, at the base rate without, and stays at 0 past the end', () => {
    expect(learningRate('cosine', 0, { total: 10, warmup: 3, base: 1 })).toBe(0);
    expect(learningRate('cosine', 0, { total: 10, warmup: 0, base: 1 })).toBe(1);
    expect(learningRate('cosine', 99, { total: 10, warmup: 3, base: 1 })).toBe(0);
    expect(learningRate('linear', 99, { total: 10, warmup: 3, base: 1 })).toBe(0);
  });

  it('does not divide by zero when the warm-up is the whole run', () => {
    for (const schedule of ['cosine', 'linear', 'constant'] as const) {
      const rates = Array.from({ length: 6 }, (_, i) => learningRate(schedule, i, { total: 5, warmup: 5, base: 1 }));
      expect(rates.slice(0, 5)).toEqual([0, 0.2, 0.4, 0.6, 0.8]);
      expect(Number.isFinite(rates[5])).toBe(true);
    }
  });

  it('refuses steps that are not whole', () => {
    expect(() => learningRate('linear', 0.5, { total: 5, warmup: 0, base: 1 })).toThrow(/whole number/);
    expect(() => learningRate('linear', 0, { total: 5, warmup: -1, base: 1 })).toThrow(/warmup/);
  });
});

it('warm-up of 3 % of 200 steps is 6, of 201 steps 7', () => {
  expect(golden['check_get_warmup_steps_0.03_of_200'] as unknown).toBe(warmupSteps(0.03, 200));
  expect(warmupSteps(0.03, 201)).toBe(7);
});

describe('warmupStableDecay', () => {
  const length = { total: 10, warmup: 2, decay: 4, base: 1 };

  it('rises, stays, falls to 0 and stays there', () => {
    const rates = Array.from({ length: 12 }, (_, step) => warmupStableDecay(step, length));
    expect(rates).toEqual([0, 0.5, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25, 0, 0]);
  });

  it('refuses stretches that overlap', () => {
    expect(() => warmupStableDecay(0, { ...length, warmup: 7 })).toThrow(/fit into 10 steps, got 7 and 4/);
    expect(() => warmupStableDecay(0, { ...length, decay: -1 })).toThrow(/decay must be a whole number/);
  });
});
