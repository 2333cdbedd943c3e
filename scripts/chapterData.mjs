#!/usr/bin/env node
// chapterData.mjs: the measured numbers that the chapter "How little data is enough" draws, cut out of the stored series in
// docs/results/ (95 kB) into a small file beside the widget. It measures nothing and rounds nothing; a test compares the two.
//
//     node scripts/chapterData.mjs
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
export const SOURCE = 'docs/results/lesson-splits.series.json';
export const TARGET = 'src/app/lesson/chapters/widgets/lessonSplits.json';

/** The ways of training as the figure names them; the series says the same in cells and systems. */
const SYSTEMS = new Map([
  ['both/Baseline', 'Baseline'],
  ['both/Instruction-tuned', 'Instruction-tuned only'],
  ['self-refine only/Self-refined', 'Self-refined only'],
  ['both/Self-refined', 'Instruction-tuned, then self-refined'],
]);

/**
 * @typedef {{ cell: number, system: string, taskId: string, prompt: string, scorer: string, mean: number,
 *   runs: { seed: number, correct: number, n: number }[],
 *   interval: { method: string, low: number, high: number, clusters: number } }} SeriesResult
 * @typedef {{ cells: { labels: string[] }[], seeds: number[], results: SeriesResult[], experiment: { tasks: { split: { trainCount: number } }[] } }} SeriesReport
 */

/**
 * The rows of the table with the CoT prompt and the strict scorer.
 * @param {SeriesReport} report
 */
export function reduceSplits(report) {
  const points = report.results
    .filter(({ prompt, scorer }) => prompt === 'cot' && scorer === 'strict')
    .flatMap(({ cell, system, taskId, mean, interval, runs }) => {
      const [share = '', way = ''] = report.cells[cell]?.labels ?? [];
      const name = SYSTEMS.get(`${way}/${system}`);
      if (name === undefined) throw new Error(`${SOURCE}: no name for ${way}/${system}`);
      const { low, high, clusters, method } = interval;
      return [
        {
          task: taskId,
          system: name,
          percent: Number.parseInt(share, 10),
          correct: runs.map(({ correct }) => correct),
          n: runs.map(({ n }) => n),
          mean,
          low,
          high,
          method,
          clusters,
        },
      ];
    });
  return {
    source: SOURCE,
    demonstrations: report.experiment.tasks[0]?.split.trainCount ?? 0,
    seeds: report.seeds,
    points,
  };
}

/** @returns {string} the file's whole text. */
export function chapterDataText() {
  const report = /** @type {SeriesReport} */ (JSON.parse(readFileSync(path.join(ROOT, SOURCE), 'utf8')));
  return `${JSON.stringify(reduceSplits(report), null, 1)}\n`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(path.join(ROOT, TARGET), chapterDataText());
  console.log(`${TARGET} from ${SOURCE}`);
}
