// loss.ts: cases of the losses over log-probabilities: sums per sequence, the weighted loss, DPO and its relatives.
import { RandomStream } from '../../base/random';
import { Rows } from '../../gpu/rows';
import { dpoLoss, dpoRowWeights, lossSum, sequenceLogps, type PreferenceLoss } from '../../kernels/loss';
import * as reference from '../../reference/loss';
import type { CaseFamily, KernelCase } from '../harness';

function logps(n: number, seed: number): number[] {
  const random = new RandomStream(seed, 'loss cases');
  return Array.from({ length: n }, () => Math.fround(-3 * random.nextUnit() - 0.01));
}

/** NaN behind the used rows: nobody may write there. */
function masked(values: Float64Array, used: number): Float64Array {
  return values.map((v, i) => (i < used ? v : NaN));
}

function sequenceCase(lengths: number[], capacity: number, why: string): KernelCase {
  const starts = [0];
  for (const length of lengths) starts.push(starts.at(-1)! + length);
  while (starts.length < capacity + 1) starts.push(starts.at(-1)!);
  const M = Math.max(1, starts.at(-1)!);
  const tokenLogps = logps(M, lengths.length);
  const { sums, means } = reference.sequenceLogps(tokenLogps, starts);
  const sumLength = lengths.reduce((longest, length) => Math.max(longest, length), 1); // too many for a spread
  return {
    kernel: 'sequence_logps',
    name: `(S,M)=(${capacity},${M}): ${why}`,
    inputs: {
      tokenLogps: { shape: [M], data: tokenLogps },
      starts: { shape: [capacity + 1], dtype: 'u32', data: starts },
    },
    outputs: {
      sums: { shape: [capacity], expected: masked(sums, lengths.length), sumLength },
      means: { shape: [capacity], expected: masked(means, lengths.length), sumLength },
    },
    commands: (gpu, t, arena) => {
      const sequences = new Rows(gpu, arena, 'sequences', capacity);
      sequences.set(lengths.length);
      return sequenceLogps(
        gpu,
        { tokenLogps: t['tokenLogps']!, starts: t['starts']!, sums: t['sums']!, means: t['means']! },
        { sequences },
      );
    },
  };
}

function sumCase(M: number, used: number): KernelCase {
  const tokenLogps = logps(M, M);
  const rowWeights = logps(M, M + 1).map((v, i) => (i % 3 === 0 ? -v : v));
  const expected = 0.75 + reference.lossSum(tokenLogps.slice(0, used), rowWeights.slice(0, used));
  return {
    kernel: 'loss_sum',
    name: `M=${M}, ${used} used: adds to what is there`,
    inputs: { tokenLogps: { shape: [M], data: tokenLogps }, rowWeights: { shape: [M], data: rowWeights } },
    outputs: {
      out: {
        shape: [1],
        initial: [0.75],
        expected: [expected],
        tolerance: { atol: 1e-6 * Math.sqrt(M) * 4, rtol: 1e-6, reason: 'terms of either sign cancel' },
      },
    },
    commands: (gpu, t, arena) => {
      const rows = new Rows(gpu, arena, 'targets', M);
      rows.set(used);
      return lossSum(gpu, { tokenLogps: t['tokenLogps']!, rowWeights: t['rowWeights']!, out: t['out']! }, { rows });
    },
  };
}

function dpoCase(loss: PreferenceLoss, P: number, used: number, hyper: number[], spread: number): KernelCase {
  const random = new RandomStream(P, `dpo ${loss}`);
  const policy = Array.from({ length: 2 * P }, () => Math.fround(-20 - spread * random.nextUnit()));
  const before = Array.from({ length: 2 * P }, () => Math.fround(-20 - spread * random.nextUnit()));
  before[0] = policy[0]!; // policy = reference: the first pair of step 0
  before[1] = policy[1]!;
  const rounded = Array.from(Float32Array.from(hyper));
  const expected = reference.dpoLoss(policy, before, rounded, loss);
  // The kernel's d is exact to the rounding of 20 + spread; losses and slopes inherit it.
  const error = (20 + spread) * 2 ** -22;
  const [beta, , lossWeight] = rounded as [number, number, number];
  const steep = loss === 'ipo' ? 2 * (spread + 1 / beta) : 3 * beta;
  const bend = loss === 'ipo' ? 2 : 3 * beta * beta;
  const reason = 'd is a difference of log-probabilities of this size';
  return {
    kernel: 'dpo_loss',
    name: `${loss}, P=${P} (${used} used), β=${hyper[0]}, ε=${hyper[1]}, spread ${spread}`,
    inputs: {
      policy: { shape: [2 * P], data: policy },
      reference: { shape: [2 * P], data: before },
      hyper: { shape: [4], data: hyper },
    },
    outputs: {
      losses: {
        shape: [P],
        expected: masked(expected.losses, used),
        tolerance: { atol: error * steep + 1e-7, rtol: 2e-6, reason },
      },
      rewardsChosen: {
        shape: [P],
        expected: masked(expected.rewardsChosen, used),
        tolerance: { atol: error * beta, rtol: 1e-6, reason },
      },
      rewardsRejected: {
        shape: [P],
        expected: masked(expected.rewardsRejected, used),
        tolerance: { atol: error * beta, rtol: 1e-6, reason },
      },
      dPolicy: {
        shape: [2 * P],
        expected: masked(expected.dPolicy, 2 * used),
        tolerance: { atol: lossWeight * error * bend + 1e-8, rtol: 2e-6, reason },
      },
    },
    commands: (gpu, t, arena) => {
      const pairs = new Rows(gpu, arena, 'pairs', P);
      pairs.set(used);
      return dpoLoss(
        gpu,
        {
          policy: t['policy']!,
          reference: t['reference']!,
          hyper: t['hyper']!,
          losses: t['losses']!,
          rewardsChosen: t['rewardsChosen']!,
          rewardsRejected: t['rewardsRejected']!,
          dPolicy: t['dPolicy']!,
        },
        { pairs, loss },
      );
    },
  };
}

function rowWeightsCase(perTokenMean: boolean): KernelCase {
  const lengths = [3, 1, 70, 5];
  const sequenceOf = lengths.flatMap((length, s) => new Array<number>(length).fill(s));
  const M = sequenceOf.length + 4;
  const used = sequenceOf.length;
  while (sequenceOf.length < M) sequenceOf.push(0);
  const dPolicy = [0.25, -0.5, 0, 1.5];
  return {
    kernel: 'dpo_row_weights',
    name: `M=${M} (${used} used), ${perTokenMean ? 'per-token means' : 'sums'}`,
    inputs: {
      dPolicy: { shape: [4], data: dPolicy },
      sequenceOf: { shape: [M], dtype: 'u32', data: sequenceOf },
      lengths: { shape: [4], dtype: 'u32', data: lengths },
    },
    outputs: {
      rowWeights: {
        shape: [M],
        expected: masked(reference.dpoRowWeights(dPolicy, sequenceOf, lengths, perTokenMean), used),
      },
    },
    commands: (gpu, t, arena) => {
      const rows = new Rows(gpu, arena, 'targets', M);
      rows.set(used);
      return dpoRowWeights(
        gpu,
        {
          dPolicy: t['dPolicy']!,
          sequenceOf: t['sequenceOf']!,
          lengths: t['lengths']!,
          rowWeights: t['rowWeights']!,
        },
        { rows, perTokenMean },
      );
    },
  };
}

const KINDS: readonly PreferenceLoss[] = ['sigmoid', 'ipo', 'hinge', 'robust'];

export const lossCases: CaseFamily = {
  family: 'loss',
  cases: () => [
    sequenceCase([1], 1, 'one token'),
    sequenceCase([5, 0, 1, 300, 17], 5, 'an empty sequence, one longer than a workgroup'),
    sequenceCase([3, 4], 6, '2 of 6 sequences used'),
    sequenceCase(new Array<number>(70_001).fill(1), 70_001, 'more than 65,535 workgroups'),
    sumCase(1, 1),
    sumCase(515, 515),
    sumCase(515, 77),
    ...KINDS.flatMap((loss) => [
      dpoCase(loss, 1, 1, [0.1, 0, 1, 0], 0),
      dpoCase(loss, 67, 65, [0.1, 0.1, 1 / 65, 0], 30),
      dpoCase(loss, 5, 5, [0.5, 0.25, 0.2, 0], 400),
    ]),
    rowWeightsCase(false),
    rowWeightsCase(true),
  ],
};
