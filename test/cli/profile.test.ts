// profile.test.ts: a browser that a killed worker left on a profile is ended, whoever comes next; one whose launcher runs is not.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, expect, it } from 'vitest';
import { browserGroups } from '../../src/cli/browserProcesses';
import { endLeftBrowsers, takeProfile } from '../../src/cli/profile';
import { writeLockOf } from '../support/processLock';

const work = mkdtempSync(join(tmpdir(), 'pupil-profile-'));
const browsers: ChildProcess[] = [];
afterEach(() => browsers.splice(0).forEach((browser) => browser.kill('SIGKILL')));
afterAll(() => rmSync(work, { recursive: true, force: true }));

/** A process group that looks like a browser on the folder's profile. */
async function browserOn(keepIn: string): Promise<number> {
  const profile = join(keepIn, '.profile');
  mkdirSync(profile, { recursive: true });
  const idle = ['-e', 'console.log(1); setInterval(() => {}, 1000)', '--', `--user-data-dir=${profile}`];
  const browser = spawn(process.execPath, idle, { detached: true, stdio: ['ignore', 'pipe', 'ignore'] });
  browsers.push(browser);
  await once(browser.stdout, 'data');
  expect(browserGroups(profile)).toEqual([browser.pid]);
  return browser.pid!;
}

it.runIf(process.platform === 'linux')('left browsers are ended in every grid and slot, and nothing else', async () => {
  const [left, other, held] = ['grid/.slot', 'other/.gpu-3', 'grid/.gpu-1'].map((name) => join(work, name));
  writeFileSync(join(work, 'a file'), '');
  const groups = [await browserOn(left!), await browserOn(other!)];
  await browserOn(held!);
  const holder = spawn('sleep', ['60'], { stdio: 'ignore' });
  browsers.push(holder);
  await once(holder, 'spawn');
  writeLockOf(holder.pid!, join(held!, '.profile.lock'));
  const said: string[] = [];
  await endLeftBrowsers(work, (text) => said.push(text));
  expect(said.sort()).toEqual(groups.map((group) => expect.stringContaining(`(process ${group})`) as string).sort());
  for (const ended of [left, other]) expect(browserGroups(join(ended!, '.profile'))).toEqual([]);
  await expect(takeProfile(held!, (text) => said.push(text))).rejects.toMatchObject({ code: 'browser' });
  expect(browserGroups(join(held!, '.profile'))).toHaveLength(1);
});
