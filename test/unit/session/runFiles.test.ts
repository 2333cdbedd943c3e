// runFiles.test.ts: what is shown of a stored run and how it leaves a session: whole and back, byte for byte, in every kind of store;
// single files, tables, and what the command line reads of them. What comes from elsewhere is runImport.test.ts.
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { strToU8, unzipSync } from 'fflate';
import { describe, expect, it } from 'vitest';
import { main } from '../../../src/cli/program';
import { prepareRunFolder } from '../../../src/cli/runFolder';
import { parseCsvRecords } from '../../../src/formats/csv';
import type { ExportedFile, RunExport } from '../../../src/session/protocol';
import { importRun } from '../../../src/session/runImport';
import { openFileRoot } from '../../../src/sources/fileRoot';
import { Checkpoints } from '../../../src/storage/checkpoints';
import { DiskRunStore } from '../../../src/storage/disk';
import { FilesPlace } from '../../../src/storage/filesPlace';
import { MemoryRunStore } from '../../../src/storage/memory';
import type { RunStore } from '../../../src/storage/runStore';
import { Kept } from '../../cli/fakeSession';
import { runFiles, runReport } from '../../support/runFiles';
import { part, record } from '../storage/parts';
import { digests, folder, folderOf, ignore, stored, withRun } from './runFilesCases';

const STORES: [string, () => RunStore][] = [
  ['memory', () => new MemoryRunStore()],
  ['disk', () => new DiskRunStore(folder())],
];

const bytesOf = async ({ blob }: ExportedFile): Promise<Uint8Array> => new Uint8Array(await blob.arrayBuffer());

/** The zip's files without the folder around them, written where the command line reads. */
function unpacked(zip: Uint8Array): string {
  const to = folder();
  for (const [path, bytes] of Object.entries(unzipSync(zip))) {
    const file = join(to, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, bytes);
  }
  return to;
}
for (const [name, make] of STORES) {
  describe(`a run in a ${name} store`, () => {
    it('exported as a zip, deleted and imported again is the same to the byte', async () => {
      const store = make();
      const session = await withRun(store);
      const before = await stored(store, 'smoke-1');
      expect(before).toEqual(digests(runFiles()));
      const details = await session.runDetails('smoke-1');
      const file = await session.exportRun({ runId: 'smoke-1', what: { kind: 'everything' } }, ignore);
      expect(file.fileName).toBe('smoke-1.zip');
      await session.deleteRun('smoke-1');
      expect(await session.listRuns()).toEqual([]);
      const progress: number[] = [];
      const outcome = await session.importRun(
        { from: file.fileName, source: { kind: 'zip', blob: file.blob }, existing: 'ask' },
        ({ done, total }) => progress.push(done / total!),
      );
      expect(outcome).toMatchObject({ state: 'imported', runId: 'smoke-1', name: 'Smoke', leftOut: 0, notes: [] });
      expect(progress).toEqual([...progress].sort((a, b) => a - b));
      expect(progress.at(-1)).toBe(1);
      expect(await stored(store, 'smoke-1')).toEqual(before);
      expect(await session.runDetails('smoke-1')).toEqual(details);
      expect(await session.listRuns()).toEqual([
        {
          runId: 'smoke-1',
          name: 'Smoke',
          state: 'finished',
          phase: 'report',
          step: 0,
          updatedAt: '2026-03-01T10:02:03.000Z',
          sizeBytes: 0,
          imported: { from: 'smoke-1.zip', at: expect.any(String) as string },
        },
      ]);
    });

    it('leaves nothing where storing it breaks off at any file', async () => {
      const files = runFiles();
      for (let k = 0; k < Object.keys(files).length; k++) {
        const store = make();
        const save = store.saveArtefact.bind(store);
        let count = 0;
        store.saveArtefact = (...args) => (count++ === k ? Promise.reject(new Error('no room')) : save(...args));
        await expect(importRun(store, folderOf(files), ignore)).rejects.toThrow('no room');
        expect([await store.listRuns(), await store.listArtefacts('smoke-1')]).toEqual([[], []]);
      }
    });
  });
}

describe('what a list and a page show of a run', () => {
  it('is its seed, machine, headline by task, and sizes', async () => {
    const session = await withRun();
    const [overview] = await session.runOverviews();
    expect(overview).toMatchObject({
      runId: 'smoke-1',
      seed: 0,
      environment: { vendor: 'acme' },
      adapters: ['instruct', 'self-refine'],
      checkpointBytes: 0,
      headline: [{ taskId: 'A stories', system: 'Self-refined', correct: 6, n: 8, baseline: 1 / 8 }],
    });
    const sizes = Object.values(runFiles()).reduce((sum, bytes) => sum + bytes.byteLength, 0);
    expect(overview!.filesBytes).toBe(sizes);
    const details = await session.runDetails('smoke-1');
    expect(details).toMatchObject({ from: 'report', problems: [], checkpoints: [] });
    expect(details.curves).toHaveLength(8);
  });

  it('follows a new name, which is not the run’s own, and an empty one undoes it', async () => {
    const session = await withRun();
    await session.renameRun('smoke-1', '  Second <b>try</b> ');
    expect((await session.listRuns())[0]).toMatchObject({ name: 'Smoke', label: 'Second <b>try</b>' });
    await session.renameRun('smoke-1', '');
    expect((await session.listRuns())[0]).not.toHaveProperty('label');
    await expect(session.renameRun('smoke-1', 'x'.repeat(201))).rejects.toMatchObject({ code: 'usage' });
    await expect(session.renameRun('other', 'x')).rejects.toThrow('this browser does not have it');
  });

  it('is told where its files are damaged, and the rest is there', async () => {
    const store = new MemoryRunStore();
    const session = await withRun(store);
    await store.saveArtefact('smoke-1', 'report.json', strToU8('{"format":'));
    const details = await session.runDetails('smoke-1');
    expect(details).toMatchObject({ from: 'nothing', evaluations: [] });
    expect(details.problems.join()).toContain('report.json');
    expect(details.files.length).toBeGreaterThan(5);
  });

  it('names each checkpoint, and deleting them frees their bytes and keeps every result', async () => {
    const store = new MemoryRunStore();
    const session = await withRun(store);
    const [known] = await store.listRuns();
    const state = (step: number): number[] => [
      ...strToU8(JSON.stringify({ state: { phase: 'instruct', step, savedAt: '2026-01-01T00:00:00.000Z' } })),
    ];
    for (const n of [1, 2]) {
      await store.saveCheckpoint({ ...known!, sequence: n, sizeBytes: 4 }, [await part('state', ...state(n))]);
    }
    const { checkpoints, checkpointBytes } = await session.runDetails('smoke-1');
    expect(checkpoints).toMatchObject([
      { sequence: 2, phase: 'instruct', step: 2, savedAt: '2026-01-01T00:00:00.000Z' },
      { sequence: 1, phase: 'instruct', step: 1 },
    ]);
    const before = await stored(store, 'smoke-1');
    expect(await session.deleteCheckpoints('smoke-1')).toBe(checkpointBytes);
    expect(await stored(store, 'smoke-1')).toEqual(before);
    expect(await session.runDetails('smoke-1')).toMatchObject({ checkpoints: [], checkpointBytes: 0, from: 'report' });
    expect((await session.listRuns())[0]).toMatchObject({ sizeBytes: 0, imported: { from: 'a folder' } });
  });
});

describe('single files of a run', () => {
  const take = async (what: RunExport): Promise<{ fileName: string; bytes: Uint8Array; text: string }> => {
    const file = await (await withRun()).exportRun({ runId: 'smoke-1', what }, ignore);
    const bytes = await bytesOf(file);
    return { fileName: file.fileName, bytes, text: new TextDecoder().decode(bytes) };
  };

  it('are artefacts as they are, the experiment, and one adapter as PEFT wants it', async () => {
    const report = await take({ kind: 'file', path: 'report.html' });
    expect(report.fileName).toBe('smoke-1-report.html');
    expect(report.bytes).toEqual(runFiles()['report.html']);
    const experiment = await take({ kind: 'experiment' });
    expect(experiment.fileName).toBe('smoke-seed0.json');
    expect(JSON.parse(experiment.text)).toEqual(runReport().experiment);
    const adapter = await take({ kind: 'adapter', phase: 'self-refine' });
    expect(Object.keys(unzipSync(adapter.bytes)).sort()).toEqual([
      'self-refine/adapter_config.json',
      'self-refine/adapter_model.safetensors',
      'self-refine/pupil.json',
    ]);
    await expect(take({ kind: 'adapter', phase: 'control' })).rejects.toThrow('(instruct, self-refine), got "control"');
    await expect(take({ kind: 'file', path: 'nothing.json' })).rejects.toMatchObject({ code: 'storage' });
  });

  it('are rows as CSV that a spreadsheet does not compute', async () => {
    const metrics = await take({ kind: 'csv', path: 'metrics.jsonl' });
    expect(metrics.fileName).toBe('smoke-1-metrics.csv');
    expect(metrics.text.split('\r\n').slice(0, 2)).toEqual([
      'phase,step,totalSteps,loss,learning_rate,rewards/margins',
      'instruct,1,4,1,0.001,',
    ]);
    const [pair] = parseCsvRecords((await take({ kind: 'csv', path: 'pairs.jsonl' })).text, 'pairs.csv');
    expect(pair).toMatchObject({
      'prompt.ids': '[1,2]',
      'chosen.text': 'a, "b"\n=1+1',
      'rejected.text': `'=HYPERLINK("x")`,
    });
  });
});

describe('the command line reads an unpacked export', () => {
  it('judge finds its answers, the adapters are where --adapter looks, the experiment runs', async () => {
    const session = await withRun();
    const zip = await bytesOf(await session.exportRun({ runId: 'smoke-1', what: { kind: 'everything' } }, ignore));
    const out = join(unpacked(zip), 'smoke-1');
    const [told, err] = [new Kept(), new Kept()];
    const judge = ['judge', out, '--base-url', 'http://localhost:9/v1', '--model', 'm', '--estimate', '--json'];
    const code = await main(judge, {}, { out: told, err });
    expect(code, err.text).toBe(0);
    expect(told.text).toContain('"answers":2');
    const files = openFileRoot({ kind: 'disk', directory: out });
    for (const path of ['adapters/instruct/adapter_model.safetensors', 'experiment.json']) {
      expect((await files.open(path))?.size, path).toBeGreaterThan(0);
    }
    // Without a checkpoint it does not pretend to be a folder that goes on.
    expect(() => prepareRunFolder(out, { name: 'Smoke', seed: 0 }, true)).toThrow('holds none');
  });

  it('--resume finds the checkpoint of one that was exported with it', async () => {
    const store = new MemoryRunStore();
    const session = await withRun(store);
    await store.saveCheckpoint(record(3, 'smoke-1'), [await part('state', 1, 2), await part('tensors/adapter', 3)]);
    const what = { kind: 'everything', checkpoint: true } as const;
    const zip = await bytesOf(await session.exportRun({ runId: 'smoke-1', what }, ignore));
    const out = join(unpacked(zip), 'smoke-1');
    const found = prepareRunFolder(out, { name: 'Smoke', seed: 0 }, true);
    expect(found.record.runId).toBe('smoke-1');
    found.release();
    const root = openFileRoot({ kind: 'disk', directory: out });
    const place = new FilesPlace(root, 'checkpoints', () => Promise.resolve());
    const checkpoint = await new Checkpoints(() => place).load('smoke-1');
    expect(checkpoint).toMatchObject({ sequence: 3, problems: [] });
    expect([...checkpoint!.parts].map(([name, bytes]) => [name, [...bytes]])).toEqual([
      ['state', [1, 2]],
      ['tensors/adapter', [3]],
    ]);
  });
});
