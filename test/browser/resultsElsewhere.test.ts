// resultsElsewhere.test.ts: a run that was made on another machine, on its page in Results: what it needs is named, given as a folder,
// and then resumed and exported with the files under the experiment's own names; without them nothing is begun.
import { flushSync } from 'svelte';
import { afterEach, expect, it } from 'vitest';
import ResultsPlace from '../../src/app/places/ResultsPlace.svelte';
import { preset } from '../../src/config/presets';
import type { ExportRunRequest, FileRoot, StoredRun } from '../../src/session/protocol';
import { button, FakeSession, removePages, settle, show } from './fakePage';

afterEach(removePages);

const smoke = preset('smoke');
const experiment = {
  ...smoke,
  student: { ...smoke.student, source: { kind: 'directory', path: '/models/tiny' } },
  tasks: [{ ...smoke.tasks[0]!, files: { train: ['/data/train.jsonl'], test: ['/data/test.jsonl'] } }],
  demonstrations: [{ ...smoke.demonstrations[0]!, files: ['/data/train.jsonl'] }],
  evaluation: { ...smoke.evaluation, probing: false },
};
const RUN: StoredRun = {
  runId: 'far-1',
  name: 'Far',
  state: 'stopped',
  phase: 'instruct',
  step: 4,
  updatedAt: '2026-01-02T03:04:05Z',
  sizeBytes: 2048,
  imported: { from: 'far.zip', at: '2026-01-03T00:00:00Z' },
};

class FarSession extends FakeSession {
  override stored = [RUN];
  override artefacts = { 'report.json': new TextEncoder().encode(JSON.stringify({ experiment })) };
  override listArtefacts = () => Promise.resolve(Object.keys(this.artefacts));
  exported: ExportRunRequest[] = [];
  exportRun = (request: ExportRunRequest) => {
    this.exported.push(request);
    return Promise.resolve({ fileName: 'a.gguf', blob: new Blob(['x']), notes: [] });
  };
}

/** The names below each mounted folder. */
function mounts(files: FileRoot): Record<string, string[]> {
  if (files.kind !== 'mounted') return {};
  const own = files.root.kind === 'blobs' ? Object.keys(files.root.files) : [files.root.kind];
  return { ...mounts(files.rest), [files.at]: own };
}

it('names what it needs, takes a folder for it, and goes on with the files under its own names', async () => {
  const session = new FarSession();
  session.details = {
    experiment,
    adapters: ['instruct'],
    checkpointBytes: 2048,
    checkpoints: [{ sequence: 3, sizeBytes: 2048 }],
  };
  const { root, playground, text } = show(session, '?place=results&view=run&item=far-1', {}, ResultsPlace);
  await playground.open();
  flushSync();
  await settle();
  const panel = (): string => root.querySelector<HTMLElement>('[aria-labelledby="elsewhere-title"]')!.innerText;
  for (const words of ['/models/tiny', '/data/train.jsonl', '/data/test.jsonl']) expect(panel()).toContain(words);
  expect(panel()).toContain('Without its student');

  button(root, 'Resume').click();
  await settle();
  expect(session.request).toBeUndefined();
  expect(text()).toContain('run far-1: expected the files it was made from, not found here');
  button(root, 'Save adapter instruct: merged, GGUF').click();
  await settle();
  expect(session.exported).toEqual([]);
  expect(text()).toContain('expected its student, not found here');

  const files = (...paths: string[]) => paths.map((path) => ({ path, blob: new Blob([path]) }));
  await playground.places.give('far-1', Promise.resolve({ name: 'tiny', files: files('config.json') }));
  flushSync();
  expect(panel()).toContain('The student is here: it can be asked and measured. 2 files');
  button(root, 'Save adapter instruct: merged, GGUF').click();
  await settle();
  const [what] = session.exported.map((request) => request.what as { files: FileRoot });
  expect(mounts(what!.files)).toEqual({ '/models/tiny': ['config.json'] });

  // A resume reads questions and demonstrations as well.
  button(root, 'Resume').click();
  await settle();
  expect(session.request).toBeUndefined();
  expect(playground.notice?.message).toMatch(/not found here:\n\/data\/train\.jsonl\n\/data\/test\.jsonl$/);

  const more = files('data/train.jsonl', 'data/test.jsonl');
  await playground.places.give('far-1', Promise.resolve({ name: 'data', files: more }));
  flushSync();
  expect(panel()).toContain('All are here until the page is closed');
  button(root, 'Resume').click();
  await settle();
  expect(session.request).toMatchObject({ runId: 'far-1', resume: true, experiment: { name: 'Smoke' } });
  expect(mounts(session.request!.files)).toEqual({
    '/models/tiny': expect.arrayContaining(['config.json']) as string[],
    '/data': ['train.jsonl', 'test.jsonl'],
  });
});

it('is silent where the page has all of it', async () => {
  const session = new FarSession();
  const here = {
    ...smoke,
    student: { ...experiment.student, source: { kind: 'directory', path: '/x/students/lesson' } },
  };
  session.details = { experiment: here };
  const { root, playground } = show(session, '?place=results&view=run&item=far-1', {}, ResultsPlace);
  await playground.open();
  flushSync();
  await settle();
  expect(root.querySelector('[aria-labelledby="run-results-title"]')).not.toBeNull();
  expect(root.querySelector('[aria-labelledby="elsewhere-title"]')).toBeNull();
});
