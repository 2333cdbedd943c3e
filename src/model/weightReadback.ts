// weightReadback.ts: one loaded weight handed to a sink: a dense one as its checkpoint stores it, an NF4 one read back from the
// GPU as bitsandbytes lays it out.
import { isBnb4bitWeight, readBnb4bitDtype, type Bnb4bitDtype } from '../formats/bnb4bit';
import type { Checkpoint } from '../formats/checkpointIndex';
import type { StoredNf4, WeightSink } from '../formats/weightSink';
import type { Gpu } from '../gpu/device';
import type { LinearWeight, Nf4Weight } from '../kernels/weights';

const PIECE_BYTES = 16 * 2 ** 20;

/** An NF4 weight's bytes, without the padding of the GPU's words. */
export async function readNf4(gpu: Gpu, weight: Nf4Weight, dtype: Bnb4bitDtype): Promise<StoredNf4> {
  const { shape, nested } = weight;
  const elements = shape[0] * shape[1];
  const blocks = Math.ceil(elements / weight.blockSize);
  const packed = new Uint8Array(await gpu.read(weight.packed), 0, Math.ceil(elements / 2));
  const absmax = await gpu.read(weight.absmax);
  const base = { packed, shape, blockSize: 64 as const, dtype };
  if (nested === undefined) return { ...base, absmax: new Float32Array(absmax, 0, blocks) };
  const values = await gpu.readF32(nested); // map, offset, nested absmax
  const codes = new Uint8Array(absmax, 0, blocks);
  return {
    ...base,
    absmax: { codes, nestedMap: values.slice(0, 256), offset: values[256]!, nestedAbsmax: values.slice(257) },
  };
}

export async function pourOut(
  gpu: Gpu,
  checkpoint: Checkpoint,
  name: string,
  weight: LinearWeight | undefined,
  sink: WeightSink,
): Promise<void> {
  const info = checkpoint.info(name);
  if (weight?.kind === 'nf4') {
    const stored = isBnb4bitWeight(checkpoint, name) ? await readBnb4bitDtype(checkpoint, name) : info.dtype;
    await sink.nf4(name, await readNf4(gpu, weight, stored === 'f16' || stored === 'bf16' ? stored : 'f32'));
    return;
  }
  for (let at = 0; at < info.sizeBytes; at += PIECE_BYTES) {
    const end = Math.min(info.sizeBytes, at + PIECE_BYTES);
    await sink.dense(name, info, at, await checkpoint.readBytes(name, at, end));
  }
}
