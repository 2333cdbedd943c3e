// decode.test.ts: the decode kernels on this machine's adapter against reference/decode.ts, and what their wrapper refuses.
import { expect, it } from 'vitest';
import { decodeStored, refusedElement } from '../../src/kernels/decode';
import { decodeCases } from '../../src/selfcheck/cases/decode';
import { testGpu } from './device';
import { testFamily } from './family';

testFamily(decodeCases);

it('a chunk that does not hold as many elements, or a y that is too small, is refused', async () => {
  const gpu = await testGpu();
  const arena = gpu.arena('decode');
  const stored = arena.tensor('stored', [64], 'u32');
  const chunk = arena.tensor('chunk', [2], 'u32');
  const y = arena.tensor('y', [64]);
  expect(() => decodeStored(gpu, { stored, chunk, y }, { dtype: 'f32', elements: 65 })).toThrow(/65 elements of f32/);
  expect(() => decodeStored(gpu, { stored, chunk, y }, { dtype: 'bf16', elements: 65 })).toThrow(/y must hold 65/);
  arena.destroy();
});

it('the refused element is told from none', () => {
  expect(refusedElement(0)).toBeUndefined();
  expect(refusedElement(0xffffffff)).toBe(0);
  expect(refusedElement(0xffffffff - 300)).toBe(300);
});
