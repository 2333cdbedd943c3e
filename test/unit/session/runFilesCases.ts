// runFilesCases.ts: sessions over runs made without training, and requests to take them in: what the tests of export and import share.
// Tests only.
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zipSync } from 'fflate';
import { afterAll } from 'vitest';
import type { ImportRunRequest } from '../../../src/session/protocol';
import { Session } from '../../../src/session/session';
import { MemoryRunStore } from '../../../src/storage/memory';
import type { RunStore } from '../../../src/storage/runStore';
import { asBlobs, runFiles } from '../../support/runFiles';

export type Files = Record<string, Uint8Array>;

const folders: string[] = [];
export function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'pupil-runfiles-'));
  folders.push(path);
  return path;
}
afterAll(() => folders.forEach((path) => rmSync(path, { recursive: true, force: true })));

const noGpu = (): never => {
  throw new Error('no GPU is needed');
};
export const sessionOver = (store: RunStore): Session => new Session(noGpu, store);
export const ignore = (): void => undefined;

/** Files as their digests: quick to compare, and to the byte. */
export const digests = (files: Files): Record<string, string> =>
  Object.fromEntries(
    Object.entries(files).map(([path, bytes]) => [path, createHash('sha256').update(bytes).digest('hex')]),
  );

export async function stored(store: RunStore, runId: string): Promise<Record<string, string>> {
  const out: Files = {};
  for (const path of await store.listArtefacts(runId)) out[path] = (await store.loadArtefact(runId, path))!;
  return digests(out);
}

export const folderOf = (files: Files, from = 'a folder'): ImportRunRequest => ({
  from,
  source: { kind: 'files', files: asBlobs(files) },
  existing: 'ask',
});
export const zipOf = (files: Files): ImportRunRequest => ({
  from: 'run.zip',
  source: { kind: 'zip', blob: new Blob([zipSync(files).slice()]) },
  existing: 'ask',
});

/** A session whose store has the run. */
export async function withRun(store: RunStore = new MemoryRunStore(), files = runFiles()): Promise<Session> {
  const session = sessionOver(store);
  await session.importRun(folderOf(files), ignore);
  return session;
}
