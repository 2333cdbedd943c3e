// supervise.ts: a run that is brought to its end whatever becomes of the browser, the device or the disk: opened, run, and on
// a failure that a relaunch mends closed for good, opened again and gone on with from its last checkpoint. What is done
// about which failure is patience.ts; checkpoints and their checks are the session's.
import { setTimeout as sleep } from 'node:timers/promises';
import { PupilError, toPlainError, type PlainError } from '../../base/errors';
import type { EvaluationRow, RunSummary, SessionEvent } from '../../session/protocol';
import { waysText } from '../browserWays';
import type { VerbContext } from '../context';
import type { HostOptions } from '../host';
import { stopOnInterrupt } from '../interrupt';
import type { CommonFlags } from '../options';
import type { Output } from '../output';
import { runInFolder, type FolderRun } from '../runs';
import { duration, HANG, HangWatch, type HangLimits } from './hangWatch';
import { removeLeftovers } from './leftovers';
import { memoryAdvice } from './memoryAdvice';
import { Patience, PATIENCE, type PatienceLimits, type Stage } from './patience';
import { freeBytes, neededBytes, ROOM, sizeText, waitForRoom, type RoomLimits } from './room';
import { RunLog, type LogEntry } from './runLog';
import { SessionPlace } from './sessionPlace';

/** How long a run that was asked to stop, or a host that is to be closed, may take. */
export interface EndLimits {
  stopMs: number;
  closeMs: number;
}

const ENDS: EndLimits = { stopMs: 5 * 60_000, closeMs: 60_000 };

export interface SuperviseOptions {
  /** Relaunches in a row without a new checkpoint; 0: a failure ends the run. */
  retries: number;
  /** Silence is borne so long at least; absent: {@link HANG}. */
  hangMinutes?: number;
  /** Aborted: the run writes a checkpoint and ends as `stopped`. Absent: Ctrl-C and a kill that asks do it. */
  signal?: AbortSignal;
  /** What else the host is opened with: the card that its browser is held to, say. */
  host?: Partial<HostOptions>;
  /** Told of every event, after the output. */
  onEvent?: (event: SessionEvent) => void;
  /** A session that outlives the run, closed by its owner; absent: one of its own, kept in the run's folder. */
  place?: SessionPlace;
  /** For tests: how patient it is, in milliseconds. */
  limits?: {
    patience?: Partial<PatienceLimits>;
    hang?: Partial<HangLimits>;
    room?: Partial<RoomLimits>;
    ends?: Partial<EndLimits>;
  };
}

export interface Supervised {
  /** Of the last launch. */
  summary: RunSummary;
  /** Of all sittings. */
  rows: EvaluationRow[];
  relaunches: number;
}

/**
 * Brings a run to its end, a stop, or a failure that relaunching does not mend. The folder is taken by the caller
 * (runFolder.ts); what happened is appended to its run.log.
 *
 * @throws PupilError the last failure, where the session could not conclude the run itself; its hint says what was tried
 */
export async function superviseRun(
  context: Pick<VerbContext, 'openHost' | 'machine'>,
  flags: CommonFlags,
  output: Output,
  run: FolderRun,
  options: SuperviseOptions,
): Promise<Supervised> {
  const stop = new AbortController();
  const abort = (): void => stop.abort();
  const leaveSignals =
    options.signal === undefined ? stopOnInterrupt({ stop: () => Promise.resolve(abort()) }, output) : undefined;
  if (options.signal?.aborted === true) abort();
  options.signal?.addEventListener('abort', abort, { once: true });
  const place = options.place ?? new SessionPlace(context, flags, output, run.folder, options.host);
  const supervision = new Supervision(place, output, run, options, stop.signal);
  try {
    return await supervision.toTheEnd();
  } finally {
    options.signal?.removeEventListener('abort', abort);
    if (options.place === undefined) await supervision.close();
    leaveSignals?.(); // last: one Ctrl-C may arrive twice, and the second must not end this process without its exit code
  }
}

type Attempt = { summary: RunSummary; rows: EvaluationRow[] } | { thrown: unknown };

class Supervision {
  private readonly log: RunLog;
  private readonly patience: Patience;
  private readonly watch: HangWatch;
  private readonly room: RoomLimits;
  private readonly ends: EndLimits;
  private stage: Stage = 'first opening';
  /** Where the run is, for the log. */
  private at: { phase?: string; step?: number } = {};
  private checkpointBytes = 0;
  private heldBytes = 0;

  constructor(
    private readonly place: SessionPlace,
    private readonly output: Output,
    private readonly run: FolderRun,
    private readonly options: SuperviseOptions,
    private readonly signal: AbortSignal,
  ) {
    const { retries, hangMinutes, limits = {} } = options;
    this.log = new RunLog(run.folder);
    this.patience = new Patience({ ...PATIENCE, ...limits.patience, retries });
    const leastMs = hangMinutes === undefined ? HANG.leastMs : hangMinutes * 60_000;
    this.watch = new HangWatch({ ...HANG, leastMs, ...limits.hang });
    this.room = { ...ROOM, ...limits.room };
    this.ends = { ...ENDS, ...limits.ends };
  }

  async toTheEnd(): Promise<Supervised> {
    removeLeftovers(this.run.folder);
    this.note({ event: 'start', what: `${this.run.experiment.name}, seed ${this.run.experiment.seed}` });
    for (let resume = this.run.resume; ; resume = true) {
      const attempt = await this.attempt(resume);
      const failure = failureOf(attempt);
      if (this.signal.aborted && (failure !== undefined || !('summary' in attempt))) {
        if (this.stage === 'running') await this.close(); // it did not stop: the next run must not find it there
        return this.stopped(failure);
      }
      if (failure === undefined && 'summary' in attempt) {
        this.note({ event: attempt.summary.state === 'finished' ? 'finished' : 'stopped' });
        return { summary: attempt.summary, rows: attempt.rows, relaunches: this.patience.relaunches };
      }
      this.note({ event: 'failed', what: failure!.message, code: failure!.code });
      const why = await this.mend(failure!);
      if (this.signal.aborted) return this.stopped();
      if (why !== undefined) return this.giveUp(attempt, failure!, why);
    }
  }

  /** Ends everything; a host that does not end is left behind after a while. */
  async close(): Promise<void> {
    await Promise.race([
      this.place.close().catch(() => undefined),
      sleep(this.ends.closeMs, undefined, { ref: false }),
    ]);
  }

  /** One launch, or one more run of an open session. */
  private async attempt(resume: boolean): Promise<Attempt> {
    this.stage = this.place.wasOpen || resume ? 'opening' : 'first opening';
    try {
      const { session, host } = await this.unlessStopped(this.watch.over('opening', this.place.open()), 0);
      this.stage = 'running';
      const ways = waysText(host.tried);
      this.note({ event: 'opened', ...(ways === undefined ? {} : { what: ways }) });
      const stopRun = (): void => {
        this.note({ event: 'stopping' });
        session.stop().catch(() => undefined); // the run itself says what becomes of it
      };
      this.signal.addEventListener('abort', stopRun, { once: true });
      try {
        const work = runInFolder(session, host, this.output, { ...this.run, resume }, (event) => this.heard(event));
        return await this.unlessStopped(this.watch.over('run', work), this.ends.stopMs);
      } finally {
        this.signal.removeEventListener('abort', stopRun);
      }
    } catch (thrown) {
      return { thrown };
    }
  }

  private heard(event: SessionEvent): void {
    this.watch.heard();
    if (event.type === 'phase' && event.state === 'start') this.at = { phase: event.phase };
    if (event.type === 'metrics') this.at = { phase: event.phase, step: event.step };
    if (event.type === 'memory') this.heldBytes = Math.max(this.heldBytes, event.peakBytes);
    if (event.type === 'state') this.watch.suspend(event.state === 'paused');
    if (event.type === 'log' && event.level === 'warning' && event.message.startsWith('resume:')) {
      this.note({ event: 'warning', what: event.message });
    }
    if (event.type === 'checkpoint') {
      this.patience.progressed();
      this.checkpointBytes = Math.max(this.checkpointBytes, event.sizeBytes);
    }
    this.options.onEvent?.(event);
  }

  /** Does what may help. Resolves with why nothing more is done; undefined: the run is to be tried again. */
  private async mend(failure: PlainError): Promise<string | undefined> {
    const { folder } = this.run;
    const needed = neededBytes(folder, this.checkpointBytes, this.room.spareBytes);
    const free = freeBytes(folder) ?? Infinity;
    // A browser dies of a full disk, not of one on which only a whole checkpoint finds no room.
    const wanted = failure.code.startsWith('storage') ? needed : this.room.spareBytes / 4;
    const remedy = this.patience.after(failure, this.stage, free < wanted ? 'full' : 'has room');
    if (remedy.do === 'give up') return remedy.why;
    this.tell(`${failure.message}`);
    await this.close();
    if (remedy.do === 'wait for room') return this.waitForRoom(needed, free);
    if (remedy.afresh) {
      this.tell('the next browser starts on a new profile; the checkpoints in the folder suffice to go on');
      this.place.startAfresh();
    }
    const { relaunches, inVain } = this.patience;
    const count = `relaunch ${relaunches}, ${inVain} of ${this.options.retries} since the last checkpoint`;
    this.tell(`${count}, in ${duration(remedy.afterMs)}`);
    this.note({ event: 'relaunch', what: `in ${duration(remedy.afterMs)}` });
    await sleep(remedy.afterMs, undefined, { signal: this.signal }).catch(() => undefined);
    return undefined;
  }

  private async waitForRoom(needed: number, free: number): Promise<string | undefined> {
    const { folder } = this.run;
    const text = `the disk of ${folder} has ${sizeText(free)} left, the next checkpoint needs ${sizeText(needed)}`;
    this.tell(`${text}: waiting until there is room`);
    this.note({ event: 'waiting', what: text });
    if (await waitForRoom(folder, needed, this.room, this.signal)) {
      this.note({ event: 'room', what: `${sizeText(freeBytes(folder) ?? needed)} are free` });
      return undefined;
    }
    return `${text}, and no room came within ${duration(this.room.longestMs)}`;
  }

  /** The last failure, with what was tried and what to do. */
  private async giveUp(attempt: Attempt, failure: PlainError, why: string): Promise<Supervised> {
    const { relaunches } = this.patience;
    const advice =
      failure.code === 'gpu-out-of-memory' && this.stage === 'running'
        ? await memoryAdvice(this.run.experiment, this.at.phase, this.heldBytes)
        : undefined;
    this.note({ event: 'given up', what: why, code: failure.code });
    const tried = relaunches > 0 || failure.code === 'storage-full' ? `Given up: ${why}.` : undefined;
    const hint = [failure.hint, advice, tried].filter((text) => text !== undefined).join(' ');
    const told = { ...failure, ...(hint === '' ? {} : { hint }) };
    if ('summary' in attempt) return { ...attempt, summary: { ...attempt.summary, error: told }, relaunches };
    if (failure.code === 'internal') throw attempt.thrown;
    throw new PupilError(failure.code, failure.message, told.hint, { cause: attempt.thrown });
  }

  /** Stopped while nothing ran, or before it could say so itself: its last checkpoint stands. */
  private stopped(failure?: PlainError): Supervised {
    if (failure !== undefined && failure.code !== 'cancelled') {
      this.note({ event: 'failed', what: failure.message, code: failure.code });
      this.tell(`${failure.message}; stopped, the last checkpoint stands`);
    }
    this.note({ event: 'stopped' });
    const summary: RunSummary = { runId: this.run.runId, state: 'stopped', report: undefined, artefacts: [] };
    return { summary, rows: [], relaunches: this.patience.relaunches };
  }

  /** @throws PupilError `cancelled` so long after the stop was asked for */
  private async unlessStopped<T>(work: Promise<T>, afterMs: number): Promise<T> {
    const { signal } = this;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let asked: () => void = () => undefined;
    const stopped = new Promise<never>((_, reject) => {
      const late = (): void => reject(new PupilError('cancelled', 'run: stopped as asked'));
      asked = () => {
        if (afterMs === 0) late();
        else timer = setTimeout(late, afterMs);
      };
      if (signal.aborted) asked();
      else signal.addEventListener('abort', asked, { once: true });
    });
    stopped.catch(() => undefined);
    try {
      return await Promise.race([work, stopped]);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', asked);
    }
  }

  private note(entry: LogEntry): void {
    const { adapter } = this.place;
    const { relaunches } = this.patience;
    this.log.write(entry, { ...(adapter === undefined ? {} : { adapter }), ...this.at, relaunches });
  }

  /** A remark for people; machines get it as a line of its own. */
  private tell(what: string): void {
    if (!this.output.json) return this.output.note(`  ${what}`);
    this.output.result('supervision', { what, relaunches: this.patience.relaunches }, () => what);
  }
}

function failureOf(attempt: Attempt): PlainError | undefined {
  if ('thrown' in attempt) return toPlainError(attempt.thrown);
  const { state, error } = attempt.summary;
  if (state !== 'failed') return undefined;
  return error ?? { code: 'internal', message: 'run: it failed and did not say why' };
}
