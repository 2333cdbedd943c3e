// cachedLoad.ts: the second load of a student against the first: from its source and into the cache, from its source alone, and
// from the cache, in turns on one device. Where source and cache lie (memory, disk, server) is the caller's choice.
import type { Gpu } from '../src/gpu/device';
import type { Quantization } from '../src/model/parameterShapes';
import { loadStudentFolder } from '../src/session/load';
import type { CacheUse } from '../src/session/studentProtocol';
import type { OpenFile } from '../src/formats/byteSource';
import type { CachePlace } from '../src/storage/cachePlace';
import { StudentCache } from '../src/storage/studentCache';
import { inTurns, ratioOf } from './measure';

export interface CachedLoadResult {
  quantize: Quantization;
  /** Of the packed student with its files. */
  cachedBytes: number;
  /** From the source, nothing kept. */
  sourceMs: number;
  /** From the source and into the cache. */
  firstMs: number;
  cachedMs: number;
  /** Of packed bytes, from the cache. */
  cachedMegabytesPerSecond: number;
  /** First load's time / second's, round by round; above 1 the cache is faster. */
  ratio: number;
  /** The same against a load that keeps nothing. */
  ratioToSource: number;
}

/** Loads a student three ways in turns. The cache's place is left as it was found. */
export async function benchCachedLoad(options: {
  gpu: Gpu;
  place: CachePlace;
  /** The student's files. */
  open: OpenFile;
  quantize: Quantization;
  rounds: number;
  log: (line: string) => void;
}): Promise<CachedLoadResult> {
  const { gpu, quantize } = options;
  const root = { kind: 'memory', files: {} } as const; // what the cache finds it by is its contents
  const cache = new StudentCache(options.place);
  const before = new Set((await cache.list()).map(({ key }) => key));
  const contender = (name: string, use: CacheUse): { name: string; run: () => Promise<void> } => ({
    name,
    run: async () => {
      const student = await loadStudentFolder(gpu, options, '', quantize, { cache, use, root });
      await gpu.idle();
      student.destroy();
    },
  });
  const contenders = [
    contender('source', 'off'),
    contender('source and into the cache', 'refresh'),
    contender('cache', 'on'),
  ];
  options.log(`load ${contenders.map(({ name }) => name).join(', ')} (${quantize})`);
  try {
    const [source, first, cached] = await inTurns(contenders, { repeats: options.rounds, warmups: 1 });
    const made = (await cache.list()).filter(({ key }) => !before.has(key));
    if (made.length !== 1) throw new Error(`expected one cached student, there are ${made.length}`);
    const cachedBytes = made[0]!.sizeBytes;
    return {
      quantize,
      cachedBytes,
      sourceMs: source!.medianMs,
      firstMs: first!.medianMs,
      cachedMs: cached!.medianMs,
      cachedMegabytesPerSecond: cachedBytes / 1e3 / cached!.medianMs,
      ratio: ratioOf(first!, cached!),
      ratioToSource: ratioOf(source!, cached!),
    };
  } finally {
    for (const { key } of await cache.list()) if (!before.has(key)) await cache.delete(key);
  }
}
