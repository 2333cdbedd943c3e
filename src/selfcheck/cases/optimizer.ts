// optimizer.ts: cases of gradient clipping, AdamW and RMSprop over flat buffers, each against float64 from given states.
import { RandomStream } from '../../base/random';
import { adamw, clipGradient, gradientPartials, HYPER_LENGTH, hyperData, rmsprop } from '../../kernels/optimizer';
import * as reference from '../../reference/optimizer';
import type { CaseFamily, KernelCase } from '../harness';

function normals(n: number, scale: number, seed: number): number[] {
  const random = new RandomStream(seed, 'optimizer cases');
  return Array.from({ length: n }, () => Math.fround(scale * random.nextNormal()));
}

function clipCase(gradient: number[], maxNorm: number, partials: number | undefined, why: string): KernelCase {
  const E = gradient.length;
  const expected = reference.clipGradient(gradient, Math.fround(maxNorm));
  return {
    kernel: 'gradient_norm_finish',
    name: `E=${E}, maxNorm ${maxNorm}, ${partials ?? 'default'} partials: ${why}`,
    inputs: { gradient: { shape: [E], data: gradient }, maxNorm: { shape: [4], data: [maxNorm, 0, 0, 0] } },
    outputs: {
      state: {
        shape: [4],
        expected: [expected.norm, expected.scale, expected.nonFinite ? 1 : 0, 0],
        tolerance: { atol: 0, rtol: 2e-6, reason: 'a sum of squares errs relative to itself, not to its neighbours' },
      },
    },
    commands: (gpu, t, arena) =>
      clipGradient(
        gpu,
        {
          gradient: t['gradient']!,
          partials: arena.tensor('partials', [partials ?? gradientPartials(gpu, E)]),
          state: t['state']!,
        },
        { maxNorm: t['maxNorm']! },
      ),
  };
}

interface Update {
  E: number;
  decayElements: number;
  step: number;
  learningRate: number;
  weightDecay: number;
  scale: number;
  nonFinite?: boolean;
  why: string;
}

const UPDATES: Update[] = [
  { E: 1, decayElements: 1, step: 1, learningRate: 1e-2, weightDecay: 1e-4, scale: 1, why: 'one element, first step' },
  { E: 65, decayElements: 40, step: 1, learningRate: 1e-3, weightDecay: 0.1, scale: 0.3, why: 'clipped; 40 decay' },
  { E: 515, decayElements: 0, step: 7, learningRate: 2e-5, weightDecay: 1, scale: 1, why: 'nothing decays' },
  { E: 515, decayElements: 515, step: 5000, learningRate: 1e-3, weightDecay: 0.01, scale: 1, why: 'late step' },
  {
    E: 67,
    decayElements: 67,
    step: 3,
    learningRate: 1e-2,
    weightDecay: 0.1,
    scale: 0,
    nonFinite: true,
    why: 'non-finite flag set: nothing changes',
  },
];

function updateCase(kernel: 'adamw' | 'rmsprop', u: Update): KernelCase {
  const parameter = normals(u.E, 1, 1);
  const gradient = normals(u.E, 0.01, 2).map((g, i) => (i % 11 === 5 ? 0 : g));
  const m = u.step === 1 ? new Array<number>(u.E).fill(0) : normals(u.E, 0.01, 3);
  const v = u.step === 1 ? new Array<number>(u.E).fill(0) : normals(u.E, 0.01, 4).map((x) => Math.fround(x * x));
  const hyper = {
    learningRate: u.learningRate,
    weightDecay: u.weightDecay,
    beta1: 0.9,
    beta2: kernel === 'adamw' ? 0.999 : 0.99,
    epsilon: 1e-8,
    step: u.step,
  };
  const state = { parameter: Float64Array.from(parameter), m: Float64Array.from(m), v: Float64Array.from(v) };
  if (u.nonFinite !== true) reference[kernel](state, gradient, Math.fround(u.scale), hyper, u.decayElements);
  const expected = state;
  return {
    kernel,
    name: `E=${u.E}: ${u.why}`,
    inputs: {
      gradient: { shape: [u.E], data: gradient },
      hyper: { shape: [HYPER_LENGTH], data: hyperData(hyper) },
      clipState: { shape: [4], data: [1, u.scale, u.nonFinite === true ? 1 : 0, 0] },
    },
    outputs: {
      parameter: {
        shape: [u.E],
        initial: parameter,
        expected: expected.parameter,
        tolerance: { atol: 2e-6 * u.learningRate * 10 + 1e-9, rtol: 2.5e-7, reason: 'an update of ~lr, rounded once' },
      },
      ...(kernel === 'adamw' ? { m: { shape: [u.E], initial: m, expected: expected.m } } : {}),
      v: { shape: [u.E], initial: v, expected: expected.v },
    },
    commands: (gpu, t) => {
      const [parameter, gradient, v, hyper, clipState] = [
        t['parameter']!,
        t['gradient']!,
        t['v']!,
        t['hyper']!,
        t['clipState']!,
      ];
      const options = { decayElements: u.decayElements };
      return kernel === 'adamw'
        ? adamw(gpu, { parameter, gradient, m: t['m']!, v, hyper, clipState }, options)
        : rmsprop(gpu, { parameter, gradient, v, hyper, clipState }, options);
    },
  };
}

export const optimizerCases: CaseFamily = {
  family: 'optimizer',
  cases: () => [
    clipCase([3], 1, 1, 'one element, clipped'),
    clipCase([3, -4], 10, 1, 'below the limit: scale 1'),
    clipCase([0, 0, 0], 1, 1, 'no gradient at all'),
    clipCase([3e-6, -4e-6].map(Math.fround), 2e-6, 1, 'a norm near 1e-6: the constant in the denominator counts'),
    clipCase(normals(10_007, 0.01, 5), 0.3, undefined, 'clipped'),
    clipCase(normals(10_007, 0.01, 5), 0, 7, 'maxNorm 0: no clipping'),
    clipCase(normals(515, 1e-12, 6), 1, 600, 'more partials than elements; squares far below 1'),
    clipCase([1, 2, NaN, 4], 1, 2, 'NaN is flagged'),
    clipCase([1, -Infinity, 3], 1, 2, '−∞ is flagged'),
    ...UPDATES.map((u) => updateCase('adamw', u)),
    ...UPDATES.map((u) => updateCase('rmsprop', u)),
  ],
};
