// decoder.ts: the decoder's blocks as prepared GPU commands: the forward of each block and, in mirror order, its backward. No
// autograd: what a block saves for its backward is the Activations type (blockTensors.ts). It reads row counts and ids from
// tensors, so the same commands serve every batch up to the capacity they were made for.
//
//   h   = x + [norm] o(attention(rope([norm] q(n)), rope([norm] k(n)), v(n)))      n = rmsnorm(x)
//   x'  = h + [norm] down(act(gate(m)) ⊙ up(m))                                    m = rmsnorm(h)
//
// What is in brackets, the activation, biases, windows and soft caps are as the family's Decoder says
// (formats/families/family.ts). Each linear layer is base + LoRA (adaptedLinear.ts).
import type { Command } from '../gpu/commands';
import type { Tensor } from '../gpu/tensor';
import { PupilError } from '../base/errors';
import {
  attentionBackward,
  attentionDecode,
  attentionForward,
  kvCacheWrite,
  type AttentionOptions,
} from '../kernels/attention';
import { add } from '../kernels/elementwise';
import { rmsnormBackwardInput, rmsnormBackwardWeight, rmsnormForward } from '../kernels/rmsnorm';
import { rope } from '../kernels/rope';
import { swigluBackward, swigluForward } from '../kernels/swiglu';
import { linear, linearBackward, loraBranch, type BlockContext } from './adaptedLinear';
import type { Activations, BackwardScratch, NormInput, Scratch } from './blockTensors';
import { normPath, type NormName } from './linearNames';
import type { LinearName } from '../base/linearNames';
import type { Student } from './student';

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

/** Factor of a norm that the family has. */
function norm(student: Student, layer: number, name: NormName): Tensor {
  const weight = student.layers[layer]!.norms[name];
  if (weight === undefined) throw new PupilError('shape', `decoder: a ${student.config.modelType} has no ${name} norm`);
  return weight;
}

/** What attention kernels need to know of a layer. */
function attentionOptions({ rows, student }: BlockContext, layer: number): AttentionOptions {
  const { heads, kvHeads, headSize, attentionScale, attentionSoftcap, windows } = student.config;
  const window = windows[layer];
  return {
    rows,
    heads,
    kvHeads,
    headSize,
    // 1/√K is the kernels' own factor, rounded their way: named only where a family has another.
    ...(attentionScale === 1 / Math.sqrt(headSize) ? {} : { scale: attentionScale }),
    ...(attentionSoftcap === undefined ? {} : { softcap: attentionSoftcap }),
    ...(window === undefined ? {} : { window }),
  };
}

/** q, k, v with RoPE applied. */
function projections(ctx: BlockContext, layer: number, x: Tensor, positions: Tensor, act: Activations): Command[] {
  const { gpu, rows, student } = ctx;
  const { heads, kvHeads, headSize, rmsNormEps: epsilon } = student.config;
  const tables = { positions, cos: student.ropeCos, sin: student.ropeSin };
  const { unnormed } = act;
  return [
    ...rmsnormForward(
      gpu,
      { x, weight: norm(student, layer, 'input'), y: act.normed, inverseRms: act.inverseRms },
      { rows, epsilon },
    ),
    ...linear(ctx, layer, 'q_proj', act.normed, unnormed?.q.x ?? act.q, act.lora),
    ...linear(ctx, layer, 'k_proj', act.normed, unnormed?.k.x ?? act.k, act.lora),
    ...linear(ctx, layer, 'v_proj', act.normed, act.v, act.lora),
    ...(unnormed === undefined
      ? []
      : [
          ...rmsnormForward(
            gpu,
            { ...unnormed.q, weight: norm(student, layer, 'query'), y: act.q },
            { rows, epsilon, heads },
          ),
          ...rmsnormForward(
            gpu,
            { ...unnormed.k, weight: norm(student, layer, 'key'), y: act.k },
            { rows, epsilon, heads: kvHeads },
          ),
        ]),
    ...rope(gpu, { x: act.q, ...tables }, { rows, heads, headSize }),
    ...rope(gpu, { x: act.k, ...tables }, { rows, heads: kvHeads, headSize }),
  ];
}

/** A branch's last layer, normalised where the family does, into `scratch.branch`. */
function branchOutput(
  ctx: BlockContext,
  layer: number,
  name: 'o_proj' | 'down_proj',
  x: Tensor,
  act: Activations,
  scratch: Scratch,
): Command[] {
  const { gpu, rows, student } = ctx;
  if (act.branches === undefined) return linear(ctx, layer, name, x, scratch.branch, act.lora);
  const [branch, normName] =
    name === 'o_proj'
      ? ([act.branches.attention, 'attentionBranch'] as const)
      : ([act.branches.feedForward, 'feedForwardBranch'] as const);
  return [
    ...linear(ctx, layer, name, x, branch.x, act.lora),
    ...rmsnormForward(
      gpu,
      { ...branch, weight: norm(student, layer, normName), y: scratch.branch },
      { rows, epsilon: student.config.rmsNormEps },
    ),
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
  const { hiddenSize: width, rmsNormEps, activation } = student.config;
  const commands = [
    ...branchOutput(ctx, layer, 'o_proj', act.attended, act, scratch),
    ...add(gpu, { a: x, b: scratch.branch, y: act.middle }, { rows, width }),
    ...rmsnormForward(
      gpu,
      {
        x: act.middle,
        weight: norm(student, layer, 'feedForward'),
        y: act.middleNormed,
        inverseRms: act.middleInverseRms,
      },
      { rows, epsilon: rmsNormEps },
    ),
    ...linear(ctx, layer, 'gate_proj', act.middleNormed, act.gate, act.lora),
    ...linear(ctx, layer, 'up_proj', act.middleNormed, act.up, act.lora),
    ...swigluForward(gpu, { gate: act.gate, up: act.up, y: act.hidden }, { rows, activation }),
  ];
  if (xOut !== undefined) {
    commands.push(
      ...branchOutput(ctx, layer, 'down_proj', act.hidden, act, scratch),
      ...add(gpu, { a: act.middle, b: scratch.branch, y: xOut }, { rows, width }),
    );
  } else if (act.branches !== undefined) {
    // Recomputing for the backward: the norm after down_proj needs its input again.
    commands.push(...branchOutput(ctx, layer, 'down_proj', act.hidden, act, scratch));
  } else {
    // Of down_proj only h = drop(x)·Aᵀ is needed; what is added to `branch` is not read.
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
  const { kvHeads, headSize } = student.config;
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
      attentionOptions(ctx, layer),
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
  const { kvHeads, headSize } = student.config;
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
      { ...attentionOptions(ctx, layer), cacheCapacity },
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
  const { heads, kvHeads, headSize, activation } = student.config;
  const full = ctx.adapter === undefined ? student.parameters : undefined;
  const back = (
    name: LinearName,
    input: Tensor,
    dY: Tensor,
    dInput: Tensor | undefined,
    accumulate: boolean,
  ): Command[] => linearBackward(ctx, layer, name, { x: input, dY, dX: dInput, accumulate }, act.lora, s);
  const normBackward = (input: Tensor, inverseRms: Tensor, name: NormName): Command[] => [
    ...(full === undefined
      ? []
      : rmsnormBackwardWeight(
          gpu,
          { x: input, inverseRms, dY: s.dNormed, dWeight: full.gradientOf(normPath(student.config, layer, name)) },
          { rows },
        )),
    ...rmsnormBackwardInput(
      gpu,
      { x: input, weight: norm(student, layer, name), inverseRms, dY: s.dNormed, dX },
      { rows },
    ),
  ];
  /** ∂L of what a branch's last layer gives, from ∂L of what joins the residual stream: dX itself where no norm is between. */
  const branchBackward = (branch: NormInput | undefined, name: NormName): { dY: Tensor; commands: Command[] } =>
    branch === undefined
      ? { dY: dX, commands: [] }
      : {
          dY: s.dBranch!,
          commands: rmsnormBackwardInput(
            gpu,
            { ...branch, weight: norm(student, layer, name), dY: dX, dX: s.dBranch! },
            { rows, accumulate: false },
          ),
        };
  const { unnormed } = act;
  const dUnnormed = s.dUnnormed ?? { q: s.dQ, k: s.dK };
  const tables = { positions: structure.positions, cos: student.ropeCos, sin: student.ropeSin };
  const dInput = needsInputGradient ? s.dNormed : undefined;
  const feedForward = branchBackward(act.branches?.feedForward, 'feedForwardBranch');
  const attention = branchBackward(act.branches?.attention, 'attentionBranch');

  const commands: Command[] = [
    ...feedForward.commands,
    ...back('down_proj', act.hidden, feedForward.dY, s.dHidden, false),
    ...swigluBackward(
      gpu,
      { gate: act.gate, up: act.up, dY: s.dHidden, dGate: s.dGate, dUp: s.dUp },
      { rows, activation },
    ),
    ...back('up_proj', act.middleNormed, s.dUp, s.dNormed, false),
    ...back('gate_proj', act.middleNormed, s.dGate, s.dNormed, true),
    ...normBackward(act.middle, act.middleInverseRms, 'feedForward'),
    ...attention.commands,
    ...back('o_proj', act.attended, attention.dY, s.dAttended, false),
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
      attentionOptions(ctx, layer),
    ),
    ...rope(gpu, { x: s.dQ, ...tables }, { rows, heads, headSize, inverse: true }),
    ...rope(gpu, { x: s.dK, ...tables }, { rows, heads: kvHeads, headSize, inverse: true }),
    ...(unnormed === undefined
      ? []
      : [
          ...rmsnormBackwardInput(
            gpu,
            { ...unnormed.q, weight: norm(student, layer, 'query'), dY: s.dQ, dX: dUnnormed.q },
            { rows, heads, accumulate: false },
          ),
          ...rmsnormBackwardInput(
            gpu,
            { ...unnormed.k, weight: norm(student, layer, 'key'), dY: s.dK, dX: dUnnormed.k },
            { rows, heads: kvHeads, accumulate: false },
          ),
        ]),
    ...back('v_proj', act.normed, s.dV, dInput, false),
    ...back('k_proj', act.normed, dUnnormed.k, dInput, true),
    ...back('q_proj', act.normed, dUnnormed.q, dInput, true),
  ];
  if (needsInputGradient) commands.push(...normBackward(x, act.inverseRms, 'input'));
  return commands;
}
