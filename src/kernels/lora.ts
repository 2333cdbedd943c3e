// lora.ts: the low-rank branch of a linear layer, y += (α/R)·dropout(x)·Aᵀ·Bᵀ, and its gradients. The products are those of
// linear.ts with a factor; dropout masks are drawn again in the backward, never kept. The base weight is not its business.
import { PupilError } from '../base/errors';
import { Dispatch, linearGrid, type Command } from '../gpu/commands';
import type { Gpu } from '../gpu/device';
import { kernelSource } from '../gpu/pipelines';
import type { Rows } from '../gpu/rows';
import { expectTensor, type Tensor } from '../gpu/tensor';
import { activations, product } from './linear';
import type { DenseWeight } from './weights';
import randomWgsl from '../../shaders/common/random.wgsl?raw';
import loraDropoutWgsl from '../../shaders/lora/lora_dropout.wgsl?raw';

const DROPOUT = kernelSource('lora_dropout', loraDropoutWgsl, randomWgsl);

/** Dropout of the branch's input x; the masks are those of shaders/lora/lora_dropout.wgsl. */
export interface Dropout {
  /** Probability that an element is dropped, in [0, 1). */
  rate: number;
  /** u32 [4]: seed, step, micro-batch, and a stream that tells the layers' masks apart. Data: one pipeline serves all layers. */
  counters: Tensor;
  /** f32 [N, C]: WRITTEN; holds mask ∘ x, then mask-less dH·A. */
  scratch: Tensor;
}

export interface LoraOptions {
  rows: Rows;
  /** α/R (α/√R with rsLoRA). */
  scale: number;
  /** Dropout of the branch's input; none by default. */
  dropout?: Dropout;
}

function dense(data: Tensor): DenseWeight {
  return { kind: 'f32', shape: [data.shape[0]!, data.shape[1]!], data };
}

function sizes(op: string, a: Tensor, b: Tensor): { R: number; C: number; O: number } {
  expectTensor(op, 'a', a, [-1, -1], 'f32');
  const [R, C] = a.shape as [number, number];
  expectTensor(op, 'b', b, [-1, R], 'f32');
  if (R < 1 || R > 256) throw new PupilError('shape', `${op}: the rank must lie in 1 … 256, got ${R}`);
  return { R, C, O: b.shape[0]! };
}

/** y = mask ∘ x, or y += mask ∘ x. */
function dropout(gpu: Gpu, x: Tensor, y: Tensor, rows: Rows, d: Dropout, accumulate: boolean): Command {
  const [N, C] = x.shape as [number, number];
  if (!(d.rate > 0 && d.rate < 1)) {
    throw new PupilError('config', `lora: a dropout rate must lie in [0, 1), got ${d.rate}`);
  }
  expectTensor('lora', 'dropout.counters', d.counters, [4], 'u32');
  expectTensor('lora', 'dropout.scratch', d.scratch, [N, C], 'f32');
  const words = Uint32Array.of(C, 0, 0);
  new Float32Array(words.buffer).set([d.rate, 1 / (1 - d.rate)], 1);
  return new Dispatch(gpu, DROPOUT, {
    bind: { x, y, counters: d.counters, dropout: gpu.uniform(words) },
    constants: { ACCUMULATE: accumulate },
    rows,
    // One more pair than elements / 2 rounded up: a slice may start inside a pair.
    grid: (count) => linearGrid(gpu, Math.ceil((Math.ceil((count * C) / 2) + 1) / 64)),
  });
}

/** Dropout that does something. */
function active(options: LoraOptions): Dropout | undefined {
  return options.dropout !== undefined && options.dropout.rate !== 0 ? options.dropout : undefined;
}

/**
 * h = dropout(x)·Aᵀ; y += scale·h·Bᵀ (Hu et al. 2021, arXiv:2106.09685, eq. 3).
 *
 * @param tensors x f32 [N, C], a f32 [R, C], b f32 [O, R], h f32 [N, R] (kept for the backward), y f32 [N, O] (ADDS)
 * @throws PupilError `shape`, `config`
 */
export function loraForward(
  gpu: Gpu,
  tensors: { x: Tensor; a: Tensor; b: Tensor; h: Tensor; y: Tensor },
  options: LoraOptions,
): Command[] {
  const { x, a, b, h, y } = tensors;
  const { rows, scale } = options;
  const drop = active(options);
  const { R, C, O } = sizes('loraForward', a, b);
  expectTensor('loraForward', 'x', x, [rows.capacity, C], 'f32');
  expectTensor('loraForward', 'h', h, [rows.capacity, R], 'f32');
  expectTensor('loraForward', 'y', y, [rows.capacity, O], 'f32');
  return [
    ...(drop === undefined ? [] : [dropout(gpu, x, drop.scratch, rows, drop, false)]),
    ...product(gpu, 'forward', { left: drop?.scratch ?? x, right: dense(a), out: h }, { rows, accumulate: false }),
    ...product(gpu, 'forward', { left: h, right: dense(b), out: y }, { rows, accumulate: true, alpha: scale }),
  ];
}

/**
 * dH = scale·dY·B; dB += scale·dYᵀ·h; dA += dHᵀ·dropout(x); dX += mask·(dH·A), the mask with its factor 1/(1 − rate).
 *
 * @param tensors x f32 [N, C], a f32 [R, C], b f32 [O, R], h f32 [N, R] from the forward, dY f32 [N, O], dH f32 [N, R]
 *   (written), dA and dB (ADDS), dX f32 [N, C] (ADDS; leave it out where nothing below trains)
 * @throws PupilError `shape`, `config`
 */
export function loraBackward(
  gpu: Gpu,
  tensors: {
    x: Tensor;
    a: Tensor;
    b: Tensor;
    h: Tensor;
    dY: Tensor;
    dH: Tensor;
    dA: Tensor;
    dB: Tensor;
    dX?: Tensor | undefined;
  },
  options: LoraOptions,
): Command[] {
  const { x, a, b, h, dY, dH, dA, dB, dX } = tensors;
  const { rows, scale } = options;
  const { R, C, O } = sizes('loraBackward', a, b);
  const N = rows.capacity;
  expectTensor('loraBackward', 'x', x, [N, C], 'f32');
  expectTensor('loraBackward', 'h', h, [N, R], 'f32');
  expectTensor('loraBackward', 'dY', dY, [N, O], 'f32');
  expectTensor('loraBackward', 'dH', dH, [N, R], 'f32');
  expectTensor('loraBackward', 'dA', dA, [R, C], 'f32');
  expectTensor('loraBackward', 'dB', dB, [O, R], 'f32');
  const drop = active(options);
  const commands: Command[] = [
    ...product(
      gpu,
      'backward_input',
      { left: dY, right: dense(b), out: dH },
      { rows, accumulate: false, alpha: scale },
    ),
    ...product(
      gpu,
      'backward_weight',
      { left: dY, right: activations(h), out: dB },
      { rows, accumulate: true, alpha: scale },
    ),
    ...(drop === undefined ? [] : [dropout(gpu, x, drop.scratch, rows, drop, false)]),
    ...product(
      gpu,
      'backward_weight',
      { left: dH, right: activations(drop?.scratch ?? x), out: dA },
      { rows, accumulate: true },
    ),
  ];
  if (dX !== undefined) {
    expectTensor('loraBackward', 'dX', dX, [N, C], 'f32');
    const out = drop?.scratch ?? dX;
    commands.push(
      ...product(gpu, 'backward_input', { left: dH, right: dense(a), out }, { rows, accumulate: drop === undefined }),
    );
    if (drop !== undefined) commands.push(dropout(gpu, drop.scratch, dX, rows, drop, true));
  }
  return commands;
}
