// s3Server.test.ts: the S3 store against a server that is not of these tests: MinIO, Ceph, Swift, Amazon. It is named by
// PUPIL_TEST_S3 (its address) and PUPIL_TEST_S3_BUCKET (an empty bucket that is there); keys as the SDK finds them. What is
// wrong with a server, and which of its features the store needs, is docs/queue.md.
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { existsSync, mkdtempSync, openSync, closeSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateBucketCommand, ListMultipartUploadsCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { contentOf, type Content } from '../../src/cli/full/artefactStore';
import { S3Store } from '../../src/cli/full/s3Store';
import { ClaimedFolder, newestSnapshot } from '../../src/cli/full/snapshots';
import { startCutProxy, type CutProxy } from '../support/cutProxy';

const endpoint = process.env['PUPIL_TEST_S3'];
const bucket = process.env['PUPIL_TEST_S3_BUCKET'] ?? 'pupil-test';
const MIB = 2 ** 20;

describe.skipIf(endpoint === undefined)('an S3 server (needs PUPIL_TEST_S3)', { timeout: 600_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'pupil-s3-'));
  const prefix = `test-${randomUUID().slice(0, 8)}`;
  let client: S3Client;
  let store: S3Store;
  let proxy: CutProxy;
  let count = 0;
  const fresh = (): string => join(folder, `${count++}`);
  const open = (at = endpoint!, where = bucket, more = {}): Promise<S3Store> =>
    S3Store.open(`s3://${where}/${prefix}`, { endpoint: at, writes: true, ...more });

  beforeAll(async () => {
    client = new S3Client({
      endpoint: endpoint!,
      region: process.env['AWS_REGION'] ?? 'us-east-1',
      forcePathStyle: true,
    });
    await client.send(new CreateBucketCommand({ Bucket: bucket })).catch(() => undefined); // it is there
    store = await open();
    proxy = await startCutProxy(endpoint!);
  });
  afterAll(async () => {
    await store.remove((await store.list('files')).concat(await store.list('many'), await store.list('runs')));
    store.close();
    client.destroy();
    await proxy.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** A file of random bytes. */
  async function file(sizeBytes: number): Promise<{ path: string; content: Content; name: string }> {
    const path = fresh();
    const handle = openSync(path, 'w');
    for (let left = sizeBytes; left > 0; left -= 4 * MIB) writeSync(handle, randomBytes(Math.min(left, 4 * MIB)));
    closeSync(handle);
    const content = await contentOf(path);
    return { path, content, name: `files/${content.sha256}` };
  }

  async function isBack(from: S3Store, name: string, content: Content): Promise<void> {
    const back = fresh();
    await from.getFile(name, back, content);
    expect(await contentOf(back)).toEqual(content);
    rmSync(back);
  }

  const uploads = async (): Promise<number> =>
    ((await client.send(new ListMultipartUploadsCommand({ Bucket: bucket, Prefix: prefix }))).Uploads ?? []).length;

  it('gives back files of 0 bytes, of one, of a part exactly, and of 200 MB in parts', async () => {
    for (const size of [0, 1, 16 * MIB, 200e6]) {
      const { path, content, name } = await file(size);
      await store.putFile(name, path, content);
      expect(await store.sizeOf(name)).toBe(size);
      await isBack(store, name, content);
      await store.putFile(name, path, content); // in its own place
      await isBack(store, name, content);
    }
    expect(await uploads()).toBe(0);
  });

  it('lists what was written at once, over more than one page, and no longer what was removed', async () => {
    const names = Array.from({ length: 1003 }, (_, i) => `many/${String(i).padStart(5, '0')}.json`);
    for (let from = 0; from < names.length; from += 40) {
      await Promise.all(names.slice(from, from + 40).map((name) => store.putText(name, name)));
    }
    await store.putText('many-others/x.json', 'x');
    expect(await store.list('many')).toEqual(names);
    expect(await store.getText(names[1002]!)).toBe(names[1002]);
    await store.putText(names[0]!, 'anew');
    expect(await store.getText(names[0]!)).toBe('anew');
    await store.remove([...names.slice(1), 'many/none.json', 'many-others/x.json']);
    expect(await store.list('many')).toEqual([names[0]]);
    expect(await store.list('many-others')).toEqual([]);
    expect(await store.getText(names[1]!)).toBeUndefined();
    expect(await store.sizeOf(names[1]!)).toBeUndefined();
  });

  it('carries claims and snapshots', async () => {
    const [one, two] = [fresh(), fresh()];
    const first = await ClaimedFolder.claim(store, 'runs/r', one, 'job');
    writeFileSync(join(one, 'metrics.jsonl'), 'step 1');
    await first.save('running');
    const second = await ClaimedFolder.claim(store, 'runs/r', two, 'job');
    expect(existsSync(join(two, 'metrics.jsonl'))).toBe(true);
    await expect(first.save('running')).rejects.toMatchObject({ name: 'ClaimLost' });
    await second.save('finished');
    expect(await newestSnapshot(store, 'runs/r')).toMatchObject({ state: 'finished', number: 2 });
    expect(await store.list('runs/r/manifests')).toHaveLength(1);
  });

  it('brings files whole over connections that are cut in the middle, up and down', async () => {
    const cut = await open(proxy.url);
    const small = await file(5 * MIB);
    const large = await file(40 * MIB);
    for (const { path, content, name } of [small, large]) {
      proxy.cuts.push({ way: 'up', afterBytes: MIB }, { way: 'up', afterBytes: 3 * MIB });
      await cut.putFile(name, path, content);
      proxy.cuts.push({ way: 'down', afterBytes: MIB }, { way: 'down', afterBytes: 3 * MIB });
      await isBack(cut, name, content);
      expect(proxy.cuts).toEqual([]);
    }
    expect(await uploads()).toBe(0);
    cut.close();
  });

  it('leaves neither a file nor parts where an upload fails for good', async () => {
    const { path, content, name } = await file(40 * MIB);
    const wrong = { ...content, sha256: createHash('sha256').update('another').digest('hex') };
    await expect(store.putFile(name, path, wrong)).rejects.toMatchObject({ name: 'ContentChanged' });
    expect(await store.sizeOf(name)).toBeUndefined();
    expect(await uploads()).toBe(0);
    await expect(store.getFile('files/none', fresh(), content)).rejects.toMatchObject({ code: 'storage' });
  });

  it('says what is wrong: no such bucket, another key, another secret, another region, nobody there', async () => {
    const told: Record<string, string> = {};
    const tried = async (what: string, opened: Promise<S3Store>): Promise<void> => {
      await opened.then(
        (one) => {
          told[what] = 'opened';
          one.close();
        },
        (error: Error & { hint?: string }) => (told[what] = `${error.message} | ${error.hint}`),
      );
    };
    await tried('bucket', open(endpoint, 'no-such-bucket-here'));
    await tried('region', open(endpoint, bucket, { region: 'eu-north-7' }));
    await tried('nobody', open('http://127.0.0.1:9'));
    const keys = { id: process.env['AWS_ACCESS_KEY_ID']!, secret: process.env['AWS_SECRET_ACCESS_KEY']! };
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'wrong');
    await tried('secret', open());
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', keys.secret);
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'nobody');
    await tried('key', open());
    vi.unstubAllEnvs();
    expect(told['bucket']).toMatch(/expected the bucket no-such-bucket-here.*(NoSuchBucket|AccessDenied)/);
    expect(told['nobody']).toMatch(/ECONNREFUSED/);
    for (const what of ['secret', 'key']) {
      expect(told[what], what).toMatch(/(SignatureDoesNotMatch|InvalidAccessKeyId|AccessDenied).*AWS_ACCESS_KEY_ID/);
    }
    expect(told['region']).toMatch(/^opened$|--s3-region/); // some take any
  });
});
