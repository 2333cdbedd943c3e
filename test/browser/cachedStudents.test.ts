// cachedStudents.test.ts: packed students in the browser's real OPFS, in workers that are ended in the middle, side by side
// and after damage; through the session as the page holds it; and the panel that lists them.
import { wrap, type Remote } from 'comlink';
import { flushSync } from 'svelte';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createSessionClient } from '../../src/app/client';
import { resolvePaths } from '../../src/config/paths';
import { preset } from '../../src/config/presets';
import type { AskAnswer, AskRequest, CachedStudent } from '../../src/session/protocol';
import { OpfsCachePlace } from '../../src/storage/cacheOpfs';
import type { CacheWorker } from './cacheWorker';
import { button, FakeSession, removePages, settle, show } from './fakePage';

const KEY = '0123456789abcdef0123456789abcdef';
const COUNT = 9 * 2 ** 20 + 3; // two pieces

let folders: string[] = [];
let workers: Worker[] = [];

function startWorker(folder: string): { remote: Remote<CacheWorker>; end: () => void } {
  const worker = new Worker(new URL('./cacheWorker.ts', import.meta.url), { type: 'module' });
  workers.push(worker);
  const remote = wrap<CacheWorker>(worker);
  void remote.use(folder);
  return { remote, end: () => worker.terminate() };
}

function freshFolder(): string {
  const name = `pupil-test-${crypto.randomUUID()}`;
  folders.push(name);
  return name;
}

async function removeFolder(name: string): Promise<void> {
  const root = await navigator.storage.getDirectory();
  await expect
    .poll(() =>
      root.removeEntry(name, { recursive: true }).then(
        () => 'gone',
        (error: DOMException) => error.name,
      ),
    )
    .toMatch(/gone|NotFoundError/);
}

afterEach(async () => {
  for (const worker of workers) worker.terminate();
  workers = [];
  for (const name of folders) await removeFolder(name);
  folders = [];
  removePages();
});

/** Flips a bit of a stored file, from the page. */
async function flip(folder: string, key: string, path: string, at: number): Promise<void> {
  const root = await navigator.storage.getDirectory();
  const file = await (await (await root.getDirectoryHandle(folder)).getDirectoryHandle(key)).getFileHandle(path);
  const byte = new Uint8Array(await (await file.getFile()).slice(at, at + 1).arrayBuffer());
  const stream = await file.createWritable({ keepExistingData: true });
  await stream.write({ type: 'write', position: at, data: new Uint8Array([byte[0]! ^ 1]) });
  await stream.close();
}

describe('students in OPFS', () => {
  it('are written in pieces and read again, by another worker too, and verified', async () => {
    const folder = freshFolder();
    const one = startWorker(folder);
    expect(await one.remote.fill(KEY, COUNT)).toBe(true);
    expect(await one.remote.list()).toEqual([]);
    await one.remote.commit();
    const two = startWorker(folder);
    expect(await two.remote.read(KEY, COUNT)).toBe(true);
    expect(await two.remote.verify(KEY)).toMatchObject({ problems: [], pieces: 4 });
    expect(await two.remote.list()).toMatchObject([{ key: KEY, sizeBytes: COUNT + 3 }]);
    await flip(folder, KEY, 'model.safetensors', 2 ** 23 + 100);
    expect(await one.remote.read(KEY, COUNT)).toBe('storage');
    expect((await one.remote.verify(KEY)) as object).toMatchObject({
      problems: [expect.stringMatching(/^model.safetensors: "w": bytes 8388618\.\.\d+: checksum differs/) as string],
    });
  });

  it('of a tab that was closed while it wrote are gone after the next start; one that writes is left alone', async () => {
    const folder = freshFolder();
    const one = startWorker(folder);
    await one.remote.fill(KEY, COUNT);
    const two = startWorker(folder);
    expect(await two.remote.fill(KEY, COUNT)).toBe(false); // the second says so
    expect(await two.remote.sweep()).toEqual([]);
    one.end(); // a closed tab gives its locks and handles back
    const place = new OpfsCachePlace(folder);
    await expect
      .poll(async () => {
        const release = await place.lock(KEY, 'exclusive');
        release?.();
        return release !== undefined;
      })
      .toBe(true);
    const three = startWorker(folder);
    expect(await three.remote.sweep()).toEqual([KEY]);
    expect(await place.list()).toEqual([]);
    expect(await three.remote.fill(KEY, COUNT)).toBe(true);
    await three.remote.commit();
    expect(await three.remote.read(KEY, COUNT)).toBe(true);
  });

  it('can be read in two tabs at once, and not deleted meanwhile', async () => {
    const folder = freshFolder();
    const [one, two] = [startWorker(folder), startWorker(folder)];
    await one.remote.fill(KEY, COUNT);
    await one.remote.commit();
    await one.remote.startReading(KEY);
    expect(await two.remote.read(KEY, COUNT)).toBe(true);
    expect(await two.remote.remove(KEY)).toBe('usage');
    await one.remote.stopReading();
    expect(await two.remote.remove(KEY)).toBe('deleted');
    expect(await one.remote.read(KEY, COUNT)).toBe('storage');
    expect(await one.remote.list()).toEqual([]);
  });

  it('that do not fit are told as a full storage, whatever the browser does', async () => {
    const failing = (truncate: () => void, write: () => number): Pick<StorageManager, 'getDirectory'> => {
      const handle = { truncate, write, flush: () => undefined, close: () => undefined };
      const file = { createSyncAccessHandle: () => Promise.resolve(handle) };
      const folder = {
        getDirectoryHandle: () => Promise.resolve(folder),
        getFileHandle: () => Promise.resolve(file),
      };
      return { getDirectory: () => Promise.resolve(folder) } as never;
    };
    const full = (): never => {
      throw new DOMException('no room', 'QuotaExceededError');
    };
    const nothing = (): void => undefined;
    const refused = new OpfsCachePlace(
      'x',
      failing(full, () => 4),
    ).create(KEY, 'a', 4);
    await expect(refused).rejects.toMatchObject({ code: 'storage-full' });
    for (const write of [full, () => 3]) {
      const file = await new OpfsCachePlace('x', failing(nothing, write)).create(KEY, 'a', 4);
      await expect(file.write(0, new Uint8Array(4))).rejects.toMatchObject({ code: 'storage-full' });
    }
  });
});

describe('the session in its worker', () => {
  const experiment = resolvePaths(preset('smoke'), { base: 'experiments' });
  const files = { kind: 'http', base: `${location.origin}/` } as const;
  let request: AskRequest;
  let clean: CachedStudent[];

  /** One question to a session of its own: nothing is remembered but what is stored. */
  async function askOnce(): Promise<{ answer: AskAnswer; cached: CachedStudent[] }> {
    const client = createSessionClient();
    try {
      await client.open({ tier: 'f32' });
      const answer = await client.ask(request);
      return { answer, cached: await client.cachedStudents() };
    } finally {
      client.terminate();
    }
  }
  const withClient = async <T>(work: (client: ReturnType<typeof createSessionClient>) => Promise<T>): Promise<T> => {
    const client = createSessionClient();
    try {
      return await work(client);
    } finally {
      client.terminate();
    }
  };

  beforeAll(async () => {
    await withClient(async (client) => {
      const { examples } = await client.exampleQuestions({ experiment, files });
      const { question, options } = examples[0]!;
      const asked = { question, prompt: 'cot' as const, system: 'Baseline' as const, cache: 'on' as const };
      request = { experiment, files, ...asked, ...(options.length === 0 ? {} : { options }) };
      clean = await client.cachedStudents();
      for (const { key } of clean) await client.deleteCachedStudent(key);
    });
  });
  afterAll(async () => {
    await withClient(async (client) => {
      for (const { key } of await client.cachedStudents()) await client.deleteCachedStudent(key);
    });
  });

  it('packs a student into OPFS, answers the same from there, heals damage, and deletes it', async () => {
    const first = await askOnce();
    expect(first.cached).toHaveLength(1);
    const { key, usedAt, madeAt } = first.cached[0]!;
    expect(usedAt).toBeUndefined();
    const second = await askOnce();
    expect(second.answer).toEqual(first.answer);
    expect(second.cached).toMatchObject([{ key, madeAt, usedAt: expect.any(String) as string }]);
    await flip('pupil-students', key, 'model.safetensors', first.cached[0]!.sizeBytes >> 1);
    await withClient(async (client) => {
      expect((await client.verifyCachedStudent(key)).problems).toHaveLength(1);
    });
    const healed = await askOnce();
    expect(healed.answer).toEqual(first.answer);
    expect(healed.cached[0]!.madeAt! > madeAt!).toBe(true);
    await withClient(async (client) => {
      expect((await client.verifyCachedStudent(key)).problems).toEqual([]);
      await client.deleteCachedStudent(key);
      expect(await client.cachedStudents()).toEqual([]);
      await expect(client.deleteCachedStudent(key)).rejects.toMatchObject({ code: 'storage' });
    });
  });
});

const STUDENT: CachedStudent = {
  key: KEY,
  source: 'https://example.org/m/',
  settings: { quantize: 'nf4-double', blockSize: 64, nestedBlockSize: 256 },
  sizeBytes: 300 * 2 ** 20,
  madeAt: '2026-01-02T03:04:05Z',
};

describe('the panel of cached students', () => {
  it('says what will be there while there is none', async () => {
    const { playground, text } = show(new FakeSession());
    await playground.open();
    flushSync();
    expect(text()).toContain('is kept here as it is packed for the GPU');
  });

  it('lists source, packing and size; verifies; deletes with the second click', async () => {
    const session = new FakeSession();
    session.cached = [STUDENT, { key: 'f'.repeat(32), source: 'unknown', sizeBytes: 5, problem: 'of version 9' }];
    let finish: (problems: string[]) => void = () => undefined;
    session.verify = (key) =>
      new Promise((resolve) => {
        finish = (problems) => resolve({ key, source: STUDENT.source, pieces: 40, sizeBytes: 1, problems });
      });
    const { root, playground, text } = show(session);
    await playground.open();
    flushSync();
    for (const shown of ['https://example.org/m/', 'nf4-double · 300.0 MiB', 'of version 9'])
      expect(text()).toContain(shown);
    const verify = button(root, 'Verify https://example.org/m/ (nf4-double)');
    verify.click();
    flushSync();
    expect(verify.disabled).toBe(true);
    finish([]);
    await settle();
    expect(text()).toContain('40 checksums computed anew, all match');
    button(root, 'Verify https://example.org/m/ (nf4-double)').click();
    finish(['model.safetensors: "x": bytes 0..4: checksum differs']);
    await settle();
    expect(text()).toContain('Damaged.');
    expect(text()).toContain('"x": bytes 0..4');
    expect(button(root, 'Verify unknown (unreadable)').disabled).toBe(true);
    button(root, 'Delete https://example.org/m/ (nf4-double)').click();
    await settle();
    expect(session.cached).toHaveLength(2);
    button(root, 'Delete https://example.org/m/ (nf4-double)').click();
    await settle();
    expect(session.cached.map(({ source }) => source)).toEqual(['unknown']);
    expect(text()).not.toContain('https://example.org/m/');
  });

  it('says why one cannot be deleted', async () => {
    const session = new FakeSession();
    session.cached = [STUDENT];
    session.deleteCachedStudent = () => Promise.reject(new Error('it is in use'));
    const { playground, text } = show(session);
    await playground.open();
    await playground.removeCachedStudent(KEY);
    flushSync();
    expect(text()).toContain('it is in use');
  });
});
