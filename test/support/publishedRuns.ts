// publishedRuns.ts: the published series of docs/results, read from disk, as seriesRuns.ts makes runs of them. Tests only.
import { readFileSync } from 'node:fs';
import type { CollectedRun } from '../../src/report/cells';
import type { SeriesReport } from '../../src/report/series';
import { runsOfSeries } from './seriesRuns';

export function publishedSeries(name: string): SeriesReport {
  const url = new URL(`../../docs/results/${name}.series.json`, import.meta.url);
  return JSON.parse(readFileSync(url, 'utf8')) as SeriesReport;
}

/**
 * Every run of a published series. `answers: false`: without single answers, from which nothing but the intervals and the
 * paired comparisons come: resampling them for every row takes seconds.
 */
export function publishedRuns(name: string, { answers = true } = {}): CollectedRun[] {
  const runs = runsOfSeries(publishedSeries(name), name);
  return answers ? runs : runs.map((run) => ({ ...run, answers: [] }));
}
