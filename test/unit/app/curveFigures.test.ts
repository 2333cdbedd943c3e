// curveFigures.test.ts: what of thousands of steps is drawn, tabled and exported: a thinned line keeps every extreme, the table is short,
// CSV has every step to the last digit.
import { describe, expect, it } from 'vitest';
import { RandomStream } from '../../../src/base/random';
import { curveFigures, thinned } from '../../../src/app/results/curveFigures';
import { figuresOf } from '../../../src/app/lab/metricFigures';

const random = new RandomStream(7, 'curves');
const noisy = Array.from({ length: 5000 }, (_, i) => ({ x: i + 1, y: random.nextNormal() }));

describe('a line of thousands of points', () => {
  it('is thinned to what a screen shows: ends and extremes stay, in order, all of them its own points', () => {
    for (const most of [10, 100, 1000]) {
      const kept = thinned(noisy, most);
      expect(kept.length).toBeLessThanOrEqual(most);
      expect(kept.length).toBeGreaterThan(most / 3);
      expect([kept[0], kept.at(-1)]).toEqual([noisy[0], noisy.at(-1)]);
      expect(kept.every((point) => noisy.includes(point))).toBe(true);
      expect(kept.every(({ x }, i) => i === 0 || x > kept[i - 1]!.x)).toBe(true);
      const values = kept.map(({ y }) => y);
      expect(Math.min(...values)).toBe(Math.min(...noisy.map(({ y }) => y)));
      expect(Math.max(...values)).toBe(Math.max(...noisy.map(({ y }) => y)));
    }
  });

  it('is left alone where it is short; of points at one step the extremes stay', () => {
    expect(thinned(noisy.slice(0, 9), 9)).toEqual(noisy.slice(0, 9));
    expect(thinned([], 4)).toEqual([]);
    const same = [1, 5, 3, 2].map((y) => ({ x: 4, y }));
    expect(thinned(same, 3).map(({ y }) => y)).toEqual([1, 5, 2]);
  });
});

describe('a figure', () => {
  const points = noisy.map(({ x, y }) => ({
    step: x,
    values: { loss: y, ...(x % 1000 === 0 ? { eval_loss: 2 * y } : {}) },
  }));
  const figures = figuresOf(['loss', 'eval_loss']);

  it('of one run has a column a metric; its table is short, its CSV has every step', () => {
    const [figure, ...others] = curveFigures('instruction-tuning', [{ name: 'Mine', points }], figures);
    expect(others).toEqual([]);
    expect(figure!.table.columns.map(({ title }) => title)).toEqual(['step', 'loss', 'eval_loss']);
    expect(figure!.table.rows.length).toBeLessThanOrEqual(201);
    expect(figure!.table.rows.at(-1)![0]).toBe('5000');
    const lines = figure!.csv!().trim().split('\r\n');
    expect(lines[0]).toBe('step,loss,eval_loss');
    expect(lines).toHaveLength(5001);
    expect(lines[1000]).toBe(`1000,${noisy[999]!.y},${2 * noisy[999]!.y}`);
    expect(figure!.description).toContain('at step 5000');
  });

  it('calls no two of its lines the same', () => {
    const both = figuresOf(['rewards/accuracies', 'eval_rewards/accuracies']);
    const [figure] = curveFigures('self-refine', [{ name: 'Mine', points }], both);
    const titles = figure!.table.columns.map(({ title }) => title);
    expect(titles).toEqual(['step', 'rewards/accuracies', 'eval_rewards/accuracies']);
  });

  it('of several runs is one for each metric, a numbered line a run; a run without it leaves gaps', () => {
    const other = { name: 'Other, "x"', points: [{ step: 2, values: { loss: 1 } }] };
    const made = curveFigures('self-refine', [{ name: 'Mine', points: points.slice(0, 3) }, other], figures);
    expect(made.map(({ title }) => title)).toEqual(['Loss: loss', 'Loss: eval_loss']);
    const [loss] = made;
    expect(loss!.table.columns.map(({ title }) => title)).toEqual(['step', '1 Mine', '2 Other, "x"']);
    expect(loss!.csv!().split('\r\n').slice(0, 3)).toEqual([
      'step,loss · Mine,"loss · Other, ""x"""',
      `1,${noisy[0]!.y},`,
      `2,${noisy[1]!.y},1`,
    ]);
  });
});
