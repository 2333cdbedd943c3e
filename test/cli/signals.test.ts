// signals.test.ts: ending the command line from outside: nothing keeps running unseen and no temporary folder stays, whoever
// is told to end and however; and a Ctrl-C that arrives twice is one.
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { buildIfStale } from '../../scripts/build.mjs';
import type { SessionEvent } from '../../src/session/protocol';
import { pupil } from './fakeSession';

const LAUNCHER = fileURLToPath(new URL('../../scripts/pupil.mjs', import.meta.url));

let folder: string;
beforeAll(() => {
  buildIfStale('cli');
  buildIfStale('page');
});
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pupil-signals-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 }));

const children = (pid: number): number[] => {
  try {
    return execFileSync('ps', ['-o', 'pid=', '--ppid', String(pid)], { encoding: 'utf8' })
      .split('\n')
      .flatMap((line) => {
        const child = Number(line);
        return child > 0 ? [child, ...children(child)] : [];
      });
  } catch {
    return []; // ps ends with 1 where there are none
  }
};
const lives = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};
async function until(what: string, true_: () => boolean, ms: number): Promise<void> {
  const end = Date.now() + ms;
  while (!true_()) {
    if (Date.now() > end) throw new Error(`not within ${ms} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Starts a verb whose temporary folders are this test's, and waits for its first result or remark. */
async function started(...args: string[]): Promise<{ launcher: ChildProcess; below: number[] }> {
  const launcher = spawn(process.execPath, [LAUNCHER, ...args], {
    env: { ...process.env, TMPDIR: folder },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [launcher.stdout, launcher.stderr]) stream.on('data', (chunk: Buffer) => (said += chunk));
  await until('a first word', () => /cases|still working/.test(said), 120_000);
  const below = children(launcher.pid!);
  expect(below.length).toBeGreaterThan(0);
  return { launcher, below };
}

describe.runIf(process.platform === 'linux')('a verb that is ended from outside', { timeout: 240_000 }, () => {
  it.each([
    ['SIGINT to the launcher, in Chrome', 'SIGINT', 'chrome', 130],
    ['SIGTERM to the launcher, in Node', 'SIGTERM', 'node', 143],
    ['SIGKILL to the launcher, in Chrome', 'SIGKILL', 'chrome', null],
  ] as const)('%s: all processes end and no folder stays', async (_, signal, host, code) => {
    const { launcher, below } = await started('check', '--host', host);
    const ended = new Promise<number | null>((resolve) => launcher.on('exit', (value) => resolve(value)));
    launcher.kill(signal);
    expect(await ended).toBe(code);
    await until('the end of its processes', () => !below.some(lives), 20_000);
    expect(readdirSync(folder).filter((name) => name.startsWith('pupil-'))).toEqual([]);
  });
});

describe('Ctrl-C during a run', () => {
  it('that arrives twice, from the terminal and from npm, stops it once; a later one ends at once', async () => {
    const exit = vi.spyOn(process, 'exit').mockImplementation(() => undefined as never);
    try {
      let exitsInTime = -1;
      const run = async (request: { runId: string }, on: (event: SessionEvent) => void): Promise<unknown> => {
        process.emit('SIGINT');
        process.emit('SIGINT');
        exitsInTime = exit.mock.calls.length;
        await new Promise((resolve) => setTimeout(resolve, 1100));
        process.emit('SIGINT');
        on({ type: 'state', state: 'stopped' });
        return { runId: request.runId, state: 'stopped', report: {}, artefacts: [] };
      };
      const { code, calls, err } = await pupil(['run', 'smoke', '--out', join(folder, 'out')], { run: run as never });
      expect(code).toBe(130);
      expect(calls.filter((call) => call.method === 'stop')).toHaveLength(1);
      expect(err.match(/writing a checkpoint/g)).toHaveLength(1);
      expect(exitsInTime).toBe(0);
      expect(exit).toHaveBeenCalledWith(130);
      expect(process.listenerCount('SIGHUP')).toBe(0);
    } finally {
      exit.mockRestore();
    }
  });
});
