// runPlaces.svelte.ts: what a stored run was made from, as far as this page has it: its experiment, and where the files that it names
// are. Those that lie on another machine a person gives here, once a visit: picked files cannot be remembered.
import { PupilError } from '../../base/errors';
import { parseExperiment, type Experiment } from '../../config/experiment';
import type { FileRoot, SessionApi } from '../../session/protocol';
import type { PickedFile, PickedFolder } from '../pickedFiles';
import type { Experiments } from './experiments.svelte';
import { filesHere, neededFiles, type NeededFile } from './neededFiles';
import { toNotice, type Notice } from './notice';
import type { StoredRuns } from './storedRuns.svelte';

/** What a piece of work reads of them: the student (and its tokenizer), or tasks and demonstrations as well. */
export type Needs = 'student' | 'everything';

export interface RunSource {
  experiment: unknown;
  files: FileRoot;
}

export interface RunPlace {
  session: Pick<SessionApi, 'artefact' | 'listArtefacts' | 'runHistory'>;
  stored: Pick<StoredRuns, 'recall'>;
  pageBase: string;
  /** What was picked for the experiment chosen in the Lab may be what a run was made from. */
  experiments: Pick<Experiments, 'picked' | 'pickedStudents'>;
}

export class RunPlaces {
  private given = $state.raw<Readonly<Record<string, readonly PickedFile[]>>>({});
  notice = $state.raw<Notice>();

  constructor(private readonly place: RunPlace) {}

  /** Every file of a run that does not come with the page; none where it was started here from files that are served. */
  elsewhere(runId: string, experiment: unknown): NeededFile[] {
    const kept = this.place.stored.recall(runId);
    if (kept?.files !== undefined) return [];
    const document = kept?.experiment ?? experiment;
    if (document === undefined) return [];
    return this.needed(runId, document).filter(({ from }) => from !== 'page');
  }

  /** Files for a run; those that it does not name are left alone. */
  async give(runId: string, folder: Promise<PickedFolder>): Promise<void> {
    this.notice = undefined;
    try {
      const { files } = await folder;
      const known = (this.given[runId] ?? []).filter(({ path }) => files.every((file) => file.path !== path));
      this.given = { ...this.given, [runId]: [...known, ...files] };
    } catch (error) {
      this.notice = toNotice(error);
    }
  }

  /**
   * The experiment of a run, and its files.
   * @throws PupilError `storage` where this browser has neither report nor checkpoint of it, `source` naming the files that
   *   are needed and lie elsewhere
   */
  async source(runId: string, needs: Needs): Promise<RunSource> {
    const kept = this.place.stored.recall(runId);
    const experiment = await this.experiment(runId);
    if (kept?.files !== undefined) return { experiment, files: kept.files };
    const needed = this.needed(runId, experiment);
    const missing = needed.filter(
      ({ what, from }) => from === 'nowhere' && (needs === 'everything' || what !== 'data'),
    );
    if (missing.length === 0) return { experiment, files: filesHere(needed, this.place.pageBase) };
    throw new PupilError(
      'source',
      `run ${runId}: expected ${needs === 'student' ? 'its student' : 'the files it was made from'}, not found here:\n${missing.map(({ path }) => path).join('\n')}`,
      'They lie where the run was made. Open the run under Results and give them there, under “Files of this run”.',
    );
  }

  /** As it was started; else as its report has it, or, of one that has not ended, its checkpoint. Throws `storage`. */
  async experiment(runId: string): Promise<unknown> {
    const { session, stored } = this.place;
    const kept = stored.recall(runId);
    if (kept !== undefined) return kept.experiment;
    if ((await session.listArtefacts(runId)).includes('report.json')) {
      const text = new TextDecoder().decode(await session.artefact(runId, 'report.json'));
      return (JSON.parse(text) as { experiment?: unknown }).experiment;
    }
    const history = await session.runHistory(runId);
    if (history !== undefined) return history.experiment;
    throw new PupilError(
      'storage',
      `run ${runId}: expected a report or a checkpoint of it, this browser has neither`,
      'It was deleted, or it ended before its first checkpoint: start it again.',
    );
  }

  private needed(runId: string, experiment: unknown): NeededFile[] {
    const { pageBase, experiments } = this.place;
    const { picked, pickedStudents } = experiments;
    let parsed: Experiment;
    try {
      parsed = parseExperiment(experiment);
    } catch {
      return []; // of another version: whoever works with it is told by the session
    }
    return neededFiles(parsed, { files: this.given[runId] ?? picked, pickedStudents, pageBase });
  }
}
