// The promises of RunStore, kept by the disk and memory twins alike (IndexedDB's are tested in the browser), and by a
// mirror of two places.
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { PupilError } from '../../../src/base/errors';
import { openFileRoot } from '../../../src/sources/fileRoot';
import { DiskRunStore } from '../../../src/storage/disk';
import { MemoryRunStore } from '../../../src/storage/memory';
import { MirroredRunStore } from '../../../src/storage/mirror';
import type { RunStore } from '../../../src/storage/runStore';
import { contents, part, record } from './parts';

const folders: string[] = [];
function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'pupil-store-'));
  folders.push(path);
  return path;
}
afterAll(() => {
  for (const path of folders) rmSync(path, { recursive: true, force: true });
});

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

interface Place {
  name: string;
  /** `damage` alters the stored bytes of a part, in all places there are. */
  make: () => { store: RunStore; damage: (number: number) => void };
}

const flip = (stored: Uint8Array): void => void (stored[0]! ^= 1);

const PLACES: Place[] = [
  {
    name: 'memory',
    make: () => {
      const store = new MemoryRunStore();
      return { store, damage: (number) => flip(store.places.get('r')!.parts.get(number)!) };
    },
  },
  {
    name: 'disk',
    make: () => {
      const directory = folder();
      return {
        store: new DiskRunStore(directory),
        damage: (number) => {
          const path = join(directory, 'r/checkpoints', `part-${number}.bin`);
          writeFileSync(path, readFileSync(path).subarray(1)); // torn
        },
      };
    },
  },
  {
    name: 'mirror',
    make: () => {
      const inner = new MemoryRunStore();
      const files: Record<string, Uint8Array> = {};
      return {
        store: new MirroredRunStore(inner, openFileRoot({ kind: 'memory', files }), 'r'),
        damage: (number) => {
          flip(inner.places.get('r')!.parts.get(number)!);
          flip(files[`checkpoints/part-${number}.bin`]!);
        },
      };
    },
  },
];

for (const { name, make } of PLACES) {
  describe(`${name} run store`, () => {
    it('gives back the newest checkpoint', async () => {
      const { store } = make();
      expect(await store.loadCheckpoint('r')).toBeUndefined();
      for (const n of [1, 2, 3]) await store.saveCheckpoint(record(n), [await part('state', n)]);
      const found = await store.loadCheckpoint('r');
      expect(found).toMatchObject({ sequence: 3, problems: [] });
      expect(contents(found)).toEqual({ state: [3] });
    });

    it('falls back to the one before when the newest is damaged, and says so; refuses when all are', async () => {
      const { store, damage } = make();
      for (const n of [1, 2]) await store.saveCheckpoint(record(n), [await part('state', n, n, n)]);
      damage(1);
      const found = await store.loadCheckpoint('r');
      expect(contents(found)).toEqual({ state: [1, 1, 1] });
      expect(found).toMatchObject({
        sequence: 1,
        problems: [expect.stringContaining('checkpoint 2: part 1 ("state")')],
      });
      damage(0);
      await expect(store.loadCheckpoint('r')).rejects.toMatchObject({
        code: 'checkpoint',
        message: expect.stringMatching(/checkpoint 2: part 1 \("state"\).*checkpoint 1: part 0 \("state"\)/) as string,
        hint: expect.stringContaining('copy') as string,
      });
    });

    it('lists runs, newest first, with what their records say', async () => {
      const { store } = make();
      await store.saveCheckpoint(record(1, 'a'), [await part('state', 1)]);
      await store.saveCheckpoint(record(2, 'b'), [await part('state', 1)]);
      await store.saveRecord({ ...record(5, 'a'), state: 'finished' });
      expect((await store.listRuns()).map(({ runId, state }) => `${runId} ${state}`)).toEqual([
        'a finished',
        'b running',
      ]);
    });

    it('keeps artefacts by path, replaces them, and deletes everything with the run', async () => {
      const { store } = make();
      await store.saveCheckpoint(record(1), [await part('state', 1)]);
      await store.saveArtefact('r', 'adapters/instruct/adapter_config.json', bytes(1));
      await store.saveArtefact('r', 'report.json', bytes(1));
      await store.saveArtefact('r', 'report.json', bytes(2, 3));
      expect(await store.listArtefacts('r')).toEqual(['adapters/instruct/adapter_config.json', 'report.json']);
      expect(await store.loadArtefact('r', 'report.json')).toEqual(bytes(2, 3));
      expect(await store.loadArtefact('r', 'other')).toBeUndefined();
      await store.deleteRun('r');
      expect(await store.listRuns()).toEqual([]);
      expect(await store.listArtefacts('r')).toEqual([]);
      expect(await store.loadCheckpoint('r')).toBeUndefined();
    });

    it('lists artefacts with their sizes', async () => {
      const { store } = make();
      await store.saveRecord(record(1));
      await store.saveArtefact('r', 'report.json', bytes(1, 2, 3));
      await store.saveArtefact('r', 'adapters/instruct/adapter_config.json', bytes(1));
      await store.saveArtefact('r', 'report.json', bytes(1, 2));
      expect(await store.artefactSizes('r')).toEqual([
        { path: 'adapters/instruct/adapter_config.json', sizeBytes: 1 },
        { path: 'report.json', sizeBytes: 2 },
      ]);
      expect(await store.artefactSizes('other')).toEqual([]);
    });

    it('lists checkpoints with sizes, parts that two share counted once, and reads a part of one', async () => {
      const { store, damage } = make();
      expect(await store.listCheckpoints('r')).toEqual({ checkpoints: [], sizeBytes: 0, problems: [] });
      const shared = await part('pairs', 7, 7, 7, 7);
      for (const n of [1, 2]) await store.saveCheckpoint(record(n), [await part('state', n, n), shared]);
      const { checkpoints, sizeBytes, problems } = await store.listCheckpoints('r');
      expect({ sizeBytes, problems }).toEqual({ sizeBytes: 2 + 2 + 4, problems: [] });
      expect(checkpoints.map((one) => [one.sequence, one.sizeBytes])).toEqual([
        [2, 6],
        [1, 6],
      ]);
      expect(await checkpoints[0]!.read('state')).toEqual(bytes(2, 2));
      expect(await checkpoints[1]!.read('state')).toEqual(bytes(1, 1));
      expect(await checkpoints[1]!.read('tensors/adapter')).toBeUndefined();
      damage(2);
      expect(await (await store.listCheckpoints('r')).checkpoints[0]!.read('state')).toBeUndefined();
    });

    it('deletes the checkpoints of one run alone; its record and artefacts stay, and it can be saved again', async () => {
      const { store } = make();
      for (const runId of ['r', 'other']) {
        await store.saveCheckpoint(record(1, runId), [await part('state', 1)]);
        await store.saveArtefact(runId, 'report.json', bytes(1, 2));
      }
      await store.deleteCheckpoints('r');
      expect(await store.loadCheckpoint('r')).toBeUndefined();
      expect(await store.listCheckpoints('r')).toEqual({ checkpoints: [], sizeBytes: 0, problems: [] });
      expect(await store.loadArtefact('r', 'report.json')).toEqual(bytes(1, 2));
      expect((await store.listRuns()).map(({ runId }) => runId).sort()).toEqual(['other', 'r']);
      expect(contents(await store.loadCheckpoint('other'))).toEqual({ state: [1] });
      await store.saveCheckpoint(record(2), [await part('state', 1), await part('pairs', 2)]);
      expect(contents(await store.loadCheckpoint('r'))).toEqual({ state: [1], pairs: [2] });
    });

    it('a run that starts over does not meet the checkpoints of the run before it', async () => {
      const { store } = make();
      await store.saveCheckpoint(record(8), [await part('state', 8)]);
      await store.saveCheckpoint(record(9), [await part('state', 9)]);
      await store.deleteRun('r');
      await store.saveCheckpoint(record(1), [await part('state', 1)]);
      const found = await store.loadCheckpoint('r');
      expect(found).toMatchObject({ sequence: 1, problems: [] });
      expect(contents(found)).toEqual({ state: [1] });
    });

    it('refuses run ids that could lead out of its place', async () => {
      const { store } = make();
      for (const runId of ['', '../x', 'a/b', '.hidden', 'a b', 'x'.repeat(129)]) {
        await expect((async () => store.saveRecord(record(1, runId)))()).rejects.toBeInstanceOf(PupilError);
      }
    });
  });
}

describe('disk run store', () => {
  it('leaves no half-written files beside its own', async () => {
    const directory = folder();
    const store = new DiskRunStore(directory);
    await store.saveCheckpoint(record(1), [await part('state', 1)]);
    await store.saveArtefact('r', 'a/b.json', bytes(1));
    const names = readdirSync(directory, { recursive: true }).map(String);
    expect(names.filter((path) => path.includes('writing'))).toEqual([]);
  });

  it.skipIf(!existsSync('/dev/full'))('a full disk is storage-full, and the checkpoint before is whole', async () => {
    const directory = folder();
    const store = new DiskRunStore(directory);
    await store.saveCheckpoint(record(1), [await part('state', 1)]);
    // Written beside its name first: there, every write finds the disk full.
    symlinkSync('/dev/full', join(directory, 'r/checkpoints/part-1.bin.writing'));
    await expect(store.saveCheckpoint(record(2), [await part('state', 2)])).rejects.toMatchObject({
      code: 'storage-full',
      hint: expect.stringContaining('resume') as string,
    });
    expect(contents(await new DiskRunStore(directory).loadCheckpoint('r'))).toEqual({ state: [1] });
    await store.saveCheckpoint(record(2), [await part('state', 2)]);
    expect(contents(await new DiskRunStore(directory).loadCheckpoint('r'))).toEqual({ state: [2] });
  });

  it('refuses artefact paths that lead out of the run', async () => {
    const store = new DiskRunStore(folder());
    await expect(store.saveArtefact('r', '../../x', bytes(1))).rejects.toMatchObject({ code: 'usage' });
  });
});

describe('mirrored run store', () => {
  const mirror = (inner: MemoryRunStore, files: Record<string, Uint8Array>, runId = 'r'): MirroredRunStore =>
    new MirroredRunStore(inner, openFileRoot({ kind: 'memory', files }), runId);

  it('resumes from the files alone, and from whichever place is newer', async () => {
    const files: Record<string, Uint8Array> = {};
    await mirror(new MemoryRunStore(), files).saveCheckpoint(record(4), [await part('state', 4)]);
    expect(contents(await mirror(new MemoryRunStore(), files).loadCheckpoint('r'))).toEqual({ state: [4] });

    const ahead = new MemoryRunStore();
    await ahead.saveCheckpoint(record(5), [await part('state', 5)]);
    expect(await mirror(ahead, files).loadCheckpoint('r')).toMatchObject({ sequence: 5 });
  });

  it('damaged in one place it comes from the other, and the damage is told', async () => {
    const [inner, files] = [new MemoryRunStore(), {} as Record<string, Uint8Array>];
    await mirror(inner, files).saveCheckpoint(record(1), [await part('state', 1)]);
    flip(files['checkpoints/part-0.bin']!);
    const found = await mirror(inner, files).loadCheckpoint('r');
    expect(contents(found)).toEqual({ state: [1] });
    expect(found!.problems.join()).toContain('part 0 ("state")');
    // The next checkpoint mends the other place, although the part is the same.
    const next = mirror(inner, files);
    await next.saveCheckpoint(record(2), [await part('state', 1)]);
    expect(contents(await mirror(new MemoryRunStore(), files).loadCheckpoint('r'))).toEqual({ state: [1] });
  });

  it('a folder that holds another run is not taken for this one', async () => {
    const files: Record<string, Uint8Array> = {};
    await mirror(new MemoryRunStore(), files, 'other').saveCheckpoint(record(4, 'other'), [await part('state', 4)]);
    expect(await mirror(new MemoryRunStore(), files).loadCheckpoint('r')).toBeUndefined();
  });

  it('empties the files of a deleted run, which cannot be removed through a root', async () => {
    const [inner, files] = [new MemoryRunStore(), {} as Record<string, Uint8Array>];
    const store = mirror(inner, files);
    for (const n of [1, 2, 3]) await store.saveCheckpoint(record(n), [await part('state', n), await part('const', 9)]);
    await store.deleteRun('r');
    for (const [path, stored] of Object.entries(files)) {
      if (path !== 'checkpoints/run.json') expect(stored.byteLength, path).toBe(0);
    }
    expect(await mirror(new MemoryRunStore(), files).loadCheckpoint('r')).toBeUndefined();
  });

  it('where one place is full the other still gets the checkpoint, and the failure is told', async () => {
    const inner = new MemoryRunStore();
    const full = {
      description: 'a full disk',
      open: () => Promise.resolve(undefined),
      write: () => Promise.reject(new PupilError('storage-full', 'no room')),
    };
    const store = new MirroredRunStore(inner, full, 'r');
    await expect(store.saveCheckpoint(record(1), [await part('state', 1)])).rejects.toMatchObject({
      code: 'storage-full',
    });
    expect(await inner.loadCheckpoint('r')).toMatchObject({ sequence: 1 });
  });
});
