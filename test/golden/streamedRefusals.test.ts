// streamedRefusals.test.ts: what a student that streams in is refused for, by name, tensor and element; and that neither loading
// nor refusing holds more than a few chunks, on the GPU or beside it.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { PupilError } from '../../src/base/errors';
import { type ByteSource } from '../../src/formats/byteSource';
import type { WeightSink } from '../../src/formats/weightSink';
import { quantizerBytes } from '../../src/model/weightQuantizer';
import { chunkCapacity, streamBytes } from '../../src/model/weightStream';
import {
  CONFIG,
  CHUNK_BYTES,
  EMBEDDING,
  GATE,
  ELEMENTS,
  tensors,
  open,
  valuesOf,
  gpu,
  load,
  linearOf,
  expectNf4,
} from './streamed';

describe('what is refused', () => {
  const whole = (name: string): number => ELEMENTS[name]!;
  const places = [0, 4095, 4096, 8191, 8192, 8193, -1];
  let current: number;
  let alive: number;
  beforeEach(() => {
    ({ current, buffersAlive: alive } = gpu.account);
  });
  afterEach(() => {
    expect([gpu.account.current, gpu.account.buffersAlive]).toEqual([current, alive]);
  });

  for (const name of [GATE, EMBEDDING] as const) {
    for (const form of ['f32', 'f16', 'bf16'] as const) {
      it(`${form}: NaN and infinity in ${name}, wherever they lie, by the first one's index`, async () => {
        for (const [i, place] of places.entries()) {
          const at = place < 0 ? whole(name) + place : place;
          const [value, later] = i % 2 === 0 ? [NaN, -Infinity] : [-Infinity, NaN];
          const checkpoint = await open(
            tensors(form, (tensor, values) => {
              if (tensor !== name) return;
              values[at] = value;
              values[Math.min(at + 1, values.length - 1)] = at + 1 < values.length ? later : value;
            }),
          );
          for (const quantize of ['none', 'nf4-double'] as const) {
            await expect(load(checkpoint, { quantize })).rejects.toMatchObject({
              code: 'checkpoint',
              message: `pupil: "${name}": element ${at} is ${value}, expected a finite number`,
            });
          }
        }
      });
    }
  }

  it('an F64 number that float32 cannot hold', async () => {
    const parts = tensors('f64').map((part) =>
      part.name === GATE ? { ...part, data: (part.data as Float64Array).with(5000, 1e300) } : part,
    );
    await expect(load(await open(parts))).rejects.toMatchObject({
      message: `pupil: "${GATE}": element 5000 is Infinity, expected a finite number`,
    });
  });

  it('a missing norm, before a byte of the weights is read', async () => {
    const read: [number, number][] = [];
    const watched = (source: ByteSource): ByteSource => ({
      ...source,
      read: (start, end) => (read.push([start, end]), source.read(start, end)),
    });
    const checkpoint = await open(tensors('f16').slice(0, -1), CONFIG, watched);
    const headers = read.length;
    await expect(load(checkpoint)).rejects.toMatchObject({
      message: expect.stringContaining('model.norm.weight') as string,
    });
    expect(read.length).toBe(headers);
  });

  it('a read that fails in the middle: its own error', async () => {
    const failing = (source: ByteSource): ByteSource => ({
      ...source,
      read: (start, end) =>
        start > source.size / 2
          ? Promise.reject(new PupilError('source', 'the cable was cut'))
          : source.read(start, end),
    });
    const checkpoint = await open(tensors('f16'), CONFIG, failing);
    await expect(load(checkpoint, { quantize: 'nf4' })).rejects.toMatchObject({ message: 'the cable was cut' });
  });

  it('a sink that fails: its own error', async () => {
    const sink: WeightSink = { dense: () => Promise.resolve(), nf4: () => Promise.reject(new Error('no room')) };
    await expect(load(await open(tensors('f16')), { quantize: 'nf4', sink })).rejects.toThrow('no room');
  });

  it('a load that is cancelled in the middle of a tensor: it stops there', async () => {
    const stop = new AbortController();
    const seen: number[] = [];
    const onProgress = ({ done }: { done: number }): void => {
      seen.push(done);
      if (done > 5000) stop.abort();
    };
    await expect(load(await open(tensors('f32')), { onProgress, signal: stop.signal })).rejects.toMatchObject({
      code: 'cancelled',
    });
    expect(seen).toEqual([4096, 8192]);
  });
});

describe('what is held', () => {
  it.each(['none', 'nf4', 'nf4-double'] as const)(
    '%s: at most five pieces in memory, and on the GPU what the plan says',
    async (quantize) => {
      let held = 0;
      let most = 0;
      const counted = (source: ByteSource): ByteSource => ({
        ...source,
        async read(start, end) {
          most = Math.max(most, ++held);
          expect(end - start).toBeLessThanOrEqual(CHUNK_BYTES);
          await new Promise((resolve) => setTimeout(resolve, 1));
          return source.read(start, end);
        },
      });
      const checkpoint = await open(tensors('f16'), CONFIG, counted);
      [held, most] = [0, 0];
      gpu.account.restartPeak();
      const before = gpu.account.current;
      const onProgress = (): void => void held--;
      const student = await load(checkpoint, { quantize, onProgress });
      expect(held).toBe(0);
      expect(most).toBe(5); // one in use, four ahead
      const beside = gpu.account.peak - before - student.sizeBytes;
      const bound = streamBytes(ELEMENTS[EMBEDDING]!, CHUNK_BYTES);
      expect(beside).toBeLessThanOrEqual(bound + (quantize === 'nf4-double' ? quantizerBytes(ELEMENTS[GATE]!) : 0));
      expect(gpu.account.current - before).toBe(student.sizeBytes);
      student.destroy();
    },
  );

  it('memory of its own is given back when it has been used; memory of others, and what a sink may keep, is not', async () => {
    const prototype = ArrayBuffer.prototype as { transfer?: (length: number) => ArrayBuffer };
    const given = vi.fn(function (this: ArrayBuffer) {
      return structuredClone(this, { transfer: [this] });
    });
    const own = prototype.transfer;
    prototype.transfer = given; // Node 20 has none
    try {
      const read: Uint8Array[] = [];
      const fresh = (source: ByteSource): ByteSource => ({
        ...source,
        fresh: true,
        async read(start, end) {
          const bytes = (await source.read(start, end)).slice();
          read.push(bytes);
          return bytes;
        },
      });
      const checkpoint = await open(tensors('f16'), CONFIG, fresh);
      read.length = 0;
      const student = await load(checkpoint, { quantize: 'nf4' });
      expect(read.length).toBeGreaterThan(10);
      expect(read.filter((bytes) => bytes.byteLength > 0)).toEqual([]);
      for (const [name, weight] of linearOf(student))
        await expectNf4(name, weight, (await valuesOf(checkpoint)).get(name)!);
      student.destroy();

      const kept: Uint8Array[] = [];
      const sink: WeightSink = {
        dense: (_name, _info, _start, bytes) => Promise.resolve(void kept.push(bytes)),
        nf4: () => Promise.resolve(),
      };
      (await load(checkpoint, { quantize: 'nf4', sink })).destroy();
      expect(kept.every((bytes) => bytes.byteLength > 0)).toBe(true);

      given.mockClear();
      (await load(await open(tensors('f16')), { quantize: 'nf4' })).destroy();
      expect(given).not.toHaveBeenCalled();
    } finally {
      if (own === undefined) delete prototype.transfer;
      else prototype.transfer = own;
    }
  });

  it('a chunk is as long as asked for, or as the largest tensor needs', () => {
    expect(chunkCapacity(1)).toBe(16_384);
    expect(chunkCapacity(4097)).toBe(32_768);
    expect(chunkCapacity(10 ** 9)).toBe(4 * 2 ** 20);
    expect(chunkCapacity(10 ** 9, 50_000)).toBe(49_152);
    expect(chunkCapacity(10 ** 9, 1)).toBe(16_384);
  });
});
