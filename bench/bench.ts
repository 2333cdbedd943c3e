// bench.ts: the whole benchmark as one function of its options: which sections, how many rounds. The page (page.ts) and a
// test call it; scripts/bench.mjs opens the page.
import { openCheckpoint } from '../src/formats/checkpointIndex';
import type { JsonObject } from '../src/formats/jsonText';
import { browserGpu, Gpu } from '../src/gpu/device';
import { linearVariant } from '../src/kernels/linearChoice';
import { openHttpRoot } from '../src/sources/http';
import { MemoryCachePlace } from '../src/storage/cacheMemory';
import { benchDecoding } from './decoding';
import { benchCachedLoads, benchLoad, LOAD_CONFIG, type LoadPlaces } from './load';
import { benchMatmul } from './matmul';
import { benchNf4 } from './nf4';
import { PEER } from './peer';
import type { BenchReport } from './results';
import { randomCheckpoint, STORY_LLAMA } from './studentSource';
import { benchTraining } from './training';

export const SECTIONS = ['matmul', 'nf4', 'training', 'decoding', 'load'] as const;
export type Section = (typeof SECTIONS)[number];

const IN_MEMORY: LoadPlaces = {
  name: 'both in memory',
  cache: () => Promise.resolve(new MemoryCachePlace()),
};

type Shape = readonly [number, number, number];

export interface BenchOptions {
  sections?: readonly Section[];
  /** Rounds of every section; 9 by default. */
  rounds?: number;
  /** Time inside each kernel, where the adapter has timestamps. */
  profile?: boolean;
  /** URL of a checkpoint folder, with a slash at its end. Random weights in story_llama's shape when absent. */
  student?: string;
  /** Shape of the random weights. */
  config?: JsonObject;
  matmulShapes?: readonly Shape[];
  nf4Shapes?: readonly Shape[];
  sequences?: number;
  tokensPerSequence?: number;
  batches?: readonly number[];
  promptTokens?: number;
  newTokens?: number;
  /** Shape of the students that are loaded. */
  loadConfig?: JsonObject;
  /** Absent: source and cache are in memory. */
  loadPlaces?: LoadPlaces;
  log?: (line: string) => void;
}

/** Runs the sections one after the other. Throws what went wrong, also where two results that must agree do not. */
export async function runBench(options: BenchOptions = {}): Promise<BenchReport> {
  const sections = options.sections ?? SECTIONS;
  const rounds = options.rounds ?? 9;
  const log = options.log ?? (() => undefined);
  const acquire = (): Promise<Gpu> => Gpu.acquire(browserGpu());
  const gpu = await acquire();
  try {
    const { adapter } = gpu;
    const report: BenchReport = {
      when: new Date().toISOString(),
      browser: navigator.userAgent.match(/(Chrome|Firefox|Version)\/[\d.]+/)?.[0] ?? navigator.userAgent,
      adapter: [adapter.vendor, adapter.architecture, adapter.description].filter((part) => part !== '').join(' '),
      software: adapter.software,
      features: { ...gpu.features, linearVariant: linearVariant(gpu) },
      peer: PEER,
      rounds,
      student: options.student === undefined ? 'random weights in its shape' : 'checkpoint',
    };
    if (sections.includes('matmul')) {
      report.matmul = await benchMatmul(gpu, {
        rounds,
        log,
        ...(options.matmulShapes === undefined ? {} : { shapes: options.matmulShapes }),
      });
    }
    if (sections.includes('nf4')) {
      report.nf4 = await benchNf4(gpu, {
        rounds,
        log,
        ...(options.nf4Shapes === undefined ? {} : { shapes: options.nf4Shapes }),
      });
    }
    if (sections.includes('training') || sections.includes('decoding')) {
      const checkpoint =
        options.student === undefined
          ? await randomCheckpoint(options.config ?? STORY_LLAMA)
          : await openCheckpoint(openHttpRoot(options.student).open, 'student');
      if (sections.includes('training')) {
        report.training = await benchTraining({
          checkpoint,
          sequences: options.sequences ?? 8,
          tokensPerSequence: options.tokensPerSequence ?? 64,
          rounds,
          profile: options.profile ?? false,
          acquire,
          log,
        });
      }
      if (sections.includes('decoding')) {
        report.decoding = await benchDecoding({
          checkpoint,
          batches: options.batches ?? [1, 8, 32],
          promptTokens: options.promptTokens ?? 16,
          newTokens: options.newTokens ?? 48,
          rounds: Math.min(rounds, 5),
          acquire,
          log,
        });
      }
    }
    if (sections.includes('load')) {
      const config = options.loadConfig ?? LOAD_CONFIG;
      const shared = { config, rounds: Math.min(rounds, 5), acquire, log };
      report.load = await benchLoad(shared);
      report.cachedLoad = await benchCachedLoads({ ...shared, places: options.loadPlaces ?? IN_MEMORY });
    }
    return report;
  } finally {
    gpu.destroy();
  }
}
