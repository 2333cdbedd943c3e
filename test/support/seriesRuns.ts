// seriesRuns.ts: a series report as stored runs again: for every run an experiment, a report with the published counts, and
// predictions that add up to them. Which single questions were right is made up. Reads no file. Tests only.
import { wilsonInterval } from '../../src/base/statistics';
import { expandSeries } from '../../src/config/series';
import type { Experiment } from '../../src/config/experiment';
import type { AnswerRow } from '../../src/report/answers';
import type { CollectedRun } from '../../src/report/cells';
import type { SeriesReport } from '../../src/report/series';
import type { DemonstrationSummary, EvaluationRow, RunReport } from '../../src/report/types';

/** The experiment of every cell. The report has that of the first one, with what all have in common. */
function experimentsOf({ series, cells, experiment }: SeriesReport, seed: number): Experiment[] {
  const whole = { ...series, set: {}, seeds: 1 };
  const runs = expandSeries(whole, JSON.parse(JSON.stringify({ ...experiment, seed })) as unknown);
  return cells.map((_, c) => {
    const text = JSON.stringify(runs[c]!.experiment).replaceAll(/\?seed=(0|\{seed\})&/g, `?seed=${seed}&`);
    return JSON.parse(text) as Experiment;
  });
}

/** So that the right answers are not the first ones: a step through n without common divisor. */
const place = (i: number, n: number): number => (n % 7 === 0 ? (i * 11) % n : (i * 7) % n);

function answersOf(row: EvaluationRow): AnswerRow[] {
  const { system, taskId, prompt, scorer, correct, n } = row;
  return Array.from({ length: n }, (_, i) => ({
    system,
    taskId,
    prompt,
    itemId: `q${i}`,
    target: 'A',
    correct: { [scorer]: place(i, n) < correct },
  }));
}

/** Every run of a published series; ids begin with its name. */
export function runsOfSeries(published: SeriesReport, name: string): CollectedRun[] {
  return published.runs.map(({ id, cell, seed }): CollectedRun => {
    const experiment = experimentsOf(published, seed)[cell]!;
    const evaluations = published.results.flatMap((result): EvaluationRow[] => {
      if (result.cell !== cell || result.scorer !== 'strict') return [];
      const { system, taskId, prompt, scorer } = result;
      return result.runs
        .filter((run) => run.seed === seed)
        .map(({ correct, n, cutOff }) => ({
          system,
          taskId,
          prompt,
          scorer,
          correct,
          n,
          cutOff,
          ...wilsonInterval(correct, n),
        }));
    });
    const report = {
      format: 'pupil-report',
      version: 1,
      runId: id,
      name: `${published.series.name}, ${published.cells[cell]!.labels.join(', ')}`,
      state: 'finished',
      startedAt: '2026-01-02T03:04:05Z',
      finishedAt: '2026-01-02T03:05:05Z',
      experiment: { ...experiment, seed },
      environment: published.environments[0]!,
      student: published.student!,
      tasks: experiment.tasks.map(({ name: taskId, id: benchmark }) => ({
        taskId,
        benchmark,
        trainItems: 120,
        testItems: 500,
        tooLong: 0,
        notes: [],
      })),
      demonstrations: experiment.demonstrations.map(({ label, task, family }) => {
        const wrong = Number(/(\d+) % wrong/.exec(label)?.[1] ?? 0) / 100;
        const teacherCorrect = Math.round(60 * (1 - wrong));
        const interval = wilsonInterval(teacherCorrect, 60);
        const summary = { label, taskId: task, family, used: 60, read: 60, teacherCorrect, teacherN: 60 };
        return { ...summary, teacherLow: interval.low, teacherHigh: interval.high } as DemonstrationSummary;
      }),
      evaluations,
      comparisons: [],
      curves: [],
      samples: [],
      timings: [],
      bytes: { gpuPeak: 0, gpuParts: {}, adapterFile: 0, checkpoint: 0 },
      artefacts: [],
      log: [],
    } satisfies RunReport;
    return { runId: `${name}-${id}`, report, answers: evaluations.flatMap(answersOf) };
  });
}
