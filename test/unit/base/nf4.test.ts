// Claims about base/nf4.ts: the constant tables equal, bit for bit, those in files written by bitsandbytes; a weight gets the
// nearest level; a block is rounded as reference/ rounds a whole tensor (which golden/nf4.test.ts holds against bitsandbytes).
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  createDynamicMap,
  NF4_BLOCK,
  NF4_CODES,
  NF4_THRESHOLDS,
  nf4CodeOf,
  nf4QuantizeBlock,
  nf4Value,
} from '../../../src/base/nf4';
import { RandomStream } from '../../../src/base/random';
import { nf4Code, nf4Dequantize, nf4Quantize } from '../../../src/reference/nf4';

/** A tensor of a golden file by a minimal reading of its own, so that this test leans on no other code of ours. */
function goldenF32(path: string, name: string): Float32Array {
  const bytes = readFileSync(path);
  const headerLength = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.subarray(8, 8 + headerLength).toString('utf8')) as Record<
    string,
    { dtype: string; data_offsets: [number, number] }
  >;
  const entry = header[name]!;
  expect(entry.dtype).toBe('F32');
  return new Float32Array(
    bytes.buffer.slice(
      bytes.byteOffset + 8 + headerLength + entry.data_offsets[0],
      bytes.byteOffset + 8 + headerLength + entry.data_offsets[1],
    ),
  );
}

const STATE = 'test/fixtures/golden/nf4/linear4bit_double_state_dict.safetensors';

describe('NF4 tables', () => {
  it('the 16 codes equal quant_map of a bitsandbytes file bit for bit', () => {
    expect(Array.from(NF4_CODES)).toEqual(Array.from(goldenF32(STATE, 'weight.quant_map')));
  });

  it('the dynamic 8-bit map equals nested_quant_map of a bitsandbytes file bit for bit', () => {
    const golden = goldenF32(STATE, 'weight.nested_quant_map');
    const map = createDynamicMap();
    expect(map).toHaveLength(256);
    expect(Array.from(map)).toEqual(Array.from(golden));
    const other = goldenF32('test/fixtures/golden/nf4/expected.safetensors', 'normal_256x128.double.nested_code');
    expect(Array.from(map)).toEqual(Array.from(other));
  });
});

describe('the rounding of NF4', () => {
  it('is to the nearest level, a tie to the lower one', () => {
    const random = new RandomStream(3, 'nf4 rounding');
    for (let i = 0; i < 1000; i++) {
      const scaled = Math.fround(2.2 * random.nextUnit() - 1.1);
      const distances = [...NF4_CODES].map((level) => Math.abs(level - scaled));
      expect(nf4CodeOf(scaled)).toBe(distances.indexOf(Math.min(...distances)));
    }
    NF4_THRESHOLDS.forEach((threshold, code) => {
      expect(nf4CodeOf(threshold)).toBe(code);
      expect(nf4CodeOf(threshold + 2 ** -24)).toBe(code + 1);
    });
    NF4_CODES.forEach((level, code) => expect(nf4CodeOf(level)).toBe(code));
  });

  it('of a block is that of the same 64 weights in a tensor, to the last bit', () => {
    const random = new RandomStream(4, 'nf4 block');
    const tensor = Float32Array.from({ length: 3 * NF4_BLOCK + 5 }, () => random.nextNormal() * 0.02);
    tensor[70] = 1.5; // an outlier
    const { packed, absmax } = nf4Quantize(tensor);
    const restored = nf4Dequantize(packed, absmax, tensor.length);
    for (let start = 0; start < tensor.length; start += NF4_BLOCK) {
      const block = nf4QuantizeBlock(tensor.slice(start, start + NF4_BLOCK));
      expect(block.absmax).toBe(absmax[start / NF4_BLOCK]);
      block.codes.forEach((code, i) => {
        expect(code).toBe(nf4Code(packed, start + i));
        expect(nf4Value(code, block.absmax)).toBe(restored[start + i]);
      });
    }
  });

  it('gives zeros the code of 0', () => {
    expect(nf4QuantizeBlock(new Float32Array(4))).toEqual({ absmax: 0, codes: new Uint8Array([7, 7, 7, 7]) });
    expect(nf4Value(7, 0)).toBe(0);
  });
});
