// plan.ts: what a grid (or one run) would need before anything is loaded: jobs with their tokens, bytes and hours, what lies on the
// disk, when N cards would be done, and which settings would make it fit. It computes from plans of single runs (session/plan.ts);
// it opens no GPU and starts nothing. What people read of it is planText.ts.
import type { Experiment } from '../../config/experiment';
import { SYSTEM_NAMES } from '../../config/systems';
import type { PhaseName } from '../../session/protocol';
import type { RunPlan } from '../nodeHost';
import type { Speeds } from './cards';
import type { GridJob } from './jobs';
import { smallerSettings } from './memoryAdvice';

/** The plan of a job's experiment; the same for all seeds. */
export type PlanOf = (experiment: Experiment) => Promise<RunPlan>;

export interface PlannedJob {
  id: string;
  kind: GridJob['kind'];
  title: string;
  after?: string;
  /** What it computes itself; the rest is taken from the jobs before it. */
  phases: PhaseName[];
  tokens: number;
  flops: number;
  seconds: number;
  gpuBytes: number;
}

/** On the disks of the machine that keeps the folder. */
export interface PlannedDisk {
  /** Of one run while it goes on: what it leaves, and its checkpoints (the newest and the one before). */
  runBytes: number;
  /** Of those, what stays when it has finished: adapters as files and in the last checkpoint, answers, reports. */
  finishedBytes: number;
  /** Results of phases, of every job: adapters and answers. */
  sharedBytes: number;
  /** The student as it is packed for the GPU, once a machine. */
  studentBytes: number;
  /** All runs kept, with as many checkpoints as cards. */
  totalBytes: number;
}

/** One change that helps; each is made on top of those before it. */
export interface PlanRemedy {
  setting: string;
  /** The peak with it. */
  gpuBytes: number;
}

export interface GridPlan {
  name: string;
  parameters: number;
  runs: number;
  jobs: PlannedJob[];
  tokens: number;
  flops: number;
  /** Of one card working alone. */
  seconds: number;
  /** At most on one card, in which job and phase. */
  peak: { gpuBytes: number; job: string; phase: PhaseName };
  disk: PlannedDisk;
  schedule: { cards: number; seconds: number };
  speeds: Speeds;
  fit?: { memoryBytes: number; fits: boolean; remedies: PlanRemedy[] };
  warnings: string[];
  estimates: string[];
}

/** A character of an answer is a byte or a little more, kept in several files; with log-probabilities and ids beside it. */
const BYTES_PER_GENERATED_TOKEN = 24;
/** A line of metrics.jsonl, and its point in the reports. */
const BYTES_PER_STEP = 1024;
/** report.html and report.json without curves and answers. */
const REPORT_BYTES = 2 ** 19;
/** A shared result beside its adapter, curve and answers: the record of the run as far as it belongs to the phase. */
const RESULT_BYTES = 2 ** 14;
/**
 * A run lies in its folder, and again in the store of its session (a browser's profile, `.store`). A grid takes finished runs
 * out of that store; a run by itself stays there.
 */
const PLACES = 2;
const placesLeft = (isShared: boolean): number => (isShared ? 1 : PLACES);
const TRAINED = ['instruct', 'control', 'self-refine'] as const;

/** Seconds of one phase. A trained token counts 6 operations a parameter, any other 2 (session/plan.ts). */
export function phaseSeconds(
  parameters: number,
  phase: Pick<RunPlan['phases'][number], 'trainedTokens' | 'forwardTokens' | 'generatedTokens'>,
  speeds: Speeds,
): number {
  const generated = Math.min(phase.generatedTokens, phase.forwardTokens);
  return (
    (6 * parameters * phase.trainedTokens) / speeds.trainFlops +
    (2 * parameters * (phase.forwardTokens - generated)) / speeds.readFlops +
    (2 * parameters * generated) / speeds.generateFlops
  );
}

/** What the jobs that one waits for have computed already. */
function takenPhases(job: GridJob, byId: ReadonlyMap<string, GridJob>): Set<PhaseName> {
  const taken = new Set<PhaseName>();
  for (let before = byId.get(job.after ?? ''); before !== undefined; before = byId.get(before.after ?? '')) {
    if (before.experiment.phases.baseline) taken.add('baseline');
    if (before.kind === 'instruct') for (const phase of ['instruct', 'control'] as const) taken.add(phase);
  }
  return taken;
}

/** Experiments of one key have one plan: all seeds of a cell. */
const planKey = ({ seed: _, name: _name, notes: _notes, ...same }: Experiment): string => JSON.stringify(same);

/** Longest chain first, each job on the card that is free first: when the last one ends. */
export function scheduleSeconds(jobs: readonly Pick<PlannedJob, 'id' | 'after' | 'seconds'>[], cards: number): number {
  const waiting = new Map(jobs.map((job) => [job.id, job]));
  const tails = new Map<string, number>();
  const tail = (id: string): number => {
    const known = tails.get(id);
    if (known !== undefined) return known;
    const own = jobs.find((job) => job.id === id)!.seconds;
    const behind = jobs.filter(({ after }) => after === id).map((job) => tail(job.id));
    const length = own + Math.max(0, ...behind);
    tails.set(id, length);
    return length;
  };
  const order = [...jobs].sort((a, b) => tail(b.id) - tail(a.id));
  const free = new Array<number>(Math.max(1, cards)).fill(0);
  const ends = new Map<string, number>();
  while (ends.size < jobs.length) {
    // Of the jobs whose predecessor has been placed, the one with the longest chain behind it.
    const next = order.find(
      ({ id, after }) => !ends.has(id) && (after === undefined || !waiting.has(after) || ends.has(after)),
    );
    if (next === undefined) return NaN; // a circle, which gridJobs never makes
    const card = free.indexOf(Math.min(...free));
    const start = Math.max(free[card]!, ends.get(next.after ?? '') ?? 0);
    free[card] = start + next.seconds;
    ends.set(next.id, free[card]);
  }
  return Math.max(0, ...free);
}

/** The phase that holds most. */
const peakOf = (plan: RunPlan): { phase: PhaseName; gpuBytes: number } =>
  plan.phases.reduce<{ phase: PhaseName; gpuBytes: number }>(
    (most, one) => (one.gpuBytes > most.gpuBytes ? one : most),
    {
      phase: 'load',
      gpuBytes: plan.bytes.weightsBytes,
    },
  );

/**
 * Settings that bring an experiment below so many bytes, the cheapest first, each checked by planning again. Ends with the one
 * that makes it fit; empty where it fits as it is. Where none does, all that help.
 */
export async function remediesFor(experiment: Experiment, memoryBytes: number, planOf: PlanOf): Promise<PlanRemedy[]> {
  const remedies: PlanRemedy[] = [];
  const tried = new Set<string>();
  let current = experiment;
  let peak = peakOf(await planOf(current));
  while (peak.gpuBytes > memoryBytes) {
    let best: { setting: string; experiment: Experiment; gpuBytes: number } | undefined;
    let knob: string | undefined;
    for (const one of smallerSettings(current, peak.phase)) {
      const path = one.setting.split(' ')[0]!;
      // One setting at a time, as small as need be, before the next one.
      if (tried.has(path) || (knob !== undefined && path !== knob)) continue;
      const plan = await planOf(one.experiment).catch(() => undefined); // a combination may be refused
      const own = plan?.phases.find(({ phase }) => phase === peak.phase)?.gpuBytes ?? Infinity;
      if (own >= peak.gpuBytes) {
        tried.add(path);
        continue;
      }
      knob = path;
      best = { ...one, gpuBytes: peakOf(plan!).gpuBytes };
      if (own <= memoryBytes) break;
    }
    if (best === undefined) return remedies;
    tried.add(knob!);
    remedies.push({ setting: best.setting, gpuBytes: best.gpuBytes });
    current = best.experiment;
    const next = peakOf(await planOf(current));
    if (next.phase !== peak.phase) tried.clear(); // another phase holds most now, and has settings of its own
    peak = next;
    if (remedies.length > 24) return remedies;
  }
  return remedies;
}

export interface PlanRequest {
  name: string;
  jobs: readonly GridJob[];
  planOf: PlanOf;
  speedsFor: (parameters: number) => Speeds;
  /** Whether the jobs put their results into a shared folder, as those of a grid do. */
  isShared: boolean;
  cards: number;
  memoryBytes?: number;
}

/** The plan of all jobs. @throws PupilError whatever planning one of their runs throws */
export async function planGrid(request: PlanRequest): Promise<GridPlan> {
  const { name, jobs, cards, memoryBytes } = request;
  const byId = new Map(jobs.map((job) => [job.id, job]));
  const known = new Map<string, Promise<RunPlan>>();
  const planOf = (experiment: Experiment): Promise<RunPlan> => {
    const key = planKey(experiment);
    const plan = known.get(key) ?? request.planOf(experiment);
    known.set(key, plan);
    return plan;
  };
  const plans: RunPlan[] = [];
  for (const job of jobs) plans.push(await planOf(job.experiment));
  const parameters = plans[0]!.parameters;
  const speeds = request.speedsFor(parameters);
  const planned = jobs.map((job, i): PlannedJob => {
    const plan = plans[i]!;
    const taken = takenPhases(job, byId);
    const last =
      job.until === undefined ? plan.phases.length : plan.phases.findIndex(({ phase }) => phase === job.until) + 1;
    const own = plan.phases.slice(0, last).filter(({ phase }) => !taken.has(phase));
    const sum = (of: (phase: RunPlan['phases'][number]) => number): number =>
      own.reduce((total, phase) => total + of(phase), 0);
    return {
      id: job.id,
      kind: job.kind,
      title: job.title,
      ...(job.after === undefined ? {} : { after: job.after }),
      phases: own.map(({ phase }) => phase),
      tokens: sum(({ trainedTokens, forwardTokens }) => trainedTokens + forwardTokens),
      flops: sum(({ flops }) => flops),
      seconds: sum((phase) => phaseSeconds(plan.parameters, phase, speeds)),
      gpuBytes: own.reduce((most, { gpuBytes }) => Math.max(most, gpuBytes), plan.bytes.weightsBytes),
    };
  });
  const largest = planned.reduce((most, job) => (job.gpuBytes > most.gpuBytes ? job : most));
  const largestPlan = plans[planned.indexOf(largest)]!;
  const cells = jobs.filter(({ kind }) => kind === 'cell');
  const total = (of: (job: PlannedJob) => number): number => planned.reduce((sum, job) => sum + of(job), 0);
  const unique = (of: (plan: RunPlan) => string[]): string[] => [...new Set(plans.flatMap(of))];
  let fit: GridPlan['fit'];
  if (memoryBytes !== undefined) {
    const fits = largest.gpuBytes <= memoryBytes;
    const { experiment } = byId.get(largest.id)!;
    fit = { memoryBytes, fits, remedies: fits ? [] : await remediesFor(experiment, memoryBytes, planOf) };
  }
  return {
    name,
    parameters,
    runs: cells.length,
    jobs: planned,
    tokens: total(({ tokens }) => tokens),
    flops: total(({ flops }) => flops),
    seconds: total(({ seconds }) => seconds),
    peak: { gpuBytes: largest.gpuBytes, job: largest.id, phase: peakOf(largestPlan).phase },
    disk: diskOf(jobs, planned, plans, request),
    schedule: { cards, seconds: scheduleSeconds(planned, cards) },
    speeds,
    ...(fit === undefined ? {} : { fit }),
    warnings: unique(({ warnings }) => warnings),
    estimates: unique(({ estimates }) => estimates),
  };
}

/** What a job leaves in one place. A run that ends early keeps the adapter with its moments, to go on from. */
function leftBy({ until }: Pick<GridJob, 'until'>, { disk, phases }: RunPlan): number {
  const { adapters, adapterBytes } = disk;
  const last = until === undefined ? phases.length : phases.findIndex(({ phase }) => phase === until) + 1;
  const own = phases.slice(0, last);
  const trained = until === 'baseline' ? 0 : until === undefined ? adapters : adapters - (until === 'instruct' ? 1 : 0);
  const kept = until === undefined ? trained : trained === 0 ? 0 : trained + 2;
  return (trained + kept) * adapterBytes + textBytes(own) + REPORT_BYTES;
}

/** Answers and curves of phases. */
const textBytes = (phases: RunPlan['phases']): number =>
  phases.reduce(
    (sum, { generatedTokens, steps = 0 }) => sum + BYTES_PER_GENERATED_TOKEN * generatedTokens + BYTES_PER_STEP * steps,
    0,
  );

function diskOf(
  jobs: readonly GridJob[],
  planned: readonly PlannedJob[],
  plans: readonly RunPlan[],
  { cards, isShared }: Pick<PlanRequest, 'cards' | 'isShared'>,
): PlannedDisk {
  const cells = plans.filter((_, i) => jobs[i]!.kind === 'cell');
  const most = (of: (plan: RunPlan) => number): number => cells.reduce((max, plan) => Math.max(max, of(plan)), 0);
  const places = placesLeft(isShared);
  const finishedOf = (plan: RunPlan): number => places * leftBy({}, plan);
  const runBytes = most((plan) => finishedOf(plan) + PLACES * plan.disk.checkpointBytes);
  const finishedBytes = most(finishedOf);
  // Every phase of every job puts its result there, and takes none that it computed itself.
  const sharedOf = (plan: RunPlan, own: readonly PhaseName[]): number =>
    textBytes(plan.phases.filter(({ phase }) => own.includes(phase))) +
    RESULT_BYTES * own.reduce((results, phase) => results + (phase === 'evaluate' ? SYSTEM_NAMES.length : 1), 0) +
    plan.disk.adapterBytes * own.filter((phase) => (TRAINED as readonly PhaseName[]).includes(phase)).length;
  const sharedBytes = isShared ? plans.reduce((sum, plan, i) => sum + sharedOf(plan, planned[i]!.phases), 0) : 0;
  const studentBytes = most(({ bytes }) => bytes.weightsBytes);
  const running = PLACES * Math.min(cards, cells.length) * most(({ disk }) => disk.checkpointBytes);
  const kept = plans.reduce((sum, plan, i) => sum + places * leftBy(jobs[i]!, plan), 0);
  return {
    runBytes,
    finishedBytes,
    sharedBytes,
    studentBytes,
    totalBytes: kept + running + sharedBytes + studentBytes,
  };
}
