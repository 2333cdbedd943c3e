// importRun.svelte.ts: a run from elsewhere on its way in: what was picked or dropped, how far it is, a run of the same id, what
// was refused. Reading and checking it is the session's.
import type { ImportOutcome, ImportRunRequest } from '../../session/protocol';
import type { PickedFile, PickedFolder } from '../pickedFiles';
import type { Playground } from '../state/playground.svelte';
import { Working } from './working.svelte';

type Imported = Extract<ImportOutcome, { state: 'imported' }>;
type Exists = Extract<ImportOutcome, { state: 'exists' }>;

export class RunImport {
  readonly working = new Working();
  /** The run that was taken in last. */
  done = $state.raw<Imported>();
  /** A run of that id is here: a person decides. */
  exists = $state.raw<Exists>();
  private request: ImportRunRequest | undefined;

  constructor(private readonly playground: Playground) {}

  /** One zip, one report.json, or several files of one folder. */
  async files(files: readonly File[]): Promise<void> {
    const [first] = files;
    if (first === undefined) return;
    if (files.length === 1 && !first.name.toLowerCase().endsWith('.json')) {
      await this.take({ from: first.name, source: { kind: 'zip', blob: first }, existing: 'ask' });
    } else
      await this.takeFiles(
        first.name,
        files.map((file) => ({ path: file.name, blob: file })),
      );
  }

  /** A folder of the command line; or what was dropped in its place. */
  async folder(folder: Promise<PickedFolder>): Promise<void> {
    const picked = await this.working.run('Looking through the folder', () => folder);
    if (picked === undefined) return;
    const [only] = picked.files;
    if (picked.files.length === 1 && only!.blob instanceof File) await this.files([only!.blob]);
    else await this.takeFiles(picked.name || 'dropped files', picked.files);
  }

  /** After `exists`: under an id of its own. */
  async takeCopy(): Promise<void> {
    if (this.request !== undefined) await this.take({ ...this.request, existing: 'copy' });
  }

  leave(): void {
    this.exists = undefined;
    this.request = undefined;
  }

  private takeFiles(from: string, files: readonly PickedFile[]): Promise<void> {
    const named = Object.fromEntries(files.map(({ path, blob }) => [path, blob]));
    return this.take({ from, source: { kind: 'files', files: named }, existing: 'ask' });
  }

  private async take(request: ImportRunRequest): Promise<void> {
    this.done = this.exists = undefined;
    this.request = request;
    const { playground } = this;
    const outcome = await this.working.run(`Importing ${request.from}`, async (onProgress) => {
      await playground.wake();
      return playground.session.importRun(request, onProgress);
    });
    if (outcome?.state === 'exists') {
      this.exists = outcome;
      return;
    }
    this.request = undefined;
    if (outcome === undefined) return;
    this.done = outcome;
    await Promise.all([playground.stored.refresh(), playground.device.refresh()]);
  }
}
