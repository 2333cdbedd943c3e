// decoder.ts: the Llama decoder as prepared GPU commands: the forward of each block and, in mirror order, its backward. No
// autograd: what a block saves for its backward is the Activations type. It reads row counts and ids from tensors, so the
// same commands serve every batch up to the capacity they were made for.
//
//   h   = x + o(attention(rope(q(n)), rope(k(n)), v(n)))      n = rmsnorm(x)
//   x'  = h + down(silu(gate(m)) ⊙ up(m))                     m = rmsnorm(h)
//
// Each linear layer is base + LoRA. A further model family changes the block here and linearNames.ts.
import type { Command } from '../gpu/commands';
import type { Gpu } from '../gpu/device';
import type { Rows } from '../gpu/rows';
import type { Arena, Tensor } from '../gpu/tensor';
import { attentionBackward, attentionDecode, attentionForward, kvCacheWrite } from '../kernels/attention';
import { add } from '../kernels/elementwise';
import { linearBackwardInput, linearBackwardWeight, linearForward } from '../kernels/linear';
import { loraBackward, loraForward, type Dropout } from '../kernels/lora';
import { rmsnormBackwardInput, rmsnormBackwardWeight, rmsnormForward } from '../kernels/rmsnorm';
import { rope } from '../kernels/rope';
import { swigluBackward, swigluForward } from '../kernels/swiglu';
import type { Adapter } from './adapter';
import { LINEAR_NAMES, modulePath, type LinearName } from './linearNames';
import type { LayerWeights, Student } from './student';

/** What one block keeps for its backward, N rows each. */
export interface Activations {
  readonly normed: Tensor; // (N, C)  rmsnorm(x)
  readonly inverseRms: Tensor; // (N)
  readonly q: Tensor; // (N, H·K)  after RoPE
  readonly k: Tensor; // (N, Hkv·K)  after RoPE
  readonly v: Tensor; // (N, Hkv·K)
  readonly attended: Tensor; // (N, H·K)
  readonly logsumexp: Tensor; // (N, H)
  readonly middle: Tensor; // (N, C)  h
  readonly middleNormed: Tensor; // (N, C)  rmsnorm(h)
  readonly middleInverseRms: Tensor; // (N)
  readonly gate: Tensor; // (N, F)
  readonly up: Tensor; // (N, F)
  readonly hidden: Tensor; // (N, F)  silu(gate) ⊙ up
  /** x·Aᵀ of each adapted layer. */
  readonly lora: Partial<Record<LinearName, Tensor>>; // (N, R)
}

/** Scratch that blocks share. */
export interface Scratch {
  readonly branch: Tensor; // (N, C)  output of o or down before the residual sum
}

export interface BackwardScratch {
  readonly dNormed: Tensor; // (N, C)
  readonly dQ: Tensor; // (N, H·K)
  readonly dK: Tensor;
  readonly dV: Tensor;
  readonly dAttended: Tensor; // (N, H·K)
  readonly delta: Tensor; // (N, H)
  readonly dGate: Tensor; // (N, F)
  readonly dUp: Tensor; // (N, F)
  readonly dHidden: Tensor; // (N, F)
  readonly dLora: Tensor | undefined; // (N, largest R)
}

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

/** Dropout while training. */
export interface DropoutState {
  /** Counters of an adapted layer, by its stream: u32 [4] = (seed, step, micro-batch, stream). */
  counters(stream: number): Tensor;
  /** f32, N rows of the widest adapted input. */
  readonly scratch: Tensor;
}

export function makeActivations(
  arena: Arena,
  student: Student,
  adapter: Adapter | undefined,
  N: number,
  label: string,
): Activations {
  const { hiddenSize: C, intermediateSize: F, heads: H, kvHeads, headSize: K } = student.config;
  const make = (name: string, ...shape: number[]): Tensor => arena.tensor(`${label} ${name}`, [N, ...shape]);
  const lora: Partial<Record<LinearName, Tensor>> = {};
  if (adapter !== undefined) {
    for (const name of LINEAR_NAMES) {
      const ranks = student.config.layers === 0 ? [] : layerRanks(student, adapter, name);
      if (ranks.length > 0) lora[name] = make(`${name} lora`, Math.max(...ranks));
    }
  }
  return {
    normed: make('normed', C),
    inverseRms: make('inverse rms'),
    q: make('q', H * K),
    k: make('k', kvHeads * K),
    v: make('v', kvHeads * K),
    attended: make('attended', H * K),
    logsumexp: make('logsumexp', H),
    middle: make('middle', C),
    middleNormed: make('middle normed', C),
    middleInverseRms: make('middle inverse rms'),
    gate: make('gate', F),
    up: make('up', F),
    hidden: make('hidden', F),
    lora,
  };
}

function layerRanks(student: Student, adapter: Adapter, name: LinearName): number[] {
  return student.layers.flatMap((_, layer) => adapter.site(modulePath(layer, name))?.rank ?? []);
}

export function makeBackwardScratch(
  arena: Arena,
  student: Student,
  adapter: Adapter | undefined,
  N: number,
): BackwardScratch {
  const { hiddenSize: C, intermediateSize: F, heads: H, kvHeads, headSize: K } = student.config;
  const make = (name: string, ...shape: number[]): Tensor => arena.tensor(`backward ${name}`, [N, ...shape]);
  const ranks = adapter === undefined ? [] : LINEAR_NAMES.flatMap((name) => layerRanks(student, adapter, name));
  return {
    dNormed: make('d normed', C),
    dQ: make('d q', H * K),
    dK: make('d k', kvHeads * K),
    dV: make('d v', kvHeads * K),
    dAttended: make('d attended', H * K),
    delta: make('delta', H),
    dGate: make('d gate', F),
    dUp: make('d up', F),
    dHidden: make('d hidden', F),
    dLora: ranks.length === 0 ? undefined : make('d lora', Math.max(...ranks)),
  };
}

/** A tensor narrowed to its first columns' worth of memory: scratch made for the largest rank serves the smaller ones. */
function narrowed(tensor: Tensor, columns: number): Tensor {
  const N = tensor.shape[0]!;
  if (tensor.shape[1] === columns) return tensor;
  return { ...tensor, shape: [N, columns], sizeBytes: Math.max(4, N * columns * 4) };
}

export interface BlockContext {
  readonly gpu: Gpu;
  readonly student: Student;
  readonly adapter: Adapter | undefined;
  readonly rows: Rows;
  /** Set while training with a dropout above 0. */
  readonly dropout: DropoutState | undefined;
}

function dropoutOption(ctx: BlockContext, stream: number, width: number): { dropout?: Dropout } {
  const rate = ctx.adapter?.settings.dropout ?? 0;
  if (ctx.dropout === undefined || rate === 0) return {};
  return { dropout: { rate, counters: ctx.dropout.counters(stream), scratch: narrowed(ctx.dropout.scratch, width) } };
}

/** y = x·Wᵀ + scale·(drop(x)·Aᵀ)·Bᵀ */
function linear(
  ctx: BlockContext,
  layer: number,
  name: LinearName,
  x: Tensor,
  y: Tensor,
  lora: Activations['lora'],
): Command[] {
  const { gpu, rows, student, adapter } = ctx;
  const weight = student.layers[layer]!.linear[name];
  const commands = [...linearForward(gpu, { x, y }, { rows, weight })];
  const site = adapter?.site(modulePath(layer, name));
  if (site !== undefined) {
    const h = narrowed(lora[name]!, site.rank);
    commands.push(
      ...loraForward(
        gpu,
        { x, a: site.a, b: site.b, h, y },
        { rows, scale: site.scale, ...dropoutOption(ctx, site.stream, x.shape[1]!) },
      ),
    );
  }
  return commands;
}

/**
 * Mirror of `linear`: dX (written, or added to) and the gradients of what trains. Without dX, only the latter.
 */
function linearBackward(
  ctx: BlockContext,
  layer: number,
  name: LinearName,
  t: { x: Tensor; dY: Tensor; dX: Tensor | undefined; accumulate: boolean },
  lora: Activations['lora'],
  scratch: BackwardScratch,
): Command[] {
  const { gpu, rows, student, adapter } = ctx;
  const weight = student.layers[layer]!.linear[name];
  const { x, dY, dX } = t;
  const commands: Command[] = [];
  if (dX !== undefined)
    commands.push(...linearBackwardInput(gpu, { dY, dX }, { rows, weight, accumulate: t.accumulate }));
  if (adapter === undefined && student.parameters !== undefined) {
    const dW = student.parameters.gradientOf(`${modulePath(layer, name)}.weight`);
    commands.push(...linearBackwardWeight(gpu, { x, dY, dW }, { rows }));
  }
  const site = adapter?.site(modulePath(layer, name));
  if (site !== undefined) {
    const { dA, dB } = adapter!.gradients(site);
    commands.push(
      ...loraBackward(
        gpu,
        {
          x,
          a: site.a,
          b: site.b,
          h: narrowed(lora[name]!, site.rank),
          dY,
          dH: narrowed(scratch.dLora!, site.rank),
          dA,
          dB,
          ...(dX === undefined ? {} : { dX }),
        },
        { rows, scale: site.scale, ...dropoutOption(ctx, site.stream, x.shape[1]!) },
      ),
    );
  }
  return commands;
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
  } else if (act.lora.down_proj !== undefined) {
    // Recomputing for the backward: of down_proj only h = drop(x)·Aᵀ is needed, and it comes with the layer.
    commands.push(...linear(ctx, layer, 'down_proj', act.hidden, scratch.branch, act.lora));
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
