// compareSeries.test.ts: a published series against the one made again: equal on the same machine, close on another.
import { describe, expect, it } from 'vitest';
import { compareSeries } from '../../../src/report/compareSeries';
import type { SeriesReport, SeriesResult } from '../../../src/report/series';

type Counts = [seed: number, correct: number][];

const row = (taskId: string, counts: Counts, n = 100): SeriesResult => ({
  cell: 0,
  system: 'Self-refined',
  taskId,
  prompt: 'cot',
  scorer: 'strict',
  runs: counts.map(([seed, correct]) => ({ seed, correct, n, cutOff: 0 })),
  mean: 0,
  interval: { method: 'Wilson', low: 0, high: 1, clusters: n },
});

function report(results: SeriesResult[], environment: object = {}): SeriesReport {
  return {
    cells: [{ id: 'c', labels: ['25 %'], systems: { 'Self-refined': 'Self-refine only' } }],
    results,
    environments: [{ description: 'A', tier: 'f32', pupilVersion: '1', host: 'node', userAgent: 'x', ...environment }],
  } as unknown as SeriesReport;
}

const B: SeriesReport['environments'][number] = { description: 'B' } as never;

describe('compareSeries', () => {
  it('wants equal counts of every seed on the same machine, in whatever host', () => {
    const published = report([row('C', [[0, 90], [1, 80]])]); // prettier-ignore
    const same = compareSeries(published, report([row('C', [[0, 90], [1, 80]])], { host: 'browser', userAgent: 'y' })); // prettier-ignore
    expect(same).toMatchObject({ sameMachine: true, agrees: true, unequal: 0, missing: [] });
    // The totals are the same, the seeds are not.
    const swapped = compareSeries(published, report([row('C', [[0, 80], [1, 90]])])); // prettier-ignore
    expect(swapped).toMatchObject({ agrees: false, unequal: 1, beyondTwo: 0 });
    expect(swapped.results[0]).toMatchObject({ equal: false, standardErrors: 0, published: { correct: 170, n: 200 } });
  });

  it('counts standard errors of the difference on another machine', () => {
    const published = report([row('C', [[0, 60]])]);
    const found = compareSeries(published, report([row('C', [[0, 40]])], B));
    // √(2 · 0.5 · 0.5 / 100) = 0.0707…; 0.2 / 0.0707… = 2.83
    expect(found.sameMachine).toBe(false);
    expect(found.results[0]!.standardErrors).toBeCloseTo(2.8284271247, 9);
    expect(found).toMatchObject({ beyondTwo: 1, beyondFour: 0, agrees: false });
  });

  it('takes three of sixteen beyond two, not four, and none beyond four', () => {
    const table = (apart: number, by = 20): [SeriesReport, SeriesReport] => [
      report(Array.from({ length: 16 }, (_, i) => row(`T${i}`, [[0, 60]]))),
      report(
        Array.from({ length: 16 }, (_, i) => row(`T${i}`, [[0, i < apart ? 60 - by : 61]])),
        B,
      ),
    ];
    expect(compareSeries(...table(3)).agrees).toBe(true);
    expect(compareSeries(...table(4)).agrees).toBe(false);
    expect(compareSeries(...table(1, 40))).toMatchObject({ beyondTwo: 1, beyondFour: 1, agrees: false });
  });

  it('compares the seeds that both have, and names rows that one lacks', () => {
    const published = report([row('C', [[0, 90], [1, 80]]), row('A', [[0, 10]])]); // prettier-ignore
    const found = compareSeries(published, report([row('C', [[0, 90]])]));
    expect(found.results[0]).toMatchObject({ seeds: [0], published: { correct: 90, n: 100 }, equal: true });
    expect(found).toMatchObject({ missing: ['25 % · Self-refine only · A · cot · strict'], agrees: false });
  });

  it('refuses other questions, and nothing to compare', () => {
    expect(() => compareSeries(report([row('C', [[0, 9]])]), report([row('C', [[0, 9]], 50)]))).toThrow(
      /expected 100 questions as published, got 50/,
    );
    expect(() => compareSeries(report([row('C', [[0, 9]])]), report([row('C', [[1, 9]])]))).toThrow(/none in common/);
  });

  it('has no difference where all answers are right in both', () => {
    const found = compareSeries(report([row('C', [[0, 100]])]), report([row('C', [[0, 100]])], B));
    expect(found.results[0]).toMatchObject({ standardErrors: 0, equal: true });
  });
});
