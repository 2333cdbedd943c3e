// studentLayout.ts: the weights file of a student as it is packed on the GPU: where each tensor will lie before any of them is
// there. NF4 weights are laid out as bitsandbytes does, so that the folder is a checkpoint for everybody. It writes nothing.
import type { DType } from '../base/dtypes';
import { bnb4bitSpecs, type Bnb4bitDtype } from './bnb4bit';
import { inLibraryOrder, layoutSafetensors, type SafetensorsLayout } from './safetensorsWrite';

/** One weight of a student: dense in the dtype it is stored in, or NF4 of the dtype it was quantised from. */
export type PackedTensor =
  | { name: string; shape: readonly number[]; form: 'dense'; dtype: DType }
  | { name: string; shape: readonly [O: number, C: number]; form: 'nf4' | 'nf4-double'; dtype: Bnb4bitDtype };

/** The file's header, and the place of every tensor in it. */
export function layoutStudent(weights: readonly PackedTensor[]): SafetensorsLayout {
  const specs = weights.flatMap((weight) =>
    weight.form === 'dense' ? [weight] : bnb4bitSpecs(weight.name, weight, weight.form === 'nf4-double'),
  );
  const bare = specs.map(({ name, dtype, shape }) => ({ name, dtype, shape }));
  return layoutSafetensors(inLibraryOrder(bare), { format: 'pt' });
}
