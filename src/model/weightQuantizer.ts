// weightQuantizer.ts: a weight that streams in becomes NF4 on the GPU: chunk by chunk, then, with double quantisation, its
// scales; and NF4 weights are read back as bitsandbytes stores them. It reads no files.
import { elementCount } from '../base/dtypes';
import type { PupilError } from '../base/errors';
import { NF4_BLOCK, NF4_NESTED_BLOCK } from '../base/nf4';
import type { Bnb4bitDtype } from '../formats/bnb4bit';
import type { StoredNf4 } from '../formats/weightSink';
import { Recorder } from '../gpu/commands';
import type { Gpu } from '../gpu/device';
import { view, type Arena, type Tensor } from '../gpu/tensor';
import { absmaxScratch, nf4QuantizeAbsmax, nf4QuantizeChunk } from '../kernels/quantize';
import type { Nf4Weight } from '../kernels/weights';
import type { StoredDtype } from '../reference/decode';
import type { WeightStream } from './weightStream';

const blocksOf = (elements: number): number => Math.ceil(elements / NF4_BLOCK);

/** Bytes of scratch that a {@link WeightQuantizer} takes for double quantisation. */
export function quantizerBytes(largestElements: number): number {
  const blocks = blocksOf(largestElements);
  return 4 * blocks + 4 * absmaxScratch(blocks).elements;
}

export class WeightQuantizer {
  /** absmax in f32 of the weight at hand, before these are quantised themselves; made when first needed. */
  private absmax: Tensor | undefined;
  private readonly arena: Arena;

  /** @param largestElements of any weight to come */
  constructor(
    private readonly gpu: Gpu,
    private readonly stream: WeightStream,
    private readonly largestElements: number,
  ) {
    this.arena = gpu.arena('quantise');
  }

  /**
   * Quantises the chunk that begins at element `first` of the weight; one weight after the other, its chunks in order.
   * @param refused the error for an element of the weight that is not finite; thrown here or by a later call, see WeightStream
   */
  async push(
    weight: Nf4Weight,
    dtype: StoredDtype,
    first: number,
    bytes: Uint8Array,
    refused: (element: number) => Promise<PupilError>,
  ): Promise<void> {
    const elements = bytes.byteLength / (dtype === 'f32' ? 4 : 2);
    const absmax = this.absmaxOf(weight);
    await this.stream.push(bytes, {
      elements,
      commands: (chunk) => nf4QuantizeChunk(this.gpu, { ...chunk, absmax }, { weight, dtype, first, elements }),
      refused: (element) => refused(first + element),
    });
  }

  /** After a weight's last chunk. */
  async finish(weight: Nf4Weight): Promise<void> {
    if (weight.nested === undefined) return;
    const scratch = this.gpu.arena('absmax');
    try {
      const commands = nf4QuantizeAbsmax(this.gpu, { absmax: this.absmaxOf(weight) }, { weight, arena: scratch });
      await this.gpu.settled();
      new Recorder(this.gpu, 'quantise absmax').add(...commands).submit();
    } finally {
      scratch.destroy();
    }
  }

  destroy(): void {
    this.arena.destroy();
  }

  private absmaxOf(weight: Nf4Weight): Tensor {
    if (weight.nested === undefined) return weight.absmax;
    this.absmax ??= this.arena.tensor('absmax f32', [blocksOf(this.largestElements)]);
    return view(this.absmax, 0, [blocksOf(elementCount(weight.shape))]);
  }
}

/** Bytes of a tensor, read through staging of at most `pieceBytes` (a multiple of 4). */
async function readPieces(gpu: Gpu, tensor: Tensor, sizeBytes: number, pieceBytes: number): Promise<Uint8Array> {
  const out = new Uint8Array(Math.ceil(sizeBytes / 4) * 4);
  for (let at = 0; at < out.length; at += pieceBytes) {
    const words = Math.min(pieceBytes, out.length - at) / 4;
    const bytes = { ...tensor, dtype: 'u32' as const, sizeBytes: out.length };
    out.set(new Uint8Array(await gpu.read(view(bytes, at / 4, [words]))), at);
  }
  return out.subarray(0, sizeBytes);
}

/**
 * An NF4 weight as bitsandbytes lays it out on disk.
 * @param options dtype the weight had before; pieceBytes, the most that is staged on the GPU at once
 */
export async function readStoredNf4(
  gpu: Gpu,
  weight: Nf4Weight,
  options: { dtype: Bnb4bitDtype; pieceBytes: number },
): Promise<StoredNf4> {
  const { shape, nested } = weight;
  const { dtype, pieceBytes } = options;
  const elements = elementCount(shape);
  const blocks = blocksOf(elements);
  const bytes = (tensor: Tensor, size: number): Promise<Uint8Array> => readPieces(gpu, tensor, size, pieceBytes);
  const floats = async (tensor: Tensor, count: number): Promise<Float32Array> =>
    new Float32Array((await bytes(tensor, 4 * count)).buffer as ArrayBuffer, 0, count);
  const packed = await bytes(weight.packed, Math.ceil(elements / 2));
  const common = { packed, shape, blockSize: NF4_BLOCK, dtype } as const;
  if (nested === undefined) return { ...common, absmax: await floats(weight.absmax, blocks) };
  const values = await floats(nested, 257 + Math.ceil(blocks / NF4_NESTED_BLOCK));
  return {
    ...common,
    absmax: {
      codes: await bytes(weight.absmax, blocks),
      nestedMap: values.slice(0, 256),
      offset: values[256]!,
      nestedAbsmax: values.slice(257),
    },
  };
}
