// folderStore.ts: an artefact store in a folder that all machines see under some path (NFS, Lustre, a disk of one machine).
// A file is written beside, under `.incoming/`, and gets its name by a rename when all of it is on the disk. No locks: who may
// write what is settled by names (snapshots.ts), so that a machine that died holds nothing up.
import { randomBytes } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { PupilError } from '../../base/errors';
import { blocksOf, ContentMeter, expectContent, expectStoreName, storeError } from './artefactStore';
import type { ArtefactStore, Content } from './artefactStore';

const INCOMING = '.incoming';
/** What lies in `.incoming/` that long was left by a killed process. */
const STALE_MS = 2 * 24 * 3600_000;

const isMissing = (error: unknown): boolean =>
  ['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '');

export class FolderStore implements ArtefactStore {
  readonly description: string;

  private constructor(private readonly folder: string) {
    this.description = folder;
  }

  /** @throws PupilError `storage` where the folder cannot be written */
  static async open(folder: string): Promise<FolderStore> {
    const incoming = join(folder, INCOMING);
    try {
      await mkdir(incoming, { recursive: true });
      for (const name of await readdir(incoming)) {
        const left = await stat(join(incoming, name)).catch(() => undefined);
        if (left !== undefined && Date.now() - left.mtimeMs > STALE_MS) await rm(join(incoming, name), { force: true });
      }
    } catch (cause) {
      throw storeError(`--store: expected a folder that can be written, ${folder}`, cause);
    }
    return new FolderStore(folder);
  }

  async sizeOf(name: string): Promise<number | undefined> {
    try {
      return (await stat(this.path(name))).size;
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw storeError(this.path(name), error);
    }
  }

  async putFile(name: string, file: string, content: Content): Promise<void> {
    await this.write(name, blocksOf(file), (found) => expectContent(file, found, content));
  }

  async getFile(name: string, file: string, content: Content): Promise<void> {
    const part = `${file}.part`;
    try {
      await mkdir(dirname(file), { recursive: true });
      const found = await writeBlocks(part, blocksOf(this.path(name)));
      expectContent(this.path(name), found, content);
      await rename(part, file);
    } catch (error) {
      await rm(part, { force: true });
      throw storeError(`fetching ${this.path(name)}`, error);
    }
  }

  async putText(name: string, text: string): Promise<void> {
    await this.write(name, [Buffer.from(text)], () => undefined);
  }

  async getText(name: string): Promise<string | undefined> {
    try {
      return await readFile(this.path(name), 'utf8');
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw storeError(this.path(name), error);
    }
  }

  async list(folder: string): Promise<string[]> {
    const found: string[] = [];
    const walk = async (name: string): Promise<void> => {
      const entries = await readdir(this.path(name), { withFileTypes: true }).catch((error: unknown) => {
        if (isMissing(error)) return [];
        throw storeError(this.path(name), error);
      });
      for (const entry of entries) {
        if (entry.isDirectory()) await walk(`${name}/${entry.name}`);
        else if (entry.isFile()) found.push(`${name}/${entry.name}`);
      }
    };
    await walk(folder);
    return found.sort();
  }

  async remove(names: readonly string[]): Promise<void> {
    for (const name of names) await rm(this.path(name), { force: true });
  }

  close(): void {
    // nothing is held
  }

  private path(name: string): string {
    return join(this.folder, ...expectStoreName(name).split('/'));
  }

  private async write(
    name: string,
    blocks: Iterable<Buffer> | AsyncIterable<Buffer>,
    check: (found: Content) => void,
  ): Promise<void> {
    const target = this.path(name);
    const part = join(this.folder, INCOMING, randomBytes(12).toString('hex'));
    try {
      check(await writeBlocks(part, blocks));
      await mkdir(dirname(target), { recursive: true });
      await rename(part, target);
    } catch (error) {
      await rm(part, { force: true }).catch(() => undefined);
      if (error instanceof PupilError || (error as Error).name === 'ContentChanged') throw error;
      throw storeError(`writing ${target}`, error);
    }
  }
}

/** Writes a file down to the disk, and what it contains. */
async function writeBlocks(file: string, blocks: Iterable<Buffer> | AsyncIterable<Buffer>): Promise<Content> {
  const meter = new ContentMeter();
  const handle = await open(file, 'w');
  try {
    for await (const block of blocks) {
      meter.add(block);
      await handle.writeFile(block);
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
  return meter.content;
}
