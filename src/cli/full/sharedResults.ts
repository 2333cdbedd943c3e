// sharedResults.ts: the folder of phase results of this machine and that of the store: a result is one file, named by the
// SHA-256 of all that it follows from (session/phaseResults.ts). Small ones are fetched by every job; large ones, an adapter
// say, where the job waits for the one that made them. It computes and decides nothing: a result that is not here is
// computed again.
import { mkdir, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { contentOf, type ArtefactStore, type Content } from './artefactStore';

/** `<area>/<file>.json`, beside the file itself under `<area>/files/<sha256>`. */
interface SharedRecord extends Content {
  name: string;
  /** The job that put it there. */
  job: string;
  host: string;
  at: string;
}

/** Every job fetches results up to this size: answers of a baseline, pairs. */
const SMALL_BYTES = 32 * 2 ** 20;
const RESULT = /^[0-9a-f]{64}\.safetensors$/;

async function resultsIn(folder: string): Promise<string[]> {
  await mkdir(folder, { recursive: true });
  return (await readdir(folder)).filter((name) => RESULT.test(name));
}

export class SharedResults {
  constructor(
    private readonly store: ArtefactStore,
    private readonly area: string,
    /** Of this machine. */
    readonly folder: string,
  ) {}

  /** Fetches what a job may need. `forerunners`: the jobs that it waits for. */
  async fetch(forerunners: readonly string[]): Promise<void> {
    const here = new Set(await resultsIn(this.folder));
    for (const record of await this.records()) {
      if (here.has(record.name)) continue;
      if (record.sizeBytes > SMALL_BYTES && !forerunners.includes(record.job)) continue;
      await this.store.getFile(this.fileOf(record), join(this.folder, record.name), record);
    }
  }

  /** Puts there what the store has not got. Results of other jobs of this machine are theirs to put; they do no harm. */
  async put(job: string, host: string): Promise<number> {
    const there = new Set((await this.records()).map(({ name }) => name));
    let count = 0;
    for (const name of await resultsIn(this.folder)) {
      if (there.has(name)) continue;
      const file = join(this.folder, name);
      const content = await contentOf(file);
      const record: SharedRecord = { ...content, name, job, host, at: new Date().toISOString() };
      if ((await this.store.sizeOf(this.fileOf(content))) !== content.sizeBytes) {
        await this.store.putFile(this.fileOf(content), file, content);
      }
      await this.store.putText(`${this.area}/${name}.json`, JSON.stringify(record));
      count++;
    }
    return count;
  }

  /** Bytes that this machine holds. */
  async sizeBytes(): Promise<number> {
    let sum = 0;
    for (const name of await resultsIn(this.folder)) {
      sum += (await stat(join(this.folder, name)).catch(() => undefined))?.size ?? 0;
    }
    return sum;
  }

  private fileOf({ sha256 }: Content): string {
    return `${this.area}/files/${sha256}`;
  }

  private async records(): Promise<SharedRecord[]> {
    const names = await this.store.list(this.area);
    const found: SharedRecord[] = [];
    for (const name of names) {
      if (!name.endsWith('.safetensors.json')) continue;
      const text = await this.store.getText(name);
      if (text !== undefined) found.push(JSON.parse(text) as SharedRecord);
    }
    return found;
  }
}
