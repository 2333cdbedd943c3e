// load.ts: a student's way onto the device: read → check → quantise (or store dense) → ready, from a made checkpoint in each
// dtype in which weights are published, read from memory; and the first load against the second, which comes from the cache.
import type { OpenFile } from '../src/formats/byteSource';
import { openCheckpoint } from '../src/formats/checkpointIndex';
import type { JsonObject } from '../src/formats/jsonText';
import type { Gpu } from '../src/gpu/device';
import type { Quantization } from '../src/model/parameterShapes';
import { Student } from '../src/model/student';
import type { CachePlace } from '../src/storage/cachePlace';
import { madeCheckpoint, type MadeDtype } from '../src/session/madeCheckpoint';
import { benchCachedLoad } from './cachedLoad';
import { inTurns } from './measure';
import type { CachedLoads, LoadResult } from './results';
import { STORY_LLAMA } from './studentSource';

/** Two layers in the width of TinyLlama: 105 million parameters. */
export const LOAD_CONFIG: JsonObject = {
  ...STORY_LLAMA,
  hidden_size: 2048,
  intermediate_size: 5632,
  num_attention_heads: 32,
  num_key_value_heads: 4,
  vocab_size: 8192,
};

const CONTENDERS: readonly (readonly [MadeDtype, Quantization])[] = [
  ['f16', 'nf4-double'],
  ['bf16', 'nf4-double'],
  ['f32', 'nf4-double'],
  ['f16', 'nf4'],
  ['f16', 'none'],
];

/** Where packed students are kept while the second load is measured, and what stands between them and their source. */
export interface LoadPlaces {
  /** In words. */
  name: string;
  cache: () => Promise<CachePlace>;
  /** Puts a network before the files; absent: they are read from memory. */
  network?: (open: OpenFile) => Promise<{ open: OpenFile; close: () => Promise<void> }>;
}

/** The first load of the student in f16 (download → quantise → kept → ready) against the second. */
export async function benchCachedLoads(options: {
  config: JsonObject;
  places: LoadPlaces;
  rounds: number;
  acquire: () => Promise<Gpu>;
  log: (line: string) => void;
}): Promise<CachedLoads> {
  const { places, config, rounds, log } = options;
  const made = madeCheckpoint(config, 'f16');
  const source = (await places.network?.(made.open)) ?? { open: made.open, close: () => Promise.resolve() };
  const gpu = await options.acquire();
  try {
    const shared = { gpu, open: source.open, place: await places.cache(), rounds, log };
    return {
      place: places.name,
      sizeBytes: made.sizeBytes,
      loads: [
        await benchCachedLoad({ ...shared, quantize: 'nf4-double' }),
        await benchCachedLoad({ ...shared, quantize: 'none' }),
      ],
    };
  } finally {
    gpu.destroy();
    await source.close();
  }
}

/** Loads a student of each dtype in turns. */
export async function benchLoad(options: {
  config: JsonObject;
  rounds: number;
  acquire: () => Promise<Gpu>;
  log: (line: string) => void;
}): Promise<LoadResult[]> {
  const gpu = await options.acquire();
  try {
    const contenders = CONTENDERS.map(([dtype, quantize]) => {
      const made = madeCheckpoint(options.config, dtype);
      return {
        name: `${dtype} → ${quantize}`,
        dtype,
        quantize,
        made,
        peakBytes: 0,
        async run(): Promise<void> {
          const checkpoint = await openCheckpoint(made.open, 'made');
          gpu.account.restartPeak();
          const student = await Student.load(gpu, checkpoint, { quantize });
          await gpu.idle();
          this.peakBytes = gpu.account.peak - student.sizeBytes;
          student.destroy();
        },
      };
    });
    options.log(`load ${contenders.map(({ name }) => name).join(', ')}`);
    const timings = await inTurns(contenders, { repeats: options.rounds, warmups: 1 });
    return contenders.map(({ dtype, quantize, made, peakBytes }, i) => {
      const ms = timings[i]!.medianMs;
      return {
        dtype,
        quantize,
        parameters: made.parameters,
        sizeBytes: made.sizeBytes,
        ms,
        megabytesPerSecond: made.sizeBytes / 1e3 / ms,
        stagingBytes: peakBytes,
      };
    });
  } finally {
    gpu.destroy();
  }
}
