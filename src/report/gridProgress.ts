// gridProgress.ts: a series that was planned (grid.json of a full run) against the runs that were found: which cells are not there,
// for which seeds, and why. It needs the series' document alone: its base experiment may lie on another machine.
import { seriesCells, type Series } from '../config/series';

/** A run as far as it was found, finished or not. */
export interface FoundRun {
  /** The experiment's: `<series>: <labels>`. */
  name: string;
  seed: number;
  state: 'finished' | 'failed' | 'stopped' | 'unfinished';
  /** How far, or what went wrong; '' for a finished one. */
  how: string;
}

export interface MissingRuns {
  /** The cell's labels. */
  cell: string;
  /** How many of its runs are not finished. */
  runs: number;
  /** A sentence each. */
  why: string[];
}

export interface GridProgress {
  /** Where the document lies. */
  from: string;
  name: string;
  runs: number;
  finished: number;
  missing: MissingRuns[];
}

/** Runs belong to a cell by the name that the series gives its experiments. */
export function gridProgress(from: string, series: Series, found: readonly FoundRun[]): GridProgress {
  const cells = seriesCells(series).map(({ labels }) => labels.join(', '));
  const rows = cells.map((labels) => {
    const name = labels === '' ? series.name : `${series.name}: ${labels}`;
    const own = found.filter((run) => run.name === name);
    const finished = new Set(own.filter(({ state }) => state === 'finished').map(({ seed }) => seed));
    const others = new Map(own.filter(({ seed }) => !finished.has(seed)).map((run) => [run.seed, run]));
    const absent = Math.max(0, series.seeds - finished.size - others.size);
    const why = [
      ...[...others.values()].map(({ seed, state, how }) => `seed ${seed} ${state}${how === '' ? '' : `: ${how}`}`),
      ...(absent > 0 ? [`${absent === series.seeds ? 'no run' : `${absent} of ${series.seeds} seeds not`} begun`] : []),
    ];
    return { cell: labels, finished: Math.min(finished.size, series.seeds), why };
  });
  return {
    from,
    name: series.name,
    runs: cells.length * series.seeds,
    finished: rows.reduce((sum, row) => sum + row.finished, 0),
    missing: rows
      .filter((row) => row.finished < series.seeds)
      .map(({ cell, finished, why }) => ({ cell, runs: series.seeds - finished, why })),
  };
}
