// runPage.svelte.ts: one stored run with all that is known of it, and what is saved of it as files. It reads; the session does.
import type { RunDetails, RunExport } from '../../session/protocol';
import type { Playground } from '../state/playground.svelte';
import { toNotice, type Notice } from '../state/notice';
import { Working } from './working.svelte';

export class RunPage {
  /** Of the run that is shown, once they are read. */
  details = $state.raw<RunDetails>();
  notice = $state.raw<Notice>();
  /** What a person should know of the file that was saved last. */
  notes = $state.raw<readonly string[]>([]);
  readonly working = new Working();
  private wanted = '';

  constructor(private readonly playground: Playground) {}

  /** Reads a run; the answer to an earlier wish is dropped. */
  async show(runId: string): Promise<void> {
    this.wanted = runId;
    if (this.details?.runId !== runId) {
      this.details = undefined;
      this.notes = [];
    }
    this.notice = undefined;
    try {
      const details = await this.playground.session.runDetails(runId);
      if (this.wanted === runId) this.details = details;
    } catch (error) {
      if (this.wanted === runId) this.notice = toNotice(error);
    }
  }

  /** Makes a file of the run and hands it to the person. */
  save(runId: string, words: string, what: RunExport): Promise<void> {
    return this.saved(words, () => Promise.resolve(what), runId);
  }

  private async saved(words: string, what: () => Promise<RunExport>, runId: string): Promise<void> {
    this.notes = [];
    const file = await this.working.run(words, async (onProgress) =>
      this.playground.session.exportRun({ runId, what: await what() }, onProgress),
    );
    if (file === undefined) return;
    this.notes = file.notes;
    this.playground.saveBlob(file.fileName, file.blob);
  }

  /** An adapter with its student's weights, where this browser knows the student. */
  async saveMerged(
    runId: string,
    words: string,
    kind: 'merged' | 'gguf' | 'gguf-adapter',
    phase: string,
  ): Promise<void> {
    await this.saved(
      words,
      async () => ({ kind, phase, ...(await this.playground.places.source(runId, 'student')) }),
      runId,
    );
  }
}
