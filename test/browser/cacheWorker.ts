// cacheWorker.ts: the cache of students over the browser's real OPFS, in a worker that a test can end at any moment. Tests only.
import { expose } from 'comlink';
import type { StudentOrigin } from '../../src/formats/studentManifest';
import { OpfsCachePlace } from '../../src/storage/cacheOpfs';
import { StudentCache, type CachedStudent, type VerifiedStudent } from '../../src/storage/studentCache';
import type { StudentWriter } from '../../src/storage/studentWriter';

const ORIGIN: StudentOrigin = {
  source: 'made',
  fingerprint: 'f',
  settings: { quantize: 'nf4', blockSize: 64, nestedBlockSize: 256 },
};

let cache = new StudentCache(new OpfsCachePlace('pupil-test-students'));
let writer: StudentWriter | undefined;
let reading: Promise<void> | undefined;
let endReading: () => void = () => undefined;

/** Errors cross Comlink without their code. */
async function coded<T>(work: Promise<T>): Promise<T | string> {
  return work.catch((error: unknown) => (error as { code?: string }).code ?? String(error));
}

const bytesFor = (count: number): Uint8Array =>
  Uint8Array.from({ length: count }, (_, i) => (i * 31 + (i >> 11)) & 255);

const worker = {
  use(folder: string): void {
    cache = new StudentCache(new OpfsCachePlace(folder));
  },
  /** Begins an entry and writes all of it; not yet committed. False where another holds it. */
  async fill(key: string, count: number): Promise<boolean> {
    writer = await cache.begin(key, ORIGIN, count);
    if (writer === undefined) return false;
    await writer.create('model.safetensors', count);
    await writer.write('model.safetensors', 10, bytesFor(count).subarray(10), 'w');
    await writer.write('model.safetensors', 0, bytesFor(count).subarray(0, 10), 'header');
    await writer.whole('config.json', new Uint8Array([1, 2, 3]));
    return true;
  },
  async commit(): Promise<void> {
    await writer!.commit();
  },
  list: (): Promise<CachedStudent[]> => cache.list(),
  sweep: (): Promise<string[]> => cache.sweep(),
  verify: (key: string): Promise<VerifiedStudent | string> => coded(cache.verify(key)),
  remove: (key: string): Promise<string> => coded(cache.delete(key).then(() => 'deleted')),
  /** Whether all bytes are right; `undefined` where the read failed with a code. */
  read: (key: string, count: number): Promise<boolean | string> =>
    coded(
      cache.read(key, async ({ open }) => {
        const bytes = await (await open('model.safetensors'))!.read(0, count);
        return bytesFor(count).every((byte, i) => byte === bytes[i]);
      }),
    ),
  /** Opens an entry's file and keeps it open. */
  async startReading(key: string): Promise<void> {
    await new Promise<void>((opened, failed) => {
      reading = cache.read(key, async ({ open }) => {
        await (await open('model.safetensors'))!.read(0, 10);
        opened();
        await new Promise<void>((end) => (endReading = end));
      });
      reading.catch(failed);
    });
  },
  async stopReading(): Promise<void> {
    endReading();
    await reading;
  },
};

export type CacheWorker = typeof worker;
expose(worker);
