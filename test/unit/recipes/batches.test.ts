// Which examples a step sees and how they are packed: everything follows from (seed, step), nothing is lost or doubled.
import { describe, expect, it } from 'vitest';
import { countTargets, packSequences } from '../../../src/model/batch';
import {
  batchOfStep,
  boundsOf,
  completionSequence,
  microBatches,
  stepsPerEpoch,
  totalSteps,
  unitTokens,
} from '../../../src/recipes/batches';

const settings = { seed: 5, purpose: 'test', n: 23, batchSize: 4 };

describe('batches of a step', () => {
  it('every epoch visits every example once, in another order', () => {
    const perEpoch = stepsPerEpoch(23, 4);
    expect(perEpoch).toBe(6);
    const orders = [0, 1, 2].map((epoch) =>
      Array.from({ length: perEpoch }, (_, s) => batchOfStep(settings, epoch * perEpoch + s + 1).indices).flat(),
    );
    for (const order of orders)
      expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: 23 }, (_, i) => i));
    expect(orders[0]).not.toEqual(orders[1]);
    expect(orders[1]).not.toEqual(orders[2]);
  });

  it('a step’s batch depends on seed, purpose and step only: any order of asking gives the same', () => {
    const late = batchOfStep(settings, 9);
    batchOfStep(settings, 2);
    expect(batchOfStep(settings, 9)).toEqual(late);
    expect(batchOfStep({ ...settings, seed: 6 }, 9)).not.toEqual(late);
    expect(batchOfStep({ ...settings, purpose: 'other' }, 9)).not.toEqual(late);
    expect(late.epoch).toBe(1);
  });

  it('lengths of phases: epochs, steps, or whichever ends first', () => {
    expect(totalSteps(23, { batchSize: 4, epochs: 4 })).toBe(24);
    expect(totalSteps(23, { batchSize: 4, epochs: 0.5 })).toBe(3);
    expect(totalSteps(23, { batchSize: 4, epochs: 4, maxSteps: 10 })).toBe(10);
    expect(totalSteps(3, { batchSize: 128, maxSteps: 1000 })).toBe(1000);
  });
});

describe('micro-batches', () => {
  const units = [10, 20, 5, 40, 3, 3, 30].map((length) => [
    completionSequence([1], new Array<number>(length - 1).fill(2)),
  ]);

  it('keep the order, lose nothing, and stay within the bound unless one unit alone exceeds it', () => {
    for (const most of [1, 8, 33, 40, 1000]) {
      const groups = microBatches(units, most);
      expect(groups.flat()).toEqual(units);
      for (const group of groups) {
        const tokens = group.reduce((sum, unit) => sum + unitTokens(unit), 0);
        expect(tokens <= most || group.length === 1).toBe(true);
      }
    }
  });

  it('bounds hold for every micro-batch of every step', () => {
    for (const most of [8, 33, 1000]) {
      const bounds = boundsOf(units, most, 4);
      for (let step = 1; step <= 20; step++) {
        const { indices } = batchOfStep({ seed: 1, purpose: 'x', n: units.length, batchSize: 4 }, step);
        for (const group of microBatches(
          indices.map((i) => units[i]!),
          most,
        )) {
          const packed = packSequences(group.flat());
          expect(packed.ids.length).toBeLessThanOrEqual(bounds.tokens);
          expect(packed.targets.length).toBeLessThanOrEqual(bounds.targets);
          expect(group.flat().length).toBeLessThanOrEqual(bounds.sequences);
        }
      }
    }
  });

  it('pairs stay together, and there is room for both answers', () => {
    const pairs = [8, 20, 6].map((length) => [
      completionSequence([1, 2], new Array<number>(length).fill(3)),
      completionSequence([1, 2], [4]),
    ]);
    const bounds = boundsOf(pairs, 16, 8);
    expect(bounds.sequences % 2).toBe(0);
    expect(bounds.tokens).toBeGreaterThanOrEqual(25);
    expect(microBatches(pairs, 16).every((group) => group.flat().length % 2 === 0)).toBe(true);
  });
});

describe('completion sequences', () => {
  it('mask the prompt and score every token of the answer, its end included', () => {
    const sequence = completionSequence([5, 6, 7], [8, 9, 2]);
    expect(sequence).toEqual({ ids: [5, 6, 7, 8, 9, 2], labels: [-100, -100, -100, 8, 9, 2] });
    expect(countTargets(sequence)).toBe(3);
  });
});
