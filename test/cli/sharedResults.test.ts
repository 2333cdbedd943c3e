// sharedResults.test.ts: what a machine keeps of the results that jobs share: bounded, those used longest ago first, never what
// a running job may use or the store has not got; and folders of jobs that others went on with. On a folder store.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawn } from 'node:child_process';
import { afterAll, beforeEach, expect, it } from 'vitest';
import { FolderStore } from '../../src/cli/full/folderStore';
import { removeLeftFolders, runsIn } from '../../src/cli/full/leftFolders';
import { SharedResults } from '../../src/cli/full/sharedResults';
import { ClaimedFolder } from '../../src/cli/full/snapshots';

const root = mkdtempSync(join(tmpdir(), 'pupil-shared-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const MIB = 2 ** 20;
/** Larger than what every job fetches, and smaller. */
const LARGE = 33 * MIB;
const SMALL = 1 * MIB;
let count = 0;
let store: FolderStore;
let here: string;
beforeEach(async () => {
  store = await FolderStore.open(join(root, `store-${count}`));
  here = join(root, `here-${count++}`);
});

const nameOf = (letter: string): string => `${letter.repeat(64)}.safetensors`;
const kept = (folder = here): string =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.safetensors'))
    .map((name) => name[0]!)
    .sort()
    .join('');

/** A result as a session leaves it, by the job that made it. */
function result(folder: string, letter: string, job: string, bytes: number): void {
  mkdirSync(folder, { recursive: true });
  const header = Buffer.from(JSON.stringify({ __metadata__: { runId: `run-of-${job}` } }));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(header.byteLength));
  writeFileSync(join(folder, nameOf(letter)), Buffer.concat([size, header, Buffer.alloc(bytes, letter)]));
}

/** Puts results into the store from another machine. */
async function made(...results: [letter: string, job: string, bytes: number][]): Promise<void> {
  const elsewhere = join(root, `elsewhere-${count++}`);
  const other = new SharedResults(store, 'lab/shared', elsewhere);
  for (const [letter, job, bytes] of results) {
    result(elsewhere, letter, job, bytes);
    await other.put(job, `run-of-${job}`);
  }
  rmSync(elsewhere, { recursive: true });
}

const longAgo = (letter: string, days: number): void => {
  const then = new Date(Date.now() - days * 86_400_000);
  utimesSync(join(here, nameOf(letter)), then, then);
};

it('keeps to its bound: what was used longest ago goes first, what a running job waits for stays', async () => {
  await made(['a', 'instruct-a', LARGE], ['b', 'instruct-b', LARGE], ['c', 'instruct-c', LARGE]);
  const shared = new SharedResults(store, 'lab/shared', here, 2.2 * LARGE);
  await shared.fetch('cell-1', ['instruct-a']);
  await shared.fetch('cell-2', ['instruct-b']);
  expect(kept()).toBe('ab');
  await shared.leave('cell-1', ['instruct-a']);
  await shared.leave('cell-2', ['instruct-b']);
  expect(kept()).toBe('ab'); // within the bound: kept for later
  longAgo('a', 1);
  longAgo('b', 2);
  await shared.fetch('cell-3', ['instruct-c']);
  expect(kept()).toBe('ac');
  longAgo('a', 3);
  await shared.fetch('cell-4', ['instruct-a']); // used again: no longer the oldest, and held
  await shared.fetch('cell-5', ['instruct-b']);
  expect(kept()).toBe('abc'); // all three are in use: over the bound rather than without
  await shared.leave('cell-3', ['instruct-c']);
  expect(kept()).toBe('ab');
  shared.close();
});

it('fetches small results of others only as far as there is room, the newest first', async () => {
  await made(['1', 'cell-1', SMALL], ['2', 'cell-2', SMALL], ['3', 'cell-3', SMALL], ['a', 'instruct-a', SMALL]);
  const shared = new SharedResults(store, 'lab/shared', here, 2.5 * SMALL);
  await shared.fetch('cell-4', ['cell-1']);
  expect(kept()).toBe('1a');
  shared.close();
});

it('never removes what the store has not got', async () => {
  await made(['a', 'instruct-a', SMALL]);
  const shared = new SharedResults(store, 'lab/shared', here, SMALL);
  await shared.fetch('cell-1', []);
  result(here, 'f', 'cell-1', 3 * SMALL); // just made, not sent yet
  longAgo('f', 9);
  await shared.leave('cell-1', []);
  expect(kept()).toContain('f');
  await shared.put('cell-1', 'run-of-cell-1');
  longAgo('f', 9);
  await shared.leave('cell-1', ['instruct-a']);
  expect(kept()).not.toContain('f');
  shared.close();
});

it('respects the jobs of another worker of this machine while that lives', async () => {
  await made(['a', 'instruct-a', LARGE], ['b', 'instruct-b', LARGE]);
  const shared = new SharedResults(store, 'lab/shared', here, 1.2 * LARGE);
  await shared.fetch('cell-1', ['instruct-a']);
  await shared.leave('cell-1', ['instruct-a']);
  const other = spawn(process.execPath, [
    '-e',
    `
    const fs = require('node:fs'), stat = fs.readFileSync('/proc/self/stat', 'utf8');
    const started = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
    const file = process.argv[1] + '/.uses-' + process.pid + '.json';
    fs.writeFileSync(file, JSON.stringify([process.argv[2]]));
    fs.writeFileSync(file + '.lock', JSON.stringify({ processId: process.pid, host: require('node:os').hostname(), started }));
    console.log('ready'); setInterval(() => {}, 1000);`,
    here,
    nameOf('a'),
  ]);
  await new Promise((resolve) => other.stdout.once('data', resolve));
  await shared.fetch('cell-2', ['instruct-b']);
  expect(kept()).toBe('ab');
  const ended = new Promise((resolve) => other.once('exit', resolve));
  other.kill('SIGKILL');
  await ended;
  longAgo('a', 1);
  await shared.leave('cell-2', ['instruct-b']);
  expect(kept()).toBe('b');
  expect(readdirSync(here).filter((name) => name.includes(`.uses-${other.pid}`))).toEqual([]);
  shared.close();
});

it('removes folders of jobs that have ended or were gone on with elsewhere, and no other', async () => {
  const work = join(root, `work-${count++}`);
  const begin = async (id: string, folder = join(work, id)): Promise<ClaimedFolder> => {
    const claimed = await ClaimedFolder.claim(store, `lab/runs/${id}`, folder, 'job');
    writeFileSync(join(folder, 'run-folder.json'), JSON.stringify({ runId: `run-${id}` }));
    await claimed.save('stopped');
    return claimed;
  };
  for (const id of ['own', 'taken', 'ended', 'busy']) await begin(id);
  const elsewhere = join(root, `elsewhere-${count++}`);
  for (const id of ['taken', 'busy']) await begin(id, join(elsewhere, id));
  await (await begin('ended', join(elsewhere, 'ended'))).save('finished');
  mkdirSync(join(work, 'shared'));
  await removeLeftFolders(store, 'lab', work, (id) => id === 'busy');
  expect(readdirSync(work).sort()).toEqual(['busy', 'own', 'shared']);
  expect([...(await runsIn(work))].sort()).toEqual(['run-busy', 'run-own']);
  expect(existsSync(join(work, 'own.lock'))).toBe(false);
});
