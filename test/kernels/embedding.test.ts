// embedding.test.ts: the embedding kernels against their float64 reference on this machine's device, and tables larger than
// one binding.
import { describe, expect, it } from 'vitest';
import { Recorder } from '../../src/gpu/commands';
import { Rows } from '../../src/gpu/rows';
import { embeddingBackward, embeddingForward } from '../../src/kernels/embedding';
import * as reference from '../../src/reference/embedding';
import { embeddingCases } from '../../src/selfcheck/cases/embedding';
import { integers, normals } from '../../src/selfcheck/cases/samples';
import { freshGpu } from './device';
import { testFamily } from './family';

testFamily(embeddingCases);

describe('embedding tables larger than a binding', () => {
  it('forward and backward go through parts of whole rows at (N,V,C)=(40,53,24), 4096 bytes a binding', async () => {
    const gpu = await freshGpu();
    const arena = gpu.arena('embedding test');
    try {
      const [N, V, C] = [40, 53, 24];
      const tableData = normals('table', V * C);
      const ids = integers('ids', N, V);
      const dYData = normals('dY', N * C);
      const rows = new Rows(gpu, arena, 'test', N);
      rows.set(N);
      const bind = {
        ids: arena.upload('ids', [N], 'u32', Uint32Array.from(ids)),
        table: arena.upload('table', [V, C], 'f32', Float32Array.from(tableData)),
        y: arena.tensor('y', [N, C]),
        dY: arena.upload('dY', [N, C], 'f32', Float32Array.from(dYData)),
        dTable: arena.tensor('dTable', [V, C]),
      };
      const bindable = gpu.limits.maxStorageBufferBindingSize;
      gpu.limits.maxStorageBufferBindingSize = 4096; // y and dY (3840 bytes) still fit, the table (5088) does not
      const commands = [...embeddingForward(gpu, bind, { rows }), ...embeddingBackward(gpu, bind, { rows })];
      gpu.limits.maxStorageBufferBindingSize = bindable;
      expect(commands.length).toBe(4);
      await gpu.settled();
      new Recorder(gpu, 'embedding').add(...commands).submit();
      expect(Array.from(await gpu.readF32(bind.y))).toEqual(Array.from(reference.embeddingForward(ids, tableData, C)));
      const dTable = await gpu.readF32(bind.dTable);
      reference.embeddingBackward(ids, dYData, V, C).forEach((value, i) => expect(dTable[i]).toBeCloseTo(value, 5));
    } finally {
      arena.destroy();
    }
  });
});
