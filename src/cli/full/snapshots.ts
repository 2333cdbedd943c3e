// snapshots.ts: the folder of a run as the store knows it: a manifest that names every file by its SHA-256, written after the
// files themselves. Several workers may come to write one run's: each start claims the next number, and a worker that finds
// a higher one than its own has lost the run and writes no more. So nothing is locked, nobody waits for a dead machine, and
// what is read is always one worker's whole state.
//
//     <area>/manifests/<number>-<writer>.json, <area>/files/<sha256>
import { randomBytes } from 'node:crypto';
import { copyFile, link, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { PupilError } from '../../base/errors';
import { ContentChanged, contentOf, type ArtefactStore, type Content } from './artefactStore';

/** Where the store keeps a run. */
export const runArea = (area: string, id: string): string => `${area}/runs/${id}`;

export interface SnapshotFile extends Content {
  /** Relative to the folder, with `/`. */
  path: string;
}

export type SnapshotState = 'claimed' | 'running' | 'stopped' | 'finished' | 'failed';

export interface Snapshot {
  format: 'pupil-snapshot';
  version: 1;
  /** Counted up by every worker that begins. */
  number: number;
  /** Who wrote it. */
  writer: string;
  host: string;
  /** ISO 8601. */
  at: string;
  state: SnapshotState;
  /** SHA-256 of the job that it is of: another job's folder must not be gone on with. */
  job: string;
  files: SnapshotFile[];
  /** What came of it, once finished. */
  outcome?: unknown;
}

/** Another worker has begun the same job after this one. */
export class ClaimLost extends Error {
  override readonly name = 'ClaimLost';
}

/** In the local folder: whose state it holds. */
const MARKER = '.snapshot.json';
/** Likewise: the files that are being sent. */
const HELD = '.held';
/** A run goes on while its folder is read: so often is tried to see it at rest. */
const TRIES = 4;

const nameOf = (area: string, { number, writer }: Pick<Snapshot, 'number' | 'writer'>): string =>
  `${area}/manifests/${String(number).padStart(8, '0')}-${writer}.json`;

/** Later claims count: first the number, then, where two took the same, the writer. */
const isLater = (a: string, b: string): boolean => a > b;

/** The names of an area's manifests, the one that counts last. */
async function manifestsOf(store: ArtefactStore, area: string): Promise<string[]> {
  return (await store.list(`${area}/manifests`)).filter((name) => name.endsWith('.json'));
}

/** The newest state of an area, or undefined where nobody has begun. */
export async function newestSnapshot(store: ArtefactStore, area: string): Promise<Snapshot | undefined> {
  // One that a writer has replaced between the two calls is looked for again.
  for (let tries = 0; tries < TRIES; tries++) {
    const names = await manifestsOf(store, area);
    const last = names.at(-1);
    if (last === undefined) return undefined;
    const text = await store.getText(last);
    if (text === undefined) continue;
    const found = JSON.parse(text) as Snapshot;
    if (found.format === 'pupil-snapshot' && found.version === 1) return found;
    throw new PupilError('storage', `${store.description} ${last}: expected a manifest of version 1`, 'Update Pupil.');
  }
  throw new PupilError('storage', `${store.description} ${area}: its manifests change too fast to be read`);
}

/** Fetches the files of a snapshot into a folder; those that are there already as they should be stay. */
export async function fetchFiles(
  store: ArtefactStore,
  area: string,
  files: readonly SnapshotFile[],
  folder: string,
): Promise<void> {
  for (const { path, ...content } of files) {
    const target = join(folder, ...path.split('/'));
    const there = await stat(target).catch(() => undefined);
    if (there?.size === content.sizeBytes && (await contentOf(target)).sha256 === content.sha256) continue;
    await store.getFile(`${area}/files/${content.sha256}`, target, content);
  }
}

/** Files of a run's folder that are not this machine's own business (the browser's profile, locks, half-written ones). */
async function filesIn(folder: string, below = ''): Promise<string[]> {
  const entries = await readdir(join(folder, below), { withFileTypes: true }).catch(() => []);
  const found: string[] = [];
  for (const entry of entries) {
    if (entry.name.startsWith('.') || /\.(writing|part)(-\w+)?$/.test(entry.name)) continue;
    const path = below === '' ? entry.name : `${below}/${entry.name}`;
    if (entry.isDirectory()) found.push(...(await filesIn(folder, path)));
    else if (entry.isFile()) found.push(path);
  }
  // Commits of checkpoints first: one that is listed before its parts are names parts that are still there.
  return found.sort((a, b) => Number(b.includes('/commit-')) - Number(a.includes('/commit-')) || (a < b ? -1 : 1));
}

/** Sizes and times of the checkpoints: whether one was written between two looks. */
async function restOf(folder: string, paths: readonly string[]): Promise<string> {
  const lines = await Promise.all(
    paths
      .filter((path) => path.startsWith('checkpoints/'))
      .map(async (path) => {
        const found = await stat(join(folder, path)).catch(() => undefined);
        return `${path} ${found?.size} ${found?.mtimeMs}`;
      }),
  );
  return lines.join('\n');
}

/**
 * A second name for each file of a folder, in a moment, so that the run may go on while they are read and sent. Checkpoints are
 * replaced by renaming and never written to, so that a second name keeps what was there; what is appended to is copied.
 * @throws ContentChanged where a checkpoint was written in this moment
 */
async function hold(folder: string, paths: readonly string[], to: string): Promise<void> {
  await rm(to, { recursive: true, force: true });
  const before = await restOf(folder, paths);
  for (const path of paths) {
    const target = join(to, path);
    await mkdir(dirname(target), { recursive: true });
    const linked =
      path.startsWith('checkpoints/') &&
      (await link(join(folder, path), target).then(
        () => true,
        () => false, // some file systems have no second names
      ));
    if (!linked) await copyFile(join(folder, path), target);
  }
  if ((await restOf(folder, paths)) !== before)
    throw new ContentChanged(`${folder}: a checkpoint was written meanwhile`);
}

/** A run's folder, claimed by this worker. */
export class ClaimedFolder {
  /** Files that the store may still need: those of this claim's last two manifests. */
  private kept: Set<string>[];
  private readonly name: string;

  private constructor(
    private readonly store: ArtefactStore,
    private readonly area: string,
    private readonly folder: string,
    private readonly claim: Snapshot,
    /** Whether the folder now holds what another worker left in the store, or nothing, and not what was there. */
    readonly fetched: boolean,
  ) {
    this.name = nameOf(area, claim);
    this.kept = [new Set(claim.files.map(({ sha256 }) => sha256))];
  }

  /**
   * Claims an area and makes the local folder what its newest state is. What a killed process of this machine left in the
   * folder counts where nobody has begun since.
   * @throws ClaimLost where another worker claims at the same moment
   */
  static async claim(store: ArtefactStore, area: string, folder: string, job: string): Promise<ClaimedFolder> {
    const before = await newestSnapshot(store, area);
    if (before !== undefined && before.job !== job) {
      throw new PupilError(
        'queue',
        `${store.description} ${area}: expected the folder of this very job, it is of another experiment of the same name`,
        'Use another --namespace, or another --store.',
      );
    }
    const claim: Snapshot = {
      format: 'pupil-snapshot',
      version: 1,
      number: (before?.number ?? 0) + 1,
      writer: `${hostname().replace(/[^A-Za-z0-9.-]/g, '-')}-${process.pid}-${randomBytes(4).toString('hex')}`,
      host: hostname(),
      at: new Date().toISOString(),
      state: 'claimed',
      job,
      files: before?.files ?? [],
    };
    const own = before !== undefined && (await isOwn(folder, before));
    const claimed = new ClaimedFolder(store, area, folder, claim, !own);
    await store.putText(claimed.name, JSON.stringify(claim));
    await claimed.expectMine();
    if (!own) {
      await rm(folder, { recursive: true, force: true });
      await mkdir(folder, { recursive: true });
      await fetchFiles(store, area, claim.files, folder);
    }
    await writeFile(join(folder, MARKER), JSON.stringify({ number: claim.number, writer: claim.writer }));
    const older = (await manifestsOf(store, area)).filter((name) => isLater(claimed.name, name));
    await store.remove(older);
    return claimed;
  }

  /**
   * Makes the folder as it is now the newest state, while the run goes on.
   *
   * @param options what came of the run; a folder of it that nobody needs any more
   * @throws ClaimLost where another worker has begun since
   */
  async save(state: SnapshotState, options: { outcome?: unknown; without?: string } = {}): Promise<void> {
    const { outcome, without } = options;
    for (let tries = 1; ; tries++) {
      await this.expectMine();
      try {
        const files = await this.putFiles(without);
        await this.expectMine();
        const { at: _, outcome: _before, ...rest } = this.claim;
        const snapshot: Snapshot = { ...rest, at: new Date().toISOString(), state, files };
        await this.store.putText(
          this.name,
          JSON.stringify({ ...snapshot, ...(outcome === undefined ? {} : { outcome }) }),
        );
        await this.forget(new Set(files.map(({ sha256 }) => sha256)), state === 'finished');
        return;
      } catch (error) {
        const changed =
          (error as Error).name === 'ContentChanged' || (error as NodeJS.ErrnoException).code === 'ENOENT';
        if (!changed || tries >= TRIES) throw error;
        await new Promise((resolve) => setTimeout(resolve, 300 * tries));
      }
    }
  }

  private async expectMine(): Promise<void> {
    const last = (await manifestsOf(this.store, this.area)).at(-1);
    if (last !== undefined && isLater(last, this.name)) {
      throw new ClaimLost(`${this.area}: another worker has taken it over (${last.slice(last.lastIndexOf('/') + 1)})`);
    }
  }

  private async putFiles(without: string | undefined): Promise<SnapshotFile[]> {
    const paths = (await filesIn(this.folder)).filter(
      (path) => without === undefined || !path.startsWith(`${without}/`),
    );
    const held = join(this.folder, HELD);
    await hold(this.folder, paths, held);
    const files: SnapshotFile[] = [];
    for (const path of paths) {
      const file = join(held, path);
      const content = await contentOf(file);
      files.push({ path, ...content });
      const name = `${this.area}/files/${content.sha256}`;
      const known = this.kept.some((set) => set.has(content.sha256));
      if (!known && (await this.store.sizeOf(name)) !== content.sizeBytes)
        await this.store.putFile(name, file, content);
    }
    await rm(held, { recursive: true, force: true });
    return files;
  }

  /** Deletes what no manifest names any more; a reader of the last but one is not disturbed. */
  private async forget(now: Set<string>, all: boolean): Promise<void> {
    const known = [...this.kept, now];
    this.kept = [this.kept.at(-1)!, now];
    const there = all
      ? (await this.store.list(`${this.area}/files`)).map((name) => name.slice(name.lastIndexOf('/') + 1))
      : known.flatMap((set) => [...set]);
    const needed = all ? now : new Set(this.kept.flatMap((set) => [...set]));
    const gone = [...new Set(there)].filter((sha256) => !needed.has(sha256));
    await this.store.remove(gone.map((sha256) => `${this.area}/files/${sha256}`));
  }
}

/** Whether a folder was left by the very worker whose state is the store's newest: it is then that state or a later one. */
export async function isOwn(folder: string, { number, writer }: Snapshot): Promise<boolean> {
  try {
    const found = JSON.parse(await readFile(join(folder, MARKER), 'utf8')) as Partial<Snapshot>;
    return found.number === number && found.writer === writer;
  } catch {
    return false;
  }
}
