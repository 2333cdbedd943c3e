// runImport.test.ts: runs that were made elsewhere: a folder of the command line, a lone report, one that is here already; and what is
// hostile or damaged is refused, and nothing of it stays. Their checkpoints are runImportCheckpoint.test.ts.
import { strToU8 } from 'fflate';
import { describe, expect, it } from 'vitest';
import type { ImportRunRequest } from '../../../src/session/protocol';
import type { RunReport } from '../../../src/report/types';
import { importRun } from '../../../src/session/runImport';
import { MemoryRunStore } from '../../../src/storage/memory';
import { IMPORTING } from '../../../src/storage/runStore';
import { json, runFiles, runReport } from '../../support/runFiles';
import { record } from '../storage/parts';
import { digests, folderOf, ignore, sessionOver, stored, withRun, zipOf, type Files } from './runFilesCases';

describe('a folder of the command line', () => {
  it('is taken in with its browser’s profile left where it is; a checkpoint that is none is told', async () => {
    const store = new MemoryRunStore();
    const more = {
      'run-folder.json': strToU8('{}'),
      'checkpoints/commit-0.json': strToU8('x'),
      '.store/profile/Default/Cookies': strToU8('x'),
      'adapters/instruct/README.md': strToU8('x'),
    };
    const outcome = await sessionOver(store).importRun(folderOf({ ...runFiles(), ...more }), ignore);
    expect(outcome).toMatchObject({
      state: 'imported',
      leftOut: 2,
      notes: [expect.stringContaining('Its checkpoint was not taken')],
    });
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
