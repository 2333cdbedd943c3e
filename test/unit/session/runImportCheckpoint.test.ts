// runImportCheckpoint.test.ts: the checkpoint of a run that was made elsewhere: it comes with the run, under its id or another; one that
// is damaged is told and not taken, and what is no run's state is refused with everything. That a run goes on from it to the same
// bits is resume.test.ts.
import { strToU8, unzipSync, zipSync } from 'fflate';
import { describe, expect, it } from 'vitest';
import { parseExperiment } from '../../../src/config/experiment';
import { preset } from '../../../src/config/presets';
import { encodeCommit, sha256Of, type Commit } from '../../../src/formats/trainingCheckpoint';
import { importRun } from '../../../src/session/runImport';
import type { RunState } from '../../../src/session/runState';
import { StateParts, stateOf } from '../../../src/session/stateParts';
import { MemoryRunStore } from '../../../src/storage/memory';
import { runFiles, runReport } from '../../support/runFiles';
import { record } from '../storage/parts';
import { folderOf, ignore, sessionOver, withRun, zipOf, type Files } from './runFilesCases';
import { state as someState } from './tinyRun';

const experiment = JSON.parse(JSON.stringify(parseExperiment(preset('smoke')))) as RunState['experiment'];
const stateAt = (sequence: number, changes: object = {}): RunState => ({
  ...someState(),
  experiment,
  sequence,
  step: sequence,
  savedAt: '2026-03-01T11:00:00.000Z',
  ...changes,
});

/** A stopped run with two checkpoints in its store. */
async function storeWithRun(changes: object = {}): Promise<MemoryRunStore> {
  const store = new MemoryRunStore();
  await withRun(store, runFiles(runReport({ state: 'stopped' })));
  const parts = new StateParts();
  for (const sequence of [4, 5]) {
    const run = { ...record(sequence, 'smoke-1'), name: 'Smoke', state: 'stopped' };
    await store.saveCheckpoint(run, await parts.of(stateAt(sequence, changes)));
  }
  return store;
}

/** The files of its export, by their paths within the run. */
async function exportedFiles(store: MemoryRunStore): Promise<Files> {
  const what = { kind: 'everything', checkpoint: true } as const;
  const { blob } = await sessionOver(store).exportRun({ runId: 'smoke-1', what }, ignore);
  const files = unzipSync(new Uint8Array(await blob.arrayBuffer()));
  return Object.fromEntries(Object.entries(files).map(([path, bytes]) => [path.replace('smoke-1/', ''), bytes]));
}

const isReport = (path: string): boolean => /^report\.(json|html)$/.test(path);
const without = (files: Files, drop: (path: string) => boolean): Files =>
  Object.fromEntries(Object.entries(files).filter(([path]) => !drop(path)));

/** The part of that name with one bit changed. */
async function damaged(files: Files, name: string): Promise<Files> {
  const { commit } = JSON.parse(new TextDecoder().decode(files['checkpoints/commit-0.json'])) as { commit: Commit };
  const path = `checkpoints/part-${commit.parts.find((one) => one.name === name)!.number}.bin`;
  return { ...files, [path]: files[path]!.map((byte, i) => (i === 3 ? byte ^ 1 : byte)) };
}

async function refused(files: Files, code: string, words: RegExp): Promise<void> {
  const store = new MemoryRunStore();
  await expect(importRun(store, folderOf(files), ignore)).rejects.toMatchObject({
    code,
    message: expect.stringMatching(words) as string,
  });
  expect([await store.listRuns(), await store.listArtefacts('smoke-1')]).toEqual([[], []]);
  expect(await store.listCheckpoints('smoke-1')).toMatchObject({ checkpoints: [] });
}

describe('a run that comes with its checkpoint', () => {
  it('has it here: in the record, among its checkpoints, the state the same', async () => {
    const from = await storeWithRun();
    const files = await exportedFiles(from);
    expect(Object.keys(files)).toEqual(expect.arrayContaining(['csv/metrics.csv', 'csv/results.csv']));
    const store = new MemoryRunStore();
    const session = sessionOver(store);
    const outcome = await session.importRun(zipOf(files), ignore);
    expect(outcome).toMatchObject({ leftOut: 0, notes: [expect.stringContaining('from which it can be resumed')] });
    expect((await session.listRuns())[0]).toMatchObject({
      state: 'stopped',
      phase: 'instruct',
      step: 5,
      imported: { from: 'run.zip' },
    });
    const [there, here] = await Promise.all([from.loadCheckpoint('smoke-1'), store.loadCheckpoint('smoke-1')]);
    expect(here).toEqual(there);
    expect(stateOf(here!.parts, 'smoke-1')).toEqual(stateAt(5));
    const details = await session.runDetails('smoke-1');
    expect(details.checkpoints).toMatchObject([{ sequence: 5, phase: 'instruct', step: 5 }]);
    expect((await session.listRuns())[0]!.sizeBytes).toBe(details.checkpointBytes);
  });

  it('beside a run of the same id gets another, its checkpoint with it; the very same run is told as such', async () => {
    const files = await exportedFiles(await storeWithRun());
    const store = await storeWithRun();
    expect(await importRun(store, folderOf(files), ignore)).toMatchObject({ state: 'exists', same: true });
    const copy = await importRun(store, { ...folderOf(files), existing: 'copy' }, ignore);
    expect(copy).toMatchObject({ state: 'imported', runId: 'smoke-1-2' });
    expect(stateOf((await store.loadCheckpoint('smoke-1-2'))!.parts, 'smoke-1-2')).toEqual(stateAt(5));
    await sessionOver(store).deleteCheckpoints('smoke-1');
    expect(await importRun(store, folderOf(files), ignore)).toMatchObject({ state: 'exists', same: true });
    await store.saveRecord({ ...record(9, 'smoke-1'), state: 'stopped' });
    expect(await importRun(store, folderOf(files), ignore)).toMatchObject({ state: 'exists', same: false });
  });

  it('may have nothing else: one that was killed has no report', async () => {
    const files = without(await exportedFiles(await storeWithRun()), isReport);
    const store = new MemoryRunStore();
    const session = sessionOver(store);
    expect(await session.importRun(folderOf(files), ignore)).toMatchObject({ state: 'imported', name: 'Smoke' });
    expect(await session.runDetails('smoke-1')).toMatchObject({ from: 'checkpoint', seed: 0, problems: [] });
    const bare = without(files, (path) => path === 'checkpoints/run.json');
    const other = new MemoryRunStore();
    await importRun(other, folderOf(bare), ignore);
    expect(await other.listRuns()).toMatchObject([{ state: 'running', sequence: 5, step: 5 }]);
  });

  it('leaves nothing where storing the checkpoint fails', async () => {
    const files = await exportedFiles(await storeWithRun());
    const store = new MemoryRunStore();
    store.saveCheckpoint = () => Promise.reject(new Error('no room'));
    await expect(importRun(store, folderOf(files), ignore)).rejects.toThrow('no room');
    expect([await store.listRuns(), await store.listArtefacts('smoke-1')]).toEqual([[], []]);
  });
});

describe('a checkpoint that is damaged', () => {
  it('is told and not taken: as files, and as bytes in a zip that are not what its list says', async () => {
    const files = await damaged(await exportedFiles(await storeWithRun()), 'state');
    const zip = zipSync(await exportedFiles(await storeWithRun()), { level: 0 });
    const text = new TextDecoder('latin1').decode(zip);
    zip[text.indexOf('{"state":{') + 3]! ^= 1;
    const inZip = { ...zipOf({}), source: { kind: 'zip', blob: new Blob([zip.slice()]) } } as const;
    for (const request of [folderOf(files), inZip]) {
      const store = new MemoryRunStore();
      const outcome = await importRun(store, request, ignore);
      expect(outcome).toMatchObject({
        state: 'imported',
        notes: [expect.stringMatching(/^Its checkpoint was not taken: .*"state"/)],
      });
      expect(await store.loadCheckpoint('smoke-1')).toBeUndefined();
      expect(await store.listRuns()).toMatchObject([{ state: 'stopped', sizeBytes: 0, sequence: 0 }]);
    }
  });

  it('gives way to the one before it, where that is whole', async () => {
    // A folder has both commits; an export the newest alone.
    const from = await storeWithRun();
    const place = from.place('smoke-1');
    const newest = place.commits.findIndex((bytes) => new TextDecoder().decode(bytes).includes('"sequence":5'));
    const files: Files = runFiles(runReport({ state: 'stopped' }));
    place.commits.forEach((bytes, slot) => (files[`checkpoints/commit-${slot}.json`] = bytes!));
    place.parts.forEach((bytes, number) => (files[`checkpoints/part-${number}.bin`] = bytes));
    const { commit } = JSON.parse(new TextDecoder().decode(place.commits[newest])) as { commit: Commit };
    const state = commit.parts.find(({ name }) => name === 'state')!;
    const torn = without(files, (path) => path === `checkpoints/part-${state.number}.bin`);
    const store = new MemoryRunStore();
    const outcome = await importRun(store, folderOf(torn), ignore);
    expect(outcome).toMatchObject({ state: 'imported', leftOut: 0 });
    expect((outcome as { notes: string[] }).notes.join()).toMatch(
      /newest checkpoint is damaged: checkpoint 5: part \d+ \("state"\) is missing/,
    );
    expect((await store.loadCheckpoint('smoke-1'))!.sequence).toBe(4);
  });

  it('of another run, or with a commit that is torn, is told', async () => {
    const files = await exportedFiles(await storeWithRun());
    const other = { ...files, 'report.json': runFiles(runReport({ runId: 'other' }))['report.json']! };
    const cut = { ...files, 'checkpoints/commit-0.json': files['checkpoints/commit-0.json']!.subarray(0, 99) };
    for (const [torn, words] of [
      [other, /it is of smoke-1/],
      [cut, /missing or damaged/],
    ] as const) {
      const store = new MemoryRunStore();
      const outcome = await importRun(store, folderOf(torn), ignore);
      expect((outcome as { notes: string[] }).notes[0]).toMatch(words);
      expect((await store.listRuns())[0]).toMatchObject({ sequence: 0 });
    }
  });

  it('is all there was: nothing is stored', async () => {
    const files = without(await damaged(await exportedFiles(await storeWithRun()), 'state'), isReport);
    await refused(files, 'checkpoint', /all are damaged: checkpoint 5: part \d+ \("state"\)/);
  });
});

describe('a checkpoint that holds something else is refused with everything', () => {
  const markup = '<img src=x onerror=alert(1)>' as never;

  it('numbers that are markup, phases and experiments that do not exist', async () => {
    const cases: [object, string, RegExp][] = [
      [{ metrics: [{ phase: 'instruct', step: 1, totalSteps: 2, values: { loss: markup } }] }, 'data', /metrics\[0\]/],
      [{ phase: markup }, 'data', /phase/],
      [{ student: { ...someState().student, layers: markup } }, 'data', /student\.layers/],
      [{ evaluations: [{ system: markup }] }, 'data', /evaluations\[0\]/],
      [{ savedAt: markup }, 'data', /savedAt/],
      [{ experiment: { seed: 0, student: 3 } }, 'config', /student/],
      [{ timings: [{ phase: 'load', seconds: markup }] }, 'data', /timings\[0\]/],
    ];
    for (const [changes, code, words] of cases) {
      const files = await exportedFiles(await storeWithRun(changes));
      await refused({ ...files, ...runFiles(runReport({ state: 'stopped' })) }, code, words);
    }
  });

  /** The files with another commit, whose checksum is right. */
  async function recommitted(change: (commit: Record<string, unknown>) => object): Promise<Files> {
    const files = await exportedFiles(await storeWithRun());
    const whole = JSON.parse(new TextDecoder().decode(files['checkpoints/commit-0.json'])) as Record<string, object>;
    const commit = change(whole['commit'] as Record<string, unknown>);
    const sha256 = await sha256Of(strToU8(JSON.stringify(commit)));
    return { ...files, 'checkpoints/commit-0.json': strToU8(`${JSON.stringify({ ...whole, sha256, commit })}\n`) };
  }

  it('commits that are none, whatever their checksum says, and one that names the same bytes over and over', async () => {
    for (const change of [{ parts: 3 }, { parts: [{ number: '../x' }] }, { sequence: 1e300 }, { runId: 7 }]) {
      const files = without(await recommitted((commit) => ({ ...commit, ...change })), isReport);
      await refused(files, 'checkpoint', /missing or damaged/);
    }
    const bomb = { name: 'x', sha256: 'a', sizeBytes: 2 ** 31, number: 0 };
    await refused(await recommitted((commit) => ({ ...commit, parts: [bomb, bomb, bomb] })), 'data', /bytes of parts/);
  });

  it('a state part that promises lists without end, or tensors that a run has not', async () => {
    const files = await exportedFiles(await storeWithRun());
    const { commit } = JSON.parse(new TextDecoder().decode(files['checkpoints/commit-0.json'])) as { commit: Commit };
    for (const index of [
      { state: {}, lists: { metrics: 1e15 }, tensors: [] },
      { state: {}, lists: {}, tensors: ['__proto__'] },
      { state: {}, lists: { evil: 1 }, tensors: [] },
    ]) {
      const bytes = strToU8(JSON.stringify(index));
      const state = { name: 'state', sha256: await sha256Of(bytes), sizeBytes: bytes.byteLength, number: 999 };
      const parts = [...commit.parts.filter(({ name }) => name !== 'state'), state];
      const changed = await encodeCommit({ ...commit, parts });
      await refused(
        { ...files, 'checkpoints/commit-0.json': changed, 'checkpoints/part-999.bin': bytes },
        'data',
        /checkpoint 5: (lists|tensors)/,
      );
    }
  });

  it('a part that is larger than any, by its size alone', async () => {
    const files = await exportedFiles(await storeWithRun());
    const large = new Blob([]);
    Object.defineProperty(large, 'size', { value: 2 ** 31 });
    const request = folderOf(files);
    if (request.source.kind !== 'files') throw new Error('expected files');
    request.source.files['checkpoints/part-77.bin'] = large;
    await expect(importRun(new MemoryRunStore(), request, ignore)).rejects.toThrow(/part-77\.bin: expected at most/);
  });
});
