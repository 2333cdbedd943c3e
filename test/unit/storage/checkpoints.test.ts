// Claims about storage/checkpoints.ts, in every kind of place: whichever write fails, and however, the run has its new
// checkpoint or the one before, whole; only parts that are new are written; what nobody needs any more is removed.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { PupilError } from '../../../src/base/errors';
import type { CheckpointPart } from '../../../src/formats/trainingCheckpoint';
import { openFileRoot } from '../../../src/sources/fileRoot';
import { Checkpoints, type CheckpointPlace } from '../../../src/storage/checkpoints';
import { DiskRunStore } from '../../../src/storage/disk';
import { FilesPlace } from '../../../src/storage/filesPlace';
import { MemoryRunStore } from '../../../src/storage/memory';
import { contents, part, record } from './parts';

const folders: string[] = [];
afterAll(() => {
  for (const path of folders) rmSync(path, { recursive: true, force: true });
});

const PLACES: [name: string, make: () => CheckpointPlace][] = [
  ['memory', () => new MemoryRunStore().place('r')],
  [
    'disk',
    () => {
      const folder = mkdtempSync(join(tmpdir(), 'pupil-parts-'));
      folders.push(folder);
      return new DiskRunStore(folder).place('r');
    },
  ],
  [
    'files that can neither be listed nor removed',
    () => new FilesPlace(openFileRoot({ kind: 'memory', files: {} }), 'checkpoints', () => Promise.resolve()),
  ],
];

/** Checkpoint n: one part that stays, one that grows and then stays, two that change. */
async function partsOf(n: number): Promise<CheckpointPart[]> {
  return [
    await part('pairs', 7, 7, 7),
    ...(n > 1 ? [await part('instructed', 8)] : []),
    await part('adapter', n, n),
    await part('state', 100 + n),
  ];
}
async function expected(n: number): Promise<Record<string, number[]>> {
  return Object.fromEntries((await partsOf(n)).map(({ name, bytes }) => [name, [...bytes]]));
}

type Failure = 'the disk is full once' | 'the process dies' | 'the process dies in the middle of the write';

/** The place, failing from its k-th change on (or only at it). `changes` counts them. */
function failing(place: CheckpointPlace, k: number, how: Failure): CheckpointPlace & { changes: string[] } {
  const changes: string[] = [];
  const guard = async (what: string, change: () => Promise<void>, torn?: () => Promise<void>): Promise<void> => {
    changes.push(what);
    const fails = how === 'the disk is full once' ? changes.length === k : changes.length >= k;
    if (!fails) return change();
    if (how === 'the process dies in the middle of the write' && changes.length === k) await torn?.();
    throw new PupilError('storage-full', `no room for ${what}`);
  };
  return {
    changes,
    description: place.description,
    readCommit: (slot) => place.readCommit(slot),
    readPart: (number) => place.readPart(number),
    listParts: () => place.listParts(),
    writeCommit: (slot, bytes, to) =>
      guard(
        `commit ${slot}`,
        () => place.writeCommit(slot, bytes, to),
        () => place.writeCommit(slot, bytes.subarray(0, bytes.byteLength / 2), to),
      ),
    writePart: (number, bytes) =>
      guard(
        `part ${number}`,
        () => place.writePart(number, bytes),
        () => place.writePart(number, bytes.subarray(0, bytes.byteLength / 2)),
      ),
    removePart: (number) => guard(`removal of part ${number}`, () => place.removePart(number)),
    clear: () => place.clear(),
  };
}

const on = (place: CheckpointPlace): Checkpoints => new Checkpoints(() => place);

describe.each(PLACES)('checkpoints in %s', (_, make) => {
  it('writes what is new, and keeps no more than two checkpoints need', async () => {
    const place = make();
    const watched = failing(place, Infinity, 'the process dies');
    const checkpoints = on(watched);
    await checkpoints.save(record(1), await partsOf(1));
    expect(watched.changes).toEqual(['part 0', 'part 1', 'part 2', 'commit 0']);
    for (let n = 2; n <= 30; n++) {
      watched.changes.length = 0;
      await checkpoints.save(record(n), await partsOf(n));
      const writes = watched.changes.filter((change) => change.startsWith('part'));
      expect(writes, `checkpoint ${n}`).toHaveLength(n === 2 ? 3 : 2);
      expect(contents(await on(place).load('r'))).toEqual(await expected(n));
    }
    // pairs, instructed, and adapter and state of two checkpoints; two more were there while the 30th was written.
    const there = await Promise.all(Array.from({ length: 40 }, (_, number) => place.readPart(number)));
    expect(there.filter((bytes) => bytes !== undefined && bytes.byteLength > 0)).toHaveLength(6);
    expect(there.findLastIndex((bytes) => bytes !== undefined)).toBeLessThan(8);
  });

  const failures: Failure[] = [
    'the disk is full once',
    'the process dies',
    'the process dies in the middle of the write',
  ];
  it.each(failures)(
    '%s, at any change: the new checkpoint or the one before, whole, and the run goes on',
    async (how) => {
      for (const before of [0, 1, 2, 3]) {
        const rehearsal = failing(make(), Infinity, how);
        for (let n = 1; n <= before; n++) await on(rehearsal).save(record(n), await partsOf(n));
        rehearsal.changes.length = 0;
        await on(rehearsal).save(record(before + 1), await partsOf(before + 1));
        const changes = [...rehearsal.changes];
        const committed = changes.findIndex((change) => change.startsWith('commit')) + 1;
        expect(changes.length).toBeGreaterThanOrEqual(3);

        for (let k = 1; k <= changes.length; k++) {
          const place = make();
          for (let n = 1; n <= before; n++) await on(place).save(record(n), await partsOf(n));
          const saving = on(failing(place, k, how)).save(record(before + 1), await partsOf(before + 1));
          // A part that cannot be removed costs room, nothing else.
          if (k <= committed) await expect(saving).rejects.toMatchObject({ code: 'storage-full' });
          else await saving;

          const label = `${before} before, change ${k} of ${changes.join(', ')}`;
          const last = k <= committed ? before : before + 1;
          // Half of a run's first commit is all there is: told as damage, for nobody knows that it was the first.
          const torn = last === 0 && k === committed && how === 'the process dies in the middle of the write';
          if (torn) await expect(on(place).load('r')).rejects.toMatchObject({ code: 'checkpoint' });
          else
            expect(contents(await on(place).load('r')), label).toEqual(last === 0 ? undefined : await expected(last));

          // The next sitting goes on, over whatever lies there.
          const sitting = on(place);
          for (let n = last + 1; n <= last + 3; n++) await sitting.save(record(n), await partsOf(n));
          expect(contents(await on(place).load('r')), label).toEqual(await expected(last + 3));
          const numbers = await place.listParts();
          if (numbers !== undefined) expect(numbers, label).toHaveLength(6);
        }
      }
    },
  );

  it('a damaged part is named; the checkpoint before is taken where it has no part in it', async () => {
    const place = make();
    for (const n of [1, 2, 3]) await on(place).save(record(n), await partsOf(n));
    const commit = JSON.parse(new TextDecoder().decode(await place.readCommit(0))) as {
      commit: { sequence: number; parts: { name: string; number: number }[] };
    };
    expect(commit.commit.sequence).toBe(3);
    const numberOf = (name: string): number => commit.commit.parts.find((one) => one.name === name)!.number;

    await place.writePart(numberOf('adapter'), Uint8Array.of(3, 4));
    const found = await on(place).load('r');
    expect(contents(found)).toEqual(await expected(2));
    expect(found!.problems).toEqual([
      expect.stringMatching(/^checkpoint 3: part \d \("adapter"\): expected SHA-256 \w{12}…, the bytes give \w{12}…$/),
    ]);
    // Resumed from 2, the next is 3 again: the damaged one gives way, not the one that was resumed from.
    await on(place).save(record(3), await partsOf(3));
    expect(await on(place).load('r')).toMatchObject({ sequence: 3, problems: [] });

    await place.removePart(numberOf('pairs')); // shared by both
    await expect(on(place).load('r')).rejects.toMatchObject({
      code: 'checkpoint',
      message: expect.stringMatching(
        /checkpoint 3: part \d \("pairs"\) is missing.*checkpoint 2: part \d \("pairs"\)/,
      ) as string,
    });
  });

  it('a part that was damaged between two sittings is written anew, not handed on', async () => {
    const place = make();
    await on(place).save(record(1), await partsOf(1));
    await place.writePart(0, Uint8Array.of(7, 7)); // pairs
    await on(place).save(record(2), await partsOf(2));
    expect(await on(place).load('r')).toMatchObject({ sequence: 2, problems: [] });
  });

  it('two parts of the same bytes are one', async () => {
    const place = failing(make(), Infinity, 'the process dies');
    const both = [await part('best', 1, 2), await part('refined', 1, 2)];
    await on(place).save(record(1), both);
    expect(place.changes).toEqual(['part 0', 'commit 0']);
    expect(contents(await on(place).load('r'))).toEqual({ best: [1, 2], refined: [1, 2] });
  });
});
