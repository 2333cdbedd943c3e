// peerDecoder.ts: the Llama decoder, its loss and AdamW written with @jax-js/jax: the same mathematics as Pupil's
// full-parameter training step, on dense f32 weights, differentiated and fused by the peer. Nothing of Pupil's kernels.
// jax-js counts references: every function here consumes its arrays; `.ref` marks those used again.
import { jit, nn, numpy as np, valueAndGrad, type OwnedFunction } from '@jax-js/jax';
import type { ModelConfig } from '../src/formats/modelConfig';
import { LINEAR_NAMES, type LinearName } from '../src/base/linearNames';
import { modulePath } from '../src/model/linearNames';
import { ropeTables } from '../src/kernels/rope';
import { peerArray, peerIntegers } from './peer';

/** Weights by Hugging Face's names. */
export type PeerWeights = Record<string, np.Array>;

/** What a step works on; a type, not an interface, since jax-js asks for it. */
export type PeerBatch = {
  ids: np.Array; // (B, T) i32
  targets: np.Array; // (N) i32, N = B·T: the next id; anything at a sequence's last position
  weights: np.Array; // (N) f32: 1 / number of targets, 0 at a sequence's last position
};

/** [learning rate, 1 − β₁ᵗ, 1 − β₂ᵗ, weight decay] of one step. */
export type PeerHyper = np.Array;

export type PeerState = { weights: PeerWeights; m: PeerWeights; v: PeerWeights };

export const PEER_ADAMW = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };

function rmsnorm(x: np.Array, weight: np.Array, epsilon: number): np.Array {
  const inverse = np.reciprocal(np.sqrt(np.mean(np.square(x.ref), -1, { keepdims: true }).add(epsilon)));
  return x.mul(inverse).mul(weight);
}

/** x (…, C) · Wᵀ for W (O, C). */
function linear(x: np.Array, weight: np.Array): np.Array {
  return np.matmul(x, weight.transpose());
}

/** Rotates the halves of each head: x (B, T, H, K), cos and sin (T, 1, K/2). */
function rope(x: np.Array, cos: np.Array, sin: np.Array): np.Array {
  const half = x.shape[3]! / 2;
  const first = x.ref.slice([], [], [], [0, half]);
  const second = x.slice([], [], [], [half]);
  return np.concatenate(
    [
      first.ref.mul(cos.ref).sub(second.ref.mul(sin.ref)), //
      second.mul(cos).add(first.mul(sin)),
    ],
    3,
  );
}

/** Σ −log π(target) · weight over the batch. Consumes everything but cos and sin. */
function lossOf(config: ModelConfig, T: number, cos: np.Array, sin: np.Array) {
  const { heads: H, kvHeads, headSize: K, rmsNormEps } = config;
  return (weights: PeerWeights, batch: PeerBatch): np.Array => {
    const B = batch.ids.shape[0]!;
    const N = B * T;
    const take = (name: string): np.Array => weights[name]!;
    const embedding = take('model.embed_tokens.weight');
    const head = config.tiedEmbeddings ? embedding.ref : take('lm_head.weight');
    let x = np.take(embedding, batch.ids, 0); // (B, T, C)
    for (let layer = 0; layer < config.layers; layer++) {
      const w = (name: LinearName): np.Array => take(`${modulePath(layer, name)}.weight`);
      const normed = rmsnorm(x.ref, take(`model.layers.${layer}.input_layernorm.weight`), rmsNormEps);
      const q = linear(normed.ref, w('q_proj')).reshape([B, T, H, K]);
      const k = linear(normed.ref, w('k_proj')).reshape([B, T, kvHeads, K]);
      const v = linear(normed, w('v_proj')).reshape([B, T, kvHeads, K]);
      const attended = nn.dotProductAttention(rope(q, cos.ref, sin.ref), rope(k, cos.ref, sin.ref), v, {
        isCausal: true,
      });
      x = x.add(linear(attended.reshape([B, T, H * K]), w('o_proj')));
      const inner = rmsnorm(x.ref, take(`model.layers.${layer}.post_attention_layernorm.weight`), rmsNormEps);
      const gate = nn.silu(linear(inner.ref, w('gate_proj')));
      x = x.add(linear(gate.mul(linear(inner, w('up_proj'))), w('down_proj')));
    }
    const final = rmsnorm(x, take('model.norm.weight'), rmsNormEps).reshape([N, config.hiddenSize]);
    const logits = linear(final, head); // (N, V)
    // Of the ways to write this in jax-js the fastest measured; takeAlongAxis has a gradient that jit refuses.
    const hit = logits.ref.mul(nn.oneHot(batch.targets, config.vocabSize)).sum(-1);
    const picked = hit.sub(nn.logsumexp(logits, -1));
    return picked.mul(batch.weights).sum().neg();
  };
}

/** One AdamW update of one tensor, as torch computes it. Decay only where asked for (matrices). */
function adamw(
  weight: np.Array,
  gradient: np.Array,
  m: np.Array,
  v: np.Array,
  hyper: PeerHyper,
): { weight: np.Array; m: np.Array; v: np.Array } {
  const { beta1, beta2, epsilon } = PEER_ADAMW;
  const decays = weight.ndim > 1;
  const learningRate = hyper.ref.slice(0);
  const correction1 = hyper.ref.slice(1);
  const correction2 = hyper.ref.slice(2);
  const decay = hyper.slice(3);
  const mNext = m.mul(beta1).add(gradient.ref.mul(1 - beta1));
  const vNext = v.mul(beta2).add(np.square(gradient).mul(1 - beta2));
  const denominator = np.sqrt(vNext.ref.div(correction2)).add(epsilon);
  const change = mNext.ref.div(correction1).div(denominator).mul(learningRate.ref);
  const keep = np.multiply(learningRate, decay).neg().add(1);
  const decayed = decays ? weight.mul(keep) : (keep.dispose(), weight);
  return { weight: decayed.sub(change), m: mNext, v: vNext };
}

export type PeerStep = OwnedFunction<
  (state: PeerState, batch: PeerBatch, hyper: PeerHyper) => { loss: np.Array; state: PeerState }
>;

/** One whole training step as one jitted function: loss, gradients of all weights, AdamW. */
export function peerTrainingStep(config: ModelConfig, tokensPerSequence: number): PeerStep {
  const half = config.headSize / 2;
  const tables = ropeTables(tokensPerSequence, config.headSize, config.rope);
  const cos = peerArray(tables.cos, [tokensPerSequence, 1, half]);
  const sin = peerArray(tables.sin, [tokensPerSequence, 1, half]);
  const loss = lossOf(config, tokensPerSequence, cos, sin);
  return jit((state: PeerState, batch: PeerBatch, hyper: PeerHyper) => {
    const names = Object.keys(state.weights);
    const held = Object.fromEntries(names.map((name) => [name, state.weights[name]!.ref]));
    // The batch is closed over: as an argument it would pass through stop_gradient, and jit refuses a scatter (the
    // embedding's gradient) whose indices are computed.
    const [value, gradients] = valueAndGrad((weights: PeerWeights) => loss(weights, batch))(held) as [
      np.Array,
      PeerWeights,
    ];
    const next: PeerState = { weights: {}, m: {}, v: {} };
    for (const name of names) {
      const updated = adamw(state.weights[name]!, gradients[name]!, state.m[name]!, state.v[name]!, hyper.ref);
      next.weights[name] = updated.weight;
      next.m[name] = updated.m;
      next.v[name] = updated.v;
    }
    hyper.dispose();
    return { loss: value, state: next };
  });
}

/** Names of all weights of the config, in the order of Pupil's parameters. */
export function peerWeightNames(config: ModelConfig): string[] {
  const layers = Array.from({ length: config.layers }, (_, layer) => [
    ...LINEAR_NAMES.map((name) => `${modulePath(layer, name)}.weight`),
    `model.layers.${layer}.input_layernorm.weight`,
    `model.layers.${layer}.post_attention_layernorm.weight`,
  ]).flat();
  const ends = ['model.embed_tokens.weight', 'model.norm.weight'];
  return [...ends, ...(config.tiedEmbeddings ? [] : ['lm_head.weight']), ...layers];
}

/** A batch of equally long sequences, every token but the first a target. */
export function peerBatch(sequences: readonly (readonly number[])[]): PeerBatch {
  const B = sequences.length;
  const T = sequences[0]!.length;
  const weight = 1 / (B * (T - 1));
  const weights = sequences.flatMap((ids) => ids.map((_, t) => (t + 1 < T ? weight : 0)));
  const targets = sequences.flatMap((ids) => [...ids.slice(1), 0]);
  return {
    ids: peerIntegers(Int32Array.from(sequences.flat()), [B, T]),
    targets: peerIntegers(Int32Array.from(targets), [B * T]),
    weights: peerArray(Float32Array.from(weights), [B * T]),
  };
}
