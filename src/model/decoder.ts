// decoder.ts: the Llama decoder as prepared GPU commands: the forward of each block and, in mirror order, its backward. No
// autograd: what a block saves for its backward is the Activations type (blockTensors.ts). It reads row counts and ids from
// tensors, so the same commands serve every batch up to the capacity they were made for.
//
//   h   = x + o(attention(rope(q(n)), rope(k(n)), v(n)))      n = rmsnorm(x)
//   x'  = h + down(silu(gate(m)) ⊙ up(m))                     m = rmsnorm(h)
//
// Each linear layer is base + LoRA (adaptedLinear.ts). A further model family changes the block here and linearNames.ts.
import type { Command } from '../gpu/commands';
import type { Tensor } from '../gpu/tensor';
import { attentionBackward, attentionDecode, attentionForward, kvCacheWrite } from '../kernels/attention';
import { add } from '../kernels/elementwise';
import { rmsnormBackwardInput, rmsnormBackwardWeight, rmsnormForward } from '../kernels/rmsnorm';
import { rope } from '../kernels/rope';
import { swigluBackward, swigluForward } from '../kernels/swiglu';
import { linear, linearBackward, loraBranch, type BlockContext } from './adaptedLinear';
import type { Activations, BackwardScratch, Scratch } from './blockTensors';
import type { LinearName } from './linearNames';
import type { LayerWeights, Student } from './student';

/** Where a packed batch's structure is read from. */
export interface BatchStructure {
  readonly positions: Tensor; // u32 (N)
  readonly sequenceStart: Tensor; // u32 (N)
  readonly sequenceEnd: Tensor; // u32 (N)
}

/** The key and value cache of one layer, and where a row's entry goes. */
export interface LayerCache {
  readonly keys: Tensor; // (B·capacity, Hkv·K)
  readonly values: Tensor;
  readonly slots: Tensor; // u32 (N)
}

function norms(student: Student, layer: number): LayerWeights {
  return student.layers[layer]!;
}

/** q, k, v with RoPE applied. */
function projections(ctx: BlockContext, layer: number, x: Tensor, positions: Tensor, act: Activations): Command[] {
  const { gpu, rows, student } = ctx;
  const { heads, kvHeads, headSize, rmsNormEps } = student.config;
  const tables = { positions, cos: student.ropeCos, sin: student.ropeSin };
  return [
    ...rmsnormForward(
      gpu,
      { x, weight: norms(student, layer).inputNorm, y: act.normed, inverseRms: act.inverseRms },
      { rows, epsilon: rmsNormEps },
    ),
    ...linear(ctx, layer, 'q_proj', act.normed, act.q, act.lora),
    ...linear(ctx, layer, 'k_proj', act.normed, act.k, act.lora),
    ...linear(ctx, layer, 'v_proj', act.normed, act.v, act.lora),
    ...rope(gpu, { x: act.q, ...tables }, { rows, heads, headSize }),
    ...rope(gpu, { x: act.k, ...tables }, { rows, heads: kvHeads, headSize }),
  ];
}

/** From the attended values to the block's output; `xOut` absent: only what the backward needs. */
function outputAndMlp(
  ctx: BlockContext,
  layer: number,
  x: Tensor,
  xOut: Tensor | undefined,
  act: Activations,
  scratch: Scratch,
): Command[] {
  const { gpu, rows, student } = ctx;
  const { hiddenSize: width, rmsNormEps } = student.config;
  const commands = [
    ...linear(ctx, layer, 'o_proj', act.attended, scratch.branch, act.lora),
    ...add(gpu, { a: x, b: scratch.branch, y: act.middle }, { rows, width }),
    ...rmsnormForward(
      gpu,
      {
        x: act.middle,
        weight: norms(student, layer).postAttentionNorm,
        y: act.middleNormed,
        inverseRms: act.middleInverseRms,
      },
      { rows, epsilon: rmsNormEps },
    ),
    ...linear(ctx, layer, 'gate_proj', act.middleNormed, act.gate, act.lora),
    ...linear(ctx, layer, 'up_proj', act.middleNormed, act.up, act.lora),
    ...swigluForward(gpu, { gate: act.gate, up: act.up, y: act.hidden }, { rows }),
  ];
  if (xOut !== undefined) {
    commands.push(
      ...linear(ctx, layer, 'down_proj', act.hidden, scratch.branch, act.lora),
      ...add(gpu, { a: act.middle, b: scratch.branch, y: xOut }, { rows, width }),
    );
  } else {
    // Recomputing for the backward: of down_proj only h = drop(x)·Aᵀ is needed; what is added to `branch` is not read.
    commands.push(...loraBranch(ctx, layer, 'down_proj', act.hidden, scratch.branch, act.lora));
  }
  return commands;
}

/** One block over a packed batch. With a cache, the keys and values are also written to it (prefill). */
export function blockForward(
  ctx: BlockContext,
  layer: number,
  x: Tensor,
  xOut: Tensor | undefined,
  structure: BatchStructure,
  act: Activations,
  scratch: Scratch,
  cache?: LayerCache,
): Command[] {
  const { gpu, rows, student } = ctx;
  const { heads, kvHeads, headSize } = student.config;
  return [
    ...projections(ctx, layer, x, structure.positions, act),
    ...(cache === undefined
      ? []
      : kvCacheWrite(
          gpu,
          { k: act.k, v: act.v, slots: cache.slots, keyCache: cache.keys, valueCache: cache.values },
          { rows, width: kvHeads * headSize },
        )),
    ...attentionForward(
      gpu,
      {
        q: act.q,
        k: act.k,
        v: act.v,
        sequenceStart: structure.sequenceStart,
        y: act.attended,
        logsumexp: act.logsumexp,
      },
      { rows, heads, kvHeads, headSize },
    ),
    ...outputAndMlp(ctx, layer, x, xOut, act, scratch),
  ];
}

/** One block for one new token a sequence, against the cache. */
export function blockDecode(
  ctx: BlockContext,
  layer: number,
  x: Tensor,
  xOut: Tensor,
  positions: Tensor,
  cached: { lengths: Tensor; cacheStarts: Tensor },
  act: Activations,
  scratch: Scratch,
  cache: LayerCache,
  cacheCapacity: number,
): Command[] {
  const { gpu, rows, student } = ctx;
  const { heads, kvHeads, headSize } = student.config;
  return [
    ...projections(ctx, layer, x, positions, act),
    ...kvCacheWrite(
      gpu,
      { k: act.k, v: act.v, slots: cache.slots, keyCache: cache.keys, valueCache: cache.values },
      { rows, width: kvHeads * headSize },
    ),
    ...attentionDecode(
      gpu,
      { q: act.q, keyCache: cache.keys, valueCache: cache.values, ...cached, y: act.attended },
      { rows, heads, kvHeads, headSize, cacheCapacity },
    ),
    ...outputAndMlp(ctx, layer, x, xOut, act, scratch),
  ];
}

/**
 * Backward of one block. On entry dX is ∂L/∂x' of the block's output; on exit ∂L/∂x of its input, except where nothing
 * below trains (`needsInputGradient` false: the first block under an adapter), where dX is left as it stood.
 */
export function blockBackward(
  ctx: BlockContext,
  layer: number,
  x: Tensor,
  dX: Tensor,
  structure: BatchStructure,
  act: Activations,
  s: BackwardScratch,
  needsInputGradient: boolean,
): Command[] {
  const { gpu, rows, student } = ctx;
  const { heads, kvHeads, headSize } = student.config;
  const full = ctx.adapter === undefined ? student.parameters : undefined;
  const weights = norms(student, layer);
  const back = (
    name: LinearName,
    input: Tensor,
    dY: Tensor,
    dInput: Tensor | undefined,
    accumulate: boolean,
  ): Command[] => linearBackward(ctx, layer, name, { x: input, dY, dX: dInput, accumulate }, act.lora, s);
  const normBackward = (input: Tensor, weight: Tensor, inverseRms: Tensor, name: string): Command[] => [
    ...(full === undefined
      ? []
      : rmsnormBackwardWeight(gpu, { x: input, inverseRms, dY: s.dNormed, dWeight: full.gradientOf(name) }, { rows })),
    ...rmsnormBackwardInput(gpu, { x: input, weight, inverseRms, dY: s.dNormed, dX }, { rows }),
  ];
  const tables = { positions: structure.positions, cos: student.ropeCos, sin: student.ropeSin };
  const dInput = needsInputGradient ? s.dNormed : undefined;

  const commands: Command[] = [
    ...back('down_proj', act.hidden, dX, s.dHidden, false),
    ...swigluBackward(gpu, { gate: act.gate, up: act.up, dY: s.dHidden, dGate: s.dGate, dUp: s.dUp }, { rows }),
    ...back('up_proj', act.middleNormed, s.dUp, s.dNormed, false),
    ...back('gate_proj', act.middleNormed, s.dGate, s.dNormed, true),
    ...normBackward(
      act.middle,
      weights.postAttentionNorm,
      act.middleInverseRms,
      `model.layers.${layer}.post_attention_layernorm.weight`,
    ),
    ...back('o_proj', act.attended, dX, s.dAttended, false),
    ...attentionBackward(
      gpu,
      {
        q: act.q,
        k: act.k,
        v: act.v,
        sequenceStart: structure.sequenceStart,
        sequenceEnd: structure.sequenceEnd,
        y: act.attended,
        logsumexp: act.logsumexp,
        dY: s.dAttended,
        delta: s.delta,
        dQ: s.dQ,
        dK: s.dK,
        dV: s.dV,
      },
      { rows, heads, kvHeads, headSize },
    ),
    ...rope(gpu, { x: s.dQ, ...tables }, { rows, heads, headSize, inverse: true }),
    ...rope(gpu, { x: s.dK, ...tables }, { rows, heads: kvHeads, headSize, inverse: true }),
    ...back('v_proj', act.normed, s.dV, dInput, false),
    ...back('k_proj', act.normed, s.dK, dInput, true),
    ...back('q_proj', act.normed, s.dQ, dInput, true),
  ];
  if (needsInputGradient) {
    commands.push(
      ...normBackward(x, weights.inputNorm, act.inverseRms, `model.layers.${layer}.input_layernorm.weight`),
    );
  }
  return commands;
}
