// weightReads.ts: one weight of a student from its checkpoint to the GPU, as a list of reads of bounded pieces and what is to
// be done with each: stored dense, quantised to NF4, or copied where a bnb-4bit checkpoint has it so already. Which weights
// there are, and in which order the reads are made and used, is studentLoading.ts.
import { DTYPE_BYTES, elementCount, type DType } from '../base/dtypes';
import { PupilError } from '../base/errors';
import { readBnb4bitScales, type Bnb4bitScales } from '../formats/bnb4bit';
import type { Checkpoint } from '../formats/checkpointIndex';
import type { TensorInfo } from '../formats/safetensors';
import { decodeF32Into } from '../formats/tensorBytes';
import type { WeightSink } from '../formats/weightSink';
import type { Gpu } from '../gpu/device';
import { view, type Arena, type Tensor } from '../gpu/tensor';
import { decodeStored } from '../kernels/decode';
import type { Nf4Weight } from '../kernels/weights';
import type { StoredDtype } from '../reference/decode';
import { refusal } from './studentWeights';
import { readStoredNf4, type WeightQuantizer } from './weightQuantizer';
import type { WeightStream } from './weightStream';

/** What all reads of one load share. */
export interface LoadContext {
  readonly gpu: Gpu;
  readonly checkpoint: Checkpoint;
  readonly stream: WeightStream;
  readonly quantizer: WeightQuantizer;
  readonly sink: WeightSink | undefined;
}

/** What was read, and what remains to be done with it. Steps are done in the order of their reads, one after the other. */
export interface LoadStep {
  /** Parameters of the student that are on their way then. */
  readonly elements: number;
  run(): Promise<void>;
}

/** One read of at most a chunk. Reads may overlap. */
export type WeightRead = () => Promise<LoadStep>;

interface Piece {
  /** The piece's first element in its tensor. */
  readonly first: number;
  readonly elements: number;
  readonly startByte: number;
  readonly endByte: number;
  readonly last: boolean;
}

/** A tensor in pieces that fit a chunk, and begin where a chunk may. F64 counts as the F32 that it is rounded to. */
function* piecesOf({ checkpoint, stream }: LoadContext, name: string): Generator<Piece> {
  const { dtype, shape } = checkpoint.info(name);
  const total = elementCount(shape);
  const width = DTYPE_BYTES[dtype];
  const step = stream.capacity / Math.min(4, width);
  for (let first = 0; first < total; first += step) {
    const elements = Math.min(step, total - first);
    const startByte = first * width;
    yield { first, elements, startByte, endByte: startByte + elements * width, last: first + elements === total };
  }
}

/** The bytes in a dtype that the kernels read: F64 is rounded to F32 here. */
function storedBytes(bytes: Uint8Array, dtype: DType): { bytes: Uint8Array; dtype: StoredDtype } {
  if (dtype === 'f32' || dtype === 'f16' || dtype === 'bf16') return { bytes, dtype };
  const values = new Float32Array(bytes.byteLength / DTYPE_BYTES[dtype]);
  decodeF32Into(values, 0, bytes, dtype);
  return { bytes: new Uint8Array(values.buffer), dtype: 'f32' };
}

/**
 * Gives bytes back that are needed no more, where they are nobody else's: a browser would keep hundreds of megabytes of them
 * until it collects. Where the platform cannot (Node 20), collection does it.
 */
function release({ fresh }: TensorInfo, bytes: Uint8Array): void {
  const buffer = bytes.buffer as ArrayBuffer & { transfer?: (length: number) => ArrayBuffer };
  if (fresh === true) buffer.transfer?.(0);
}

/**
 * A tensor that is stored dense.
 * @param make the place for it (f32 or f16, of the tensor's shape), asked for when its first bytes are there
 * @param offset added to every element, of f32 places only
 */
export function* denseReads(context: LoadContext, name: string, make: () => Tensor, offset = 0): Generator<WeightRead> {
  const { gpu, checkpoint, stream, sink } = context;
  const info = checkpoint.info(name);
  let whole: Tensor | undefined;
  for (const { first, elements, startByte, endByte } of piecesOf(context, name)) {
    yield async () => {
      const bytes = await checkpoint.readBytes(name, startByte, endByte);
      const run = async (): Promise<void> => {
        whole ??= make();
        const stored = storedBytes(bytes, info.dtype);
        const y = view(whole, first, [elements]);
        await stream.push(stored.bytes, {
          elements,
          commands: (chunk) => decodeStored(gpu, { ...chunk, y }, { dtype: stored.dtype, elements, offset }),
          refused: (element) => refusal(checkpoint, name, first + element),
        });
        if (sink === undefined) release(info, bytes);
        else await sink.dense(name, info, startByte, bytes); // and may keep them
      };
      return { elements, run };
    };
  }
}

/**
 * A weight that is quantised here.
 * @param make the empty weight, asked for when its first bytes are there
 */
export function* quantizedReads(context: LoadContext, name: string, make: () => Nf4Weight): Generator<WeightRead> {
  const { gpu, checkpoint, stream, quantizer, sink } = context;
  const info = checkpoint.info(name);
  let weight: Nf4Weight | undefined;
  for (const { first, elements, startByte, endByte, last } of piecesOf(context, name)) {
    yield async () => {
      const bytes = await checkpoint.readBytes(name, startByte, endByte);
      const run = async (): Promise<void> => {
        weight ??= make();
        const stored = storedBytes(bytes, info.dtype);
        await quantizer.push(weight, stored.dtype, first, stored.bytes, (element) =>
          refusal(checkpoint, name, element),
        );
        release(info, bytes);
        if (!last) return;
        await quantizer.finish(weight);
        if (sink === undefined) return;
        await stream.finish(); // what was refused of it is known before the sink sees it
        await sink.nf4(name, await readStoredNf4(gpu, weight, { dtype: stored.dtype, pieceBytes: stream.capacity }));
      };
      return { elements, run };
    };
  }
}

/**
 * A weight that a bnb-4bit checkpoint holds in NF4: copied as it is.
 * @param done called with the weight before its bytes are there
 */
export function* bnb4bitReads(
  context: LoadContext,
  arena: Arena,
  name: string,
  shape: readonly [number, number],
  done: (weight: Nf4Weight) => void,
): Generator<WeightRead> {
  const { checkpoint, stream, sink } = context;
  const total = elementCount(shape);
  let weight: Nf4Weight | undefined;
  let scales: Bnb4bitScales | undefined;
  const kept = sink === undefined ? undefined : new Uint8Array(Math.ceil(total / 2));
  yield async () => {
    const stored = await readBnb4bitScales(checkpoint, name);
    const run = (): Promise<void> => {
      if (stored.shape[0] !== shape[0] || stored.shape[1] !== shape[1]) {
        throw new PupilError(
          'checkpoint',
          `${checkpoint.name}: "${name}": expected shape [${shape.join(', ')}] from config.json, its quant_state says [${stored.shape.join(', ')}]`,
        );
      }
      scales = stored;
      weight = uploadScales(arena, name, stored);
      done(weight);
      return Promise.resolve();
    };
    return { elements: 0, run };
  };
  const size = Math.ceil(total / 2);
  for (let start = 0; start < size; start += stream.capacity) {
    const end = Math.min(start + stream.capacity, size);
    yield async () => {
      const bytes = await checkpoint.readBytes(name, start, end);
      const run = async (): Promise<void> => {
        await stream.copy(bytes, weight!.packed, start);
        kept?.set(bytes, start);
        release(checkpoint.info(name), bytes);
        if (end === size && sink !== undefined) await sink.nf4(name, { ...scales!, packed: kept! });
      };
      return { elements: Math.min(2 * end, total) - 2 * start, run };
    };
  }
}

/** The weight with its scales, and room for its packed elements. */
function uploadScales(arena: Arena, name: string, { shape, blockSize, absmax }: Bnb4bitScales): Nf4Weight {
  const packed = arena.tensor(`${name} packed`, [Math.ceil(elementCount(shape) / 2)], 'u8');
  const common = { kind: 'nf4' as const, shape, blockSize, packed };
  if (absmax instanceof Float32Array) {
    return { ...common, absmax: arena.upload(`${name} absmax`, [absmax.length], 'f32', absmax) };
  }
  const { codes, nestedAbsmax, nestedMap, offset } = absmax;
  const nested = new Float32Array(257 + nestedAbsmax.length);
  nested.set(nestedMap);
  nested[256] = offset;
  nested.set(nestedAbsmax, 257);
  return {
    ...common,
    absmax: arena.upload(`${name} absmax codes`, [codes.length], 'u8', codes),
    nested: arena.upload(`${name} nested absmax`, [nested.length], 'f32', nested),
  };
}
