// streamPage.ts: the page of streamMemory.test.ts: loads students from the server that served it, a small one, then, when
// the server says so, the one that is measured; and tells the server how it went.
import { elementCount } from '../../src/base/dtypes';
import { openCheckpoint } from '../../src/formats/checkpointIndex';
import { browserGpu, Gpu } from '../../src/gpu/device';
import { Student } from '../../src/model/student';
import { openHttpRoot } from '../../src/sources/http';

export interface StreamedIn {
  adapter: string;
  parameters: number;
  gpuBytes: number;
  seconds: number;
}

const device = Gpu.acquire(browserGpu());

/** Loads and frees the student at a path of this server. */
async function streamIn(path: string): Promise<StreamedIn> {
  const gpu = await device;
  const checkpoint = await openCheckpoint(openHttpRoot(new URL(path, location.href).href).open, 'made');
  const startedAt = performance.now();
  const student = await Student.load(gpu, checkpoint, { quantize: 'nf4-double' });
  await gpu.idle();
  const seconds = (performance.now() - startedAt) / 1000;
  const parameters = checkpoint.tensorNames.reduce((sum, name) => sum + elementCount(checkpoint.info(name).shape), 0);
  const gpuBytes = student.sizeBytes;
  student.destroy();
  return { adapter: `${gpu.adapter.vendor} ${gpu.adapter.description}`, parameters, gpuBytes, seconds };
}

// A small one first: the device, its compiler and this page's own code are no matter of the weights'.
await streamIn('/tiny/');
await fetch('/ready');
const result = await streamIn('/made/');
await fetch(`/done?result=${encodeURIComponent(JSON.stringify(result))}`);
