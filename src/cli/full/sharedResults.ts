// sharedResults.ts: the folder of phase results of this machine and that of the store: a result is one file, named by the
// SHA-256 of all that it follows from (session/phaseResults.ts). Small ones are fetched by every job; large ones, an adapter
// say, where the job waits for the one that made them. What this machine keeps of them has a bound: what was used longest ago
// goes, but nothing that a running job may use, and nothing that the store has not got. It computes and decides nothing: a
// result that is not here is computed again.
import { mkdir, open, readdir, readFile, rm, stat, utimes } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { takeProcessLock } from '../../base/processLock';
import { writeFileAtomically } from '../runFolder';
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

/** In the folder, for other workers of this machine: which results the jobs of a process may use; with a lock beside it. */
const USES = /^\.uses-\d+\.json$/;
export const DEFAULT_CACHE_LIMIT_GIB = 20;

async function resultsIn(folder: string): Promise<string[]> {
  await mkdir(folder, { recursive: true });
  return (await readdir(folder)).filter((name) => RESULT.test(name));
}

export class SharedResults {
  /** What the store is known to have, by name. */
  private readonly known = new Map<string, SharedRecord>();
  /** Jobs by the ids of their runs, as far as they ran here. */
  private readonly jobs = new Map<string, string>();
  /** Names of what each job that runs here may use. */
  private readonly uses = new Map<string, Set<string>>();
  private readonly usesFile: string;
  private leaveUses: (() => void) | undefined;

  constructor(
    private readonly store: ArtefactStore,
    private readonly area: string,
    /** Of this machine. */
    readonly folder: string,
    /** What the folder may hold; more only where running jobs need it, or the store has not got it yet. */
    private readonly limitBytes = DEFAULT_CACHE_LIMIT_GIB * 2 ** 30,
  ) {
    this.usesFile = join(folder, `.uses-${process.pid}.json`);
  }

  /**
   * Fetches what a job may need, and keeps it here until {@link leave}.
   * @param forerunners the jobs that it waits for: their results always come, others as far as there is room
   */
  async fetch(job: string, forerunners: readonly string[]): Promise<void> {
    await this.look();
    const records = [...this.known.values()];
    const needed = records.filter((record) => forerunners.includes(record.job));
    const others = records
      .filter((record) => record.sizeBytes <= SMALL_BYTES && !needed.includes(record))
      .sort((a, b) => (a.at > b.at ? -1 : 1));
    const used = new Set(needed.map(({ name }) => name));
    this.uses.set(job, used);
    await this.tellUses();
    // Once more than it takes: another worker may have been removing one at this very moment.
    for (let tries = 0; tries < 2; tries++) {
      for (const record of needed) {
        if (await this.touched(record.name)) continue;
        await this.makeRoom(record.sizeBytes);
        await this.store.getFile(this.fileOf(record), join(this.folder, record.name), record);
      }
    }
    let held = sum((await this.held()).map(({ sizeBytes }) => sizeBytes));
    const here = new Set(await resultsIn(this.folder));
    for (const record of others) {
      if (!here.has(record.name)) {
        if (held + record.sizeBytes > this.limitBytes) continue;
        held += record.sizeBytes;
        await this.store.getFile(this.fileOf(record), join(this.folder, record.name), record);
      }
      used.add(record.name);
    }
    await this.tellUses();
  }

  /** The job does not run here any more. */
  async leave(job: string, forerunners: readonly string[]): Promise<void> {
    this.uses.delete(job);
    await this.tellUses();
    for (const { name, job: maker } of this.known.values()) {
      if (maker === job || forerunners.includes(maker)) await this.touched(name);
    }
    await this.makeRoom(0);
  }

  /** The process takes no more jobs. */
  close(): void {
    this.leaveUses?.();
    this.leaveUses = undefined;
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

  /** Every result here, that used longest ago first. */
  private async held(): Promise<{ name: string; sizeBytes: number; usedMs: number }[]> {
    const found = [];
    for (const name of await resultsIn(this.folder)) {
      const file = await stat(join(this.folder, name)).catch(() => undefined);
      if (file !== undefined) found.push({ name, sizeBytes: file.size, usedMs: file.mtimeMs });
    }
    return found.sort((a, b) => a.usedMs - b.usedMs);
  }

  /** Removes what was used longest ago until so much more finds room. */
  private async makeRoom(wantedBytes: number): Promise<void> {
    const held = await this.held();
    let over = sum(held.map(({ sizeBytes }) => sizeBytes)) + wantedBytes - this.limitBytes;
    if (over <= 0) return;
    const used = new Set([...[...this.uses.values()].flatMap((names) => [...names]), ...(await this.usedElsewhere())]);
    for (const { name, sizeBytes } of held) {
      if (over <= 0) return;
      if (used.has(name) || !this.known.has(name)) continue;
      await rm(join(this.folder, name), { force: true });
      over -= sizeBytes;
    }
  }

  /** Notes that a result is used now. False where it is not here. */
  private async touched(name: string): Promise<boolean> {
    const now = new Date();
    return utimes(join(this.folder, name), now, now).then(
      () => true,
      () => false,
    );
  }

  private async tellUses(): Promise<void> {
    await mkdir(this.folder, { recursive: true });
    if (this.leaveUses === undefined) {
      const { release } = takeProcessLock(`${this.usesFile}.lock`);
      this.leaveUses = () => release?.();
    }
    writeFileAtomically(this.usesFile, JSON.stringify([...this.uses.values()].flatMap((names) => [...names])));
  }

  /** What jobs of other workers of this machine may use; what a worker that died has told counts for nothing. */
  private async usedElsewhere(): Promise<string[]> {
    const used: string[] = [];
    for (const name of await readdir(this.folder)) {
      const file = join(this.folder, name);
      if (!USES.test(name) || file === this.usesFile) continue;
      const { release } = takeProcessLock(`${file}.lock`);
      if (release !== undefined) {
        await rm(file, { force: true });
        release();
        continue;
      }
      const told = await readFile(file, 'utf8').catch(() => '[]');
      used.push(...(JSON.parse(told) as string[]));
    }
    return used;
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

const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0);

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
