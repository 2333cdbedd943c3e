// planVerb.ts: `--plan` of the verbs run and full: its flags, where its speeds come from, and what is told. The plan is plan.ts.
import { InvalidArgumentError, Option, type Command } from 'commander';
import { PupilError } from '../../base/errors';
import type { Experiment } from '../../config/experiment';
import type { MeasuredSpeed, MeasureSpeedRequest } from '../../session/protocol';
import { withSession, type ExitCode, type VerbContext } from '../context';
import type { LoadedSeries } from '../experimentFile';
import type { RunPlan } from '../nodeHost';
import { bytesOf, integerIn, numberIn, type CommonFlags } from '../options';
import type { Output } from '../output';
import { ASSUMED, CARD_NAMES, cardNamed, statedGflops, statedTokens, type Speeds } from './cards';
import { gridJobs, type GridJob } from './jobs';
import { planGrid, type GridPlan, type PlanOf } from './plan';
import { planText } from './planText';

export interface PlanFlags {
  plan?: boolean;
  gflops?: number;
  tokensPerSecond?: { trained: number; generated: number };
  card?: string;
  cards?: number;
  memory?: number;
  measure?: boolean;
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
    .option('--gflops <speed>', 'of --plan: one sustained speed for everything', numberIn(0.001))
    .option(
      '--tokens-per-second <train,answer>',
      'of --plan: measured speeds of such a student, e.g. 360,104',
      tokensOf,
    )
    .option('--card <name>', `of --plan: speed and memory of a known card (${CARD_NAMES.join(', ')})`)
    .option(
      '--cards <n>',
      'of --plan: how many of them work at once (default: those of --gpus, else 1)',
      integerIn(1, 10_000),
    )
    .addOption(
      new Option(
        '--measure',
        'of --plan: measure the speed on this device, with made-up weights of that shape',
      ).conflicts(['gflops', 'tokensPerSecond']),
    )
    .option('--memory <bytes>', 'of --plan: what one card has, e.g. 48GiB; says which settings would fit', bytesOf);
}

/** Flags by what they are called on the command line. */
const OF_PLAN = {
  gflops: '--gflops',
  tokensPerSecond: '--tokens-per-second',
  card: '--card',
  cards: '--cards',
  measure: '--measure',
  memory: '--memory',
} as const satisfies Partial<Record<keyof PlanFlags, string>>;

/**
 * Whether it is only to be planned.
 * @throws PupilError `usage` for flags of a plan without `--plan`: nobody who says them wants to start runs
 */
export function isPlan(flags: PlanFlags): boolean {
  if (flags.plan === true) return true;
  const said = Object.entries(OF_PLAN).find(([name]) => flags[name as keyof typeof OF_PLAN] !== undefined);
  if (said === undefined) return false;
  throw new PupilError(
    'usage',
    `${said[1]}: expected --plan beside it`,
    'Nothing was started. Add --plan, or leave the flag out.',
  );
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
  return () => (gflops === undefined ? ASSUMED : statedGflops(gflops));
}

/** Loaded here, since no other part of these verbs needs it. */
const newPlanner = async (): Promise<PlanOf> => (await import('../nodeHost')).runPlanner();

/** What a verb has at hand. */
export interface PlanPlace {
  context: VerbContext;
  output: Output;
}

/** Opens the device, and takes the time of real steps at the experiment's batches. */
async function measured(
  context: VerbContext,
  output: Output,
  flags: PlanFlags & CommonFlags,
  experiment: Experiment,
  planOf: PlanOf,
): Promise<(parameters: number) => Speeds> {
  const plan = await planOf(experiment);
  let found: MeasuredSpeed | undefined;
  // Of cards that are alike one is enough.
  const onOne = flags.gpus === undefined ? flags : { ...flags, gpus: flags.gpus.slice(0, 1) };
  await withSession(context, onOne, output, async (session) => {
    found = await session.measureSpeed(speedRequest(experiment, plan), (progress) => output.progress(progress));
    return 0;
  });
  const { device, software, tier, layers, trainedPerSecond, readPerSecond, generatedPerSecond } = found!;
  const depth = layers.measured === layers.whole ? '' : `, ${layers.measured} of ${layers.whole} layers`;
  const speeds = [trainedPerSecond, readPerSecond, generatedPerSecond].map((speed) => speed.toPrecision(3));
  return (parameters) => ({
    trainFlops: 6 * parameters * trainedPerSecond,
    readFlops: 2 * parameters * readPerSecond,
    generateFlops: 2 * parameters * generatedPerSecond,
    from: `measured on ${device}${software ? ' (software)' : ''}, tier ${tier}${depth}: ${speeds[0]} tokens/s trained, ${speeds[1]} read, ${speeds[2]} generated`,
    isEstimate: layers.measured !== layers.whole,
  });
}

/** The batches of the experiment: a micro-batch of its mean sequences, answers as many side by side as it asks for. */
function speedRequest({ student, adapter, phases, evaluation }: Experiment, plan: RunPlan): MeasureSpeedRequest {
  const trained = plan.phases.find(({ steps, trainedTokens }) => steps !== undefined && trainedTokens > 0);
  const phase = trained?.phase === 'self-refine' ? phases.selfRefine : phases.instruct;
  const settings = phase === false ? { batchSize: 1, microBatchTokens: 512 } : phase;
  const perStep = (trained?.trainedTokens ?? 256) / ((trained?.steps ?? 1) * settings.batchSize);
  const halves = trained?.phase === 'self-refine' ? 2 : 1; // of a pair
  const tokens = Math.max(8, Math.round(perStep / halves));
  const answers = plan.phases.find(({ generatedTokens }) => generatedTokens > 0);
  const count = (answers?.generatedTokens ?? 0) / evaluation.maxNewTokens;
  const read = answers === undefined || count === 0 ? 64 : (answers.forwardTokens - answers.generatedTokens) / count;
  return {
    config: plan.config,
    quantize: student.quantize,
    tier: student.tier,
    adapter: { ...adapter, targets: [...adapter.targets] },
    training: { sequences: Math.max(1, Math.floor(settings.microBatchTokens / tokens)), tokens },
    answering: { batchSize: evaluation.batchSize, promptTokens: Math.max(8, Math.round(read)) },
  };
}

async function planned(
  { context, output }: PlanPlace,
  name: string,
  { jobs, isShared }: { jobs: readonly GridJob[]; isShared: boolean },
  flags: PlanFlags & CommonFlags,
  planOf: PlanOf,
): Promise<GridPlan> {
  const memoryBytes = flags.memory ?? (flags.card === undefined ? undefined : cardNamed(flags.card).memoryBytes);
  return planGrid({
    name,
    jobs,
    isShared,
    planOf,
    speedsFor:
      flags.measure === true ? await measured(context, output, flags, jobs[0]!.experiment, planOf) : speedsOf(flags),
    cards: flags.cards ?? flags.gpus?.length ?? 1,
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
export async function tellRunPlan(
  place: PlanPlace,
  experiment: Experiment,
  flags: PlanFlags & CommonFlags,
): Promise<ExitCode> {
  const planOf = await newPlanner();
  const job: GridJob = { id: 'run', kind: 'cell', title: experiment.name, experiment, inputs: [] };
  const plan = await planned(place, experiment.name, { jobs: [job], isShared: false }, flags, planOf);
  const { config: _, ...run } = await planOf(experiment);
  place.output.result('plan', { ...told(plan), ...run }, () => planText(plan, run));
  return 0;
}

/** `run SERIES --plan` (runs one after another), `full GRID --plan` (what cells share is computed once). */
export async function tellGridPlan(
  place: PlanPlace,
  { series, cells, runs }: LoadedSeries,
  flags: PlanFlags & CommonFlags,
  isShared: boolean,
): Promise<ExitCode> {
  const alone = ({ id, cell, seed, experiment, inputs }: LoadedSeries['runs'][number]): GridJob => ({
    ...{ id, kind: 'cell', experiment, inputs },
    title: [...cell.labels, `seed ${seed}`].join(', '),
  });
  const jobs = isShared ? gridJobs({ runs }) : runs.map(alone);
  const plan = await planned(place, series.name, { jobs, isShared }, flags, await newPlanner());
  const rows = cells.map((cell) => {
    const own = runs.filter((run) => run.cell.id === cell.id).map(({ id }) => plan.jobs.find((job) => job.id === id)!);
    const { flops, gpuBytes } = own[0]!;
    return { id: cell.id, cell: cell.labels, seeds: own.length, flops, gpuBytes };
  });
  place.output.result('series-plan', { ...told(plan), cells: rows, totalFlops: plan.flops }, () => planText(plan));
  return 0;
}
