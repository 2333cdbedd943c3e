// playground.svelte.ts: the page's whole state in one object, and the few actions that need several of its parts. What
// each part does is in its own file beside this one.
import { PupilError } from '../../base/errors';
import { slug } from '../../base/slug';
import type { SessionApi } from '../../session/protocol';
import { Awake, type WakeLocks } from '../lab/awake.svelte';
import { WorkerState, type WorkerHold } from '../lab/workerState.svelte';
import { RunLocks, type Locks } from '../runLocks';
import { Address, type HistoryStep } from './address.svelte';
import { Appearance } from './appearance.svelte';
import { AskBox, type AskPlace } from '../lesson/ask.svelte';
import { CachedStudents } from './cachedStudents.svelte';
import { DeviceState } from './device.svelte';
import { Experiments } from './experiments.svelte';
import { InterruptedRuns } from './interrupted.svelte';
import type { KeyValue } from './keyValue';
import { toNotice, type Notice } from './notice';
import { RunView } from './run.svelte';
import { RunPlaces } from './runPlaces.svelte';
import { SelfCheck } from './selfCheck.svelte';
import { StoredRuns } from './storedRuns.svelte';
import { StudentBox } from './student.svelte';
import { TalkBox } from './talk.svelte';
import type { LocalModel } from './teacherPlace';
import { Teachers } from './teachers.svelte';

export class Playground {
  readonly address: Address;
  readonly appearance: Appearance;
  readonly device: DeviceState;
  readonly experiments: Experiments;
  readonly run: RunView;
  readonly stored: StoredRuns;
  /** Where the files of stored runs are. */
  readonly places: RunPlaces;
  readonly cachedStudents: CachedStudents;
  readonly check: SelfCheck;
  readonly ask: AskBox;
  readonly talk: TalkBox;
  readonly student: StudentBox;
  readonly teachers: Teachers;
  readonly interrupted: InterruptedRuns;
  readonly worker: WorkerState;
  readonly awake: Awake;
  private readonly locks: RunLocks;
  private readonly parts = new Map<string, unknown>();
  private waking: Promise<void> | undefined;
  /** A failure of an action that belongs to no part. */
  notice = $state.raw<Notice>();
  /** Between the click on Run and the session's first event. */
  preparing = $state(false);
  /** A view of Inside computes something on the GPU, or a judge of Results is asked. */
  analysing = $state(false);

  readonly busy = $derived.by(
    () =>
      this.preparing ||
      this.analysing ||
      this.run.active ||
      this.check.running ||
      this.ask.asking ||
      this.talk.talking ||
      this.teachers.asking,
  );
  /** Work may begin: the device is there, or is looked for then. */
  readonly idle = $derived.by(() => ['asleep', 'ready'].includes(this.device.status) && !this.busy);
  readonly canRun = $derived.by(() => this.idle && this.experiments.missing === '');

  constructor(
    readonly session: SessionApi,
    private readonly place: {
      address: string;
      /** Shows a changed address in the browser. */
      showAddress?: (href: string, how: HistoryStep) => void;
      memory: KeyValue;
      now: () => Date;
      /** Asks the browser not to evict stored runs; its answer changes nothing here. */
      persist?: () => Promise<unknown>;
      /** Tells the tabs of one browser apart. */
      locks?: Locks | undefined;
      /** The worker in which the session lives. */
      worker?: WorkerHold;
      /** Keeps the screen awake; absent where the browser cannot. */
      wakeLocks?: WakeLocks | undefined;
      /** Starts a worker for a teacher in this browser. */
      teacherModel?: () => LocalModel;
      /** Hands a file to the person. */
      save?: (name: string, bytes: Uint8Array) => void;
      /** The same for one that the browser holds. */
      saveBlob?: (name: string, blob: Blob) => void;
    },
  ) {
    this.address = new Address(place.address, place.showAddress);
    this.appearance = new Appearance(this.address, place.memory);
    this.device = new DeviceState(session);
    this.experiments = new Experiments(place.address, place.memory);
    this.run = new RunView(session);
    this.locks = new RunLocks(place.locks);
    this.stored = new StoredRuns(session, place.memory, this.locks);
    this.places = new RunPlaces({
      session,
      stored: this.stored,
      pageBase: this.pageBase,
      experiments: this.experiments,
    });
    this.cachedStudents = new CachedStudents(session);
    this.interrupted = new InterruptedRuns(place.memory, this.locks);
    void this.interrupted.look();
    this.worker = new WorkerState(place.worker, () => this.sleep());
    this.awake = new Awake(place.memory, place.wakeLocks);
    this.check = new SelfCheck(session);
    this.ask = new AskBox(session, () => this.askPlace());
    this.talk = new TalkBox(session, () => this.askPlace(), this.pageBase);
    const prepareData = (): ReturnType<Experiments['prepareData']> => this.experiments.prepareData(this.pageBase);
    this.student = new StudentBox({
      session,
      device: this.device,
      experiments: this.experiments,
      pageBase: this.pageBase,
      prepareData,
      talkTo: (student) => this.talk.take(student),
    });
    this.teachers = new Teachers({
      session,
      experiments: this.experiments,
      memory: place.memory,
      prepareData,
      teacherModel: () => {
        if (place.teacherModel !== undefined) return place.teacherModel();
        throw new PupilError(
          'browser',
          'teacher model: expected a page that starts workers for models, this one has none',
        );
      },
      save: (name, bytes) => place.save?.(name, bytes),
    });
  }

  /** The folder that the page was served from. */
  get pageBase(): string {
    return new URL('./', this.place.address).href;
  }

  /** What this browser remembers for the page. */
  get memory(): KeyValue {
    return this.place.memory;
  }

  /** Hands a file to the person. */
  save(name: string, bytes: Uint8Array): void {
    this.place.save?.(name, bytes);
  }

  saveBlob(name: string, blob: Blob): void {
    this.place.saveBlob?.(name, blob);
  }

  /** Asks the browser not to evict what is stored; whether it says so afterwards is in the device's report. */
  async persist(): Promise<void> {
    await this.place.persist?.().catch(() => undefined);
    await this.device.refresh();
  }

  /** Starts what the page itself does not need: the worker, the device, the lists of what is stored. Once. */
  wake(): Promise<void> {
    return this.waking ?? this.open();
  }

  /** The same, also where it was done before. */
  open(): Promise<void> {
    const all = [this.device.open(), this.stored.refresh(), this.cachedStudents.refresh()];
    this.waking = Promise.all(all).then(() => undefined);
    return this.waking;
  }

  /** Device and worker are gone: whatever needs them next wakes them again. */
  private sleep(): void {
    this.waking = undefined;
    this.device.sleep();
  }

  /** State of a place that outlives leaving it; made when it is first shown, so that its code is fetched with the place. */
  part<T>(name: string, make: () => T): T {
    // Outside of the component that asks: what is derived within one stands still when that component is removed.
    if (!this.parts.has(name)) $effect.root(() => void this.parts.set(name, make()));
    return this.parts.get(name) as T;
  }

  async startRun(): Promise<void> {
    await this.guarded(async () => {
      const prepared = await this.experiments.prepare(this.pageBase);
      const runId = `${slug(prepared.experiment.name)}-${this.place.now().toISOString().replace(/\D/g, '').slice(0, 17)}`;
      this.stored.remember(runId, prepared);
      void this.place.persist?.().catch(() => undefined);
      return { request: { runId, ...prepared }, name: prepared.experiment.name };
    });
  }

  async resumeRun(runId: string): Promise<void> {
    await this.guarded(async () => {
      const source = await this.places.source(runId, 'everything');
      const name = (source.experiment as { name?: string }).name ?? runId;
      return { request: { runId, ...source, resume: true }, name };
    });
  }

  /** The chosen experiment as it was before a person's changes. */
  undoChanges(): void {
    this.experiments.undoChanges();
  }

  async removeRun(runId: string): Promise<void> {
    await this.stored.remove(runId);
    await this.device.refresh();
  }

  async removeCachedStudent(key: string): Promise<void> {
    await this.cachedStudents.remove(key);
    await this.device.refresh();
  }

  async openReport(runId: string): Promise<void> {
    this.notice = undefined;
    try {
      globalThis.open(await this.stored.reportAddress(runId), '_blank', 'noopener');
    } catch (error) {
      this.notice = toNotice(error);
    }
  }

  /** A file of a run, into the person's downloads. */
  async saveFile(runId: string, path: string): Promise<void> {
    this.notice = undefined;
    try {
      const bytes = await this.stored.file(runId, path);
      this.place.save?.(`${runId}-${path.replaceAll('/', '-')}`, bytes);
    } catch (error) {
      this.notice = toNotice(error);
    }
  }

  /**
   * Whom a typed question is for: the students of the stored run whose page is open, else of the run that is shown, else of
   * the newest finished run of the chosen experiment, else its untouched student alone.
   */
  private async askPlace(): Promise<AskPlace> {
    await this.wake();
    const { asked } = this.stored;
    // Its own experiment, seed and all: the one that is chosen may have been changed since, or lack its files.
    if (asked !== '') return { ...(await this.places.source(asked, 'student')), runId: asked };
    const prepared = await this.experiments.prepare(this.pageBase);
    const { name } = prepared.experiment;
    const newest = [...this.stored.runs]
      .filter((run) => run.name === name && run.state === 'finished')
      .sort((a, b) => (a.updatedAt < b.updatedAt ? 1 : -1))[0];
    const shown = this.run.name === name && this.run.runId !== '' ? this.run.runId : undefined;
    const runId = shown ?? newest?.runId;
    if (runId === undefined) return prepared;
    return { ...(await this.places.source(runId, 'student')), runId };
  }

  /** Shows a run that rests, as far as it got: its curves, rows and log. */
  async showRun(runId: string): Promise<void> {
    if (this.run.active) return;
    this.notice = undefined;
    try {
      await this.wake();
      const history = await this.session.runHistory(runId);
      if (history === undefined || this.run.active) return;
      this.run.restore(runId, (history.experiment as { name?: string }).name ?? runId, history);
    } catch (error) {
      this.notice = toNotice(error);
    }
  }

  private async guarded(
    prepare: () => Promise<{ request: Parameters<SessionApi['run']>[0]; name: string }>,
  ): Promise<void> {
    if (this.busy) return;
    this.notice = undefined;
    this.preparing = true;
    try {
      await this.wake();
      if (this.device.status === 'unavailable') return; // the page says why, and what to do
      const { request, name } = await prepare();
      const held = await this.locks.hold(request.runId, async () => {
        this.interrupted.begin(request.runId, name);
        this.worker.lost = undefined;
        const running = this.run.start(request, name);
        this.preparing = false;
        await running;
        const hasCheckpoint = request.resume === true || this.run.checkpoint !== undefined;
        this.interrupted.rest(request.runId, hasCheckpoint && wasInterrupted(this.run));
        if (this.run.state === 'finished') this.stored.rememberFinished(request.runId);
      });
      await Promise.all([this.stored.refresh(), this.cachedStudents.refresh(), this.device.refresh()]);
      if (!held) {
        throw new PupilError(
          'usage',
          `run ${request.runId}: expected it to rest, another tab of this browser goes on with it`,
          'Look for that tab, or close it and resume here.',
        );
      }
    } catch (error) {
      this.notice = toNotice(error);
    } finally {
      this.preparing = false;
    }
  }
}

/** What ended the run was not the run: it can go on, after a reload too. */
function wasInterrupted({ state, notice }: RunView): boolean {
  const code = notice?.code ?? '';
  return (
    state === 'failed' && (code.startsWith('gpu-') || ['browser', 'storage', 'storage-full', 'source'].includes(code))
  );
}
