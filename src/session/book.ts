// book.ts: the book-keeping of one run: its state, when it is saved, what is told to the listener, how long things took. The
// phases (phases.ts, evaluation.ts) do the work and write into it.
import type { Progress } from '../base/progress';
import type { Gpu } from '../gpu/device';
import type { Adapter } from '../model/adapter';
import type { Trainer } from '../model/trainer';
import type { MetricsRow, PhaseName } from '../report/types';
import type { RunRecord, RunStore } from '../storage/runStore';
import type { RunControl } from './control';
import type { RunState as SessionRunState, SessionEvent } from './protocol';
import { addMetrics, addTiming, type RunState } from './runState';
import { StateParts } from './stateParts';

/** A batch of answers is saved unless the last save is more recent; a training step after this long in any case. */
const BATCH_SAVE_MS = 2_000;
const STEP_SAVE_MS = 20_000;

export class RunBook {
  /** Set while a trainer holds state that a checkpoint must have. */
  training: { trainer: Trainer; adapter: Adapter } | undefined;
  /** The present state has been saved and nothing was done since. */
  savedForStop = false;
  private readonly parts = new StateParts();
  private lastSaveMs = performance.now();
  private markMs = performance.now();
  private buffersTold = -1;

  constructor(
    readonly runId: string,
    readonly name: string,
    readonly gpu: Gpu,
    readonly store: RunStore,
    readonly control: RunControl,
    readonly state: RunState,
    private readonly listener: (event: SessionEvent) => void,
    private readonly checkpointEverySteps: number,
    /** What a person calls the run, and where it was made: these outlive a resume. */
    private readonly before: Pick<RunRecord, 'label' | 'imported'> = {},
  ) {}

  emit(event: SessionEvent): void {
    this.listener(event);
  }

  progress(progress: Progress): void {
    this.tellMemory();
    this.emit({ type: 'progress', progress });
  }

  /** A line of the run log; one that is there already (from an earlier sitting) is not repeated. */
  log(level: 'info' | 'warning', message: string): void {
    if (this.state.log.some((line) => line.message === message)) return;
    this.state.log.push({ level, message });
    this.emit({ type: 'log', level, message });
  }

  metrics(row: MetricsRow): void {
    // A checkpoint is JSON, which has no infinity; such a value is left out of the row.
    const values = Object.fromEntries(Object.entries(row.values).filter(([, value]) => Number.isFinite(value)));
    this.tellMemory();
    values['gpu_bytes'] = this.gpu.account.current;
    addMetrics(this.state, { ...row, values });
    this.emit({ type: 'metrics', phase: row.phase, step: row.step, totalSteps: row.totalSteps, values });
  }

  /** What lies on the GPU, where that has changed since it was last told: a step changes nothing. */
  private tellMemory(): void {
    const { account } = this.gpu;
    if (account.buffersCreated === this.buffersTold) return;
    this.buffersTold = account.buffersCreated;
    const { current: totalBytes, peak: peakBytes } = account;
    this.emit({ type: 'memory', totalBytes, peakBytes, parts: account.entries() });
  }

  /** Charges the time since the last call to the present phase. */
  charge(tokens = 0, steps = 0): void {
    const now = performance.now();
    addTiming(this.state, this.state.phase, (now - this.markMs) / 1000, tokens, steps);
    this.markMs = now;
  }

  /** Starts the clock anew: the time since the last charge was not work. */
  restartClock(): void {
    this.markMs = performance.now();
  }

  /** Writes a checkpoint of the present state. */
  async save(state: SessionRunState = 'running'): Promise<void> {
    this.charge();
    const { state: run } = this;
    if (this.training !== undefined) {
      const { adapter, trainer } = this.training;
      Object.assign(run.tensors, { adapter: await adapter.readParameters(), ...(await trainer.optimizerState()) });
    }
    run.gpuPeak = Math.max(run.gpuPeak, this.gpu.account.peak);
    run.sequence++;
    run.savedAt = new Date().toISOString();
    const parts = await this.parts.of(run);
    const sizeBytes = parts.reduce((sum, { bytes }) => sum + bytes.byteLength, 0);
    run.checkpointBytes = sizeBytes;
    await this.store.saveCheckpoint(this.record(state), parts);
    this.lastSaveMs = performance.now();
    this.emit({ type: 'checkpoint', phase: run.phase, step: run.step, sizeBytes });
  }

  record(state: SessionRunState): RunRecord {
    const { label, imported } = this.before;
    return {
      runId: this.runId,
      name: this.name,
      state,
      phase: this.state.phase,
      step: this.state.step,
      updatedAt: new Date().toISOString(),
      sizeBytes: this.state.checkpointBytes,
      sequence: this.state.sequence,
      ...(label === undefined ? {} : { label }),
      ...(imported === undefined ? {} : { imported }),
    };
  }

  /** After a batch of answers or scores: saves where it is time, then lets pause and stop act. */
  async batchDone(): Promise<void> {
    if (performance.now() - this.lastSaveMs > BATCH_SAVE_MS) await this.save();
    await this.turnstile();
  }

  /** After a pair that was shown: nothing was computed, so nothing is saved unless it is held here. */
  pairShown(): Promise<void> {
    return this.turnstile();
  }

  /** After an optimiser step. */
  async stepDone(step: number): Promise<void> {
    const late = performance.now() - this.lastSaveMs > STEP_SAVE_MS;
    if (late || (step > 0 && step % this.checkpointEverySteps === 0)) await this.save();
    await this.turnstile();
  }

  private async turnstile(): Promise<void> {
    this.charge();
    await this.control.rest();
    this.restartClock(); // a rest is no work
    // A stop throws out of the phase, which gives its trainer back: what it holds must be saved before.
    if (this.control.stopped) await this.saveOnce('stopped');
    await this.control.pass({
      beforePause: () => this.saveOnce('paused'),
      onPaused: () => this.emit({ type: 'state', state: 'paused' }),
      onResumed: () => {
        this.savedForStop = false;
        this.restartClock();
        this.emit({ type: 'state', state: 'running' });
      },
    });
    this.savedForStop = false;
  }

  private async saveOnce(state: SessionRunState): Promise<void> {
    await this.save(state);
    this.savedForStop = true;
  }

  /** Goes on to the next phase and saves; `stopped`: a later sitting does it. */
  async enter(phase: PhaseName, state: 'running' | 'stopped' = 'running'): Promise<void> {
    this.charge();
    const { tensors } = this.state;
    this.training = undefined;
    delete tensors.adapter;
    delete tensors.m;
    delete tensors.v;
    this.state.phase = phase;
    this.state.step = 0;
    await (state === 'stopped' ? this.saveOnce(state) : this.save());
  }
}
