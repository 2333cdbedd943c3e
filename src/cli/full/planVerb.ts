// planVerb.ts: `--plan` of the verbs run and full: its flags, where its speeds come from, and what is told. The plan is plan.ts.
import { InvalidArgumentError, type Command } from 'commander';
import type { Experiment } from '../../config/experiment';
import type { ExitCode } from '../context';
import type { LoadedSeries } from '../experimentFile';
import { bytesOf, integerIn, numberIn } from '../options';
import type { Output } from '../output';
import { CARD_NAMES, cardNamed, statedGflops, statedTokens, type Speeds } from './cards';
import { gridJobs, type GridJob } from './jobs';
import { planGrid, type GridPlan } from './plan';
import { planText } from './planText';

export interface PlanFlags {
  plan?: boolean;
  gflops?: number;
  tokensPerSecond?: { trained: number; generated: number };
  card?: string;
  cards?: number;
  memory?: number;
}

/** `360` or `360,104`: tokens a second in training, and while answering. */
function tokensOf(text: string): { trained: number; generated: number } {
  const [trained = NaN, generated = trained, ...more] = text.split(',').map(Number);
  if (trained > 0 && generated > 0 && Number.isFinite(trained + generated) && more.length === 0) {
    return { trained, generated };
  }
  throw new InvalidArgumentError('Expected tokens a second, in training and while answering, e.g. 360,104.');
}

/** Flags of both verbs. */
export function withPlanFlags(command: Command): Command {
  return command
    .option(
      '--plan',
      'only say what it would need: jobs, tokens, bytes, disk, hours; of the student config.json suffices',
    )
    .option('--gflops <speed>', 'of --plan: one sustained speed for everything (default: 1000)', numberIn(0.001))
    .option(
      '--tokens-per-second <train,answer>',
      'of --plan: measured speeds of such a student, e.g. 360,104',
      tokensOf,
    )
    .option('--card <name>', `of --plan: speed and memory of a known card (${CARD_NAMES.join(', ')})`)
    .option('--cards <n>', 'of --plan: how many of them work at once', integerIn(1, 10_000))
    .option('--memory <bytes>', 'of --plan: what one card has, e.g. 48GiB; says which settings would fit', bytesOf);
}

/** The last speed that is said wins: a stated one over a known card. */
function speedsOf(flags: PlanFlags): (parameters: number) => Speeds {
  const { gflops, tokensPerSecond, card } = flags;
  if (tokensPerSecond !== undefined) {
    return (parameters) => statedTokens(tokensPerSecond.trained, tokensPerSecond.generated, parameters);
  }
  if (gflops === undefined && card !== undefined) {
    const { speeds } = cardNamed(card);
    return () => speeds;
  }
  return () => statedGflops(gflops ?? 1000);
}

async function planned(name: string, jobs: readonly GridJob[], flags: PlanFlags): Promise<GridPlan> {
  const { planExperiment } = await import('../nodeHost');
  const memoryBytes = flags.memory ?? (flags.card === undefined ? undefined : cardNamed(flags.card).memoryBytes);
  return planGrid({
    name,
    jobs,
    planOf: planExperiment,
    speedsFor: speedsOf(flags),
    cards: flags.cards ?? 1,
    ...(memoryBytes === undefined ? {} : { memoryBytes }),
  });
}

/** What machines are told of both: hours as well, since people count in them. */
const told = (plan: GridPlan): Record<string, unknown> => ({
  ...plan,
  hours: plan.seconds / 3600,
  scheduleHours: plan.schedule.seconds / 3600,
});

/** `run EXPERIMENT --plan` */
export async function tellRunPlan(output: Output, experiment: Experiment, flags: PlanFlags): Promise<ExitCode> {
  const { planExperiment } = await import('../nodeHost');
  const job: GridJob = { id: 'run', kind: 'cell', title: experiment.name, experiment, inputs: [] };
  const plan = await planned(experiment.name, [job], flags);
  const run = await planExperiment(experiment);
  output.result('plan', { ...told(plan), ...run }, () => planText(plan, run));
  return 0;
}

/** `run SERIES --plan` (runs one after another), `full GRID --plan` (what cells share is computed once). */
export async function tellGridPlan(
  output: Output,
  { series, cells, runs }: LoadedSeries,
  flags: PlanFlags,
  isShared: boolean,
): Promise<ExitCode> {
  const alone = ({ id, cell, seed, experiment, inputs }: LoadedSeries['runs'][number]): GridJob => ({
    ...{ id, kind: 'cell', experiment, inputs },
    title: [...cell.labels, `seed ${seed}`].join(', '),
  });
  const plan = await planned(series.name, isShared ? gridJobs({ runs }) : runs.map(alone), flags);
  const rows = cells.map((cell) => {
    const own = runs.filter((run) => run.cell.id === cell.id).map(({ id }) => plan.jobs.find((job) => job.id === id)!);
    const { flops, gpuBytes } = own[0]!;
    return { id: cell.id, cell: cell.labels, seeds: own.length, flops, gpuBytes };
  });
  output.result('series-plan', { ...told(plan), cells: rows, totalFlops: plan.flops }, () => planText(plan));
  return 0;
}
