// loss.test.ts: the losses on this device against float64, and the identities that a preference trainer rests on.
import { expect, it } from 'vitest';
import { Recorder } from '../../src/gpu/commands';
import { Rows } from '../../src/gpu/rows';
import { dpoLoss, type PreferenceLoss } from '../../src/kernels/loss';
import { lossCases } from '../../src/selfcheck/cases/loss';
import { testGpu } from './device';
import { testFamily } from './family';

testFamily(lossCases);

async function onePair(
  loss: PreferenceLoss,
  policy: number[],
  reference: number[],
  hyper: number[],
): Promise<{ loss: number; chosen: number; rejected: number; dPolicy: number[] }> {
  const gpu = await testGpu();
  const arena = gpu.arena('test');
  const pairs = new Rows(gpu, arena, 'pairs', 1);
  pairs.set(1);
  const upload = (name: string, data: number[]) => arena.upload(name, [data.length], 'f32', Float32Array.from(data));
  const out = {
    losses: arena.tensor('losses', [1]),
    rewardsChosen: arena.tensor('rewardsChosen', [1]),
    rewardsRejected: arena.tensor('rewardsRejected', [1]),
    dPolicy: arena.tensor('dPolicy', [2]),
  };
  const commands = dpoLoss(
    gpu,
    {
      policy: upload('policy', policy),
      reference: upload('reference', reference),
      hyper: upload('hyper', hyper),
      ...out,
    },
    { pairs, loss },
  );
  await gpu.settled();
  new Recorder(gpu, 'test').add(...commands).submit();
  const result = {
    loss: (await gpu.readF32(out.losses))[0]!,
    chosen: (await gpu.readF32(out.rewardsChosen))[0]!,
    rejected: (await gpu.readF32(out.rewardsRejected))[0]!,
    dPolicy: Array.from(await gpu.readF32(out.dPolicy)),
  };
  arena.destroy();
  return result;
}

it('sigmoid DPO with policy = reference is ln 2 to one unit in the last place, at any β and smoothing', async () => {
  for (const hyper of [
    [0.1, 0, 1, 0],
    [0.5, 0.1, 1, 0],
  ]) {
    const { loss, chosen, rejected, dPolicy } = await onePair('sigmoid', [-31.25, -7.5], [-31.25, -7.5], hyper);
    expect(Math.abs(loss - Math.LN2)).toBeLessThanOrEqual(2 ** -24 * 1.5);
    expect([chosen, rejected]).toEqual([0, 0]);
    expect(dPolicy[0]).toBeCloseTo(-hyper[0]! * (0.5 - hyper[1]!), 7);
    expect(dPolicy[1]).toBe(-dPolicy[0]!);
  }
});

it('a pair the policy has won or lost by thousands of nats has a finite loss and gradient', async () => {
  const won = await onePair('sigmoid', [-10, -90_000], [-10, -10], [0.1, 0, 1, 0]);
  expect(won.loss).toBe(0);
  expect(Math.abs(won.dPolicy[0]!)).toBe(0);
  const lost = await onePair('sigmoid', [-90_000, -10], [-10, -10], [0.1, 0, 1, 0]);
  expect(lost.loss).toBeCloseTo(8999, 2);
  expect(lost.dPolicy[0]).toBeCloseTo(-0.1, 7);
});
