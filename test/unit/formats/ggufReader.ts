// ggufReader.ts: reads and validates GGUF by the specification's text alone (ggml, docs/gguf.md, version 3), sharing nothing
// with the writer: what the writer gets wrong is not wrong here in the same way. Tests only.
import { expect } from 'vitest';

export interface ReadTensor {
  /** As in the file: the fastest dimension first. */
  dims: number[];
  type: number;
  bytes: Uint8Array;
}

export interface ReadGguf {
  metadata: Map<string, { type: number; value: unknown }>;
  tensors: Map<string, ReadTensor>;
}

const SIZES: Record<number, number> = { 0: 4, 1: 2, 30: 2 }; // ggml_type F32, F16, BF16

/** Throws (by expect) at anything that the specification forbids. */
export function readGguf(file: Uint8Array): ReadGguf {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  let at = 0;
  const take = (count: number): number => {
    const start = at;
    at += count;
    if (at > file.byteLength) throw new Error('the file ends inside its header'); // not expect: there are many strings
    return start;
  };
  const u64 = (): number => Number(view.getBigUint64(take(8), true));
  const u32 = (): number => view.getUint32(take(4), true);
  const string = (): string => {
    const length = u64();
    const start = take(length);
    return new TextDecoder('utf-8', { fatal: true }).decode(file.subarray(start, start + length));
  };
  const value = (type: number): unknown => {
    switch (type) {
      case 0:
        return view.getUint8(take(1));
      case 4:
        return u32();
      case 5:
        return view.getInt32(take(4), true);
      case 6:
        return view.getFloat32(take(4), true);
      case 7: {
        const byte = view.getUint8(take(1));
        expect([0, 1]).toContain(byte);
        return byte === 1;
      }
      case 8:
        return string();
      case 9: {
        const inner = u32();
        return Array.from({ length: u64() }, () => value(inner));
      }
      case 10:
        return u64();
      default:
        throw new Error(`a value of type ${type}`);
    }
  };
  expect(new TextDecoder().decode(file.subarray(take(4), 4))).toBe('GGUF');
  expect(u32()).toBe(3);
  const [tensorCount, keyCount] = [u64(), u64()];
  const metadata: ReadGguf['metadata'] = new Map();
  for (let i = 0; i < keyCount; i++) {
    const key = string();
    expect(key).toMatch(/^[a-z0-9_]+(\.[a-z0-9_]+)*$/);
    expect(metadata.has(key), key).toBe(false);
    const type = u32();
    metadata.set(key, { type, value: value(type) });
  }
  const alignment = (metadata.get('general.alignment')?.value as number | undefined) ?? 32;
  const infos = Array.from({ length: tensorCount }, () => {
    const name = string();
    expect(name.length).toBeLessThanOrEqual(63); // ggml keeps names in 64 bytes with a NUL
    const dims = Array.from({ length: u32() }, u64);
    expect(dims.length).toBeLessThanOrEqual(4);
    return { name, dims, type: u32(), offset: u64() };
  });
  const data = Math.ceil(at / alignment) * alignment;
  expect(file.subarray(at, data).every((byte) => byte === 0)).toBe(true);
  const tensors: ReadGguf['tensors'] = new Map();
  let end = 0;
  for (const { name, dims, type, offset } of infos) {
    expect(offset % alignment, name).toBe(0);
    expect(offset, `${name} overlaps or leaves a hole`).toBe(Math.ceil(end / alignment) * alignment);
    end = offset + dims.reduce((product, size) => product * size, 1) * SIZES[type]!;
    expect(data + end).toBeLessThanOrEqual(file.byteLength);
    expect(tensors.has(name), name).toBe(false);
    tensors.set(name, { dims, type, bytes: file.subarray(data + offset, data + end) });
  }
  const rest = file.subarray(data + end);
  expect(rest.byteLength).toBeLessThan(alignment);
  expect(rest.every((byte) => byte === 0)).toBe(true);
  return { metadata, tensors };
}

/** A tensor's elements. */
export function elementsOf({ type, bytes }: ReadTensor): Float64Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const out = new Float64Array(bytes.byteLength / SIZES[type]!);
  for (let i = 0; i < out.length; i++) {
    if (type === 0) out[i] = view.getFloat32(4 * i, true);
    else if (type === 1) out[i] = half(view.getUint16(2 * i, true));
    else {
      const word = new DataView(new ArrayBuffer(4));
      word.setUint16(0, view.getUint16(2 * i, true));
      out[i] = word.getFloat32(0);
    }
  }
  return out;
}

function half(bits: number): number {
  const [exponent, fraction] = [(bits >> 10) & 31, bits & 1023];
  const size = exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25);
  return bits & 0x8000 ? -size : size;
}

/** All bytes of a file that is written in parts. */
export async function collect(parts: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const piece of parts) pieces.push(piece.slice());
  return new Uint8Array(Buffer.concat(pieces));
}
