// adaptedLinear.ts: one linear layer of a block, base weight plus LoRA branch, and its mirror. The base may be frozen (f32,
// f16, NF4) or, without an adapter, trained itself. Which layers there are and in what order is decoder.ts.
import { inStage, type Command } from '../gpu/commands';
import type { Gpu } from '../gpu/device';
import type { Rows } from '../gpu/rows';
import type { Tensor } from '../gpu/tensor';
import { addBias } from '../kernels/elementwise';
import { linearBackwardInput, linearBackwardWeight, linearForward } from '../kernels/linear';
import { loraBackward, loraForward, type Dropout } from '../kernels/lora';
import type { Adapter } from './adapter';
import type { Activations, BackwardScratch } from './blockTensors';
import type { DropoutState } from './dropout';
import { type LinearName } from '../base/linearNames';
import { modulePath } from './linearNames';
import type { Student } from './student';

/** What every layer of a block is made for. */
export interface BlockContext {
  readonly gpu: Gpu;
  readonly student: Student;
  readonly adapter: Adapter | undefined;
  readonly rows: Rows;
  /** Set while training with a dropout above 0. */
  readonly dropout: DropoutState | undefined;
}

/** A tensor narrowed to its first columns' worth of memory: scratch made for the largest rank serves the smaller ones. */
function narrowed(tensor: Tensor, columns: number): Tensor {
  const N = tensor.shape[0]!;
  if (tensor.shape[1] === columns) return tensor;
  return { ...tensor, shape: [N, columns], sizeBytes: Math.max(4, N * columns * 4) };
}

function dropoutOption(ctx: BlockContext, stream: number, width: number): { dropout?: Dropout } {
  const rate = ctx.adapter?.settings.dropout ?? 0;
  if (ctx.dropout === undefined || rate === 0) return {};
  return { dropout: { rate, counters: ctx.dropout.counters(stream), scratch: narrowed(ctx.dropout.scratch, width) } };
}

/** y = x·Wᵀ + bias + scale·(drop(x)·Aᵀ)·Bᵀ */
export function linear(
  ctx: BlockContext,
  layer: number,
  name: LinearName,
  x: Tensor,
  y: Tensor,
  lora: Activations['lora'],
): Command[] {
  const { gpu, rows, student } = ctx;
  const { linear: weights, biases } = student.layers[layer]!;
  const bias = biases[name];
  return [
    ...inStage(name, [
      ...linearForward(gpu, { x, y }, { rows, weight: weights[name] }),
      ...(bias === undefined ? [] : addBias(gpu, { bias, y }, { rows, width: bias.shape[0]! })),
    ]),
    ...loraBranch(ctx, layer, name, x, y, lora),
  ];
}

/** The branch alone: h = drop(x)·Aᵀ, y += scale·h·Bᵀ; nothing where the layer is not adapted. */
export function loraBranch(
  ctx: BlockContext,
  layer: number,
  name: LinearName,
  x: Tensor,
  y: Tensor,
  lora: Activations['lora'],
): Command[] {
  const site = ctx.adapter?.site(modulePath(layer, name));
  if (site === undefined) return [];
  const h = narrowed(lora[name]!, site.rank);
  return inStage(
    name,
    loraForward(
      ctx.gpu,
      { x, a: site.a, b: site.b, h, y },
      { rows: ctx.rows, scale: site.scale, ...dropoutOption(ctx, site.stream, x.shape[1]!) },
    ),
  );
}

/** Mirror of `linear`: dX (written, or added to) and the gradients of what trains. Without dX, only the latter. */
export function linearBackward(
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
  return inStage(name, commands);
}
