// artefactRows.svelte.ts: one file of JSON lines of the run that Inside shows: fetched from the session, read in slices, read
// again when the run has written it anew. What is in the rows is the business of whoever made this.
import { PupilError } from '../../base/errors';
import type { SessionApi } from '../../session/protocol';
import { Latest } from '../state/latest';
import { toNotice, type Notice } from '../state/notice';
import { readLines, type DamagedLines } from './readLines';

/** `absent`: the run has not written it (yet). */
export type RowsStatus = 'reading' | 'ready' | 'absent' | 'failed';

const NO_DAMAGE: DamagedLines = { count: 0, examples: [] };

export class ArtefactRows<Row> {
  rows = $state.raw<readonly Row[]>([]);
  status = $state<RowsStatus>('reading');
  /** Read so far, in [0, 1]. */
  share = $state(0);
  damaged = $state.raw<DamagedLines>(NO_DAMAGE);
  notice = $state.raw<Notice>();
  private runId = '';
  private revision: string | undefined;
  private readonly latest = new Latest();

  constructor(
    private readonly session: SessionApi,
    readonly path: string,
    private readonly read: (value: unknown, line: number) => Row,
  ) {}

  /** The rows of this run as of this revision. Until new ones are there, those of an earlier revision stay. Never rejects. */
  async show(runId: string, revision: string): Promise<void> {
    if (runId === this.runId && revision === this.revision) return;
    if (runId !== this.runId) {
      this.rows = [];
      this.damaged = NO_DAMAGE;
      this.status = 'reading';
    }
    this.runId = runId;
    this.revision = revision;
    this.share = 0;
    this.notice = undefined;
    try {
      const done = await this.latest.run(() =>
        this.fetch(runId, () => this.revision !== revision || this.runId !== runId),
      );
      if (done === undefined) return;
      if (done.value === undefined) this.status = 'absent';
      else {
        this.rows = done.value.rows;
        this.damaged = done.value.damaged;
        this.status = 'ready';
      }
    } catch (error) {
      this.status = 'failed';
      this.notice = toNotice(error);
    }
  }

  private async fetch(runId: string, isOver: () => boolean): ReturnType<typeof readLines<Row>> {
    const paths = await this.session.listArtefacts(runId);
    if (paths.length === 0) {
      throw new PupilError(
        'storage',
        `run ${runId}: expected its files in this browser, it has none`,
        'A run stays in the browser that made it. Import its folder under Results, or choose another run above.',
      );
    }
    if (!paths.includes(this.path)) return undefined;
    const bytes = await this.session.artefact(runId, this.path);
    return readLines(bytes, this.read, { isOver, onShare: (share) => (this.share = share) });
  }
}
