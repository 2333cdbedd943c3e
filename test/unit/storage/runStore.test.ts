// The promises of RunStore, kept by the disk and memory twins alike (IndexedDB's are tested in the browser), and by a
// mirror of two places.
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { PupilError } from '../../../src/base/errors';
import { openFileRoot } from '../../../src/sources/fileRoot';
import { DiskRunStore } from '../../../src/storage/disk';
import { MemoryRunStore } from '../../../src/storage/memory';
import { MirroredRunStore } from '../../../src/storage/mirror';
import { openSealed, sealCheckpoint, type RunRecord, type RunStore } from '../../../src/storage/runStore';

const folders: string[] = [];
function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'pupil-store-'));
  folders.push(path);
  return path;
}
afterAll(() => {
  for (const path of folders) rmSync(path, { recursive: true, force: true });
});

function record(sequence: number, runId = 'r'): RunRecord {
  const updatedAt = new Date(Date.UTC(2026, 0, 1, 0, 0, sequence)).toISOString();
  return { runId, name: 'Run', state: 'running', phase: 'instruct', step: sequence, updatedAt, sizeBytes: 3, sequence };
}

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

interface Place {
  name: string;
  make: () => { store: RunStore; damage: (slot: 0 | 1) => void };
}

const PLACES: Place[] = [
  {
    name: 'memory',
    make: () => {
      const store = new MemoryRunStore();
      return { store, damage: (slot) => store.slots.get('r')![slot]!.set([0xff], 60) };
    },
  },
  {
    name: 'disk',
    make: () => {
      const directory = folder();
      return {
        store: new DiskRunStore(directory),
        damage: (slot) => {
          const path = join(directory, 'r', `checkpoint-${slot}.bin`);
          writeFileSync(path, readFileSync(path).subarray(0, 57)); // torn
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
        damage: (slot) => {
          inner.slots.get('r')![slot]!.set([0xff], 60);
          files[`checkpoints/checkpoint-${slot}.bin`]!.set([0xff], 60);
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
      await store.saveCheckpoint(record(1), bytes(1, 1, 1));
      await store.saveCheckpoint(record(2), bytes(2, 2, 2));
      await store.saveCheckpoint(record(3), bytes(3, 3, 3));
      expect(await store.loadCheckpoint('r')).toEqual({ sequence: 3, bytes: bytes(3, 3, 3) });
    });

    it('falls back to the one before when the newest is damaged, and says so when all are', async () => {
      const { store, damage } = make();
      await store.saveCheckpoint(record(1), bytes(1, 1, 1, 1, 1, 1));
      await store.saveCheckpoint(record(2), bytes(2, 2, 2, 2, 2, 2));
      damage(0);
      expect(await store.loadCheckpoint('r')).toEqual({ sequence: 1, bytes: bytes(1, 1, 1, 1, 1, 1) });
      damage(1);
      await expect(store.loadCheckpoint('r')).rejects.toMatchObject({ code: 'checkpoint' });
    });

    it('lists runs, newest first, with what their records say', async () => {
      const { store } = make();
      await store.saveCheckpoint(record(1, 'a'), bytes(1));
      await store.saveCheckpoint(record(2, 'b'), bytes(1));
      await store.saveRecord({ ...record(5, 'a'), state: 'finished' });
      expect((await store.listRuns()).map(({ runId, state }) => `${runId} ${state}`)).toEqual([
        'a finished',
        'b running',
      ]);
    });

    it('keeps artefacts by path, replaces them, and deletes everything with the run', async () => {
      const { store } = make();
      await store.saveCheckpoint(record(1), bytes(1));
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

    it('a run that starts over does not meet the checkpoints of the run before it', async () => {
      const { store } = make();
      await store.saveCheckpoint(record(8), bytes(8));
      await store.saveCheckpoint(record(9), bytes(9));
      await store.deleteRun('r');
      await store.saveCheckpoint(record(1), bytes(1));
      expect(await store.loadCheckpoint('r')).toEqual({ sequence: 1, bytes: bytes(1) });
    });

    it('refuses run ids that could lead out of its place', async () => {
      const { store } = make();
      for (const runId of ['', '../x', 'a/b', '.hidden', 'a b', 'x'.repeat(129)]) {
        await expect((async () => store.saveRecord(record(1, runId)))()).rejects.toBeInstanceOf(PupilError);
      }
    });
  });
}

describe('sealed checkpoints', () => {
  it('every single damaged byte is noticed, and every truncation', async () => {
    const sealed = await sealCheckpoint(7, bytes(1, 2, 3, 4, 5));
    expect(await openSealed(sealed)).toEqual({ sequence: 7, bytes: bytes(1, 2, 3, 4, 5) });
    for (let i = 0; i < sealed.byteLength; i++) {
      const damaged = sealed.slice();
      damaged[i]! ^= 1;
      expect(await openSealed(damaged), `byte ${i}`).toBeUndefined();
      expect(await openSealed(sealed.subarray(0, i)), `first ${i} bytes`).toBeUndefined();
    }
  });
});

describe('disk run store', () => {
  it('leaves no half-written files beside its own', async () => {
    const directory = folder();
    const store = new DiskRunStore(directory);
    await store.saveCheckpoint(record(1), bytes(1));
    await store.saveArtefact('r', 'a/b.json', bytes(1));
    const names = readdirSync(directory, { recursive: true }).map(String);
    expect(names.filter((path) => path.includes('writing'))).toEqual([]);
  });

  it('refuses artefact paths that lead out of the run', async () => {
    const store = new DiskRunStore(folder());
    await expect(store.saveArtefact('r', '../../x', bytes(1))).rejects.toMatchObject({ code: 'usage' });
  });
});

describe('mirrored run store', () => {
  it('resumes from the files alone, and from whichever place is newer', async () => {
    const files: Record<string, Uint8Array> = {};
    const root = openFileRoot({ kind: 'memory', files });
    await new MirroredRunStore(new MemoryRunStore(), root, 'r').saveCheckpoint(record(4), bytes(4));
    const other = new MirroredRunStore(new MemoryRunStore(), root, 'r');
    expect(await other.loadCheckpoint('r')).toEqual({ sequence: 4, bytes: bytes(4) });

    const ahead = new MemoryRunStore();
    await ahead.saveCheckpoint(record(5), bytes(5));
    expect(await new MirroredRunStore(ahead, root, 'r').loadCheckpoint('r')).toMatchObject({ sequence: 5 });
  });

  it('a folder that holds another run is not taken for this one', async () => {
    const root = openFileRoot({ kind: 'memory', files: {} });
    await new MirroredRunStore(new MemoryRunStore(), root, 'other').saveCheckpoint(record(4, 'other'), bytes(4));
    expect(await new MirroredRunStore(new MemoryRunStore(), root, 'r').loadCheckpoint('r')).toBeUndefined();
  });

  it('where one place is full the other still gets the checkpoint, and the failure is told', async () => {
    const inner = new MemoryRunStore();
    const full = {
      open: () => Promise.resolve(undefined),
      write: () => Promise.reject(new PupilError('storage-full', 'no room')),
    };
    const store = new MirroredRunStore(inner, full, 'r');
    await expect(store.saveCheckpoint(record(1), bytes(1))).rejects.toMatchObject({ code: 'storage-full' });
    expect(await inner.loadCheckpoint('r')).toMatchObject({ sequence: 1 });
  });
});
