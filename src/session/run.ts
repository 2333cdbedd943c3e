// run.ts: one run from its request to its summary: load, then every phase in order, each of which may be entered in the
// middle. The phases themselves are phases.ts and evaluation.ts; saving and telling are book.ts.
import { PupilError, toPlainError, type PlainError } from '../base/errors';
import { throwIfCancelled, type Progress } from '../base/progress';
import { changesBesidePlaces } from '../config/changes';
import type { Experiment } from '../config/experiment';
import type { JsonObject } from '../formats/jsonText';
import type { Gpu } from '../gpu/device';
import { Adapter } from '../model/adapter';
import type { Student } from '../model/student';
import type { PhaseName, PromptKind, RunReport, SystemName } from '../report/types';
import type { OpenRoot } from '../sources/openRoot';
import type { RunStore } from '../storage/runStore';
import { makeReport, writeAdapterFiles, writeJsonLines, writeReport } from './artefacts';
import { RunBook } from './book';
import type { RunControl } from './control';
import { evaluateSystem } from './evaluation';
import { describeEnvironment, loadStudentWeights, openStudent } from './load';
import { expectMemory } from './memoryStages';
import { controlPhase, generatePairsPhase, instructPhase, selfRefinePhase, type RunAssets } from './phases';
import { prepare } from './prepare';
import { historyOf } from './runHistory';
import { evaluationInputs, phaseInputs, PhaseResults } from './phaseResults';
import { phaseWork } from './phaseWork';
import type { RunSummary, SessionEvent } from './protocol';
import { dataFingerprint } from './dataFingerprint';
import type { StudentPlace } from './studentCaching';
import { shownDemonstrations, shownPairs } from './shown';
import { addTiming, differences, PHASES, phasesOf, type RunState } from './runState';
import { stateOf } from './stateParts';
import { applyRecorded } from './variants';

export interface RunJob {
  runId: string;
  experiment: Experiment;
  gpu: Gpu;
  files: OpenRoot;
  /** Where students are cached; absent: nowhere. */
  students?: StudentPlace | undefined;
  /** Mirrored where the request names an `out`. */
  store: RunStore;
  control: RunControl;
  resume: boolean;
  /** Go on although the adapter, tier or student is another one. */
  force: boolean;
  /** Ends in order after this phase; the rest is a later sitting's. */
  until?: PhaseName | undefined;
  /** Where results of phases are shared with other runs; absent: nowhere. */
  shared?: OpenRoot | undefined;
  /** Neither the experiment nor the session names a tier: a resumed run keeps its own. */
  tierIsOpen?: boolean;
  listener: (event: SessionEvent) => void;
}

/**
 * Runs to the end, to a stop, or to a failure, and says which. With `resume` it goes on from the last checkpoint (or from
 * the beginning, where there is none).
 *
 * @throws PupilError only where the run cannot start: unreadable files, a checkpoint of another experiment or adapter.
 */
export async function executeRun(job: RunJob): Promise<RunSummary> {
  const { gpu, experiment, store, runId, listener, control } = job;
  const stored = job.resume ? await storedState(job) : undefined;
  if (stored !== undefined) applyRecorded(gpu, stored.state.environment, job.tierIsOpen === true);
  listener({ type: 'state', state: 'running' });
  listener({ type: 'phase', phase: 'load', state: 'start' });
  const loadStart = performance.now();
  gpu.account.restartPeak(); // of this run, not of those before it on the same device
  let student: Student | undefined;
  let adapter: Adapter | undefined;
  try {
    const opened = await openStudent(experiment, job.files, job.students);
    const prepared = await prepare(experiment, job.files, opened.tokenizer, opened.config);
    expectMemory(experiment, prepared, opened.config, gpu.tier);
    const onProgress = (progress: Progress): void => listener({ type: 'progress', progress });
    student = await loadStudentWeights(gpu, experiment, opened, onProgress, control.signal);
    const fresh = freshState(experiment, gpu, opened.report, await dataFingerprint(prepared));
    if (stored !== undefined) expectSame(stored.state, fresh, job.force);
    const state = stored?.state ?? fresh;
    adapter = Adapter.create(
      student,
      { ...experiment.adapter, targets: [...experiment.adapter.targets] },
      experiment.seed,
    );
    await gpu.settled();
    throwIfCancelled(control.signal, 'run');
    // Only now, when the run can start: what an earlier run of this name has left must not be taken for its own.
    if (!job.resume) await store.deleteRun(runId);

    const every = experiment.limits.checkpointEverySteps;
    const record = job.resume ? (await store.listRuns()).find((run) => run.runId === runId) : undefined;
    const book = new RunBook(runId, experiment.name, gpu, store, control, state, listener, every, record);
    listener({ type: 'plan', work: phaseWork(experiment, prepared) });
    if (stored !== undefined) listener(historyOf(stored.state, experiment));
    for (const event of shownDemonstrations(prepared)) listener(event);
    for (const event of shownPairs(stored?.state.pairs?.pairs ?? [])) listener(event);
    if (job.resume && stored === undefined) {
      book.log('warning', 'resume: no checkpoint was found, so the run starts at its beginning');
    }
    for (const { level, message } of opened.notes) book.log(level, message);
    for (const warning of [...(stored?.damage ?? []), ...prepared.warnings]) book.log('warning', warning);
    if (experiment.phases.instruct !== false || experiment.phases.selfRefine !== false) {
      book.log('info', `${prepared.demonstrations.length} demonstrations, ${adapter.elements} adapter parameters`);
    }
    addTiming(state, 'load', (performance.now() - loadStart) / 1000);
    book.restartClock();
    listener({ type: 'phase', phase: 'load', state: 'end' });
    const assets = { experiment, student, adapter, prepared, eosIds: opened.eosIds };
    const shared = job.shared === undefined ? undefined : new PhaseResults(job.shared, book, assets);
    return await runPhases(book, assets, job.until, shared);
  } catch (error) {
    if (!control.stopped || !(error instanceof PupilError && error.code === 'cancelled')) throw error;
    listener({ type: 'state', state: 'stopped' }); // while it was loading: nothing to save, nothing lost
    return { runId, state: 'stopped', report: undefined, artefacts: [] };
  } finally {
    adapter?.destroy();
    student?.destroy();
  }
}

/** The state of the last intact checkpoint, and what was found damaged beside it, in words. */
async function storedState({
  store,
  runId,
  experiment,
}: RunJob): Promise<{ state: RunState; damage: string[] } | undefined> {
  const stored = await store.loadCheckpoint(runId);
  if (stored === undefined) return undefined;
  const state = stateOf(stored.parts, runId);
  state.sequence = stored.sequence;
  const changed = changesBesidePlaces(state.experiment, experiment as unknown as JsonObject);
  if (changed.length > 0) {
    throw new PupilError(
      'config',
      `run ${runId}: expected the experiment it was started with, ${changed.join(', ')} changed`,
      'Resume with the same experiment (limits, name and notes may change), or start a new run.',
    );
  }
  const where = `the run goes on from checkpoint ${state.sequence} (${state.phase}, step ${state.step})`;
  return { state, damage: stored.problems.map((problem) => `resume: ${problem}; ${where}`) };
}

function expectSame(stored: RunState, now: RunState, force: boolean): void {
  const found = differences(stored, now);
  if (found.length === 0 || force) {
    stored.environment = now.environment;
    return;
  }
  throw new PupilError(
    'checkpoint',
    `resume: expected the device, student and data that the run was started with; ${found.join('; ')}`,
    'Its numbers would no longer be those of an undisturbed run. Resume with the same files on the same adapter and tier, or force it.',
  );
}

function freshState(experiment: Experiment, gpu: Gpu, student: RunState['student'], data: string): RunState {
  return {
    startedAt: new Date().toISOString(),
    experiment: JSON.parse(JSON.stringify(experiment)) as JsonObject,
    environment: describeEnvironment(gpu),
    student,
    data,
    phase: PHASES[0]!,
    step: 0,
    sequence: 0,
    metrics: [],
    evaluations: [],
    predictions: [],
    timings: [],
    checkpointBytes: 0,
    adapterFileBytes: 0,
    gpuPeak: 0,
    log: [],
    tensors: {},
  };
}

const BOTH: readonly PromptKind[] = ['plain', 'cot'];

/** What each phase does; the last one ends the run. */
async function runPhase(
  phase: PhaseName,
  book: RunBook,
  assets: RunAssets,
  shared: PhaseResults | undefined,
): Promise<void> {
  const { experiment, adapter } = assets;
  const { state } = book;
  const { phases, evaluation } = experiment;
  /** A training or sampling phase, or its result from where another run put it. */
  const work = async (compute: (book: RunBook, assets: RunAssets) => Promise<void>): Promise<void> => {
    const inputs = shared === undefined ? undefined : await phaseInputs(phase, state, assets);
    if (shared === undefined || inputs === undefined) return compute(book, assets);
    await shared.share({ phase, inputs }, () => compute(book, assets));
  };
  switch (phase) {
    case 'baseline':
      if (phases.baseline) await evaluate('Baseline', undefined, BOTH);
      return;
    case 'instruct':
      await work(instructPhase);
      if (phases.instruct !== false) await writeAdapterFiles(book, adapter, state.tensors.instructed!, 'instruct');
      return;
    case 'control':
      await work(controlPhase);
      await writeAdapterFiles(book, adapter, state.tensors.control!, 'control');
      return;
    case 'generate-pairs':
      if (phases.selfRefine === false) return;
      state.tensors.instructed ??= await adapter.readParameters(); // no phase 1: the untouched student, B = 0
      await work(generatePairsPhase);
      return;
    case 'self-refine':
      await work(selfRefinePhase);
      if (phases.selfRefine !== false) await writeAdapterFiles(book, adapter, state.tensors.refined!, 'self-refine');
      return;
    case 'evaluate': {
      const systems: [SystemName, Float32Array | undefined][] = [
        ['Instruction-tuned', phases.instruct === false ? undefined : state.tensors.instructed],
        ['Instruction-tuned, more steps', state.tensors.control],
        ['Self-refined', phases.selfRefine === false ? undefined : state.tensors.refined],
      ];
      for (const [system, parameters] of systems) {
        if (parameters !== undefined) await evaluate(system, parameters, evaluation.prompts);
      }
      return;
    }
    case 'report':
      // Written at the end of their phases already; again, so that a run resumed from a checkpoint alone has them too.
      if (phases.instruct !== false) await writeAdapterFiles(book, adapter, state.tensors.instructed!, 'instruct');
      if (state.tensors.control !== undefined) {
        await writeAdapterFiles(book, adapter, state.tensors.control, 'control');
      }
      if (phases.selfRefine !== false) await writeAdapterFiles(book, adapter, state.tensors.refined!, 'self-refine');
      return;
    case 'load':
      return;
  }

  /** One system on all tasks; the untouched student has no parameters and is asked with bare prompts. */
  async function evaluate(
    system: SystemName,
    parameters: Float32Array | undefined,
    prompts: readonly PromptKind[],
  ): Promise<void> {
    const { student, prepared, eosIds } = assets;
    const asked = { system, wrap: parameters === undefined ? 'bare' : 'wrapped', prompts, student } as const;
    const compute = async (): Promise<void> => {
      if (parameters !== undefined) adapter.writeParameters(parameters);
      const own = { ...asked, adapter: parameters === undefined ? undefined : adapter };
      await evaluateSystem(book, experiment, prepared, eosIds, own);
    };
    if (shared === undefined) return compute();
    await shared.share({ phase, system, inputs: await evaluationInputs(asked, parameters, assets) }, compute);
  }
}

/** The experiment has no such phase: it comes and goes without any work. */
function isOff(phase: PhaseName, { phases }: Experiment): boolean {
  if (phase === 'baseline') return !phases.baseline;
  if (phase === 'instruct') return phases.instruct === false;
  return (phase === 'generate-pairs' || phase === 'self-refine') && phases.selfRefine === false;
}

async function runPhases(
  book: RunBook,
  assets: RunAssets,
  until: PhaseName | undefined,
  shared: PhaseResults | undefined,
): Promise<RunSummary> {
  const { experiment, prepared } = assets;
  const { state } = book;
  let outcome: RunReport['state'] = 'finished';
  let error: PlainError | undefined;
  try {
    // The first checkpoint: from here on there is something to resume.
    if (state.sequence === 0) await book.save();
    const phases = phasesOf(experiment);
    if (until !== undefined && !phases.includes(until)) {
      throw new PupilError(
        'usage',
        `until: expected a phase of this run (${phases.join(', ')}), got ${String(until)}`,
        'Name one of them, or leave it out.',
      );
    }
    const first = phases.indexOf(state.phase);
    if (until !== undefined && phases.indexOf(until) < first) book.control.stop(); // an earlier sitting got there
    book.control.throwIfStopped();
    for (const phase of phases.slice(first)) {
      if (state.phase !== phase) await book.enter(phase);
      book.emit({ type: 'phase', phase, state: 'start' });
      await runPhase(phase, book, assets, shared);
      book.charge();
      await writeJsonLines(book, prepared);
      book.emit({ type: 'phase', phase, state: 'end' });
      const next = phases[phases.indexOf(phase) + 1];
      if (phase === until && next !== undefined) book.control.stopAtPhaseEnd(true);
      else if (next === undefined || next === 'report' || isOff(phase, experiment)) continue;
      if (book.control.phaseEnded()) await book.enter(next, 'stopped');
      book.control.throwIfStopped();
    }
    await book.save();
  } catch (caught) {
    if (book.control.stopped && caught instanceof PupilError && caught.code === 'cancelled') outcome = 'stopped';
    else {
      outcome = 'failed';
      error = toPlainError(await book.gpu.causeOf(caught));
    }
  }
  return conclude(book, experiment, assets, outcome, error);
}

/** The last checkpoint of a stopped run, the report, the record. After a failure these are attempts only. */
async function conclude(
  book: RunBook,
  experiment: Experiment,
  { prepared }: RunAssets,
  outcome: RunReport['state'],
  error: PlainError | undefined,
): Promise<RunSummary> {
  const report = await makeReport(book, experiment, prepared, outcome, error);
  let artefacts: string[] = [];
  try {
    // A failed step's state is not to be trusted; the checkpoint before it is. A batch of answers that a stop interrupted
    // leaves the batches before it.
    if (outcome === 'stopped' && !book.savedForStop) await book.save('stopped');
    if (outcome !== 'finished') await writeJsonLines(book, prepared);
    await writeReport(book, report);
    artefacts = await book.store.listArtefacts(book.runId);
    await book.store.saveRecord(book.record(outcome));
  } catch (caught) {
    // What ended the run matters more than that its report could not be written.
    error ??= toPlainError(caught);
    if (outcome === 'finished') outcome = 'failed';
  }
  book.emit({ type: 'state', state: outcome });
  return { runId: book.runId, state: outcome, report, artefacts, ...(error === undefined ? {} : { error }) };
}
