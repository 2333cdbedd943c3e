// sharedResults.ts: the folder of phase results of this machine and that of the store: a result is one file, named by the
// SHA-256 of all that it follows from (session/phaseResults.ts). Small ones are fetched by every job; large ones, an adapter
// say, where the job waits for the one that made them. It computes and decides nothing: a result that is not here is
// computed again.
import { mkdir, open, readdir } from 'node:fs/promises';
import { hostname } from 'node:os';
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
  /** What the store is known to have, by name. */
  private readonly known = new Map<string, SharedRecord>();
  /** Jobs by the ids of their runs, as far as they ran here. */
  private readonly jobs = new Map<string, string>();

  constructor(
    private readonly store: ArtefactStore,
    private readonly area: string,
    /** Of this machine. */
    readonly folder: string,
  ) {}

  /** Fetches what a job may need. `forerunners`: the jobs that it waits for. */
  async fetch(forerunners: readonly string[]): Promise<void> {
    const here = new Set(await resultsIn(this.folder));
    await this.look();
    for (const record of this.known.values()) {
      if (here.has(record.name)) continue;
      if (record.sizeBytes > SMALL_BYTES && !forerunners.includes(record.job)) continue;
      await this.store.getFile(this.fileOf(record), join(this.folder, record.name), record);
    }
  }

  /** Puts there what the store has not got. Several jobs of this machine may share the folder: each keeps its results. */
  async put(job: string, runId: string): Promise<void> {
    this.jobs.set(runId, job);
    const unknown = async (): Promise<string[]> =>
      (await resultsIn(this.folder)).filter((name) => !this.known.has(name));
    if ((await unknown()).length === 0) return;
    await this.look();
    for (const name of await unknown()) {
      const file = join(this.folder, name);
      const content = await contentOf(file);
      const maker = this.jobs.get(await runIdIn(file)) ?? job;
      const record: SharedRecord = { ...content, name, job: maker, host: hostname(), at: new Date().toISOString() };
      if ((await this.store.sizeOf(this.fileOf(content))) !== content.sizeBytes) {
        await this.store.putFile(this.fileOf(content), file, content);
      }
      await this.store.putText(`${this.area}/${name}.json`, JSON.stringify(record));
      this.known.set(name, record);
    }
  }

  private fileOf({ sha256 }: Content): string {
    return `${this.area}/files/${sha256}`;
  }

  /** Learns what has come since. */
  private async look(): Promise<void> {
    for (const path of await this.store.list(this.area)) {
      const name = path.slice(path.lastIndexOf('/') + 1).replace(/\.json$/, '');
      if (!path.endsWith('.json') || !RESULT.test(name) || this.known.has(name)) continue;
      const text = await this.store.getText(path);
      if (text !== undefined) this.known.set(name, JSON.parse(text) as SharedRecord);
    }
  }
}

/** The run that made a result, as the header of its safetensors file says; '' where it does not. */
async function runIdIn(file: string): Promise<string> {
  const handle = await open(file, 'r');
  try {
    const size = Buffer.alloc(8);
    await handle.read(size, 0, 8, 0);
    const header = Buffer.alloc(Math.min(Number(size.readBigUInt64LE()), 2 ** 20));
    await handle.read(header, 0, header.byteLength, 8);
    const { __metadata__: metadata } = JSON.parse(header.toString('utf8')) as { __metadata__?: { runId?: string } };
    return metadata?.runId ?? '';
  } catch {
    return '';
  } finally {
    await handle.close();
  }
}
