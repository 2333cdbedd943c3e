// results.ts: what a benchmark run yields (plain JSON) and its table for people. It measures nothing.
import type { CachedLoadResult } from './cachedLoad';
import type { KernelTiming } from '../src/gpu/commands';

export interface MatmulResult {
  /** e.g. `A·B`. */
  form: string;
  /** Rows of the result, inner size, columns of the result. */
  shape: readonly [number, number, number];
  pupilMs: number;
  peerMs: number;
  pupilGflops: number;
  peerGflops: number;
  /** Peer's time / Pupil's: above 1, Pupil is faster. */
  ratio: number;
  /** Largest |Pupil − peer| over the whole result. */
  difference: number;
}

export interface Nf4Result {
  operation: 'forward' | 'backward';
  /** N, C, O. */
  shape: readonly [number, number, number];
  fusedMs: number;
  /** Dequantised into a buffer, then multiplied by the dense kernel. */
  naiveMs: number;
  fusedGflops: number;
  ratio: number;
  difference: number;
}

export interface KernelShare {
  kernel: string;
  calls: number;
  ms: number;
}

export interface StepResult {
  name: string;
  stepMs: number;
  stepsPerSecond: number;
  tokensPerSecond: number;
  dispatches: number;
  peakBytes: number;
  /** Milliseconds of the first step, compilation included. */
  firstStepMs: number;
  /** Losses of the first steps, before timing. */
  losses: number[];
  kernels?: KernelShare[];
}

export interface TrainingResult {
  sequences: number;
  tokensPerSequence: number;
  targets: number;
  /** Parameters of the student. */
  parameters: number;
  steps: StepResult[];
  /** Peer's step time / Pupil's, for full-parameter training (the same mathematics) and for LoRA on NF4. */
  ratioFull?: number;
  ratioLora: number | undefined;
  /** |loss of Pupil − loss of the peer| at step 0, and the largest over the first steps. */
  lossDifference: number;
  lossDifferenceLater: number;
}

export interface DecodeResult {
  student: string;
  batch: number;
  promptTokens: number;
  newTokens: number;
  ms: number;
  tokensPerSecond: number;
  dispatches: number;
  peakBytes: number;
}

export interface LoadResult {
  /** Of the stored weights. */
  dtype: string;
  quantize: string;
  parameters: number;
  /** Of the checkpoint. */
  sizeBytes: number;
  ms: number;
  /** Stored bytes (10⁶) a second. */
  megabytesPerSecond: number;
  /** Most bytes on the GPU beside the student while it was loaded. */
  stagingBytes: number;
}

/** First and second load of one student. */
export interface CachedLoads {
  /** Where it came from and was kept, in words. */
  place: string;
  /** Of the checkpoint. */
  sizeBytes: number;
  loads: CachedLoadResult[];
}

export interface BenchReport {
  when: string;
  commit?: string;
  browser: string;
  adapter: string;
  software: boolean;
  features: { timestamps: boolean; subgroupSize: number; linearVariant: string };
  peer: string;
  rounds: number;
  student: string;
  matmul?: MatmulResult[];
  nf4?: Nf4Result[];
  training?: TrainingResult;
  decoding?: DecodeResult[];
  load?: LoadResult[];
  cachedLoad?: CachedLoads;
}

/** Sums the times of dispatches of the same kernel and shape, longest first. */
export function sumKernels(timings: readonly KernelTiming[]): KernelShare[] {
  const byLabel = new Map<string, KernelShare>();
  for (const { label, durationNs } of timings) {
    const share = byLabel.get(label) ?? { kernel: label, calls: 0, ms: 0 };
    share.calls++;
    share.ms += durationNs / 1e6;
    byLabel.set(label, share);
  }
  return [...byLabel.values()].sort((a, b) => b.ms - a.ms);
}

type Row = readonly string[];

function table(head: Row, rows: readonly Row[]): string {
  const widths = head.map((_, c) => Math.max(...[head, ...rows].map((row) => row[c]!.length)));
  const line = (row: Row): string =>
    `  ${row.map((cell, c) => (c === 0 ? cell.padEnd(widths[c]!) : cell.padStart(widths[c]!))).join('  ')}`.trimEnd();
  return [head, widths.map((width) => '-'.repeat(width)), ...rows].map(line).join('\n');
}

const ms = (value: number): string => value.toFixed(1);
const times = (value: number | undefined): string => (value === undefined ? '' : `${value.toFixed(2)}×`);
const mebibytes = (bytes: number): string => (bytes / 2 ** 20).toFixed(1);
const tiny = (value: number): string => value.toExponential(1);

/** The report as text. */
export function formatReport(report: BenchReport): string {
  const { features } = report;
  const parts = [
    `${report.adapter}${report.software ? ' (software)' : ''} · ${report.browser} · ${report.commit ?? 'no commit'} · ${report.when}\n` +
      `medians of ${report.rounds} rounds taken in turns; linear kernels: ${features.linearVariant}; peer: ${report.peer}; student: ${report.student}`,
  ];
  if (report.matmul !== undefined) {
    const rows = report.matmul.map((r) => [
      `${r.form} ${r.shape.join('×')}`,
      ms(r.pupilMs),
      ms(r.peerMs),
      r.pupilGflops.toFixed(2),
      r.peerGflops.toFixed(2),
      times(r.ratio),
      tiny(r.difference),
    ]);
    parts.push(
      `Matrix products, f32\n${table(['', 'Pupil ms', 'peer ms', 'Pupil GFLOP/s', 'peer GFLOP/s', 'ratio', 'max |Δ|'], rows)}`,
    );
  }
  if (report.nf4 !== undefined) {
    const rows = report.nf4.map((r) => [
      `${r.operation} (N,C,O)=(${r.shape.join(',')})`,
      ms(r.fusedMs),
      ms(r.naiveMs),
      r.fusedGflops.toFixed(2),
      times(r.ratio),
      tiny(r.difference),
    ]);
    parts.push(
      `NF4 linear, against dequantising first\n${table(['', 'fused ms', 'naive ms', 'GFLOP/s', 'ratio', 'max |Δ|'], rows)}`,
    );
  }
  if (report.training !== undefined) parts.push(formatTraining(report.training));
  if (report.decoding !== undefined) {
    const rows = report.decoding.map((r) => [
      `${r.student}, batch ${r.batch}`,
      ms(r.ms),
      r.tokensPerSecond.toFixed(1),
      String(r.dispatches),
      mebibytes(r.peakBytes),
    ]);
    const { promptTokens, newTokens } = report.decoding[0]!;
    parts.push(
      `Decoding, prompts of ${promptTokens} tokens, ${newTokens} new\n${table(['', 'ms', 'tokens/s', 'dispatches', 'peak MiB'], rows)}`,
    );
  }
  if (report.load !== undefined) parts.push(formatLoad(report.load));
  if (report.cachedLoad !== undefined) parts.push(formatCachedLoads(report.cachedLoad));
  return `${parts.join('\n\n')}\n`;
}

function formatCachedLoads({ place, sizeBytes, loads }: CachedLoads): string {
  const rows = loads.map((r) => [
    r.quantize,
    (r.firstMs / 1000).toFixed(2),
    (sizeBytes / 1e3 / r.firstMs).toFixed(0),
    (r.cachedMs / 1000).toFixed(2),
    r.cachedMegabytesPerSecond.toFixed(0),
    r.ratio.toFixed(1),
    mebibytes(r.cachedBytes),
  ]);
  const head = ['', 'first s', 'MB/s', 'second s', 'MB/s', 'first/second', 'kept MiB'];
  return `First load and second, from the cache (${place})\n${table(head, rows)}`;
}

function formatLoad(results: readonly LoadResult[]): string {
  const rows = results.map((r) => [
    `${r.dtype} → ${r.quantize}`,
    (r.ms / 1000).toFixed(2),
    r.megabytesPerSecond.toFixed(0),
    mebibytes(r.sizeBytes),
    mebibytes(r.stagingBytes),
  ]);
  return `Loading a student of ${results[0]!.parameters} parameters\n${table(['', 's', 'MB/s', 'stored MiB', 'staging MiB'], rows)}`;
}

function formatTraining(training: TrainingResult): string {
  const { steps } = training;
  const rows = steps.map((s) => [
    s.name,
    ms(s.stepMs),
    s.stepsPerSecond.toFixed(2),
    s.tokensPerSecond.toFixed(0),
    String(s.dispatches),
    mebibytes(s.peakBytes),
    ms(s.firstStepMs),
    s.losses[0]!.toFixed(5),
  ]);
  const head = ['', 'step ms', 'steps/s', 'tokens/s', 'dispatches', 'peak MiB', 'first step ms', 'loss at step 0'];
  const lines = [
    `Training step, ${training.sequences} sequences × ${training.tokensPerSequence} tokens, ${training.targets} targets, ${training.parameters} parameters`,
    table(head, rows),
    `  faster than the peer: all weights ${times(training.ratioFull)}, LoRA on NF4 ${times(training.ratioLora)}`,
    `  |loss − peer's loss|: ${tiny(training.lossDifference)} at step 0, at most ${tiny(training.lossDifferenceLater)} over the first ${steps[0]!.losses.length} steps`,
  ];
  for (const { name, kernels } of steps) {
    if (kernels === undefined || kernels.length === 0) continue;
    const total = kernels.reduce((sum, k) => sum + k.ms, 0);
    const longest = kernels.slice(0, 14);
    lines.push(
      `  ${name}: ${ms(total)} ms inside kernels, of these`,
      ...longest.map((k) => `    ${ms(k.ms).padStart(8)} ms ${String(k.calls).padStart(3)}×  ${k.kernel}`),
    );
  }
  return lines.join('\n');
}
