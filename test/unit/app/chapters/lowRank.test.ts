// Claims about the chapter on LoRA: its counts, the best fit of a rank (Eckart & Young), the gradients of the fit by hand against
// central differences, and training from B = 0.
import { describe, expect, it } from 'vitest';
import {
  decompose,
  fitGradients,
  fitStep,
  frobenius,
  leastError,
  loraParameters,
  product,
  relativeError,
  stableLearningRate,
  startFactors,
  targetUpdate,
  truncated,
} from '../../../../src/app/lesson/chapters/widgets/lowRank';
import { SIZES } from '../../../../src/app/lesson/chapters/widgets/loraSizes';
import { RandomStream } from '../../../../src/base/random';
import { LORA_TARGETS } from '../../../../src/config/chapterWidgets';
import { loraForward } from '../../../../src/reference/lora';

describe('counts', () => {
  it('are d·k and r·(d + k)', () => {
    expect(loraParameters([{ outputs: 4096, inputs: 4096, count: 1 }], 16)).toEqual({
      frozen: 16_777_216,
      trained: 131_072,
    });
    expect(loraParameters([{ outputs: 3, inputs: 5, count: 2 }], 2)).toEqual({ frozen: 30, trained: 32 });
  });

  it('of all of Llama-2-7B’s linear layers at rank 64 are QLoRA’s 160 million beside 6.5 billion', () => {
    expect(loraParameters(SIZES['llama-7b-all'].layers, 64)).toEqual({ frozen: 6_476_005_376, trained: 159_907_840 });
  });
});

describe.each(LORA_TARGETS)('the fit of %s', (name) => {
  const target = targetUpdate(name, 0);
  const parts = decompose(target);

  it('has the error that the singular values say, at every rank', () => {
    for (let rank = 0; rank <= 16; rank++) {
      const fit = truncated(parts, target, rank);
      expect(relativeError(target, fit)).toBeCloseTo(leastError(parts.singularValues, rank), 10);
    }
    expect(leastError(parts.singularValues, 0)).toBe(1);
    expect(leastError(parts.singularValues, 16)).toBe(0);
  });

  it('is beaten by no other matrix of that rank', () => {
    const random = new RandomStream(1, 'other fits');
    for (let trial = 0; trial < 30; trial++) {
      const rank = 1 + (trial % 6);
      const factors = startFactors(target, rank, trial);
      const other = { ...factors, b: factors.b.map(() => random.nextNormal()) };
      expect(relativeError(target, product(other, target))).toBeGreaterThan(leastError(parts.singularValues, rank));
    }
  });

  it('by gradient steps falls without a rise from 100 % to the best of its rank', () => {
    const rank = 3;
    let factors = startFactors(target, rank, 0);
    let error = relativeError(target, product(factors, target));
    expect(error).toBe(1);
    let rises = 0;
    for (let step = 0; step < 400; step++) {
      factors = fitStep(factors, target, stableLearningRate(parts.singularValues));
      const next = relativeError(target, product(factors, target));
      if (next > error + 1e-12) rises++; // less is rounding, where it has arrived
      error = next;
    }
    expect(rises).toBe(0);
    expect(error).toBeGreaterThanOrEqual(leastError(parts.singularValues, rank) - 1e-12);
    expect(error).toBeLessThan(leastError(parts.singularValues, rank) + 0.01);
  });

  it('can be trained at ranks from the slider’s first to its last', () => {
    for (const rank of [1, 2, 5, 16]) {
      let factors = startFactors(target, rank, 0);
      for (let step = 0; step < 200; step++)
        factors = fitStep(factors, target, stableLearningRate(parts.singularValues));
      expect(relativeError(target, product(factors, target))).toBeLessThan(
        leastError(parts.singularValues, rank) + 0.08,
      );
    }
  });
});

describe('the gradients', () => {
  const target = targetUpdate('drawing', 0);

  it('are those of ½‖ΔW − B·A‖², by central differences', () => {
    const random = new RandomStream(5, 'gradient');
    const start = startFactors(target, 2, 3);
    const factors = { ...start, b: start.b.map(() => random.nextNormal()) };
    const loss = (b: Float64Array, a: Float64Array): number =>
      0.5 * frobenius(target.values.map((w, i) => w - product({ rank: 2, b, a }, target).values[i]!)) ** 2;
    const { dB, dA } = fitGradients(factors, target);
    const h = 1e-5;
    const nudged = (values: Float64Array, at: number, by: number): Float64Array =>
      values.map((value, i) => (i === at ? value + by : value));
    for (const at of [0, 7, 20, 31]) {
      const inB = (loss(nudged(factors.b, at, h), factors.a) - loss(nudged(factors.b, at, -h), factors.a)) / (2 * h);
      const inA = (loss(factors.b, nudged(factors.a, at, h)) - loss(factors.b, nudged(factors.a, at, -h))) / (2 * h);
      expect(dB[at]!).toBeCloseTo(inB, 5);
      expect(dA[at]!).toBeCloseTo(inA, 5);
    }
  });

  it('with B = 0 move B alone', () => {
    const { dB, dA } = fitGradients(startFactors(target, 4, 0), target);
    expect([...dA].every((slope) => slope === 0)).toBe(true);
    expect(frobenius(dB)).toBeGreaterThan(0);
  });
});

it('B·A is the branch that the kernels’ specification computes, at scale 1', () => {
  const target = targetUpdate('noise', 0);
  const factors = { ...startFactors(target, 3, 1), b: Float64Array.from({ length: 48 }, (_, i) => Math.sin(i)) };
  const identity = Float64Array.from({ length: 256 }, (_, i) => (i % 17 === 0 ? 1 : 0));
  const { y } = loraForward(identity, factors.a, factors.b, { N: 16, C: 16, R: 3, O: 16 }, 1);
  const { values } = product(factors, target);
  // y of the c-th unit vector is the c-th column of B·A.
  values.forEach((value, at) => expect(y[(at % 16) * 16 + Math.floor(at / 16)]!).toBeCloseTo(value, 12));
});
