// resultsRuns.test.ts: Results' list of runs and a run's page, mounted over a session the test controls: sought, chosen, renamed,
// deleted only when confirmed, exported, imported with a run of the same id, refused in place, and hostile names as text.
import { flushSync } from 'svelte';
import { afterEach, expect, it } from 'vitest';
import ResultsPlace from '../../src/app/places/ResultsPlace.svelte';
import type { ExportRunRequest, ImportOutcome, ImportRunRequest, StoredRun } from '../../src/session/protocol';
import { PupilError } from '../../src/base/errors';
import { button, FakeSession, removePages, settle, show } from './fakePage';

afterEach(removePages);

const run = (runId: string, more: Partial<StoredRun> = {}): StoredRun => ({
  runId,
  name: 'Smoke',
  state: 'finished',
  phase: 'report',
  step: 0,
  updatedAt: '2026-01-02T03:04:05Z',
  sizeBytes: 2048,
  ...more,
});

const HOSTILE = '<img src=x onerror="globalThis.hacked=1">\u202eevil';

/** Keeps what is asked of it. */
class FilesSession extends FakeSession {
  exported: ExportRunRequest[] = [];
  imported: ImportRunRequest[] = [];
  outcome: () => Promise<ImportOutcome> = () => Promise.reject(new Error('not expected'));
  exportRun = (request: ExportRunRequest) => {
    this.exported.push(request);
    return Promise.resolve({ fileName: 'a.zip', blob: new Blob(['zip']), notes: ['a note'] });
  };
  importRun = (request: ImportRunRequest): Promise<ImportOutcome> => {
    this.imported.push(request);
    return this.outcome();
  };
  checkpointsDeleted: string[] = [];
  deleteCheckpoints = (runId: string): Promise<number> => {
    this.checkpointsDeleted.push(runId);
    return Promise.resolve(1);
  };
}

async function page(session: FilesSession, query = '', more: object = {}) {
  const shown = show(session, query, more, ResultsPlace);
  await shown.playground.open();
  flushSync();
  await settle();
  return shown;
}

it('lists runs with seed and accuracy, finds by words in the address, and shows hostile names as text', async () => {
  const session = new FilesSession();
  session.stored = [
    run('a-1', { name: HOSTILE }),
    run('b-1', { label: 'Second', imported: { from: 'x.zip', at: '' } }),
  ];
  session.overviews = [
    {
      runId: 'b-1',
      seed: 7,
      filesBytes: 2 ** 20,
      checkpointBytes: 0,
      adapters: [],
      headline: [
        {
          taskId: 'A',
          system: 'Self-refined',
          prompt: 'cot',
          scorer: 'strict',
          correct: 6,
          n: 8,
          low: 0,
          high: 1,
          baseline: 0.125,
        },
      ],
    },
  ];
  const { root, playground, text } = await page(session);
  expect(text()).toContain('<img src=x');
  expect(root.querySelector('img')).toBeNull();
  expect((globalThis as { hacked?: number }).hacked).toBeUndefined();
  for (const words of ['Second', '(Smoke)', 'imported', 'seed 7', '12.5 →', '75.0 %', '1.0 MiB'])
    expect(text()).toContain(words);
  playground.address.set({ q: 'seed 7' });
  flushSync();
  // Elsewhere on the place the run is still offered, to be compared or judged.
  const list = root.querySelector<HTMLElement>('[aria-labelledby="stored-title"]')!.innerText;
  expect(list).not.toContain('<img src=x');
  expect(list).toContain('1 of 2 runs');
});

it('deletes only when it is confirmed, and renames', async () => {
  const session = new FilesSession();
  session.stored = [run('a-1')];
  const { root, playground, text } = await page(session, '?place=results&run=a-1');
  const press = (name: string): void => {
    button(root, name).focus(); // as a mouse or the keyboard does
    button(root, name).click();
    flushSync();
  };
  press('Delete Smoke');
  expect(text()).toContain('cannot be undone');
  expect(document.activeElement).toBe(button(root, 'Keep'));
  press('Keep');
  await settle();
  expect(document.activeElement).toBe(button(root, 'Delete Smoke'));
  expect(session.stored).toHaveLength(1);
  press('Rename Smoke');
  const input = root.querySelector<HTMLInputElement>('form.under input')!;
  expect(document.activeElement).toBe(input);
  input.value = 'Mine';
  input.dispatchEvent(new Event('input', { bubbles: true }));
  button(root, 'Save name').click();
  await settle();
  expect(session.stored[0]!.label).toBe('Mine');
  button(root, 'Delete Mine').click();
  flushSync();
  button(root, 'Delete for good').click();
  await settle();
  expect(session.stored).toEqual([]);
  // It was chosen as well: it is not said to be elsewhere.
  expect(playground.address.get('run')).toBe('');
  expect(text()).not.toContain('This browser does not have');
});

it('names a chosen run that this browser does not have', async () => {
  const session = new FilesSession();
  session.stored = [run('a-1')];
  const { text } = await page(session, '?place=results&run=a-1,gone-2');
  expect(text()).toContain('This browser does not have gone-2');
});

it('shows a run by itself: files, checkpoints freed when confirmed, and everything as a zip', async () => {
  const session = new FilesSession();
  session.stored = [run('a-1')];
  session.details = {
    files: [{ path: 'report.json', sizeBytes: 10 }],
    checkpoints: [{ sequence: 2, phase: 'instruct', step: 4, sizeBytes: 2048 }],
    checkpointBytes: 2048,
    log: [{ level: 'warning', message: HOSTILE }],
  };
  const saved: string[] = [];
  let read = 0;
  const { runDetails } = session;
  session.runDetails = (runId) => (read++, runDetails(runId));
  const { root, text } = await page(session, '?place=results&view=run&item=a-1', {
    saveBlob: (name: string) => void saved.push(name),
  });
  await settle();
  expect(read).toBe(1); // what was read is no reason to read it again
  expect(root.querySelector('img')).toBeNull();
  expect(text()).toContain('No. 2, instruction-tuning, step 4');
  button(root, 'Everything as a zip').click();
  await settle();
  expect(session.exported).toEqual([{ runId: 'a-1', what: { kind: 'everything', checkpoint: false } }]);
  expect(saved).toEqual(['a.zip']);
  expect(text()).toContain('a note');
  button(root, 'Free 2.0 KiB').click();
  flushSync();
  expect(session.checkpointsDeleted).toEqual([]);
  button(root, 'Delete checkpoints for good').click();
  await settle();
  expect(session.checkpointsDeleted).toEqual(['a-1']);
});

it('reads a run once, again when its record changes, and goes to Inside without loading the page anew', async () => {
  const session = new FilesSession();
  session.stored = [run('a-1')];
  const read = session.runDetails;
  let count = 0;
  session.runDetails = (runId) => {
    count++;
    return read(runId);
  };
  const { root, playground } = await page(session, '?place=results&view=run&item=a-1');
  for (let i = 0; i < 5; i++) await settle();
  expect(count).toBe(1);
  await playground.stored.rename('a-1', 'Mine');
  await settle();
  await settle();
  expect(count).toBe(2);
  // Were the click left to the browser, this page of tests would be gone.
  root.querySelector<HTMLAnchorElement>('a.inside')!.click();
  flushSync();
  expect([playground.address.place, playground.address.get('run'), playground.address.get('item')]).toEqual([
    'inside',
    'a-1',
    '',
  ]);
});

it('imports: a run of the same id is asked about, a refusal says why and what to do', async () => {
  const session = new FilesSession();
  session.outcome = () => Promise.resolve({ state: 'exists', runId: 'a-1', name: 'Smoke', same: false });
  const { root, playground, text } = await page(session);
  const input = root.querySelector<HTMLInputElement>('input[accept=".zip,.json"]')!;
  const pick = async (): Promise<void> => {
    const transfer = new DataTransfer();
    transfer.items.add(new File(['x'], 'theirs.zip'));
    input.files = transfer.files;
    input.dispatchEvent(new Event('change', { bubbles: true }));
    await settle();
    await settle();
  };
  await pick();
  expect(text()).toContain('Another run of the same id is here');
  session.outcome = () =>
    Promise.resolve({
      state: 'imported',
      runId: 'a-1-2',
      name: 'Smoke',
      leftOut: 3,
      notes: ['no adapters'],
    });
  button(root, 'Import beside it, under a new id').click();
  await settle();
  await settle();
  expect(session.imported.map(({ existing, source }) => `${existing} ${source.kind}`)).toEqual(['ask zip', 'copy zip']);
  for (const words of ['3 files left out', 'no adapters']) expect(text()).toContain(words);
  session.outcome = () => Promise.reject(new PupilError('format', 'theirs.zip: two overlap', 'Unpack it.'));
  await pick();
  for (const words of ['Not imported; nothing was stored', 'two overlap', 'Unpack it.'])
    expect(text()).toContain(words);
  expect(playground.stored.runs).toEqual([]);
});
