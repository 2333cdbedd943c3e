// Claims about base/nf4.ts: the constant tables equal, bit for bit, those in files written by bitsandbytes.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { createDynamicMap, NF4_CODES } from '../../../src/base/nf4';

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
