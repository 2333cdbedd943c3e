// runFiles.test.ts: what leaves a session as a file and comes back: a zip, a folder and a lone report, into every kind of store,
// byte for byte; a run under way, one that is here already, renamed, without checkpoints; what is hostile or damaged is refused
// and nothing of it stays.
import { createHash } from 'node:crypto';
import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { strToU8, unzipSync, zipSync } from 'fflate';
import { afterAll, describe, expect, it } from 'vitest';
import { main } from '../../../src/cli/program';
import { prepareRunFolder } from '../../../src/cli/runFolder';
import { parseCsvRecords } from '../../../src/formats/csv';
import type { ExportedFile, ImportRunRequest, RunExport } from '../../../src/session/protocol';
import type { RunReport } from '../../../src/report/types';
import { importRun } from '../../../src/session/runImport';
import { Session } from '../../../src/session/session';
import { openFileRoot } from '../../../src/sources/fileRoot';
import { DiskRunStore } from '../../../src/storage/disk';
import { MemoryRunStore } from '../../../src/storage/memory';
import { IMPORTING, type RunStore } from '../../../src/storage/runStore';
import { Checkpoints } from '../../../src/storage/checkpoints';
import { FilesPlace } from '../../../src/storage/filesPlace';
import { Kept } from '../../cli/fakeSession';
import { asBlobs, json, runFiles, runReport } from '../../support/runFiles';
import { part, record } from '../storage/parts';

type Files = Record<string, Uint8Array>;

const folders: string[] = [];
function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'pupil-runfiles-'));
  folders.push(path);
  return path;
}
afterAll(() => folders.forEach((path) => rmSync(path, { recursive: true, force: true })));

const noGpu = (): never => {
  throw new Error('no GPU is needed');
};
const sessionOver = (store: RunStore): Session => new Session(noGpu, store);
const ignore = (): void => undefined;

const STORES: [string, () => RunStore][] = [
  ['memory', () => new MemoryRunStore()],
  ['disk', () => new DiskRunStore(folder())],
];

/** Files as their digests: quick to compare, and to the byte. */
const digests = (files: Files): Record<string, string> =>
  Object.fromEntries(
    Object.entries(files).map(([path, bytes]) => [path, createHash('sha256').update(bytes).digest('hex')]),
  );

async function stored(store: RunStore, runId: string): Promise<Record<string, string>> {
  const out: Files = {};
  for (const path of await store.listArtefacts(runId)) out[path] = (await store.loadArtefact(runId, path))!;
  return digests(out);
}

const folderOf = (files: Files, from = 'a folder'): ImportRunRequest => ({
  from,
  source: { kind: 'files', files: asBlobs(files) },
  existing: 'ask',
});
const zipOf = (files: Files): ImportRunRequest => ({
  from: 'run.zip',
  source: { kind: 'zip', blob: new Blob([zipSync(files).slice()]) },
  existing: 'ask',
});

const bytesOf = async ({ blob }: ExportedFile): Promise<Uint8Array> => new Uint8Array(await blob.arrayBuffer());

/** A session whose store has the run. */
async function withRun(store: RunStore = new MemoryRunStore(), files = runFiles()): Promise<Session> {
  const session = sessionOver(store);
  await session.importRun(folderOf(files), ignore);
  return session;
}

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

describe('a folder of the command line', () => {
  it('is taken in with its browser’s profile and checkpoints left where they are', async () => {
    const store = new MemoryRunStore();
    const more = {
      'run-folder.json': strToU8('{}'),
      'checkpoints/commit-0.json': strToU8('x'),
      '.store/profile/Default/Cookies': strToU8('x'),
      'adapters/instruct/README.md': strToU8('x'),
    };
    const outcome = await sessionOver(store).importRun(folderOf({ ...runFiles(), ...more }), ignore);
    expect(outcome).toMatchObject({ state: 'imported', leftOut: 3 });
    expect(await stored(store, 'smoke-1')).toEqual(digests(runFiles()));
  });

  it('is found one folder down, but not where there are two', async () => {
    const inFolder = (name: string): Files =>
      Object.fromEntries(Object.entries(runFiles()).map(([path, bytes]) => [`${name}/${path}`, bytes]));
    const store = new MemoryRunStore();
    await sessionOver(store).importRun(zipOf(inFolder('deep/er')), ignore);
    expect(await stored(store, 'smoke-1')).toEqual(digests(runFiles()));
    const two = sessionOver(new MemoryRunStore()).importRun(zipOf({ ...inFolder('a'), ...inFolder('b') }), ignore);
    await expect(two).rejects.toThrow('expected one run, there are 2 (a/, b/)');
  });

  it('may be a report alone, whatever it is called; what it lacks is told', async () => {
    const store = new MemoryRunStore();
    const session = sessionOver(store);
    const outcome = await session.importRun(folderOf({ 'their-run.json': runFiles()['report.json']! }), ignore);
    expect(outcome).toMatchObject({
      state: 'imported',
      notes: [/predictions/, /adapters/].map((text) => expect.stringMatching(text) as string),
    });
    expect(await store.listArtefacts('smoke-1')).toEqual(['report.html', 'report.json']);
    expect(await session.runDetails('smoke-1')).toMatchObject({ adapters: [], from: 'report' });
  });
});

describe('a run that is here already', () => {
  it('is asked about, and nothing happens to it; as a copy it gets an id of its own', async () => {
    const store = new MemoryRunStore();
    const session = await withRun(store);
    const other = runFiles(runReport({ name: 'Other' }));
    expect(await session.importRun(folderOf(runFiles()), ignore)).toEqual({
      state: 'exists',
      runId: 'smoke-1',
      name: 'Smoke',
      same: true,
    });
    expect(await session.importRun(folderOf(other), ignore)).toMatchObject({ state: 'exists', same: false });
    expect(await stored(store, 'smoke-1')).toEqual(digests(runFiles()));
    const copy = await session.importRun({ ...folderOf(other), existing: 'copy' }, ignore);
    expect(copy).toMatchObject({ state: 'imported', runId: 'smoke-1-2', name: 'Other' });
    expect(await stored(store, 'smoke-1-2')).toEqual(digests(other));
    expect(await session.importRun({ ...folderOf(other), existing: 'copy' }, ignore)).toMatchObject({
      runId: 'smoke-1-3',
    });
  });

  it('that was half taken in when its tab was closed shows nowhere, and is swept after an hour', async () => {
    const store = new MemoryRunStore();
    const session = sessionOver(store);
    const half = { ...record(1, 'half'), state: IMPORTING, updatedAt: '2026-01-01T00:00:00.000Z' };
    await store.saveRecord(half);
    await store.saveArtefact('half', 'report.json', runFiles()['report.json']!);
    expect([await session.listRuns(), await session.runOverviews()]).toEqual([[], []]);
    const request = folderOf(runFiles());
    await importRun(store, request, ignore, new Date('2026-01-01T00:50:00Z'));
    expect(await store.listArtefacts('half')).toHaveLength(1); // perhaps another tab goes on with it
    await importRun(store, request, ignore, new Date('2026-01-01T01:10:00Z'));
    expect(await store.listArtefacts('half')).toEqual([]);
  });
});

describe('a hostile or damaged run is refused, and nothing of it is stored', () => {
  const refused = async (request: ImportRunRequest, words: RegExp, code = 'data'): Promise<void> => {
    const store = new MemoryRunStore();
    await expect(sessionOver(store).importRun(request, ignore)).rejects.toMatchObject({
      code,
      message: expect.stringMatching(words) as string,
    });
    expect([await store.listRuns(), await store.listArtefacts('smoke-1')]).toEqual([[], []]);
  };
  const withFile = (path: string, bytes: Uint8Array): ImportRunRequest => folderOf({ ...runFiles(), [path]: bytes });
  const withReport = (change: (report: RunReport) => unknown): ImportRunRequest => {
    const report = JSON.parse(JSON.stringify(runReport())) as RunReport;
    change(report);
    return folderOf({ 'report.json': json(report) });
  };

  it('what is no run', async () => {
    await refused(
      folderOf({ 'a.txt': strToU8('x'), 'b.json': strToU8('{}') }),
      /there is no report.json among its 2 files/,
    );
    await refused(folderOf({ 'x.json': strToU8('{"name":"Smoke"}') }), /expected the report of a run/);
    await refused(folderOf({ 'x.json': strToU8('not json') }), /expected/, 'format');
    await refused(
      { ...zipOf({}), source: { kind: 'zip', blob: new Blob(['no zip']) } },
      /expected a zip file/,
      'format',
    );
    await refused(
      withReport((report) => ((report as { version: number }).version = 2)),
      /expected version 1/,
    );
  });

  it('names that lead out of a zip, and one that comes twice', async () => {
    await refused(zipOf({ ...runFiles(), '../../evil.json': strToU8('x') }), /inside the archive/, 'format');
    await refused(zipOf({ ...runFiles(), 'REPORT.json': strToU8('x') }), /comes twice/, 'format');
  });

  it('an id that is no id, or the name of a prototype', async () => {
    for (const id of ['../x', '', 'a/b', '.x']) {
      await refused(
        withReport((report) => (report.runId = id)),
        /run id/,
        'usage',
      );
    }
    const store = new MemoryRunStore();
    const report = runFiles(runReport({ runId: '__proto__' }));
    await sessionOver(store).importRun(folderOf(report), ignore);
    expect((await store.listRuns()).map(({ runId }) => runId)).toEqual(['__proto__']);
  });

  it('numbers that are markup, and systems, phases and times that do not exist', async () => {
    const markup = '<img src=x onerror=alert(1)>' as never;
    await refused(
      withReport((report) => (report.evaluations[0]!.n = markup)),
      /evaluations\[0\]\.n: expected/,
    );
    await refused(
      withReport((report) => (report.student.layers = markup)),
      /student\.layers/,
    );
    await refused(
      withReport((report) => (report.experiment.seed = markup)),
      /experiment\.seed/,
    );
    await refused(
      withReport((report) => (report.evaluations[0]!.system = markup)),
      /evaluations\[0\]\.system/,
    );
    await refused(
      withReport((report) => (report.timings[0]!.phase = markup)),
      /timings\[0\]\.phase/,
    );
    await refused(
      withReport((report) => (report.startedAt = markup)),
      /startedAt/,
    );
    await refused(
      withReport((report) => (report.state = markup)),
      /state/,
    );
    await refused(
      withReport((report) => Object.assign(report.experiment, { more: 1 })),
      /more/,
      'config',
    );
  });

  it('a page of its own: the report is drawn from its numbers, texts escaped', async () => {
    const store = new MemoryRunStore();
    const evil = strToU8('<!doctype html><script>alert(document.cookie)</script>');
    const report = runReport({
      name: '<script>alert(1)</script>',
      log: [{ level: 'info', message: '<img onerror=1>' }],
    });
    await sessionOver(store).importRun(folderOf({ ...runFiles(report), 'report.html': evil }), ignore);
    const html = new TextDecoder().decode(await store.loadArtefact('smoke-1', 'report.html'));
    expect(html).not.toMatch(/<script|<img/);
    expect(html).toContain('&lt;script&gt;alert(1)');
  });

  it('lines that are none of a run’s, and adapters that are none', async () => {
    await refused(
      withFile('metrics.jsonl', strToU8('{"phase":"instruct","step":1,"totalSteps":2,"loss":"low"}\n')),
      /metrics\.jsonl:1: loss/,
    );
    await refused(withFile('predictions.jsonl', strToU8('{"system":"Baseline"\n')), /predictions\.jsonl:1/, 'format');
    await refused(withFile('pairs.jsonl', strToU8('\n{"taskId":"A"}\n')), /pairs\.jsonl:2: itemId/);
    await refused(withFile('other.jsonl', strToU8('not json\n')), /other\.jsonl:1/, 'format');
    await refused(withFile('demonstrations.jsonl', Uint8Array.of(0xff, 0xfe)), /UTF-8/, 'format');
    const { 'adapters/instruct/adapter_config.json': _, ...torn } = runFiles();
    await refused(folderOf(torn), /adapter_config/, 'checkpoint');
    const weights = runFiles()['adapters/instruct/adapter_model.safetensors']!;
    await refused(
      withFile('adapters/instruct/adapter_model.safetensors', weights.subarray(0, 200)),
      /adapter_model/,
      'format',
    );
    await refused(withFile('adapters/instruct/pupil.json', strToU8('{}')), /pupil\.json/, 'format');
  });
});
