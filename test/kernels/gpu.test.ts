// gpu.test.ts: the floor under all kernels: the account of bytes, tensors, slices of rows, bindings by name, pipelines,
// readback and timing. Acquiring devices and what their failures look like is in device.test.ts; that every shader is
// used and tested is in shaders.test.ts.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ClearCommand, CopyCommand, Dispatch, linearGrid, Recorder } from '../../src/gpu/commands';
import { kernelSource } from '../../src/gpu/pipelines';
import { StagingRing } from '../../src/gpu/readback';
import { Rows } from '../../src/gpu/rows';
import { expectTensor, view, type Arena, type Tensor } from '../../src/gpu/tensor';
import { testGpu } from './device';

/** y[r] += x[r], and which slice wrote it: first row, end, count and capacity as the kernel saw them. */
const TRACE = kernelSource(
  'trace_rows',
  `
struct RowSlice { first: u32, end: u32, count: u32, capacity: u32 }
@group(0) @binding(0) var<uniform> rows: RowSlice;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<storage, read_write> seen: array<vec4<u32>>;
// @group(0) @binding(4) var<storage, read> a_comment: array<f32>;
@compute @workgroup_size(1)
fn trace_rows(@builtin(workgroup_id) workgroup: vec3<u32>) {
  let r = rows.first + workgroup.x;
  if (r >= rows.end) { return; }
  y[r] += x[r];
  seen[r] = vec4<u32>(rows.first, rows.end, rows.count, rows.capacity);
}`,
);
const SCALE = kernelSource(
  'scale',
  `
override factor: f32;
@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(64)
fn scale(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x < arrayLength(&y)) { y[id.x] = y[id.x] * factor; }
}`,
);
const grid = (rows: number): [number, number, number] => [rows, 1, 1];

const gpu = await testGpu();
let arena: Arena;
beforeAll(() => {
  arena = gpu.arena('gpu.test');
});
afterAll(() => arena?.destroy());

const floats = (label: string, values: number[]): Tensor =>
  arena.upload(label, [values.length], 'f32', Float32Array.from(values));

describe('the account of bytes', () => {
  it('counts what arenas take, at most and by name, and gives it back once', () => {
    const { account } = gpu;
    const [current, created, alive] = [account.current, account.buffersCreated, account.buffersAlive];
    const one = gpu.arena('one');
    const two = gpu.arena('two');
    one.tensor('a', [3, 5]); // 60 bytes
    one.tensor('b', [5], 'u8'); // 5, padded to 8
    two.tensor('c', [7], 'f16'); // 14, padded to 16
    two.tensor('empty', [0]); // 4, the smallest buffer
    expect([one.sizeBytes, two.sizeBytes]).toEqual([68, 20]);
    expect(account.current - current).toBe(88);
    expect(account.entries()).toEqual(
      expect.arrayContaining([
        ['one', 68],
        ['two', 20],
      ]),
    );
    const peak = account.peak;
    expect(peak).toBeGreaterThanOrEqual(account.current);
    one.destroy();
    one.destroy();
    expect(account.current - current).toBe(20);
    expect(account.entries().map(([label]) => label)).not.toContain('one');
    two.destroy();
    expect([account.current, account.buffersAlive, account.peak]).toEqual([current, alive, peak]);
    expect(account.buffersCreated - created).toBe(4);
    expect(() => one.tensor('late', [1])).toThrow(expect.objectContaining({ code: 'gpu-validation' }));
  });

  it('the peak rises with what is held at once, not with what was taken in turn', () => {
    const size = gpu.account.peak - gpu.account.current + 64;
    for (let i = 0; i < 3; i++) {
      const turn = gpu.arena('turn');
      turn.buffer('x', size, GPUBufferUsage.COPY_DST);
      turn.destroy();
    }
    expect(gpu.account.peak - gpu.account.current).toBe(Math.ceil(size / 4) * 4);
  });

  it('reading a tensor back leaves nothing behind', async () => {
    const x = floats('x', [1, 2, 3]);
    const before = [gpu.account.current, gpu.account.buffersAlive];
    expect([...(await gpu.readF32(x))]).toEqual([1, 2, 3]);
    expect([gpu.account.current, gpu.account.buffersAlive]).toEqual(before);
  });

  it('a buffer above maxBufferSize is refused with both numbers, and not counted', () => {
    const most = gpu.limits.maxBufferSize;
    const size = Math.ceil((most + 1) / 4) * 4;
    const before = gpu.account.current;
    expect(() => arena.buffer('huge', size, GPUBufferUsage.STORAGE)).toThrow(
      expect.objectContaining({
        code: 'gpu-limit',
        message: expect.stringMatching(new RegExp(`gpu.test/huge: .*${size} .*${most}`)) as string,
      }),
    );
    expect(gpu.account.current).toBe(before);
  });

  it.each([[[-1]], [[2.5]], [[3, NaN]]])('sizes %j are no shape', (shape) => {
    expect(() => arena.tensor('x', shape)).toThrow(expect.objectContaining({ code: 'shape' }));
  });
});

describe('tensors', () => {
  it('a view shares the buffer at its offset; past the end, or off a word, it is refused', async () => {
    const x = floats('x', [0, 1, 2, 3, 4, 5]);
    expect([...(await gpu.readF32(view(x, 2, [2, 2])))]).toEqual([2, 3, 4, 5]);
    expect(() => view(x, 3, [2, 2])).toThrow(expect.objectContaining({ code: 'shape' }));
    expect(() => view(x, 1, [2], 'bytes', 'u8')).toThrow(expect.objectContaining({ code: 'shape' }));
  });

  it('bytes that fill no whole word are written; more than fit are refused', async () => {
    const bytes = arena.upload('bytes', [5], 'u8', Uint8Array.of(1, 2, 3, 4, 5));
    expect([...new Uint8Array(await gpu.read(bytes))]).toEqual([1, 2, 3, 4, 5, 0, 0, 0]);
    expect(() => gpu.write(bytes, new Uint8Array(9))).toThrow(expect.objectContaining({ code: 'shape' }));
  });

  it('expectTensor names what was expected and what came', () => {
    const x = arena.tensor('weights', [3, 5]);
    expect(() => expectTensor('op', 'x', x, [-1, 5], 'f32')).not.toThrow();
    for (const [shape, dtype] of [
      [[3, 4], 'f32'],
      [[15], 'f32'],
      [[3, 5], 'u32'],
    ] as const)
      expect(() => expectTensor('op', 'x', x, shape, dtype)).toThrow(/op: x must be .* got \(3, 5\) f32 \("weights"\)/);
  });

  it('clearing and copying touch the bytes of their tensors only', async () => {
    const from = floats('from', [1, 2, 3, 4]);
    const to = floats('to', new Array<number>(70).fill(9));
    new Recorder(gpu, 'copy')
      .add(new ClearCommand(view(to, 1, [2])), new CopyCommand(view(from, 1, [2]), view(to, 4, [3])))
      .submit();
    expect([...(await gpu.readF32(to))].slice(0, 8)).toEqual([9, 0, 0, 9, 2, 3, 9, 9]);
    expect(() => new CopyCommand(to, from)).toThrow(expect.objectContaining({ code: 'shape' }));
  });
});

describe('rows', () => {
  async function trace(count: number, rowsPerSlice?: number) {
    const rows = new Rows(gpu, arena, 'traced', 12);
    const x = floats(
      'x',
      Array.from({ length: 12 }, (_, r) => 0.1 * (r + 1)),
    );
    const y = floats('y', new Array<number>(12).fill(7));
    const seen = arena.tensor('seen', [12, 4], 'u32');
    const options = rowsPerSlice === undefined ? {} : { rowsPerSlice };
    const dispatch = new Dispatch(gpu, TRACE, { bind: { x, y, seen }, rows, grid, ...options });
    rows.set(count); // after the dispatch was made: counts are data
    await gpu.settled();
    const recorder = new Recorder(gpu, 'trace').add(dispatch);
    recorder.submit();
    const saw = await gpu.readU32(seen);
    return {
      y: [...(await gpu.readF32(y))],
      slices: Array.from({ length: 12 }, (_, r) => [...saw.subarray(4 * r, 4 * r + 4)].join(' ')),
      dispatches: recorder.dispatches,
    };
  }

  it('10 rows in slices of 3 are 4 dispatches and give bit for bit what one dispatch gives', async () => {
    const whole = await trace(10);
    const sliced = await trace(10, 3);
    expect([whole.dispatches, sliced.dispatches]).toEqual([1, 4]);
    expect(sliced.y).toEqual(whole.y);
    expect(whole.y.slice(9)).toEqual([Math.fround(7 + Math.fround(0.1 * 10)), 7, 7]);
    expect(whole.slices).toEqual([...new Array<string>(10).fill('0 10 10 12'), '0 0 0 0', '0 0 0 0']);
    expect(sliced.slices).toEqual(
      ['0 3', '0 3', '0 3', '3 6', '3 6', '3 6', '6 9', '6 9', '6 9', '9 10']
        .map((slice) => `${slice} 10 12`)
        .concat(['0 0 0 0', '0 0 0 0']),
    );
  });

  it('no rows dispatch nothing and leave the output as it was', async () => {
    const { y, dispatches } = await trace(0, 3);
    expect(dispatches).toBe(0);
    expect(y).toEqual(new Array<number>(12).fill(7));
  });

  it('one prepared dispatch follows the count from batch to batch, two slicings side by side', async () => {
    const rows = new Rows(gpu, arena, 'changing', 12);
    const x = floats('x', new Array<number>(12).fill(1));
    const y = arena.tensor('y', [12]);
    const seen = arena.tensor('seen', [12, 4], 'u32');
    const [whole, sliced] = [12, 5].map(
      (rowsPerSlice) => new Dispatch(gpu, TRACE, { bind: { x, y, seen }, rows, rowsPerSlice, grid }),
    );
    await gpu.settled();
    for (const count of [12, 6, 1]) {
      rows.set(count);
      new Recorder(gpu, 'changing').add(whole!, sliced!).submit();
    }
    expect([...(await gpu.readF32(y))]).toEqual([6, 4, 4, 4, 4, 4, 2, 2, 2, 2, 2, 2]);
  });

  it.each([13, -1, 2.5, NaN])('a count of %d of capacity 12 is refused', (count) => {
    const rows = new Rows(gpu, arena, 'counted', 12);
    rows.set(12);
    expect(() => rows.set(count)).toThrow(
      expect.objectContaining({ code: 'shape', message: `rows counted: expected 0 to 12, got ${count}` }),
    );
    expect(rows.count).toBe(12);
  });

  it('more slices than there are slots are refused', () => {
    const rows = new Rows(gpu, arena, 'many', 5000);
    expect(() => rows.slicing(1)).toThrow(expect.objectContaining({ code: 'gpu-limit' }));
  });
});

describe('bindings', () => {
  const tensors = (): Record<'x' | 'y' | 'seen', Tensor> => ({
    x: arena.tensor('x', [4]),
    y: arena.tensor('y', [4]),
    seen: arena.tensor('seen', [4, 4], 'u32'),
  });
  const make = (bind: Record<string, Tensor>, rows = true): Dispatch =>
    new Dispatch(gpu, TRACE, { bind, grid, ...(rows ? { rows: new Rows(gpu, arena, 'rows', 4) } : {}) });

  it('are read off the shader, comments left out', () => {
    expect(TRACE.bindings).toEqual([
      { name: 'rows', index: 0, kind: 'rows' },
      { name: 'x', index: 1, kind: 'read' },
      { name: 'y', index: 2, kind: 'read-write' },
      { name: 'seen', index: 3, kind: 'read-write' },
    ]);
  });

  it('a missing, a misspelt and an extra name are refused by name', () => {
    const { x, y, seen } = tensors();
    const refused = (message: RegExp) =>
      expect.objectContaining({ code: 'gpu-validation', message: expect.stringMatching(message) as string }) as Error;
    expect(() => make({ x, y, seen })).not.toThrow();
    expect(() => make({ x, seen })).toThrow(refused(/^trace_rows: nothing bound to y$/));
    expect(() => make({ x, Y: y, seen })).toThrow(refused(/^trace_rows: nothing bound to y$/));
    expect(() => make({ x, y, seen, a_comment: x })).toThrow(refused(/^trace_rows: has no variable a_comment$/));
    expect(() => make({ x, y, seen }, false)).toThrow(refused(/^trace_rows: needs rows$/));
  });

  it('a tensor above the largest binding is refused by name', () => {
    const { x, y, seen } = tensors();
    const sizeBytes = gpu.limits.maxStorageBufferBindingSize + 4;
    expect(() => make({ x: { ...x, label: 'embedding', sizeBytes }, y, seen })).toThrow(
      expect.objectContaining({ code: 'gpu-limit', message: expect.stringContaining('embedding has') as string }),
    );
  });

  it('more workgroups than a dimension holds are refused; linearGrid folds them', async () => {
    const most = gpu.limits.maxComputeWorkgroupsPerDimension;
    const y = floats('y', [1]);
    const dispatch = new Dispatch(gpu, SCALE, { bind: { y }, constants: { factor: 2 }, grid: () => [most + 1, 1, 1] });
    await gpu.settled();
    const recorder = new Recorder(gpu, 'too many');
    expect(() => recorder.add(dispatch)).toThrow(expect.objectContaining({ code: 'gpu-limit' }));
    recorder.submit(); // ends the pass that was begun
    expect(linearGrid(gpu, most)).toEqual([most, 1, 1]);
    for (const n of [most + 1, 3 * most + 5]) {
      const [width, height] = linearGrid(gpu, n);
      expect(Math.max(width, height)).toBeLessThanOrEqual(most);
      expect(width * height).toBeGreaterThanOrEqual(n);
      expect(width * height - n).toBeLessThan(height);
    }
  });
});

describe('pipelines', () => {
  it('one kernel and its constants compile once; other constants are another pipeline', async () => {
    const size = gpu.pipelines.size;
    const handle = gpu.pipelines.request(SCALE, { factor: 5 });
    expect(gpu.pipelines.request(SCALE, { factor: 5 })).toBe(handle);
    expect(gpu.pipelines.request(SCALE, { factor: 6 })).not.toBe(handle);
    expect(gpu.pipelines.size - size).toBe(2);
    expect(() => handle.pipeline).toThrow(/scale: used before gpu.pipelines.ready\(\) was awaited/);
    await gpu.settled();
    expect(handle.pipeline).toBeDefined();
  });

  it('a source whose entry point is not its name, or with two variables on one number, is refused', () => {
    expect(() => kernelSource('other', SCALE.code)).toThrow(/other: the entry point must be named as the file/);
    const twice = `${SCALE.code}\n@group(0) @binding(0) var<storage, read> z: array<f32>;`;
    expect(() => kernelSource('scale', twice)).toThrow(/scale: two variables share a binding number/);
  });
});

describe('readback', () => {
  it('slots come back in any order, each with its own numbers; a full ring refuses until one is read', async () => {
    const ring = new StagingRing(gpu, arena, 'ring', 2, 16);
    const counter = floats('counter', [1, 10]);
    const other = floats('other', [-1, -2]);
    const double = new Dispatch(gpu, SCALE, { bind: { y: counter }, constants: { factor: 2 }, grid: () => [1, 1, 1] });
    await gpu.settled();
    const send = (): (() => Promise<ArrayBuffer[]>) => {
      const recorder = new Recorder(gpu, 'ring').add(double);
      const read = ring.copy(recorder, [counter, other]);
      recorder.submit();
      return read;
    };
    const numbers = async (read: () => Promise<ArrayBuffer[]>): Promise<number[][]> =>
      (await read()).map((bytes) => [...new Float32Array(bytes)]);
    const first = send();
    const second = send();
    expect(() => ring.copy(new Recorder(gpu, 'third'), [counter])).toThrow(
      expect.objectContaining({ code: 'gpu-validation', message: expect.stringContaining('every slot') as string }),
    );
    expect(await numbers(second)).toEqual([
      [4, 40],
      [-1, -2],
    ]);
    let free = false;
    const freed = ring.free().then(() => (free = true));
    await gpu.idle();
    expect(free).toBe(false); // the first slot is next, and still unread
    expect(await numbers(first)).toEqual([
      [2, 20],
      [-1, -2],
    ]);
    await freed;
    expect(await numbers(send())).toEqual([
      [8, 80],
      [-1, -2],
    ]);
  });

  it('more bytes than a slot holds are refused by the tensor’s name', () => {
    const ring = new StagingRing(gpu, arena, 'small', 1, 16);
    const big = arena.tensor('big', [5]);
    expect(() => ring.copy(new Recorder(gpu, 'x'), [big])).toThrow(
      expect.objectContaining({ code: 'shape', message: expect.stringContaining('big does not fit') as string }),
    );
  });
});

describe('timing', () => {
  it('one time a dispatch, in order, where the adapter has timestamps; none elsewhere; the work is done either way', async () => {
    const y = floats('y', [1]);
    const times = (factor: number): Dispatch =>
      new Dispatch(gpu, SCALE, { bind: { y }, constants: { factor }, grid: () => [1, 1, 1], label: `times ${factor}` });
    const commands = [times(2), times(3), times(7)];
    await gpu.settled();
    const timings = await new Recorder(gpu, 'profiled', true).add(...commands).submitAndTime();
    expect([...(await gpu.readF32(y))]).toEqual([42]);
    expect(timings.map(({ label }) => label)).toEqual(gpu.features.timestamps ? ['times 2', 'times 3', 'times 7'] : []);
    for (const { durationNs } of timings) {
      expect(durationNs).toBeGreaterThanOrEqual(0);
      expect(durationNs).toBeLessThan(60e9);
    }
  });

  it('without profiling, dispatches share one pass', async () => {
    const y = floats('y', [1]);
    const double = new Dispatch(gpu, SCALE, { bind: { y }, constants: { factor: 2 }, grid: () => [1, 1, 1] });
    await gpu.settled();
    const recorder = new Recorder(gpu, 'plain').add(double, double, double);
    expect(await recorder.submitAndTime()).toEqual([]);
    expect([recorder.passes, recorder.dispatches]).toEqual([1, 3]);
    expect([...(await gpu.readF32(y))]).toEqual([8]);
  });
});
