// webgpu.test.ts: the browser that the other tests of this folder rely on: WebGPU in a page and in a worker, storage,
// served fixtures. It tests the set-up, not Pupil.
import { describe, expect, it } from 'vitest';

interface Answer {
  vendor: string;
  sum: number;
}

/** Adds 2 and 40 on the GPU. Self-contained, since its source is sent to a worker as text. */
async function addOnGpu(): Promise<Answer> {
  const adapter = await navigator.gpu.requestAdapter();
  if (adapter === null) throw new Error('no adapter');
  const device = await adapter.requestDevice();
  const code = `@group(0) @binding(0) var<storage, read_write> y: array<f32>;
    override addend: f32;
    @compute @workgroup_size(1) fn add() { y[0] = y[0] + addend; }`;
  const pipeline = await device.createComputePipelineAsync({
    layout: 'auto',
    compute: { module: device.createShaderModule({ code }), entryPoint: 'add', constants: { addend: 40 } },
  });
  const storage = device.createBuffer({
    size: 4,
    usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
  });
  const staging = device.createBuffer({ size: 4, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
  device.queue.writeBuffer(storage, 0, new Float32Array([2]));
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(
    0,
    device.createBindGroup({
      layout: pipeline.getBindGroupLayout(0),
      entries: [{ binding: 0, resource: { buffer: storage } }],
    }),
  );
  pass.dispatchWorkgroups(1);
  pass.end();
  encoder.copyBufferToBuffer(storage, 0, staging, 0, 4);
  device.queue.submit([encoder.finish()]);
  await staging.mapAsync(GPUMapMode.READ);
  const sum = new Float32Array(staging.getMappedRange())[0] ?? NaN;
  device.destroy();
  return { vendor: adapter.info.vendor, sum };
}

describe('WebGPU in the test browser', () => {
  it('gives an adapter and runs a shader in a page', async () => {
    const answer = await addOnGpu();
    expect(answer.sum).toBe(42);
    expect(answer.vendor).not.toBe('');
  });

  it('gives an adapter and runs a shader in a module worker', async () => {
    const source = `(${addOnGpu.toString()})().then((answer) => postMessage({ answer }), (error) => postMessage({ error: String(error) }));`;
    const worker = new Worker(URL.createObjectURL(new Blob([source], { type: 'text/javascript' })), { type: 'module' });
    const message = await new Promise<{ answer?: Answer; error?: string }>((resolve, reject) => {
      worker.onmessage = (event: MessageEvent<{ answer?: Answer; error?: string }>) => resolve(event.data);
      worker.onerror = (event) => reject(new Error(event.message));
    });
    worker.terminate();
    expect(message.error).toBeUndefined();
    expect(message.answer?.sum).toBe(42);
  });

  it('has a private file system and IndexedDB', async () => {
    const root = await navigator.storage.getDirectory();
    const handle = await root.getFileHandle('probe.bin', { create: true });
    const stream = await handle.createWritable();
    await stream.write(new Uint8Array([1, 2, 3]));
    await stream.close();
    expect((await handle.getFile()).size).toBe(3);
    await root.removeEntry('probe.bin');
    expect(indexedDB).toBeDefined();
  });

  it('is served the golden fixtures', async () => {
    const response = await fetch('/test/fixtures/golden/schedules/expected.json');
    expect(response.status).toBe(200);
    expect(Object.keys((await response.json()) as object).length).toBeGreaterThan(0);
  });
});
