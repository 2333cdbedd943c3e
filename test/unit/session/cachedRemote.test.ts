// cachedRemote.test.ts: a student that lies behind a network: cached unasked, found again without a request, without a token,
// and never mixed up with what its source holds by then.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { PupilError } from '../../../src/base/errors';
import type { Experiment } from '../../../src/config/experiment';
import { loadStudentWeights, openStudent } from '../../../src/session/load';
import { RemoteFiles } from '../../../src/session/remoteFiles';
import { openFileRoot } from '../../../src/sources/fileRoot';
import { MemoryCachePlace } from '../../../src/storage/cacheMemory';
import { StudentCache } from '../../../src/storage/studentCache';
import {
  acquire,
  experimentWith,
  FILES,
  gpu,
  keysIn,
  load,
  logitsOf,
  onlyEntry,
  otherWeights,
  release,
  ROOT,
} from './cachedLoads';

beforeAll(acquire);
afterEach(release);

describe('a student behind a network', () => {
  let server: Server;
  let base: string;
  let requests: string[] = [];
  let served: Record<string, Uint8Array> = FILES;
  beforeAll(async () => {
    server = createServer((request, response) => {
      requests.push(request.url ?? '');
      const bytes = served[`student/${(request.url ?? '').replace(/^\/m\//, '')}`];
      if (bytes === undefined) return void response.writeHead(404).end();
      const [, from = '0', to = ''] = /bytes=(\d+)-(\d*)/.exec(request.headers.range ?? '') ?? [];
      const end = Math.min(bytes.length - 1, to === '' ? Infinity : Number(to));
      const headers = {
        'content-range': `bytes ${from}-${end}/${bytes.length}`,
        etag: bytes === FILES['student/model.safetensors'] ? '"one"' : '"two"',
      };
      response.writeHead(206, headers).end(bytes.subarray(Number(from), end + 1));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/m`;
  });
  afterAll(() => server.close());
  afterEach(() => {
    served = FILES;
    requests = [];
  });

  const remote = (query = ''): Experiment => experimentWith('nf4-double', { kind: 'url', url: base + query });

  it('is cached unasked, and the second time the network is not asked once', async () => {
    const place = new MemoryCachePlace();
    const first = await load(place, remote(), ROOT, undefined);
    expect(requests.length).toBeGreaterThan(10);
    // The tokenizer's files come once, for the tokenizer and the cache together.
    expect(requests.filter((url) => url.endsWith('tokenizer_config.json')).length).toBeLessThanOrEqual(2);
    requests = [];
    const second = await load(place, remote(), ROOT, undefined);
    expect(requests).toEqual([]);
    expect([...second.tasks]).toEqual(['Loading student from the cache']);
    expect(second.opened.report).toEqual(first.opened.report);
    expect(await logitsOf(second.student)).toEqual(await logitsOf(first.student));
  });

  it('leaves no token in the cache', async () => {
    const place = new MemoryCachePlace();
    const loaded = await load(place, remote('/?token=sesame#part'), ROOT, undefined);
    for (const files of place.entries.values()) {
      for (const bytes of files.values()) expect(new TextDecoder().decode(bytes)).not.toContain('sesame');
    }
    expect(loaded.log).not.toContain('sesame');
    expect((await new StudentCache(place).list())[0]!.source).toBe(`${base}/`);
  });

  it('that was fetched anew takes the place of the one before, and is the one found from then on', async () => {
    const place = new MemoryCachePlace();
    await load(place, remote(), ROOT, undefined);
    const [key] = keysIn(place);
    served = { ...FILES, 'student/model.safetensors': otherWeights() };
    const fresh = await load(place, remote(), ROOT, 'refresh');
    expect(keysIn(place)).toHaveLength(1);
    expect(keysIn(place)[0]).not.toBe(key);
    const second = await load(place, remote(), ROOT, undefined);
    expect(second.opened.report.fingerprint).toBe(fresh.opened.report.fingerprint);
    expect([...second.tasks]).toEqual(['Loading student from the cache']);
  });

  it('whose entry is damaged while its source has changed is not mixed up', async () => {
    const place = new MemoryCachePlace();
    await load(place, remote(), ROOT, undefined);
    const opened = await openStudent(remote(), new RemoteFiles().beside(openFileRoot(ROOT)), {
      cache: new StudentCache(place),
      use: undefined,
      root: ROOT,
    });
    const weights = (await onlyEntry(place)).get('model.safetensors')!;
    weights[weights.length - 1]! ^= 1;
    served = { ...FILES, 'student/model.safetensors': otherWeights() };
    const loading = loadStudentWeights(gpu, remote(), opened, () => undefined, new AbortController().signal);
    const outcome = await loading.then(
      () => 'loaded',
      (error: unknown) => (error as PupilError).code,
    );
    expect(outcome).toBe('checkpoint');
    const again = await load(place, remote(), ROOT, undefined);
    expect(again.opened.report.fingerprint).not.toBe(opened.report.fingerprint);
  });
});
