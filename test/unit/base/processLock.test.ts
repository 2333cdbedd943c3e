// processLock.test.ts: which processes have a lock in hand: this machine's that run, and no others.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, platform, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, expect, it } from 'vitest';
import { takeProcessLock } from '../../../src/base/processLock';
import { fieldsOf, writeLockOf } from '../../support/processLock';

const folder = mkdtempSync(join(tmpdir(), 'pupil-lock-'));
const file = join(folder, 'a.lock');
const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  rmSync(file, { force: true });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A shell command; the numbers that it prints. */
async function started(command: string): Promise<number[]> {
  const child = spawn('sh', ['-c', command], { stdio: ['ignore', 'pipe', 'ignore'] });
  children.push(child);
  const [printed] = (await once(child.stdout, 'data')) as [Buffer];
  return String(printed).trim().split(' ').map(Number);
}

it('is taken once, and again when it was given back', () => {
  const { release } = takeProcessLock(file);
  expect(existsSync(file)).toBe(true);
  release!();
  expect(existsSync(file)).toBe(false);
  expect(takeProcessLock(file).release).toBeDefined();
});

it('of a damaged file counts for nothing', () => {
  writeFileSync(file, '{"processId": 1');
  expect(takeProcessLock(file).release).toBeDefined();
});

it.runIf(platform() === 'linux')(
  'of a process that runs is its own; of a later one of the same number, nobody’s',
  async () => {
    const [holder] = await started('echo $$; exec sleep 60');
    writeLockOf(holder!, file);
    expect(takeProcessLock(file)).toEqual({ holder });
    writeFileSync(file, JSON.stringify({ processId: holder, host: hostname(), started: '1' }));
    expect(takeProcessLock(file).release).toBeDefined();
  },
);

it.runIf(platform() === 'linux')(
  'of a process that has ended and for which nobody has asked yet counts for nothing',
  async () => {
    // `sleep` never asks what became of the shell's child; the shell would, so the child must outlive it.
    const [shell, child] = await started('sleep 60 & echo $$ $!; exec sleep 60');
    await expect.poll(() => readFileSync(`/proc/${shell!}/comm`, 'utf8').trim()).toBe('sleep');
    process.kill(child!, 'SIGKILL');
    await expect.poll(() => fieldsOf(child!)[0]).toBe('Z');
    writeLockOf(child!, file);
    expect(takeProcessLock(file).release).toBeDefined();
  },
);
