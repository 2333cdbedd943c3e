// judgeRows.ts: what a judge said of several runs as the rows of Tables 13 and 14: mean ratings by system, over seeds. Which
// replies there are and what they say is teachers/judge.ts.
import { mean, standardDeviation } from '../base/statistics';
import type { Quality } from '../teachers/judge';
import type { Collection } from './cells';

/** What was stored with one run: judge.json, as far as it is needed here. */
export interface JudgedRun {
  runId: string;
  judge: string;
  /** `system` as the judge's table calls it; a teacher's label for a teacher. */
  rows: { system: string; tasks: Record<string, Quality>; all: Quality }[];
}

/** A cell of the table. */
export interface JudgeCell {
  /** Of each run that has ratings here. */
  runs: { seed: number; mean: number; n: number }[];
  mean: number;
  /** Over seeds; absent for one. */
  sd?: number;
  /** Of one run's mean: the bootstrap over its questions. */
  interval?: { low: number; high: number };
  unparsable: number;
  missing: number;
}

export interface JudgeRow {
  judge: string;
  /** What tells it from rows of other cells. */
  detail: string;
  system: string;
  /** Beside the task names of the table; `all` is over its tasks. */
  cells: Record<string, JudgeCell>;
  all: JudgeCell | null;
}

const unique = <T>(values: readonly T[]): T[] => [...new Set(values)];

function cellOf(qualities: readonly { seed: number; quality: Quality }[]): JudgeCell | null {
  const rated = qualities.filter(({ quality }) => quality.mean !== undefined);
  if (rated.length === 0) return null;
  const means = rated.map(({ quality }) => quality.mean!);
  const sum = (of: (quality: Quality) => number): number =>
    qualities.reduce((total, { quality }) => total + of(quality), 0);
  const interval = rated.length === 1 ? rated[0]!.quality.interval : undefined;
  return {
    runs: rated.map(({ seed, quality }) => ({ seed, mean: quality.mean!, n: quality.n })),
    mean: mean(means),
    ...(means.length > 1 ? { sd: standardDeviation(means) } : {}),
    ...(interval === undefined ? {} : { interval }),
    unparsable: sum(({ unparsable }) => Object.values(unparsable).reduce((a, b) => a + b, 0)),
    missing: sum(({ missing }) => missing),
  };
}

/** A row for every judge, cell and system, in the order of the runs. */
export function judgeRows({ report }: Collection, judged: readonly JudgedRun[]): { tasks: string[]; rows: JudgeRow[] } {
  const placed = judged.flatMap((one) => {
    const run = report.runs.find(({ id }) => id === one.runId);
    return run === undefined ? [] : [{ ...one, cell: run.cell, seed: run.seed }];
  });
  const tasks = unique(placed.flatMap(({ rows }) => rows.flatMap(({ tasks: own }) => Object.keys(own))));
  const keys = unique(
    placed.flatMap(({ judge, cell, rows }) => rows.map(({ system }) => JSON.stringify([judge, cell, system]))),
  );
  const rows = keys.flatMap((key): JudgeRow[] => {
    const [judge, cell, system] = JSON.parse(key) as [string, number, string];
    const own = placed
      .filter((one) => one.judge === judge && one.cell === cell)
      .flatMap(({ seed, rows: all }) => all.filter((row) => row.system === system).map((row) => ({ seed, row })));
    const cells = tasks.flatMap((task) => {
      const made = cellOf(
        own.flatMap(({ seed, row }) => (row.tasks[task] === undefined ? [] : [{ seed, quality: row.tasks[task] }])),
      );
      return made === null ? [] : [[task, made] as const];
    });
    const all = cellOf(own.map(({ seed, row }) => ({ seed, quality: row.all })));
    return [{ judge, detail: report.cells[cell]!.labels.join(', '), system, cells: Object.fromEntries(cells), all }];
  });
  return { tasks, rows };
}
