// preferenceLosses.test.ts: losses and rewards on this device against TRL's, from TRL's own log-probabilities. The walk
// from weights to log-probabilities is another test's.
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { Recorder } from '../../src/gpu/commands';
import { Rows } from '../../src/gpu/rows';
import { dpoLoss, type PreferenceLoss } from '../../src/kernels/loss';
import { testGpu } from '../kernels/device';

interface Variant {
  loss_type: PreferenceLoss;
  label_smoothing: number;
  beta: number;
  loss: number;
  losses: number[];
  policy_chosen_logps: number[];
  policy_rejected_logps: number[];
  ref_chosen_logps: number[];
  ref_rejected_logps: number[];
  chosen_rewards: number[];
  rejected_rewards: number[];
}
const { variants } = JSON.parse(
  readFileSync(new URL('../fixtures/golden/dpo/expected.json', import.meta.url), 'utf8'),
) as { variants: Record<string, Variant> };

const interleaved = (chosen: number[], rejected: number[]): Float32Array =>
  Float32Array.from(chosen.flatMap((c, p) => [c, rejected[p]!]));

it('the fixture has the four variants', () => {
  expect(Object.keys(variants).sort()).toEqual(['ipo', 'sigmoid', 'sigmoid_beta0.5', 'sigmoid_ls0.1']);
});

for (const [name, variant] of Object.entries(variants)) {
  it(`dpo_loss equals TRL's losses and rewards: ${name}`, async () => {
    const gpu = await testGpu();
    const arena = gpu.arena('test');
    const P = variant.losses.length;
    const pairs = new Rows(gpu, arena, 'pairs', P);
    pairs.set(P);
    const { policy_chosen_logps, policy_rejected_logps, ref_chosen_logps, ref_rejected_logps } = variant;
    const out = {
      losses: arena.tensor('losses', [P]),
      rewardsChosen: arena.tensor('rewardsChosen', [P]),
      rewardsRejected: arena.tensor('rewardsRejected', [P]),
      dPolicy: arena.tensor('dPolicy', [2 * P]),
    };
    const commands = dpoLoss(
      gpu,
      {
        policy: arena.upload('policy', [2 * P], 'f32', interleaved(policy_chosen_logps, policy_rejected_logps)),
        reference: arena.upload('reference', [2 * P], 'f32', interleaved(ref_chosen_logps, ref_rejected_logps)),
        hyper: arena.upload('hyper', [4], 'f32', Float32Array.of(variant.beta, variant.label_smoothing, 1 / P, 0)),
        ...out,
      },
      { pairs, loss: variant.loss_type },
    );
    await gpu.settled();
    new Recorder(gpu, 'test').add(...commands).submit();
    const losses = await gpu.readF32(out.losses);
    const chosen = await gpu.readF32(out.rewardsChosen);
    const rejected = await gpu.readF32(out.rewardsRejected);
    for (let p = 0; p < P; p++) {
      // IPO's losses are near 26: f32 resolves 2e-6 there, and d enters times 10.
      expect(Math.abs(losses[p]! - variant.losses[p]!)).toBeLessThan(variant.loss_type === 'ipo' ? 2e-5 : 1e-6);
      expect(Math.abs(chosen[p]! - variant.chosen_rewards[p]!)).toBeLessThan(1e-6);
      expect(Math.abs(rejected[p]! - variant.rejected_rewards[p]!)).toBeLessThan(1e-6);
    }
    expect(Math.abs(losses.reduce((a, b) => a + b, 0) / P - variant.loss)).toBeLessThan(2e-5);
    arena.destroy();
  });
}
