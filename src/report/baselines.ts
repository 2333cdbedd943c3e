// baselines.ts: the untouched student is evaluated in every run; in a table of several cells its rows stand once, where they are
// the same. It draws nothing.
import type { SeriesReport, SeriesResult } from './series';

/**
 * Which results of the untouched student say nothing that another of the same group does not say: the same counts, or some of
 * the same seeds while a series is under way.
 */
export function isRepeated(
  report: SeriesReport,
  results: readonly SeriesResult[],
  group: (cell: number) => string,
): (result: SeriesResult) => boolean {
  const key = ({ cell, taskId, prompt, scorer }: SeriesResult): string =>
    JSON.stringify([group(cell), taskId, prompt, scorer]);
  const counts = ({ runs }: SeriesResult): string[] => runs.map((run) => JSON.stringify(run));
  const baselines = results.filter(
    ({ system, cell }) => system === 'Baseline' && report.cells[cell]!.systems.Baseline === undefined,
  );
  return (result) =>
    baselines.includes(result) &&
    baselines.some((other, i) => {
      if (other === result || key(other) !== key(result)) return false;
      if (!counts(result).every((run) => counts(other).includes(run))) return false;
      return other.runs.length > result.runs.length || i < baselines.indexOf(result);
    });
}
