// cells.ts: numbers of the paper's tables as texts: accuracies with their spread, n, intervals, seeds. It computes nothing.
import type { JudgeCell, SeriesResult } from '../../session/protocol';
import { formatPercent } from '../format';

const unique = <T>(values: readonly T[]): T[] => [...new Set(values)];

/** `89.1 ± 0.8`; one seed has no ±. */
export const accuracyText = ({ mean, sd }: Pick<SeriesResult, 'mean' | 'sd'>): string =>
  `${formatPercent(mean)}${sd === undefined ? '' : ` ± ${formatPercent(sd)}`}`;

/** `54.1 – 68.9` */
export const intervalText = (interval: { low: number; high: number } | undefined): string =>
  interval === undefined || !Number.isFinite(interval.low)
    ? '–'
    : `${formatPercent(interval.low)} – ${formatPercent(interval.high)}`;

export const sizesText = ({ runs }: { runs: readonly { n: number }[] }): string =>
  unique(runs.map(({ n }) => n)).join(', ');

/** Every seed with its count: `0: 450/500, 1: 444/500`. */
export const seedsText = ({ runs }: { runs: readonly { seed: number; correct: number; n: number }[] }): string =>
  runs.map(({ seed, correct, n }) => `${seed}: ${correct}/${n}`).join(', ');

/** The whole of a cell in words, for its tip and for screen readers. */
export const cellWords = (result: SeriesResult): string =>
  `${accuracyText(result)} %; 95 % interval ${intervalText(result.interval)} (${result.interval.method}); n = ${sizesText(result)} questions; seeds ${seedsText(result)}`;

/** `2.43 ± 0.11` */
export const ratingText = (cell: JudgeCell | null | undefined): string =>
  cell === null || cell === undefined
    ? '–'
    : `${cell.mean.toFixed(2)}${cell.sd === undefined ? '' : ` ± ${cell.sd.toFixed(2)}`}`;

/** A p-value: never 0. */
export const pText = (p: number): string => (p < 0.001 ? '< 0.001' : p.toFixed(3));

/** `+4.0`, `−1.5` */
export function pointsText(share: number): string {
  const points = Math.abs(100 * share).toFixed(1);
  return points === '0.0' ? points : `${share < 0 ? '−' : '+'}${points}`;
}
