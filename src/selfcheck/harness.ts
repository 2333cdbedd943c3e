// harness.ts: runs one kernel case on THIS device and holds it against its float64 reference. Outputs are pre-filled with
// NaN and followed by guard words, kernels that add start from given values, and every case runs twice and must repeat bit
// for bit. It is used by tests, by `pupil check` and by the page; it knows no test framework.
import { DTYPE_BYTES, elementCount, f16ToNumber, numberToF16 } from '../base/dtypes';
import { PupilError } from '../base/errors';
import { Recorder, type Command } from '../gpu/commands';
import type { Gpu } from '../gpu/device';
import { view, type Arena, type GpuDType, type Tensor } from '../gpu/tensor';

export interface CaseInput {
  shape: readonly number[];
  dtype?: GpuDType;
  data: ArrayLike<number>;
}

export interface CaseOutput {
  shape: readonly number[];
  dtype?: GpuDType;
  /** float64 reference; what the whole output must be afterwards, initial values included. */
  expected: ArrayLike<number>;
  /** Values before the run, for kernels that ADD into or update the output. Otherwise NaN (f32, f16) or 0xA5A5A5A5. */
  initial?: ArrayLike<number>;
  /** Terms summed per element: the tolerance grows with its square root. 1 by default. */
  sumLength?: number;
  /** Replaces the table's line, with the reason. */
  tolerance?: { atol: number; rtol: number; reason: string };
}

/** One claim about one kernel at one shape. */
export interface KernelCase {
  /** File stem of the shader. */
  kernel: string;
  /** The claim, with its shape: `(N,C)=(3,65): odd C`. */
  name: string;
  /** Needs `shader-f16`, subgroups, … : the reason it cannot run on a device, or undefined when it can. */
  unsupported?: (gpu: Gpu) => string | undefined;
  inputs: Record<string, CaseInput>;
  outputs: Record<string, CaseOutput>;
  /** The commands to run, given a tensor for every input and output. May use the arena for scratch. */
  commands: (gpu: Gpu, tensors: Record<string, Tensor>, arena: Arena) => Command[];
}

/** One family of kernels; cases are made on demand, since their references cost time. */
export interface CaseFamily {
  family: string;
  cases: () => KernelCase[];
}

export interface CaseResult {
  kernel: string;
  name: string;
  status: 'passed' | 'failed' | 'skipped';
  /** What went wrong, or why it was skipped. */
  detail?: string;
  /** Largest |Δ| divided by the allowed |Δ|, over all outputs. */
  worstRatio: number;
}

/**
 * f32 tolerance: |Δ| ≤ atol + ε·√K·(|ref| + scale), where ε = 2⁻²³·4 and scale is the output's root mean square: sums of K
 * rounded products err like a random walk, also where the result cancels to nearly zero.
 */
const F32_EPSILON = 4 * 2 ** -23;
const F16_EPSILON = 2 ** -10;
const GUARD_WORDS = 64;
const GUARD = 0xdeadbeef;

function encode(data: ArrayLike<number>, dtype: GpuDType): Uint8Array {
  const n = data.length;
  switch (dtype) {
    case 'f32':
      return new Uint8Array(Float32Array.from(data).buffer);
    case 'u32':
      return new Uint8Array(Uint32Array.from(data).buffer);
    case 'i32':
      return new Uint8Array(Int32Array.from(data).buffer);
    case 'u8':
      return Uint8Array.from(data);
    case 'f16': {
      const out = new Uint16Array(n);
      for (let i = 0; i < n; i++) out[i] = numberToF16(data[i]!);
      return new Uint8Array(out.buffer);
    }
  }
}

function decode(bytes: ArrayBuffer, dtype: GpuDType, count: number): ArrayLike<number> {
  switch (dtype) {
    case 'f32':
      return new Float32Array(bytes, 0, count);
    case 'u32':
      return new Uint32Array(bytes, 0, count);
    case 'i32':
      return new Int32Array(bytes, 0, count);
    case 'u8':
      return new Uint8Array(bytes, 0, count);
    case 'f16':
      return Array.from(new Uint16Array(bytes, 0, count), f16ToNumber);
  }
}

interface Held {
  whole: Tensor;
  start: Uint8Array; // the whole buffer before each run, guard included
}

/** Compares one output; returns the worst ratio and a description of the worst element when it fails. */
export function compareOutput(actual: ArrayLike<number>, output: CaseOutput): { ratio: number; detail?: string } {
  const dtype = output.dtype ?? 'f32';
  const expected = output.expected;
  const count = elementCount(output.shape);
  if (expected.length !== count) {
    throw new PupilError('shape', `harness: the reference has ${expected.length} values, the output ${count}`);
  }
  let squares = 0;
  for (let i = 0; i < count; i++) squares += Number.isFinite(expected[i]) ? expected[i]! ** 2 : 0;
  const scale = Math.sqrt(squares / Math.max(1, count));
  const epsilon = dtype === 'f16' ? F16_EPSILON : F32_EPSILON;
  const growth = Math.sqrt(output.sumLength ?? 1);
  let worst = 0;
  let where = -1;
  for (let i = 0; i < count; i++) {
    const want = expected[i]!;
    const got = actual[i]!;
    if (Object.is(want, got) || want === got) continue;
    let ratio: number;
    if (dtype !== 'f32' && dtype !== 'f16') ratio = Infinity;
    else if (!Number.isFinite(want) || !Number.isFinite(got))
      ratio = Number.isNaN(want) && Number.isNaN(got) ? 0 : Infinity;
    else {
      const allowed =
        output.tolerance !== undefined
          ? output.tolerance.atol + output.tolerance.rtol * Math.abs(want)
          : 1e-30 + epsilon * growth * (Math.abs(want) + scale);
      ratio = Math.abs(got - want) / allowed;
    }
    if (ratio > worst) {
      worst = ratio;
      where = i;
    }
  }
  if (worst <= 1) return { ratio: worst };
  return {
    ratio: worst,
    detail: `element ${where} of [${output.shape.join(', ')}]: expected ${expected[where]}, got ${actual[where]} (${worst.toPrecision(3)} × the tolerance)`,
  };
}

/** Runs one case twice on the device. Never throws for a wrong number; throws when the device fails. */
export async function runCase(gpu: Gpu, kernelCase: KernelCase): Promise<CaseResult> {
  const { kernel, name } = kernelCase;
  const reason = kernelCase.unsupported?.(gpu);
  if (reason !== undefined) return { kernel, name, status: 'skipped', detail: reason, worstRatio: 0 };
  const arena = gpu.arena(`check ${kernel}`);
  try {
    const tensors: Record<string, Tensor> = {};
    for (const [key, input] of Object.entries(kernelCase.inputs)) {
      const dtype = input.dtype ?? 'f32';
      tensors[key] = arena.upload(key, input.shape, dtype, encode(input.data, dtype));
    }
    const held = new Map<string, Held>();
    for (const [key, output] of Object.entries(kernelCase.outputs)) {
      const dtype = output.dtype ?? 'f32';
      const count = elementCount(output.shape);
      const bytes = Math.max(4, Math.ceil((count * DTYPE_BYTES[dtype]) / 4) * 4);
      const start = new Uint8Array(bytes + GUARD_WORDS * 4);
      new Uint32Array(start.buffer).fill(GUARD);
      if (output.initial !== undefined) start.set(encode(output.initial, dtype));
      else if (dtype === 'f32') new Uint32Array(start.buffer, 0, bytes / 4).fill(0x7fc00000);
      else if (dtype === 'f16') new Uint16Array(start.buffer, 0, bytes / 2).fill(0x7e00);
      else start.fill(0xa5, 0, bytes);
      const whole = arena.tensor(key, [start.byteLength / 4], 'u32');
      held.set(key, { whole, start });
      tensors[key] = view(whole, 0, output.shape, key, dtype);
    }
    const commands = kernelCase.commands(gpu, tensors, arena);
    await gpu.settled();

    const runs: Map<string, ArrayBuffer>[] = [];
    for (let run = 0; run < 2; run++) {
      for (const { whole, start } of held.values()) gpu.write(whole, start);
      new Recorder(gpu, `check ${kernel}`).add(...commands).submit();
      const results = new Map<string, ArrayBuffer>();
      for (const [key, { whole }] of held) results.set(key, await gpu.read(whole));
      runs.push(results);
    }

    let worstRatio = 0;
    for (const [key, output] of Object.entries(kernelCase.outputs)) {
      const first = runs[0]!.get(key)!;
      const words = new Uint32Array(first);
      const second = new Uint32Array(runs[1]!.get(key)!);
      const different = words.findIndex((word, i) => word !== second[i]);
      if (different >= 0) return fail(`${key}: word ${different} differs between two equal runs`);
      const guardAt = words.length - GUARD_WORDS;
      const trampled = words.subarray(guardAt).findIndex((word) => word !== GUARD);
      if (trampled >= 0) return fail(`${key}: wrote ${trampled} words past its end`);
      const { ratio, detail } = compareOutput(decode(first, output.dtype ?? 'f32', elementCount(output.shape)), output);
      worstRatio = Math.max(worstRatio, ratio);
      if (detail !== undefined) return fail(`${key}: ${detail}`, worstRatio);
    }
    return { kernel, name, status: 'passed', worstRatio };
  } finally {
    arena.destroy();
  }

  function fail(detail: string, worstRatio = Infinity): CaseResult {
    const where = `${gpu.adapter.vendor} ${gpu.adapter.description || gpu.adapter.device}`;
    return { kernel, name, status: 'failed', detail: `${detail} on ${where}`, worstRatio };
  }
}
