// cards.ts: GPUs by name, for plans of machines that are not here: bytes, and how fast Pupil trains and answers on them. Only the
// H100 was measured (bench/notes/2026-11-26-h100.md); every other card is an estimate, by its makers' figures against the H100's:
// training by arithmetic (f32), answering by the memory's bandwidth. Data only.
import { PupilError } from '../../base/errors';

/** Speeds as floating-point operations a second at 6 a parameter and trained token, 2 a parameter and any other token. */
export interface Speeds {
  trainFlops: number;
  /** Prompts and scoring: many tokens at once. */
  readFlops: number;
  /** Answers, token by token, some thirty at once. */
  generateFlops: number;
  /** Where they come from, a sentence. */
  from: string;
  isEstimate: boolean;
}

export interface Card {
  name: string;
  memoryBytes: number;
  speeds: Speeds;
}

/** TFLOP/s in f32 without tensor cores, TB/s, GiB. */
const FIGURES: Readonly<Record<string, readonly [label: string, tflops: number, bandwidth: number, gib: number]>> = {
  h100: ['NVIDIA H100 80 GB', 66.9, 3.35, 80],
  h200: ['NVIDIA H200 141 GB', 66.9, 4.8, 141],
  a100: ['NVIDIA A100 80 GB', 19.5, 2.04, 80],
  a6000: ['NVIDIA RTX A6000 48 GB', 38.7, 0.768, 48],
  l40s: ['NVIDIA L40S 48 GB', 91.6, 0.864, 48],
  'rtx-4090': ['NVIDIA RTX 4090 24 GB', 82.6, 1.008, 24],
  'rtx-3090': ['NVIDIA RTX 3090 24 GB', 35.6, 0.936, 24],
};

/**
 * Measured with a student of Llama-2-7b's shape (6.74e9 parameters) in tier f16: 360 tokens/s trained, 104 tokens/s sampled, 30
 * prompts at once. Reading prompts was not timed by itself: the forward pass is taken to be as fast as training.
 */
const PARAMETERS = 6.738e9;
const H100 = { train: 6 * PARAMETERS * 360, generate: 2 * PARAMETERS * 104 };
const NOTE = 'bench/notes/2026-11-26-h100.md';

export const CARD_NAMES = Object.keys(FIGURES);

/** @throws PupilError `usage` naming the known ones */
export function cardNamed(name: string): Card {
  const key = name
    .toLowerCase()
    .replace(/^(nvidia|rtx)[ -]+(?=a6000|h|l|a1)/, '')
    .replaceAll(' ', '-');
  const found = FIGURES[key];
  if (found === undefined) {
    throw new PupilError(
      'usage',
      `--card: expected one of ${CARD_NAMES.join(', ')}, got ${name}`,
      'Or state the speed: --tokens-per-second, and --memory.',
    );
  }
  const [label, tflops, bandwidth, gib] = found;
  const [, ofTflops, ofBandwidth] = FIGURES['h100']!;
  const [arithmetic, memory] = [tflops / ofTflops, bandwidth / ofBandwidth];
  const isEstimate = key !== 'h100';
  return {
    name: label,
    memoryBytes: gib * 2 ** 30,
    speeds: {
      trainFlops: H100.train * arithmetic,
      readFlops: H100.train * arithmetic,
      generateFlops: H100.generate * memory,
      from: isEstimate
        ? `${label}, estimated from the H100’s measured speeds (${NOTE}): training × ${arithmetic.toFixed(2)} by f32 arithmetic, answering × ${memory.toFixed(2)} by memory bandwidth`
        : `${label}, measured with a student of 7B in tier f16 (${NOTE})`,
      isEstimate,
    },
  };
}

/** One stated speed for all arithmetic. */
export const statedGflops = (gflops: number): Speeds => ({
  trainFlops: gflops * 1e9,
  readFlops: gflops * 1e9,
  generateFlops: gflops * 1e9,
  from: `${gflops} GFLOP/s`,
  isEstimate: false,
});

/** Where nobody says a speed: a number to reckon with, of no card. */
export const ASSUMED: Speeds = {
  ...statedGflops(1000),
  from: 'a speed of 1000 GFLOP/s, assumed; --measure on the machine itself, --card or --tokens-per-second says a better one',
  isEstimate: true,
};

/** Tokens a second, trained and generated, of a student of so many parameters. */
export const statedTokens = (trained: number, generated: number, parameters: number): Speeds => ({
  trainFlops: 6 * parameters * trained,
  readFlops: 6 * parameters * trained,
  generateFlops: 2 * parameters * generated,
  from: `${trained} tokens/s trained, ${generated} tokens/s generated`,
  isEstimate: false,
});
