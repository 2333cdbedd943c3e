// madeCheckpoint.ts: a checkpoint of any shape whose bytes are made when they are read, so that a student of billions of
// parameters needs neither disk nor memory: for measuring how weights stream in, and how fast a student will be that is not there yet (measureSpeed.ts). Its numbers repeat; nothing can be learnt
// from them. Real (seeded, all different) random weights are scripts/randomStudent.mjs's.
import { elementCount } from '../base/dtypes';
import { RandomStream } from '../base/random';
import type { ByteSource, OpenFile } from '../formats/byteSource';
import type { JsonObject } from '../formats/jsonText';
import { parseModelConfig } from '../formats/modelConfig';
import { writeSafetensorsParts } from '../formats/safetensorsWrite';
import { encodeFloats } from '../formats/tensorBytes';
import { parameterShapes } from '../model/parameterShapes';

export type MadeDtype = 'f32' | 'f16' | 'bf16';

/** Numbers until they repeat: more than any block of a quantiser, and a divisor of no usual width. */
const PERIOD_ELEMENTS = 2 ** 20 - 8;

/**
 * The files of a made checkpoint (`config.json`, `model.safetensors`): all weights are normal(0, 0.02), from one seeded table
 * that is entered where a tensor's bytes lie in the file.
 */
export function madeCheckpoint(
  config: JsonObject,
  dtype: MadeDtype,
): { sizeBytes: number; parameters: number; open: OpenFile } {
  const { matrices, vectors } = parameterShapes(parseModelConfig(config));
  const specs = [...matrices, ...vectors].map(({ name, shape }) => ({ name, dtype, shape }));
  const { header, totalBytes } = writeSafetensorsParts(specs, () =>
    Promise.reject(new Error('madeCheckpoint: only the header is written, weights are made where they are read')),
  );
  const random = new RandomStream(1, 'made checkpoint');
  const values = Float32Array.from({ length: PERIOD_ELEMENTS }, () => 0.02 * random.nextNormal());
  const period = encodeFloats(values, dtype);
  const weights: ByteSource = {
    name: 'model.safetensors',
    size: totalBytes,
    read: (start, end) => {
      const out = new Uint8Array(end - start);
      let at = start;
      if (at < header.length) {
        const part = header.subarray(at, Math.min(end, header.length));
        out.set(part);
        at += part.length;
      }
      while (at < end) {
        const from = (at - header.length) % period.length;
        const count = Math.min(end - at, period.length - from);
        out.set(period.subarray(from, from + count), at - start);
        at += count;
      }
      return Promise.resolve(out);
    },
  };
  const text = new TextEncoder().encode(JSON.stringify(config));
  const json: ByteSource = {
    name: 'config.json',
    size: text.length,
    read: (start, end) => Promise.resolve(text.subarray(start, end)),
  };
  const files: Readonly<Record<string, ByteSource>> = { 'config.json': json, 'model.safetensors': weights };
  return {
    sizeBytes: totalBytes,
    parameters: specs.reduce((sum, { shape }) => sum + elementCount(shape), 0),
    open: (path) => Promise.resolve(files[path]),
  };
}
