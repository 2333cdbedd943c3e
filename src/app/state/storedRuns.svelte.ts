// storedRuns.svelte.ts: the runs that this browser keeps, and what is needed to go on with one: its experiment and where
// its files were. Checkpoints are the session's; here is only the request they belong to.
import { PupilError } from '../../base/errors';
import type { FileRoot, RunOverview, SessionApi, StoredRun } from '../../session/protocol';
import type { RunLocks } from '../runLocks';
import type { PreparedRun } from './experimentFiles';
import type { KeyValue } from './keyValue';
import { toNotice, type Notice } from './notice';

const KEY = 'pupil-run:';
/** Names the run that finished last: it is shown on the next visit. */
const FINISHED = 'pupil-finished-run';
const HELD_EVERY_MS = 2_000;

export class StoredRuns {
  runs = $state.raw<readonly StoredRun[]>([]);
  /** Whether `runs` says what is there: storage was asked once, at least. */
  listed = $state(false);
  /** The runs that go on in some tab. */
  held = $state.raw<ReadonlySet<string>>(new Set());
  /** More of each, by id; read when a list is shown. */
  overviews = $state.raw<ReadonlyMap<string, RunOverview>>(new Map());
  /** The run whose students are asked, while its page is open; '' else. */
  asked = $state('');
  notice = $state.raw<Notice>();
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly session: SessionApi,
    private readonly memory: KeyValue,
    private readonly locks: RunLocks,
  ) {}

  async refresh(): Promise<void> {
    try {
      this.runs = await this.session.listRuns();
      this.listed = true;
      this.held = await this.locks.held();
      this.notice = undefined;
      this.watchHeld();
    } catch (error) {
      this.notice = toNotice(error);
    }
  }

  /** A run that goes on in another tab may end at any time: what it blocked is then free, without a reload. */
  private watchHeld(): void {
    if (this.held.size === 0 || this.timer !== undefined) return;
    this.timer = setTimeout(() => {
      this.timer = undefined;
      void this.locks.held().then((held) => {
        const same = held.size === this.held.size && [...held].every((id) => this.held.has(id));
        if (same) this.watchHeld();
        else void this.refresh();
      });
    }, HELD_EVERY_MS);
  }

  /** Remembers what a run was started with. Picked files cannot be remembered: they must be picked again. */
  remember(runId: string, { experiment, files }: PreparedRun): void {
    const kept = files.kind === 'http' ? { experiment, files } : { experiment };
    try {
      this.memory.setItem(KEY + runId, JSON.stringify(kept));
    } catch {
      // Without room the run still works; only resuming it asks for the experiment again.
    }
  }

  /** '' where none finished, or its name was not kept. */
  lastFinished(): string {
    return this.memory.getItem(FINISHED) ?? '';
  }

  rememberFinished(runId: string): void {
    try {
      this.memory.setItem(FINISHED, runId);
    } catch {
      // It is found in the list of runs all the same.
    }
  }

  forgetFinished(): void {
    this.memory.removeItem(FINISHED);
  }

  /** What the run was started with; `files` is absent where they must be picked again. */
  recall(runId: string): { experiment: unknown; files?: FileRoot } | undefined {
    const text = this.memory.getItem(KEY + runId);
    return text === null ? undefined : (JSON.parse(text) as { experiment: unknown; files?: FileRoot });
  }

  /** Seeds, machines, accuracies and sizes of all runs. */
  async loadOverviews(): Promise<void> {
    try {
      const all = await this.session.runOverviews();
      this.overviews = new Map(all.map((one) => [one.runId, one]));
    } catch (error) {
      this.notice = toNotice(error);
    }
  }

  async remove(runId: string): Promise<void> {
    const removed = await this.changed(runId, () => this.session.deleteRun(runId));
    if (!removed) return;
    this.memory.removeItem(KEY + runId);
    if (this.lastFinished() === runId) this.forgetFinished();
  }

  rename(runId: string, label: string): Promise<boolean> {
    return this.changed(runId, () => this.session.renameRun(runId, label));
  }

  deleteCheckpoints(runId: string): Promise<boolean> {
    return this.changed(runId, async () => void (await this.session.deleteCheckpoints(runId)));
  }

  /** Changes a run that rests in all tabs, and looks again at what there is. What goes wrong is in `notice`. */
  private async changed(runId: string, change: () => Promise<void>): Promise<boolean> {
    try {
      if (!(await this.locks.hold(runId, change))) {
        throw new PupilError(
          'usage',
          `run ${runId}: expected it to rest, another tab goes on with it`,
          'Stop it there.',
        );
      }
    } catch (error) {
      this.notice = toNotice(error);
      return false;
    }
    await this.refresh();
    return true;
  }

  file(runId: string, path: string): Promise<Uint8Array> {
    return this.session.artefact(runId, path);
  }

  /** The report of a run as an address that a new tab can open. */
  async reportAddress(runId: string): Promise<string> {
    const bytes = await this.session.artefact(runId, 'report.html');
    if (bytes.byteLength === 0) throw new PupilError('storage', `run ${runId}: its report is empty`);
    return URL.createObjectURL(new Blob([bytes.slice()], { type: 'text/html' }));
  }
}
