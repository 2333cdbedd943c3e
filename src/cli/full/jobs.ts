// jobs.ts: a grid of experiments as jobs with an order: what several cells share (the untouched student's answers, phase 1)
// is a job of its own, and they come after it. A job is an ordinary run that may end early (`until`); what it computed is
// found by the others in the folder of shared results, where the session decides by all inputs whether it is the same
// (session/phaseResults.ts). So this order saves work and cannot make a wrong number. It runs nothing.
import { createHash } from 'node:crypto';
import type { Experiment } from '../../config/experiment';
import type { PhaseName } from '../../session/protocol';
import type { LoadedSeries } from '../experimentFile';

/** One run on one GPU. */
export interface GridJob {
  /** The name of its folder: that of the series' run, or `baseline-…`, `instruct-…`. */
  id: string;
  kind: 'baseline' | 'instruct' | 'cell';
  /** In words, for people: `25 %, both, seed 1`. */
  title: string;
  experiment: Experiment;
  /** Absolute paths that it reads. */
  inputs: string[];
  /** The run ends in order after this phase. Absent: it goes to its end. */
  until?: PhaseName;
  /** The job that must have ended before. */
  after?: string;
}

type LoadedRun = LoadedSeries['runs'][number];

/** Twelve hex digits of the SHA-256 of a value's JSON. */
function shortHash(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 12);
}

/** What the untouched student's answers follow from, as far as the document says. */
function baselineOf({ student, prompt, tasks, evaluation, seed, phases }: Experiment): string | undefined {
  if (!phases.baseline) return undefined;
  const asked = tasks.filter(({ use }) => use.includes('evaluate')).map(({ use: _, ...task }) => task);
  return shortHash({ student, prompt, asked, evaluation, seed });
}

/** What the instructed adapter follows from, as far as the document says. */
function instructOf(experiment: Experiment): string | undefined {
  const { student, adapter, prompt, tasks, demonstrations, phases, seed } = experiment;
  if (phases.instruct === false) return undefined;
  // A task without demonstrations teaches nothing: in a grid its use is a placeholder, another one in every cell.
  const isShown = new Set(demonstrations.map(({ task }) => task));
  const taught = tasks
    .filter(({ name, use }) => use.includes('instruct') && isShown.has(name))
    .map(({ use: _, ...task }) => task);
  const shown = demonstrations.filter(({ task }) => taught.some(({ name }) => name === task));
  const { instruct, control } = phases;
  return shortHash({ student, adapter, prompt, taught, shown, instruct, control, seed });
}

function groups<T>(items: readonly T[], keyOf: (item: T) => string | undefined): Map<string, T[]> {
  const found = new Map<string, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    if (key !== undefined) found.set(key, [...(found.get(key) ?? []), item]);
  }
  return found;
}

/** `25 %, both, seed 1` */
const titleOf = ({ cell, seed }: LoadedRun): string => [...cell.labels, `seed ${seed}`].join(', ');

/**
 * The jobs of a grid, each after what it waits for. A shared job is there only where at least two others would compute the
 * same: the instructed adapter once for its cells, the untouched student's answers once for all that test it alike.
 */
export function gridJobs({ runs }: Pick<LoadedSeries, 'runs'>): GridJob[] {
  const taught = groups(runs, ({ experiment }) => instructOf(experiment));
  const teaching = [...taught].filter(([, own]) => own.length > 1);
  const firstRun = new Map([
    ...teaching.map(([key, own]): [string, string] => [`instruct-${key}`, titleOf(own[0]!)]),
    ...runs.map((run): [string, string] => [run.id, titleOf(run)]),
  ]);
  const instructJobs = teaching.map(([key, own]): GridJob => {
    const { experiment, inputs } = own[0]!;
    const { control = false } = experiment.phases;
    return {
      id: `instruct-${key}`,
      kind: 'instruct',
      title: `phase 1 for ${own.length} runs (${titleOf(own[0]!)} and others)`,
      experiment,
      inputs,
      until: control === false ? 'instruct' : 'control',
    };
  });
  const cells = runs.map((run): GridJob => {
    const waited = instructJobs.find(({ id }) => id === `instruct-${instructOf(run.experiment)}`);
    const { id, experiment, inputs } = run;
    return { id, kind: 'cell', title: titleOf(run), experiment, inputs, ...(waited ? { after: waited.id } : {}) };
  });
  const first = [...instructJobs, ...cells.filter(({ after }) => after === undefined)];
  const asked = groups(first, ({ experiment }) => baselineOf(experiment));
  const baselineJobs = [...asked]
    .filter(([, own]) => own.length > 1)
    .map(([key, own]): GridJob => ({
      id: `baseline-${key}`,
      kind: 'baseline',
      title: `the untouched student, once for ${own.length} jobs (${firstRun.get(own[0]!.id)!} and others)`,
      experiment: own[0]!.experiment,
      inputs: own[0]!.inputs,
      until: 'baseline',
    }));
  const afterBaseline = (job: GridJob): GridJob => {
    const waited = baselineJobs.find(({ id }) => id === `baseline-${baselineOf(job.experiment)}`);
    return job.after !== undefined || waited === undefined ? job : { ...job, after: waited.id };
  };
  return [...baselineJobs, ...[...instructJobs, ...cells].map(afterBaseline)];
}
