// checkpoints.ts: how a checkpoint's parts are kept so that a crash between any two writes leaves the one before it whole,
// whatever the place (IndexedDB, disk, memory, files of a root):
//
//   1. Parts that are not there yet are written under numbers that neither of the two commits uses.
//   2. One of the two commit slots, never that of the newest checkpoint, is overwritten: from here on the new one counts.
//   3. Parts that neither commit uses any more are removed.
//
// The commit before the newest stays until then, for where the newest turns out damaged. No write need be atomic: a torn part
// is not committed, a torn commit is not intact. It knows nothing of what is in a part.
import { PupilError } from '../base/errors';
import {
  decodeCommit,
  encodeCommit,
  sha256Of,
  type CheckpointPart,
  type Commit,
  type CommittedPart,
} from '../formats/trainingCheckpoint';
import type { ListedCheckpoint, ListedCheckpoints, RunRecord, StoredCheckpoint } from './runStore';

export type Slot = 0 | 1;
const SLOTS = [0, 1] as const;

/** Where one run's parts and commits lie. */
export interface CheckpointPlace {
  /** The run's place in words, for messages. */
  readonly description: string;
  /** Undefined where nothing was written, or it was removed. */
  readCommit(slot: Slot): Promise<Uint8Array | undefined>;
  /** Writes the run's record as well, after the commit or together with it. */
  writeCommit(slot: Slot, bytes: Uint8Array, record: RunRecord): Promise<void>;
  readPart(number: number): Promise<Uint8Array | undefined>;
  writePart(number: number, bytes: Uint8Array): Promise<void>;
  removePart(number: number): Promise<void>;
  /** Numbers of all parts there are; undefined where the place cannot tell. */
  listParts(): Promise<number[] | undefined>;
  /** Takes away all commits and parts there are, whichever run's: no commit is left without its parts. */
  clear(): Promise<void>;
}

export class Checkpoints {
  /** Parts that were written or checked in this sitting, by run, number and SHA-256: these can be shared unread. */
  private sound = new Set<string>();

  constructor(private readonly placeOf: (runId: string) => CheckpointPlace) {}

  /** @throws PupilError whatever the place throws (`storage-full`, `storage`); the checkpoint before is then still there. */
  async save(record: RunRecord, parts: readonly CheckpointPart[]): Promise<void> {
    const { runId, sequence } = record;
    const place = this.placeOf(runId);
    const commits = await this.commits(place, runId);
    const there = commits.flatMap((commit) => commit?.parts ?? []);
    const known = new Map(there.map((part) => [part.sha256, part]));
    const used = new Set(there.map(({ number }) => number));

    const committed: CommittedPart[] = [];
    const written: number[] = [];
    for (const { name, sha256, bytes } of parts) {
      let stored = known.get(sha256);
      if (stored === undefined || !(await this.isSound(place, runId, stored))) {
        let number = 0;
        while (used.has(number)) number++;
        used.add(number);
        written.push(number);
        try {
          await place.writePart(number, bytes);
        } catch (error) {
          // Room for the next attempt. Never after the commit's write: it may have arrived although it failed.
          for (const one of written) await place.removePart(one).catch(() => undefined);
          throw error;
        }
        stored = { name, sha256, sizeBytes: bytes.byteLength, number };
        known.set(sha256, stored);
        this.sound.add(key(runId, stored));
      }
      committed.push({ ...stored, name });
    }

    const slot = slotFor(commits, sequence);
    const commit = { runId, sequence, parts: committed };
    await place.writeCommit(slot, await encodeCommit(commit), record);
    await this.removeUnused(place, [commit, commits[slot === 0 ? 1 : 0]], commits[slot]);
  }

  /**
   * The newest checkpoint of which every part is intact; undefined where there is none at all.
   * @throws PupilError `checkpoint` where there are some, all damaged, naming the parts
   */
  async load(runId: string): Promise<StoredCheckpoint | undefined> {
    const place = this.placeOf(runId);
    const problems: string[] = [];
    const commits = await this.commits(place, runId, problems);
    const found = commits.filter((commit): commit is Commit => commit !== undefined);
    for (const commit of found.sort((a, b) => b.sequence - a.sequence)) {
      const parts = new Map<string, Uint8Array>();
      const before = problems.length;
      for (const part of commit.parts) {
        const bytes = await place.readPart(part.number);
        const problem = await damageOf(part, bytes);
        if (problem === undefined) {
          parts.set(part.name, bytes!);
          this.sound.add(key(runId, part));
        } else problems.push(`checkpoint ${commit.sequence}: ${problem}`);
      }
      if (problems.length === before) return { sequence: commit.sequence, parts, problems };
    }
    if (problems.length === 0) return undefined;
    throw new PupilError(
      'checkpoint',
      `run ${runId}: expected an intact checkpoint in ${place.description}, all are damaged: ${problems.join('; ')}`,
      'Put the named parts back from a copy, or start the run again without resume.',
    );
  }

  /** What there is, without verifying it. Never throws for damage: that is told. */
  async list(runId: string): Promise<ListedCheckpoints> {
    const place = this.placeOf(runId);
    const problems: string[] = [];
    const commits = await this.commits(place, runId, problems).catch((error: unknown): (Commit | undefined)[] => {
      if (!(error instanceof PupilError) || error.code !== 'checkpoint') throw error;
      problems.push(error.message); // another version's
      return [];
    });
    const sizeOf = (parts: readonly CommittedPart[]): number =>
      [...new Map(parts.map(({ number, sizeBytes }) => [number, sizeBytes])).values()].reduce((a, b) => a + b, 0);
    const found = commits.filter((commit): commit is Commit => commit !== undefined);
    const checkpoints = found.map(({ sequence, parts }): ListedCheckpoint => ({
      sequence,
      sizeBytes: sizeOf(parts),
      read: async (name) => {
        const part = parts.find((one) => one.name === name);
        const bytes = part === undefined ? undefined : await place.readPart(part.number);
        return part === undefined || (await damageOf(part, bytes)) !== undefined ? undefined : bytes;
      },
    }));
    checkpoints.sort((a, b) => b.sequence - a.sequence);
    return { checkpoints, sizeBytes: sizeOf(found.flatMap(({ parts }) => parts)), problems };
  }

  /** Takes all of them away. */
  async delete(runId: string): Promise<void> {
    await this.placeOf(runId).clear();
    this.sound = new Set([...this.sound].filter((one) => !one.startsWith(`${runId} `)));
  }

  /** The intact commits of this run, by slot. */
  private async commits(
    place: CheckpointPlace,
    runId: string,
    problems: string[] = [],
  ): Promise<[Commit | undefined, Commit | undefined]> {
    const read = async (slot: Slot): Promise<Commit | undefined> => {
      const bytes = await place.readCommit(slot);
      if (bytes === undefined || bytes.byteLength === 0) return undefined;
      const commit = await decodeCommit(bytes, `commit ${slot} in ${place.description}`);
      if (commit === undefined) problems.push(`commit ${slot} is damaged`);
      return commit?.runId === runId ? commit : undefined; // the place may have been another run's
    };
    return [await read(0), await read(1)];
  }

  /** Whether a stored part is what its commit says. Read once a sitting: damage must not be handed on for ever. */
  private async isSound(place: CheckpointPlace, runId: string, part: CommittedPart): Promise<boolean> {
    if (this.sound.has(key(runId, part))) return true;
    if ((await damageOf(part, await place.readPart(part.number))) !== undefined) return false;
    this.sound.add(key(runId, part));
    return true;
  }

  /** Failing here loses room, not a checkpoint: what is left is removed or overwritten next time. */
  private async removeUnused(
    place: CheckpointPlace,
    kept: readonly (Commit | undefined)[],
    overwritten: Commit | undefined,
  ): Promise<void> {
    const parts = kept.flatMap((commit) => (commit?.parts ?? []).map((part) => ({ ...part, runId: commit!.runId })));
    const keys = new Set(parts.map((part) => key(part.runId, part)));
    this.sound = new Set([...this.sound].filter((one) => keys.has(one)));
    const used = new Set(parts.map(({ number }) => number));
    try {
      const there = (await place.listParts()) ?? overwritten?.parts.map(({ number }) => number) ?? [];
      for (const number of new Set(there)) if (!used.has(number)) await place.removePart(number);
    } catch {
      // see above
    }
  }
}

const key = (runId: string, { number, sha256 }: CommittedPart): string => `${runId} ${number} ${sha256}`;

/** What is wrong with a part's bytes, in words; undefined where nothing is. */
async function damageOf(part: CommittedPart, bytes: Uint8Array | undefined): Promise<string | undefined> {
  const label = `part ${part.number} ("${part.name}")`;
  if (bytes === undefined || (bytes.byteLength === 0 && part.sizeBytes > 0)) return `${label} is missing`;
  if (bytes.byteLength !== part.sizeBytes) {
    return `${label}: expected ${part.sizeBytes} bytes, got ${bytes.byteLength}`;
  }
  const actual = await sha256Of(bytes);
  if (actual === part.sha256) return undefined;
  return `${label}: expected SHA-256 ${part.sha256.slice(0, 12)}…, the bytes give ${actual.slice(0, 12)}…`;
}

/**
 * The slot that a new commit goes to: one that the run was resumed from before (its sequence is not below the new one), else
 * an empty or damaged one, else the older.
 */
function slotFor(commits: readonly (Commit | undefined)[], sequence: number): Slot {
  const rank = (slot: Slot): number => {
    const commit = commits[slot];
    if (commit === undefined) return -1;
    return commit.sequence >= sequence ? -2 : commit.sequence;
  };
  return SLOTS.reduce((a, b) => (rank(b) < rank(a) ? b : a));
}
