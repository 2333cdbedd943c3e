// profileStep.ts: one training step of an experiment, dispatch by dispatch. The trainer is prepared as a run prepares it and
// driven by the run's own recipes: a few steps to warm up, then one that is only watched, which gives the order and the time
// that a step takes. Then the same batches once more, each dispatch timed by itself (gpu/dispatchTiming.ts); what that
// computes is thrown away: a dispatch that is run many times in a row adds what it adds many times.
import { PupilError } from '../base/errors';
import { throwIfCancelled, type Progress } from '../base/progress';
import type { Experiment, InstructConfig, SelfRefineConfig } from '../config/experiment';
import { isJsonObject } from '../formats/jsonText';
import { parseJsonl } from '../formats/jsonl';
import { watchCommands, type Dispatch } from '../gpu/commands';
import type { Gpu } from '../gpu/device';
import { DispatchTimer, type DispatchTime, type TimingMethod } from '../gpu/dispatchTiming';
import type { KernelSource } from '../gpu/pipelines';
import { Adapter } from '../model/adapter';
import { sequencesIn, targetsIn, tokensIn, type PackedBatch } from '../model/batch';
import type { StepMetrics, Trainer, UpdateOptions } from '../model/trainer';
import { batchOfStep } from '../recipes/batches';
import { instruct, planInstruct } from '../recipes/instruct';
import type { PreferencePair } from '../recipes/pairs';
import { planSelfRefine, scorePairs, selfRefine, type PreferenceTrainer } from '../recipes/selfRefine';
import type { OpenRoot } from '../sources/openRoot';
import type { RunStore } from '../storage/runStore';
import { storedAdapter } from './adapterNorms';
import type { ProfiledDispatch, ProfiledKernel, ProfileRequest, StepProfile } from './engineProtocol';
import { loadStudentWeights, openStudent } from './load';
import { expectMemory } from './memoryStages';
import { instructTrainer, selfRefineTrainer, type RunAssets } from './phases';
import { prepare } from './prepare';
import { storedArtefact } from './stored';
import type { StudentPlace } from './studentCaching';

export interface ProfileJob {
  gpu: Gpu;
  experiment: Experiment;
  phase: ProfileRequest['phase'];
  runId: string | undefined;
  method: TimingMethod | undefined;
  files: OpenRoot;
  students: StudentPlace | undefined;
  store: RunStore;
  signal: AbortSignal;
  onProgress: (progress: Progress) => void;
  /** Sees the adapter's parameters after the watched step (tests). */
  onWatched?: (parameters: Float32Array) => void;
}

/** Steps before the watched one: the first compiles, touches memory for the first time, and is slower. */
export const WARM_UP_STEPS = 2;
const WATCHED_STEP = WARM_UP_STEPS + 1;

/** @throws PupilError `config` where the experiment has no such phase, `usage` and `storage` where pairs are missing, `cancelled` */
export async function profileStep(job: ProfileJob): Promise<StepProfile> {
  const { gpu, experiment, phase, signal, onProgress } = job;
  const profile = profiler(experiment, phase);
  if (profile === undefined) {
    throw new PupilError(
      'config',
      `profileStep: expected an experiment with the phase ${phase}, "${experiment.name}" has none`,
      'Profile the other phase.',
    );
  }
  const opened = await openStudent(experiment, job.files, job.students);
  const prepared = await prepare(experiment, job.files, opened.tokenizer, opened.config);
  expectMemory(experiment, prepared, opened.config, gpu.tier);
  const student = await loadStudentWeights(gpu, experiment, opened, onProgress, signal);
  let adapter: Adapter | undefined;
  try {
    adapter = await startingAdapter(job, student);
    const assets: RunAssets = { experiment, student, adapter, prepared, eosIds: opened.eosIds };
    await gpu.settled();
    const observer = await profile(job, assets);
    const { vendor, architecture, device, description, software } = gpu.adapter;
    const { layers, parameters, quantize, source } = opened.report;
    return {
      phase,
      student: { source, layers, parameters, quantize },
      adapter: [...new Set([vendor, architecture, device, description])].filter((word) => word !== '').join(' '),
      software,
      tier: gpu.tier,
      ...observer.result(),
    };
  } finally {
    adapter?.destroy();
    student.destroy();
  }
}

/** How the phase is profiled; undefined where the experiment has no such phase. */
function profiler(
  { phases }: Experiment,
  phase: ProfileRequest['phase'],
): ((job: ProfileJob, assets: RunAssets) => Promise<StepObserver>) | undefined {
  const { instruct: first, selfRefine: second } = phases;
  if (phase === 'instruct') return first === false ? undefined : (job, assets) => profileInstruct(job, assets, first);
  return second === false ? undefined : (job, assets) => profileRefine(job, assets, second);
}

/** Of phase 1 a fresh one; of phase 2 the one that the run's phase 1 left. */
async function startingAdapter(job: ProfileJob, student: RunAssets['student']): Promise<Adapter> {
  const { experiment, phase, runId, store } = job;
  const settings = { ...experiment.adapter, targets: [...experiment.adapter.targets] };
  const instructed =
    phase === 'instruct' || runId === undefined ? undefined : await storedAdapter(store, runId, 'instruct');
  return instructed === undefined
    ? Adapter.create(student, settings, experiment.seed)
    : Adapter.fromPeft(student, instructed);
}

async function profileInstruct(job: ProfileJob, assets: RunAssets, settings: InstructConfig): Promise<StepObserver> {
  const { experiment, prepared } = assets;
  const plan = { ...planInstruct(prepared.examples, settings), totalSteps: WATCHED_STEP };
  const trainer = instructTrainer(assets, 'instruct', plan, settings);
  return observed(job, assets, trainer, (observer) =>
    instruct(observer, plan, settings, { seed: experiment.seed, completedSteps: 0, onStep: observer.onStep }),
  );
}

async function profileRefine(job: ProfileJob, assets: RunAssets, settings: SelfRefineConfig): Promise<StepObserver> {
  const { experiment } = assets;
  const pairs = await storedPairs(job);
  const training = pairs.map((_, i) => i);
  const plan = { ...planSelfRefine(pairs, { training, validation: [] }, settings), totalSteps: WATCHED_STEP };
  const trainer = selfRefineTrainer(assets, plan, settings);
  return observed(job, assets, trainer, async (observer) => {
    // The reference of the pairs that these steps see, and of no others.
    const reference = new Float32Array(2 * pairs.length);
    const { batchSize } = settings;
    const steps = Array.from({ length: WATCHED_STEP }, (_, i) =>
      batchOfStep({ seed: experiment.seed, purpose: 'self-refine', n: pairs.length, batchSize }, i + 1),
    );
    const needed = [...new Set(steps.flatMap(({ indices }) => indices))];
    const units = needed.map((i) => plan.units[i]!);
    const scores = await scorePairs(trainer, units, settings);
    needed.forEach((i, at) => reference.set(scores.subarray(2 * at, 2 * at + 2), 2 * i));
    await selfRefine(observer, plan, reference, settings, {
      seed: experiment.seed,
      completedSteps: 0,
      best: undefined,
      onBest: () => Promise.resolve(),
      onStep: observer.onStep,
    });
  });
}

/** The pairs that a run trained on. */
async function storedPairs({ store, runId }: ProfileJob): Promise<PreferencePair[]> {
  if (runId === undefined) {
    throw new PupilError(
      'usage',
      'profileStep: expected a run whose pairs self-refine trains on, none was named',
      'Choose a run that has made its pairs, or profile phase 1.',
    );
  }
  const text = new TextDecoder().decode(await storedArtefact(store, runId, 'pairs.jsonl'));
  const pairs: PreferencePair[] = [];
  for await (const line of parseJsonl(text, `run ${runId}: pairs.jsonl`)) {
    if ('error' in line) throw line.error;
    if (isJsonObject(line.value) && line.value['split'] === 'training') {
      pairs.push(line.value as unknown as PreferencePair); // written by this very program
    }
  }
  if (pairs.length > 0) return pairs;
  throw new PupilError(
    'storage',
    `profileStep: run ${runId}: expected pairs to train on, it made none`,
    'Profile phase 1, or another run.',
  );
}

async function observed(
  job: ProfileJob,
  { adapter }: RunAssets,
  trainer: Trainer,
  drive: (observer: StepObserver) => Promise<void>,
): Promise<StepObserver> {
  const observer = new StepObserver(job, trainer, () => adapter.readParameters());
  try {
    await trainer.ready();
    await drive(observer);
    await observer.timeWatched();
    return observer;
  } finally {
    trainer.destroy();
  }
}

/** A trainer that watches itself: each call goes to the real one, and what that plays is noted, or timed. */
class StepObserver implements PreferenceTrainer {
  private step = 0;
  private startMs = 0;
  private wallMs = 0;
  private clears = 0;
  private copies = 0;
  private readonly played: Dispatch[] = [];
  private readonly noted: Omit<ProfiledDispatch, 'ms' | 'repeats' | 'kernel'>[] = [];
  private readonly times: DispatchTime[] = [];
  private readonly batch = { sequences: 0, tokens: 0, targets: 0, microBatches: 0 };
  /** What the watched step asked of the trainer, to be asked again. */
  private readonly calls: (() => Promise<void>)[] = [];
  private readonly timer: DispatchTimer;

  constructor(
    private readonly job: ProfileJob,
    private readonly trainer: Trainer,
    private readonly parameters: () => Promise<Float32Array>,
  ) {
    this.timer = new DispatchTimer(job.gpu, { method: job.method });
  }

  beginStep(completedSteps: number): void {
    throwIfCancelled(this.job.signal, 'Profiling');
    this.step = completedSteps + 1;
    this.startMs = performance.now();
    this.trainer.beginStep(completedSteps);
    // The step's own two: gradients and loss. Recorded before anybody can watch.
    if (this.step === WATCHED_STEP) this.clears += 2;
  }

  accumulateSupervised(...args: Parameters<Trainer['accumulateSupervised']>): Promise<void> {
    return this.around(() => this.trainer.accumulateSupervised(...args), args[0]);
  }

  accumulatePreference(...args: Parameters<Trainer['accumulatePreference']>): Promise<void> {
    return this.around(() => this.trainer.accumulatePreference(...args), args[0]);
  }

  update(options: UpdateOptions): Promise<void> {
    return this.around(() => this.trainer.update(options));
  }

  async metrics(): Promise<StepMetrics> {
    const metrics = await this.trainer.metrics();
    if (this.step === WATCHED_STEP) this.wallMs = performance.now() - this.startMs;
    return metrics;
  }

  sequenceLogps(batch: PackedBatch): ReturnType<Trainer['sequenceLogps']> {
    return this.trainer.sequenceLogps(batch);
  }

  readonly onStep = async (step: number): Promise<void> => {
    if (step === WATCHED_STEP) this.job.onWatched?.(await this.parameters());
    this.job.onProgress({ task: 'Warming up', done: step, total: WATCHED_STEP, unit: 'steps' });
  };

  result(): Pick<
    StepProfile,
    | 'activations'
    | 'batch'
    | 'method'
    | 'resolutionMs'
    | 'wallMs'
    | 'sumMs'
    | 'clears'
    | 'copies'
    | 'kernels'
    | 'dispatches'
  > {
    if (this.times.length !== this.noted.length) {
      throw new PupilError(
        'gpu-validation',
        `profileStep: expected the times of ${this.noted.length} dispatches, got ${this.times.length}`,
        'The same batches gave other dispatches the second time: this is a bug, please report it.',
      );
    }
    const kernels = new Map<KernelSource, number>();
    const dispatches = this.noted.map((one, i): ProfiledDispatch => {
      const { source } = this.played[i]!.handle;
      const kernel = kernels.get(source) ?? kernels.size;
      kernels.set(source, kernel);
      return { ...one, kernel, ...this.times[i]! };
    });
    return {
      activations: this.trainer.activationPolicy,
      batch: this.batch,
      method: this.timer.method,
      resolutionMs: this.timer.resolutionNs / 1e6,
      wallMs: this.wallMs,
      sumMs: dispatches.reduce((sum, { ms }) => sum + ms, 0),
      clears: this.clears,
      copies: this.copies,
      kernels: [...kernels.keys()].map(({ name, code, bindings }): ProfiledKernel => ({
        name,
        code,
        bindings: bindings.map((one) => ({ ...one })),
      })),
      dispatches,
    };
  }

  /** The watched step's calls once more; what each plays is timed before the next one changes the row counts. */
  async timeWatched(): Promise<void> {
    const { signal, onProgress } = this.job;
    const total = this.noted.length;
    this.trainer.beginStep(WATCHED_STEP);
    for (const call of this.calls) {
      const played: Dispatch[] = [];
      await watchCommands(this.job.gpu, (command) => void (command.kind === 'dispatch' && played.push(command)), call);
      const before = this.times.length;
      const report = (done: number): void =>
        onProgress({ task: 'Timing kernels', done: before + done, total, unit: 'dispatches' });
      this.times.push(...(await this.timer.time(played, { signal, onProgress: report })));
    }
  }

  /** The trainer's own work; of the watched step, what it plays. */
  private async around(work: () => Promise<void>, batch?: PackedBatch): Promise<void> {
    if (this.step < WATCHED_STEP) return work();
    this.calls.push(work);
    await watchCommands(
      this.job.gpu,
      (command) => {
        if (command.kind === 'dispatch') {
          this.played.push(command);
          this.noted.push(describe(command));
        } else if (command.kind === 'clear') this.clears++;
        else this.copies++;
      },
      work,
    );
    if (batch === undefined) return;
    this.batch.microBatches++;
    this.batch.sequences += sequencesIn(batch);
    this.batch.tokens += tokensIn(batch);
    this.batch.targets += targetsIn(batch);
  }
}

function describe(dispatch: Dispatch): Omit<ProfiledDispatch, 'ms' | 'repeats' | 'kernel'> {
  const { stage, label, handle, bound } = dispatch;
  const bytes = (kinds: readonly string[]): number =>
    bound.reduce((sum, { kind, sizeBytes }) => (kinds.includes(kind) ? sum + sizeBytes : sum), 0);
  return {
    stage,
    label,
    constants: Object.fromEntries(Object.entries(handle.constants).map(([name, value]) => [name, Number(value)])),
    workgroups: dispatch.grids(),
    readBytes: bytes(['read', 'read-write', 'uniform', 'rows']),
    writtenBytes: bytes(['read-write']),
  };
}
