// flatParameters.ts: trainable tensors laid out one behind the other in one f32 buffer, so that clearing gradients, the
// global norm and the optimiser are single commands and a checkpoint is a single array. Used for LoRA adapters and for
// full-parameter training alike.
import { elementCount } from '../base/dtypes';
import { PupilError } from '../base/errors';
import type { Gpu } from '../gpu/device';
import { view, type Arena, type Tensor } from '../gpu/tensor';

export interface FlatEntry {
  readonly name: string;
  readonly shape: readonly number[];
  /** First element in the flat buffer; a multiple of 64, so that every view can be bound. */
  readonly offset: number;
}

const ALIGN_ELEMENTS = 64; // 256 bytes

/**
 * A flat buffer of named tensors. Entries that take weight decay come first: `decayElements` is where they end.
 * Padding between entries stays zero under every optimiser (its gradient is zero).
 */
export class FlatParameters {
  readonly entries = new Map<string, FlatEntry>();
  readonly elements: number;
  readonly decayElements: number;
  readonly values: Tensor;
  private gradientTensor: Tensor | undefined;

  constructor(
    private readonly gpu: Gpu,
    private readonly arena: Arena,
    readonly label: string,
    decayed: readonly { name: string; shape: readonly number[] }[],
    undecayed: readonly { name: string; shape: readonly number[] }[] = [],
  ) {
    let at = 0;
    const place = ({ name, shape }: { name: string; shape: readonly number[] }): void => {
      if (this.entries.has(name)) throw new PupilError('shape', `${label}: ${name} appears twice`);
      this.entries.set(name, { name, shape, offset: at });
      at += Math.ceil(elementCount(shape) / ALIGN_ELEMENTS) * ALIGN_ELEMENTS;
    };
    decayed.forEach(place);
    this.decayElements = at;
    undecayed.forEach(place);
    this.elements = at;
    this.values = arena.tensor(`${label} parameters`, [at]);
  }

  /** Gradients in the same layout, made on first use. */
  get gradient(): Tensor {
    this.gradientTensor ??= this.arena.tensor(`${this.label} gradients`, [this.elements]);
    return this.gradientTensor;
  }

  value(name: string): Tensor {
    const { offset, shape } = this.entry(name);
    return view(this.values, offset, shape, name);
  }

  gradientOf(name: string): Tensor {
    const { offset, shape } = this.entry(name);
    return view(this.gradient, offset, shape, `grad.${name}`);
  }

  async read(): Promise<Float32Array> {
    return this.gpu.readF32(this.values);
  }

  /** Throws `shape` unless the array has exactly this layout's length. */
  write(flat: Float32Array): void {
    if (flat.length !== this.elements) {
      throw new PupilError('shape', `${this.label}: expected ${this.elements} values, got ${flat.length}`);
    }
    this.gpu.write(this.values, flat);
  }

  /** The named tensors of a flat array (of values, gradients or moments). */
  split(flat: Float32Array): Map<string, { shape: readonly number[]; data: Float32Array }> {
    const out = new Map<string, { shape: readonly number[]; data: Float32Array }>();
    for (const { name, shape, offset } of this.entries.values()) {
      out.set(name, { shape, data: flat.slice(offset, offset + elementCount(shape)) });
    }
    return out;
  }

  private entry(name: string): FlatEntry {
    const entry = this.entries.get(name);
    if (entry === undefined) throw new PupilError('shape', `${this.label}: has no tensor ${name}`);
    return entry;
  }
}
