// artefactStore.test.ts: both stores, the folder and the bucket, keep the same promises: whole files or none, wrong bytes are
// never handed out; and snapshots on them: one worker's state at a time, whoever dies when.
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { contentOf, type ArtefactStore } from '../../src/cli/full/artefactStore';
import { FolderStore } from '../../src/cli/full/folderStore';
import { openStore } from '../../src/cli/full/openStore';
import { S3Store } from '../../src/cli/full/s3Store';
import { ClaimedFolder, fetchFiles, newestSnapshot } from '../../src/cli/full/snapshots';
import { startS3, type S3Server } from '../support/s3Server';

const folder = mkdtempSync(join(tmpdir(), 'pupil-store-'));
let s3: S3Server;
beforeAll(async () => {
  s3 = await startS3('grids');
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'test');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'secret');
});
afterAll(async () => {
  await s3.close();
  rmSync(folder, { recursive: true, force: true });
});

/** So small that large files are none for a test. */
const PART = 2 ** 16;
let count = 0;
const fresh = (): string => join(folder, `${count++}`);

function write(path: string, text: string | Buffer): string {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  return path;
}

const STORES: [string, () => Promise<ArtefactStore>][] = [
  ['a folder', () => FolderStore.open(fresh())],
  ['a bucket', () => S3Store.open(`s3://grids/lab-${count++}`, { endpoint: s3.endpoint, partBytes: PART })],
];

describe.each(STORES)('%s', (_name, open) => {
  let store: ArtefactStore;
  beforeEach(async () => {
    store = await open();
  });
  afterEach(() => {
    store.close();
    s3.faults.length = 0;
  });

  it('gives back what it was given, of any size, and names what it has', async () => {
    for (const size of [0, 1, 2 * PART + 3]) {
      const file = write(fresh(), Buffer.alloc(size, 7));
      const content = await contentOf(file);
      await store.putFile(`runs/a/files/${content.sha256}`, file, content);
      expect(await store.sizeOf(`runs/a/files/${content.sha256}`)).toBe(size);
      const back = fresh();
      await store.getFile(`runs/a/files/${content.sha256}`, back, content);
      expect(await contentOf(back)).toEqual(content);
      expect(existsSync(`${back}.part`)).toBe(false);
    }
    for (const name of ['b/1.json', 'b/2.json', 'b/c/3.json', 'b/4.json', 'bb/5.json']) await store.putText(name, name);
    expect(await store.list('b')).toEqual(['b/1.json', 'b/2.json', 'b/4.json', 'b/c/3.json']);
    await store.remove(['b/1.json', 'b/none.json']);
    expect(await store.getText('b/1.json')).toBeUndefined();
    expect(await store.getText('b/c/3.json')).toBe('b/c/3.json');
    expect(await store.sizeOf('b/none')).toBeUndefined();
    expect(s3.uploads.size).toBe(0);
  });

  it('takes no file that has changed since its hash was taken, small or large', async () => {
    for (const size of [10, 2 * PART]) {
      const file = write(fresh(), Buffer.alloc(size));
      const content = await contentOf(file);
      appendFileSync(file, 'more');
      await expect(store.putFile('changed', file, content)).rejects.toThrow(/expected \d+ bytes/);
      expect(await store.sizeOf('changed')).toBeUndefined();
    }
    expect(s3.uploads.size).toBe(0);
  });

  it('refuses names that lead elsewhere', async () => {
    for (const name of ['../x', 'a/../../x', '/x', 'a//b', '.hidden', '']) {
      await expect(store.putText(name, 'x')).rejects.toThrow(/expected a name/);
    }
  });

  it('hands out no wrong bytes', async () => {
    const file = write(fresh(), 'right');
    const content = await contentOf(file);
    await store.putText('wrong', 'wrong');
    await expect(store.getFile('wrong', fresh(), content)).rejects.toMatchObject({ code: 'storage' });
    await expect(store.getFile('none', fresh(), content)).rejects.toMatchObject({ code: 'storage' });
  }, 30_000);

  it('keeps one state of a run: the newest worker’s, whatever the older one still writes', async () => {
    const [one, two] = [fresh(), fresh()];
    const first = await ClaimedFolder.claim(store, 'runs/r', one, 'job');
    write(join(one, 'metrics.jsonl'), 'step 1');
    write(join(one, 'checkpoints', 'part-0.bin'), 'parts of 1');
    write(join(one, '.profile', 'cache'), 'not for others');
    await first.save('running');
    write(join(one, 'checkpoints', 'part-0.bin'), 'parts of 2');
    await first.save('running');
    const second = await ClaimedFolder.claim(store, 'runs/r', two, 'job');
    expect(second.fetched).toBe(true);
    expect(readFileSync(join(two, 'checkpoints', 'part-0.bin'), 'utf8')).toBe('parts of 2');
    expect(existsSync(join(two, '.profile'))).toBe(false);
    write(join(one, 'checkpoints', 'part-0.bin'), 'parts of 3');
    await expect(first.save('finished')).rejects.toMatchObject({ name: 'ClaimLost' });
    await second.save('finished', { outcome: 1 });
    const newest = await newestSnapshot(store, 'runs/r');
    expect(newest).toMatchObject({ state: 'finished', number: 2, outcome: 1 });
    expect(await store.list('runs/r/manifests')).toHaveLength(1);
    const hashes = newest!.files.map(({ sha256 }) => `runs/r/files/${sha256}`).sort();
    expect(await store.list('runs/r/files')).toEqual(hashes); // nothing is left of what was before
    await expect(ClaimedFolder.claim(store, 'runs/r', fresh(), 'another job')).rejects.toMatchObject({ code: 'queue' });
  });

  it('goes on from what a killed process of this machine left where nobody has begun since', async () => {
    const here = fresh();
    const first = await ClaimedFolder.claim(store, 'runs/k', here, 'job');
    await first.save('running');
    write(join(here, 'metrics.jsonl'), 'not stored yet');
    const again = await ClaimedFolder.claim(store, 'runs/k', here, 'job');
    expect(again.fetched).toBe(false);
    expect(readFileSync(join(here, 'metrics.jsonl'), 'utf8')).toBe('not stored yet');
    await (await ClaimedFolder.claim(store, 'runs/k', fresh(), 'job')).save('running');
    const late = await ClaimedFolder.claim(store, 'runs/k', here, 'job');
    expect(late.fetched).toBe(true);
    expect(existsSync(join(here, 'metrics.jsonl'))).toBe(false);
  });
});

describe('a bucket in trouble', () => {
  const open = (): Promise<S3Store> => S3Store.open('s3://grids/trouble', { endpoint: s3.endpoint, partBytes: PART });

  it('is asked again after errors, cut connections and wrong bytes', async () => {
    const store = await open();
    const small = write(fresh(), 'a checkpoint');
    const large = write(fresh(), Buffer.alloc(2 * PART, 3));
    for (const file of [small, large]) {
      const content = await contentOf(file);
      const name = `files/${content.sha256}`;
      const key = content.sha256;
      s3.faults.push({ method: 'PUT', key, how: '500' }, { method: 'PUT', key, how: 'cut' });
      await store.putFile(name, file, content);
      s3.faults.push({ method: 'GET', key, how: 'cut' }, { method: 'GET', key, how: 'wrong bytes' });
      const back = fresh();
      await store.getFile(name, back, content);
      expect(await contentOf(back)).toEqual(content);
      expect(s3.faults).toEqual([]);
    }
    store.close();
  }, 60_000);

  it('shows no part of a file whose upload ends in the middle', async () => {
    const store = await open();
    const file = write(fresh(), Buffer.alloc(3 * PART));
    const content = await contentOf(file);
    for (let i = 0; i < 6; i++) s3.faults.push({ method: 'PUT', key: 'half', how: '500' });
    await expect(store.putFile('half', file, content)).rejects.toMatchObject({ code: 'storage' });
    expect(await store.sizeOf('half')).toBeUndefined();
    expect(s3.uploads.size).toBe(0);
    store.close();
  }, 60_000);

  it('is tried before it is written to: the right that is missing, or a list that comes too late, is told', async () => {
    const writing = (): Promise<S3Store> =>
      S3Store.open('s3://grids/tried', { endpoint: s3.endpoint, partBytes: PART, writes: true });
    s3.faults.push({ method: 'PUT', key: 'trial-', how: '403' });
    await expect(writing()).rejects.toThrow(/expected to write in s3:\/\/grids\/tried\/: AccessDenied/);
    s3.faults.push({ method: 'GET', key: 'trial-', how: 'unlisted' });
    await expect(writing()).rejects.toThrow(/expected to find what was just written/);
    s3.faults.push({ method: 'POST', key: '', how: '403' });
    await expect(writing()).rejects.toMatchObject({ hint: expect.stringContaining('s3:DeleteObject') as string });
    s3.objects.clear();
    (await writing()).close();
    expect(s3.objects.size).toBe(0); // nothing of the trial stays
  });

  it('says what is wrong with an address', async () => {
    await expect(S3Store.open('s3://missing', { endpoint: s3.endpoint })).rejects.toThrow(
      /expected the bucket missing/,
    );
    await expect(openStore({ store: 's3://Bad_Bucket' })).rejects.toThrow(/expected s3:\/\/bucket/);
    await expect(openStore({ store: 'gs://bucket' })).rejects.toThrow(/expected a folder or s3/);
    await expect(openStore({})).rejects.toMatchObject({ code: 'usage' });
  });
});

it('a snapshot of a folder whose run goes on is of one checkpoint', async () => {
  const store = await FolderStore.open(fresh());
  const here = fresh();
  const claimed = await ClaimedFolder.claim(store, 'runs/live', here, 'job');
  mkdirSync(join(here, 'checkpoints'));
  const set = (n: number): void => {
    for (const name of ['part-0.bin', 'commit-0.json']) {
      renameSync(write(join(here, 'new'), `${n}`), join(here, 'checkpoints', name)); // as checkpoints are written
    }
  };
  set(1);
  const put = store.putFile.bind(store);
  let writes = 0;
  vi.spyOn(store, 'putFile').mockImplementation(async (...args) => {
    await put(...args);
    if (++writes === 1) set(2); // between the first file and the second
  });
  await claimed.save('running');
  const back = fresh();
  await fetchFiles(store, 'runs/live', (await newestSnapshot(store, 'runs/live'))!.files, back);
  const texts = readdirSync(join(back, 'checkpoints')).map((name) =>
    readFileSync(join(back, 'checkpoints', name), 'utf8'),
  );
  expect(texts).toEqual(['1', '1']);
  await claimed.save('finished');
  const { files } = (await newestSnapshot(store, 'runs/live'))!;
  expect(new Set(files.map(({ sha256 }) => sha256)).size).toBe(1); // both of the second
});
