// runRoundTrip.test.ts: a run through the worker and this browser's IndexedDB: taken in, renamed, exported whole, deleted, taken in
// again: the same to the byte; a damaged zip leaves nothing. It trains nothing; the parts are test/unit/session/runFiles.test.ts's.
import { afterAll, expect, it } from 'vitest';
import { createSessionClient } from '../../src/app/client';
import type { ImportRunRequest } from '../../src/session/protocol';
import { asBlobs, runFiles } from '../support/runFiles';

const client = createSessionClient();
const runId = `smoke-round-${Date.now()}`;
afterAll(async () => {
  await client.deleteRun(runId);
  client.terminate();
});
const ignore = (): void => undefined;

/** The run's files under an id that no other test has. */
function ownFiles(): Record<string, Uint8Array> {
  const files = runFiles();
  const report = new TextDecoder().decode(files['report.json']).replaceAll('smoke-1', runId);
  return { ...files, 'report.json': new TextEncoder().encode(report) };
}

/** Its files as their digests: quick to compare, and to the byte. */
async function stored(): Promise<Record<string, string>> {
  const out: Record<string, string> = {};
  for (const path of (await client.listArtefacts(runId)).sort()) {
    const digest = await crypto.subtle.digest('SHA-256', (await client.artefact(runId, path)).slice());
    out[path] = [...new Uint8Array(digest)].join(' ');
  }
  return out;
}

const zip = (blob: Blob, from = 'run.zip'): ImportRunRequest => ({
  from,
  source: { kind: 'zip', blob },
  existing: 'ask',
});

it('a run exported as a zip, deleted and imported again is the same to the byte; a damaged zip leaves nothing', async () => {
  const first = await client.importRun(
    { from: 'a folder', source: { kind: 'files', files: asBlobs(ownFiles()) }, existing: 'ask' },
    ignore,
  );
  expect(first).toMatchObject({ state: 'imported', runId });
  const [before, details] = [await stored(), await client.runDetails(runId)];
  expect(before).toHaveProperty(['report.html']);
  expect(details.evaluations.length).toBeGreaterThan(0);
  await client.renameRun(runId, 'Mine');
  expect((await client.listRuns()).find((run) => run.runId === runId)).toMatchObject({ name: 'Smoke', label: 'Mine' });
  const { blob } = await client.exportRun({ runId, what: { kind: 'everything' } }, ignore);
  expect(await client.importRun(zip(blob), ignore)).toMatchObject({ state: 'exists', name: 'Mine', same: true });
  await client.deleteRun(runId);
  expect(await client.listArtefacts(runId)).toEqual([]);

  const damaged = new Uint8Array(await blob.arrayBuffer());
  const at = new TextDecoder('latin1').decode(damaged).indexOf('predictions.jsonl') + 'predictions.jsonl'.length;
  damaged[at + 20]! ^= 0xff; // within that file's bytes, or its packed bytes
  for (const broken of [blob.slice(0, blob.size >> 1), new Blob([damaged])]) {
    await expect(client.importRun(zip(broken, 'broken.zip'), ignore)).rejects.toMatchObject({ code: 'format' });
    expect((await client.listRuns()).some((run) => run.runId === runId)).toBe(false);
    expect(await client.listArtefacts(runId)).toEqual([]);
  }

  expect(await client.importRun(zip(blob), ignore)).toMatchObject({ state: 'imported', runId, leftOut: 0, notes: [] });
  expect(await stored()).toEqual(before);
  expect(await client.runDetails(runId)).toEqual(details);
}, 30_000);
