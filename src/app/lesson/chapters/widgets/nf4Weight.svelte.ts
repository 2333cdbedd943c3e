// nf4Weight.svelte.ts: the state of the NF4 widget: a block of 64 weights of which one is dragged, and what each of them becomes.
// The rounding is base/nf4.ts's, the same as the kernels'.
import { NF4_BLOCK, NF4_CODES, NF4_NESTED_BLOCK, nf4QuantizeBlock, nf4Value } from '../../../../base/nf4';
import { RandomStream } from '../../../../base/random';
import type { WidgetSettings } from '../../../../config/chapter';

/** As far as a weight can be dragged, in standard deviations of the block. */
export const FARTHEST = 10;

/** One weight as it is stored and read back. */
export interface StoredWeight {
  value: number;
  code: number;
  /** What is read back: code · absmax. */
  restored: number;
  /** restored − value. */
  error: number;
}

/** All weights of a block through NF4. */
export function throughNf4(weights: ArrayLike<number>): { absmax: number; weights: StoredWeight[] } {
  const { absmax, codes } = nf4QuantizeBlock(weights);
  return {
    absmax,
    weights: Array.from(codes, (code, i) => {
      const value = Math.fround(weights[i]!);
      const restored = nf4Value(code, absmax);
      return { value, code, restored, error: restored - value };
    }),
  };
}

/** Bits that a weight takes: 4 of its code and its part of the scales; 8 bits of a scale and its part of theirs if doubled. */
export const bitsPerWeight = (double: boolean): number =>
  4 + (double ? 8 / NF4_BLOCK + 32 / (NF4_BLOCK * NF4_NESTED_BLOCK) : 32 / NF4_BLOCK);

const meanError = (weights: readonly StoredWeight[], without: number): number =>
  weights.reduce((sum, { error }, i) => (i === without ? sum : sum + Math.abs(error)), 0) / (weights.length - 1);

export class Nf4Weight {
  /** As drawn: 64 of a normal distribution, standard deviation 1. */
  readonly drawn: Float64Array;
  private chosen = $state(0);
  private dragged = $state(0);

  private readonly now: Float64Array = $derived.by(() =>
    this.drawn.map((value, i) => (i === this.chosen ? this.dragged : value)),
  );
  readonly block = $derived.by(() => throughNf4(this.now));
  private readonly untouched = $derived.by(() => throughNf4(this.drawn));
  readonly weight: StoredWeight = $derived.by(() => this.block.weights[this.chosen]!);
  /** Of the block's scale: the largest magnitude is the dragged weight's own. */
  readonly isLargest = $derived.by(() => Math.abs(this.weight.value) === this.block.absmax);
  /** The 16 levels that the block can say, ascending. */
  readonly levels = $derived.by(() => [...NF4_CODES].map((_, code) => nf4Value(code, this.block.absmax)));
  /** Mean |error| of the 63 others: as drawn, and with the dragged weight where it is. */
  readonly othersAsDrawn = $derived.by(() => meanError(this.untouched.weights, this.chosen));
  readonly othersNow = $derived.by(() => meanError(this.block.weights, this.chosen));
  /** How many of the 16 codes the others use. */
  readonly codesUsed = $derived.by(
    () => new Set(this.block.weights.filter((_, i) => i !== this.chosen).map(({ code }) => code)).size,
  );

  constructor({ seed, weight }: WidgetSettings<'nf4-weight'>) {
    const random = new RandomStream(seed, 'chapter nf4');
    this.drawn = Float64Array.from({ length: NF4_BLOCK }, () => random.nextNormal());
    this.index = weight - 1;
  }

  /** Which weight is dragged, from 0. Another one goes back to where it was drawn. */
  get index(): number {
    return this.chosen;
  }
  set index(index: number) {
    this.chosen = Math.min(NF4_BLOCK - 1, Math.max(0, Math.round(index)));
    this.putBack();
  }

  get value(): number {
    return this.dragged;
  }
  set value(value: number) {
    this.dragged = Math.min(FARTHEST, Math.max(-FARTHEST, value));
  }

  putBack(): void {
    this.dragged = Number(this.drawn[this.chosen]!.toFixed(2));
  }
}
