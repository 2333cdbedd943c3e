// A Hub's repository as a file root: one commit, one file, the right bytes, or words that say what to do. Against a local Hub
// that misbehaves on request (test/support/hubServer.ts); the random stories are those of test/support/hubStories.ts.
import { afterEach, describe, expect, it } from 'vitest';
import { openFileRoot } from '../../../src/sources/fileRoot';
import { openHubRoot, type HubOptions, type HubRoot, type OpenHubRoot } from '../../../src/sources/hub';
import { MemoryPieceStore } from '../../../src/storage/pieceStore';
import { COMMIT, startHubServer, type Fault, type HubServer, type HubServerOptions } from '../../support/hubServer';
import { tellHubStories } from '../../support/hubStories';
import { patterned } from '../../support/patterned';

const WEIGHTS = patterned(200_000);
const FILES = {
  'config.json': new TextEncoder().encode('{"hidden_size": 8}'),
  'sub/a b#%.txt': new TextEncoder().encode('odd'),
  'empty.txt': new Uint8Array(0),
  'model.safetensors': WEIGHTS,
};
const TOKEN = 'hf_AbCdEfGhIjKlMnOpQrStUvWxYz';

/** Bytes as a text that tells where they differ: comparing long arrays element by element takes seconds. */
const same = (found: Uint8Array, expected: Uint8Array): void => {
  expect(found.byteLength).toBe(expected.byteLength);
  expect(Buffer.compare(found, expected)).toBe(0);
};

const running: HubServer[] = [];
afterEach(async () => {
  for (const one of running.splice(0)) await one.close();
});

async function serve(options: Partial<HubServerOptions> = {}): Promise<HubServer> {
  const server = await startHubServer({ files: { ...FILES }, ...options });
  running.push(server);
  return server;
}

const open = (server: HubServer, options: HubOptions = {}, root: Partial<HubRoot> = {}): OpenHubRoot =>
  openHubRoot({ repo: server.repo, endpoint: server.endpoint, ...root }, { retryMs: 1, attempts: 3, ...options });

const failure = async (work: () => Promise<unknown>): Promise<{ code: string; fullText: string }> => {
  try {
    await work();
  } catch (error) {
    return error as { code: string; fullText: string };
  }
  throw new Error('expected an error, there was none');
};

for (const followByHand of [true, false]) {
  /** A fetch that knows how many of its requests were under way at once, bodies included, by the origin that was asked. */
  function countingFetch(): { fetch: typeof fetch; most: Map<string, number> } {
    const [most, now] = [new Map<string, number>(), new Map<string, number>()];
    const counting: typeof fetch = async (input, init) => {
      const { origin } = new URL(input as string);
      now.set(origin, (now.get(origin) ?? 0) + 1);
      most.set(origin, Math.max(most.get(origin) ?? 0, now.get(origin)!));
      let ended = false;
      const end = (): void => {
        if (!ended) now.set(origin, now.get(origin)! - 1);
        ended = true;
      };
      const response = await fetch(input, init).catch((error: unknown) => {
        end();
        throw error;
      });
      if (response.body === null) {
        end();
        return response;
      }
      const { status, statusText, headers, url } = response;
      const reader = response.body.getReader();
      const body = new ReadableStream<Uint8Array>({
        pull: async (controller) => {
          const { done, value } = await reader.read();
          if (!done) return controller.enqueue(value);
          end();
          controller.close();
        },
        cancel: async (reason) => {
          end();
          await reader.cancel(reason);
        },
      });
      return Object.defineProperty(new Response(body, { status, statusText, headers }), 'url', { value: url });
    };
    return { fetch: counting, most };
  }

  describe(followByHand ? 'hub root, redirects followed here' : 'hub root, redirects followed by the platform', () => {
    for (const api of ['full', 'no-sizes', 'none'] as const) {
      it(`API ${api}: every file is read, large ones from the CDN, all at one commit`, async () => {
        const server = await serve({ api });
        const root = open(server, { followByHand });
        for (const [path, bytes] of Object.entries(FILES)) same(await root.readBytes(path), bytes);
        expect((await root.open('model.safetensors'))!.size).toBe(WEIGHTS.byteLength);
        expect(await root.open('pytorch_model.bin')).toBeUndefined();
        expect(await root.pinned()).toBe(`hub:${server.repo}@${COMMIT}`);
        const files = server.asked.filter(({ kind }) => kind === 'resolve').slice(api === 'none' ? 1 : 0);
        expect(files.every(({ url }) => url.includes(`/resolve/${COMMIT}/`))).toBe(true);
        expect(server.asked.some(({ server: name }) => name === 'cdn')).toBe(true);
      });
    }

    it('a branch that moves while files are read changes nothing', async () => {
      const server = await serve();
      const root = open(server, { followByHand });
      await root.readBytes('config.json');
      server.options.revisions = { main: 'f'.repeat(40) };
      same(await root.readBytes('model.safetensors'), WEIGHTS);
    });

    it('the token goes to the Hub and never to the CDN', async () => {
      const server = await serve({ token: TOKEN });
      same(await open(server, { followByHand }, { token: TOKEN }).readBytes('model.safetensors'), WEIGHTS);
      expect(server.asked.length).toBeGreaterThan(2);
      for (const one of server.asked) {
        expect(one.authorization).toBe(one.server === 'hub' ? `Bearer ${TOKEN}` : undefined);
      }
    });

    it('a signed address that runs out in the middle is resolved again', async () => {
      const server = await serve({ signatureMs: 60_000 });
      const file = (await open(server, { followByHand, rangeBytes: 50_000 }).open('model.safetensors'))!;
      same(await file.read(0, 1000), WEIGHTS.slice(0, 1000));
      const resolved = (): number => server.asked.filter(({ kind }) => kind === 'resolve').length;
      const before = resolved();
      same(await file.read(0, 200_000), WEIGHTS); // four ranges, the known address
      expect(resolved()).toBe(before);
      let first = true;
      server.fault = ({ kind }) => {
        if (kind !== 'cdn' || !first) return 'ok';
        first = false;
        return 'expired';
      };
      same(await file.read(7, 120_000), WEIGHTS.slice(7, 120_000));
      expect(resolved()).toBeGreaterThan(before);
    });

    it('a body that breaks off goes on at the byte where it stopped', async () => {
      const server = await serve();
      const file = (await open(server, { followByHand }).open('model.safetensors'))!;
      await file.read(0, 10);
      let cuts = 0;
      server.fault = ({ kind }) => (kind === 'cdn' && cuts++ < 2 ? 'cut' : 'ok');
      const from = server.asked.length;
      same(await file.read(0, 200_000), WEIGHTS);
      const ranges = server.asked.slice(from).filter(({ kind }) => kind === 'cdn');
      expect(ranges.map(({ range }) => range)).toEqual([
        'bytes=0-199999',
        'bytes=100000-199999',
        'bytes=150000-199999',
      ]);
    });

    it('a connection that stalls is ended and gone on with', async () => {
      const server = await serve({ stallMs: 60_000 });
      const file = (await open(server, { followByHand, idleMs: 500 }).open('model.safetensors'))!;
      let stalls = 0;
      server.fault = ({ kind }) => (kind === 'cdn' && stalls++ < 1 ? 'stall' : 'ok');
      const start = performance.now();
      same(await file.read(0, 100_000), WEIGHTS.slice(0, 100_000));
      expect(performance.now() - start).toBeLessThan(10_000);
      expect(server.asked.map(({ range }) => range)).toContain('bytes=50000-99999');
    });

    it('stopping ends it at once, whatever the server does', async () => {
      const server = await serve({ stallMs: 60_000, fault: ({ kind }) => (kind === 'cdn' ? 'stall' : 'ok') });
      const stop = new AbortController();
      const file = (await open(server, { followByHand, signal: stop.signal }).open('model.safetensors'))!;
      setTimeout(() => stop.abort(), 50);
      const start = performance.now();
      expect((await failure(() => file.read(0, 100_000))).code).toBe('cancelled');
      expect(performance.now() - start).toBeLessThan(5000);
    });

    it('at most four requests at once, however much is asked for', async () => {
      const server = await serve({ bytesPerSecond: 2_000_000 });
      const counted = countingFetch();
      const options = { followByHand, rangeBytes: 10_000, fetch: counted.fetch };
      const file = (await open(server, options).open('model.safetensors'))!;
      same(await file.read(0, 200_000), WEIGHTS);
      const most = [...counted.most.values()];
      expect(Math.max(...most)).toBeGreaterThan(1);
      expect(Math.max(...most)).toBeLessThanOrEqual(4);
    });

    const LASTING: [Fault, RegExp][] = [
      ['changed-etag', /another one now.*entity tag/],
      ['changed-size', /another one now/],
      ['pointer', /another one now|Git-LFS/],
      ['html', /web page/],
      ['loop', followByHand ? /circle/ : /no connection/],
      ['ftp', followByHand ? /ftp:\/\/, which is not followed/ : /no connection/],
      ['forbidden', /status 403/],
      ['long', /more than the \d+ bytes/],
      ['gzip-part', /compressed/],
      ['other-range', /were asked for/],
      ['endless-header', /no connection/],
    ];
    for (const [fault, words] of LASTING) {
      it(`${fault}: an error that says so, never other bytes`, async () => {
        const server = await serve();
        const file = (await open(server, { followByHand }).open('model.safetensors'))!;
        await file.read(0, 100);
        server.fault = () => fault;
        const { code, fullText } = await failure(() => file.read(0, 150_000));
        expect(code).toBe('source');
        expect(fullText).toMatch(words);
      });
    }
  });
}

describe('hub root: waiting', () => {
  it('a wait that is asked for is kept, by all requests to that server', async () => {
    const server = await serve();
    const root = open(server);
    await root.readBytes('config.json');
    let first = true;
    server.fault = () => (first ? ((first = false), '503-wait') : 'ok');
    server.options.files['config.json'] = FILES['config.json'];
    const start = performance.now();
    await root.readBytes('config.json');
    expect(performance.now() - start).toBeGreaterThan(15);
  });

  it('a wait longer than anybody waits is told', async () => {
    const slow: typeof fetch = () =>
      Promise.resolve(new Response(null, { status: 429, headers: { 'retry-after': '7200' } }));
    const root = openHubRoot({ repo: 'a/b', endpoint: 'http://127.0.0.1:9' }, { fetch: slow, longestWaitMs: 10 });
    const { fullText } = await failure(() => root.open('config.json'));
    expect(fullText).toMatch(/status 429.*7200 seconds/);
    expect(fullText).toMatch(/come back later/);
  });
});

describe('hub root: refusals say what to do', () => {
  const refusal = async (
    options: Partial<HubServerOptions>,
    root: Partial<HubRoot> = {},
    path = 'model.safetensors',
  ): Promise<string> => {
    const server = await serve(options);
    const { code, fullText } = await failure(() => open(server, {}, root).readBytes(path));
    expect(code).toMatch(/source|config/);
    expect(fullText).not.toContain(TOKEN.slice(3));
    return fullText;
  };

  it('gated, without a token', async () => {
    const text = await refusal({ gated: true, token: 'hf_right' });
    expect(text).toMatch(/hub:maker\/model@main.*licence/);
    expect(text).toMatch(/Accept the licence at http.*\/maker\/model, then make a token/);
  });
  it('gated, with the token of an account that has not accepted', async () => {
    expect(await refusal({ gated: true, token: 'hf_right' }, { token: TOKEN })).toMatch(
      /licence at .* with the account that the token belongs to/,
    );
  });
  it('a token that the server refuses', async () => {
    expect(await refusal({ token: 'hf_right' }, { token: TOKEN })).toMatch(/refuses the one it was sent/);
  });
  it('private, or not there', async () => {
    expect(await refusal({ token: 'hf_right' })).toMatch(/none of that name, or it is private/);
    expect(await refusal({}, { repo: 'other/model' })).toMatch(/none of that name, or it is private/);
  });
  it('no such revision', async () => {
    expect(await refusal({}, { revision: 'v9' })).toMatch(/expected the revision v9/);
  });
  it('no such file', async () => {
    expect(await refusal({}, {}, 'nothing.json')).toMatch(/nothing\.json: expected a file in hub:maker\/model@main/);
    expect(await refusal({ api: 'none' }, {}, 'nothing.json')).toMatch(/expected a file in hub:maker\/model@main/);
  });
  it('a mirror with Git-LFS pointers in place of the weights', async () => {
    const pointer = new TextEncoder().encode('version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 9\n');
    for (const api of ['full', 'none'] as const) {
      expect(await refusal({ files: { 'model.safetensors': pointer }, api })).toMatch(/only its Git-LFS pointer/);
    }
  });
  it('a page in place of everything: the network wants a sign-in', async () => {
    expect(await refusal({ fault: () => 'html' })).toMatch(/got a web page[\s\S]*sign in/);
  });
  it('a token with a line break is refused, and not repeated', () => {
    for (const token of [`${TOKEN}\n`, `${TOKEN} x`, '', `${TOKEN}é`]) {
      expect(() => openHubRoot({ repo: 'a/b', token })).toThrow(/token: expected one line/);
      expect(() => openHubRoot({ repo: 'a/b', token })).not.toThrow(TOKEN);
    }
  });
  it('no token over plain http to another machine', () => {
    expect(() => openHubRoot({ repo: 'a/b', token: TOKEN, endpoint: 'http://10.0.0.1:8000' })).toThrow(
      /https endpoint/,
    );
    expect(() => openHubRoot({ repo: 'a/b', endpoint: 'http://10.0.0.1:8000' })).not.toThrow();
  });
  it('is only read', async () => {
    const root = openFileRoot({ kind: 'hub', repo: 'a/b' });
    expect((await failure(() => root.write('x', new Uint8Array(1)))).code).toBe('usage');
  });
});

describe('hub root: mirrors', () => {
  it('a server that says no commit: read as it is, with a warning, and pieces are not kept', async () => {
    const server = await serve({ api: 'none', saysCommit: false });
    const warnings: string[] = [];
    const pieces = new MemoryPieceStore({ pieceBytes: 10_000 });
    const root = open(server, { onWarning: (text) => warnings.push(text), pieces });
    same(await root.readBytes('model.safetensors'), WEIGHTS);
    expect(warnings.join()).toMatch(/does not say its commit/);
    expect(await root.pinned()).toBe('hub:maker/model@main');
  });
  it('a server that ignores ranges: the file is taken whole, once, within a limit', async () => {
    const server = await serve({ fault: ({ kind }) => (kind === 'api' ? 'ok' : 'ignores-range') });
    const file = (await open(server).open('model.safetensors'))!;
    same(await file.read(5, 100), WEIGHTS.slice(5, 100));
    const asked = server.asked.length;
    same(await file.read(100, 150_000), WEIGHTS.slice(100, 150_000));
    expect(server.asked.length).toBe(asked);
    const small = (await open(server, { wholeBytes: 1000 }).open('model.safetensors'))!;
    expect((await failure(() => small.read(5, 100))).fullText).toMatch(/byte ranges/);
  });
  it('a base URL with a path and a slash at its end', async () => {
    const server = await serve({ repo: 'maker/model' });
    expect(await open(server, {}, { endpoint: `${server.endpoint}/` }).readText('config.json')).toContain('hidden');
  });
});

describe('hub root: pieces', () => {
  it('what one root has fetched, the next one does not; damaged pieces are fetched again', async () => {
    const server = await serve();
    const pieces = new MemoryPieceStore({ pieceBytes: 10_000 });
    same(await open(server, { pieces }).readBytes('model.safetensors'), WEIGHTS);
    const { sentBytes } = server;
    const root = open(server, { pieces });
    same(await root.readBytes('model.safetensors'), WEIGHTS);
    expect(server.sentBytes).toBe(sentBytes);
    await root.forgetPieces();
    same(await open(server, { pieces }).readBytes('model.safetensors'), WEIGHTS);
    expect(server.sentBytes).toBeGreaterThanOrEqual(sentBytes + 200_000);
  });
});

describe('hub root: stories', () => {
  it(
    '200 stories: the right bytes or a clear error, bounded requests, the token nowhere else',
    { timeout: 900_000 },
    () => tellHubStories(200, 20261126),
  );
});
