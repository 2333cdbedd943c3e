// A model read from a hub by a worker of a page, across origins, with the CORS headers that the Hub sends and its CDN on
// another origin still: the same bytes, the token to the hub alone, pieces kept in OPFS.
import { commands } from 'vitest/browser';
import { afterEach, describe, expect, it } from 'vitest';
import type { HubWish } from '../support/hubCommands';
import { patterned } from '../support/patterned';
import type { HubAnswer, HubJob } from './hubWorker';

const TOKEN = 'hf_OnlyForTheHub0123456789';
const WEIGHTS = patterned(700_000);

const running: string[] = [];
afterEach(async () => {
  for (const endpoint of running.splice(0)) await commands.stopHub(endpoint);
});

async function hub(wish: HubWish = {}): Promise<string> {
  const endpoint = await commands.startHub(wish);
  running.push(endpoint);
  return endpoint;
}

async function read(endpoint: string, job: Partial<HubJob> & { token?: string } = {}): Promise<HubAnswer> {
  const { token, ...rest } = job;
  const worker = new Worker(new URL('./hubWorker.ts', import.meta.url), { type: 'module' });
  try {
    return await new Promise<HubAnswer>((resolve, reject) => {
      worker.onmessage = (event: MessageEvent<HubAnswer>) => resolve(event.data);
      worker.onerror = (event) => reject(new Error(event.message));
      worker.postMessage({
        root: { repo: 'maker/model', endpoint, ...(token === undefined ? {} : { token }) },
        paths: ['config.json', 'model.safetensors'],
        inPieces: false,
        forget: false,
        ...rest,
      } satisfies HubJob);
    });
  } finally {
    worker.terminate();
  }
}

const expectRight = (answer: HubAnswer): void => {
  expect(answer).not.toHaveProperty('error');
  const found = (answer as { files: Record<string, Uint8Array> }).files['model.safetensors']!;
  expect(found.byteLength).toBe(WEIGHTS.byteLength);
  expect(found.findIndex((byte, i) => byte !== WEIGHTS[i])).toBe(-1);
};

describe('a hub read by a worker of a page', () => {
  for (const api of ['full', 'none'] as const) {
    it(`API ${api}: across origins, at one commit`, async () => {
      const endpoint = await hub({ api });
      const answer = await read(endpoint);
      expectRight(answer);
      expect(answer).toMatchObject({ pinned: expect.stringMatching(/^hub:maker\/model@[0-9a-f]{40}$/) as string });
      const log = await commands.hubLog(endpoint);
      expect(log.some(({ server }) => server === 'cdn')).toBe(true);
      for (const { origin } of log) expect(origin).toBeDefined();
    });
  }

  it('the token goes to the hub and not to the CDN that it leads to', async () => {
    const endpoint = await hub({ token: TOKEN });
    expectRight(await read(endpoint, { token: TOKEN }));
    const log = await commands.hubLog(endpoint);
    expect(log.filter(({ server }) => server === 'cdn').length).toBeGreaterThan(0);
    for (const { server, authorization } of log) {
      expect(authorization).toBe(server === 'hub' ? `Bearer ${TOKEN}` : undefined);
    }
  });

  it('a mirror whose headers a page may not see', async () => {
    expectRight(await read(await hub({ exposed: '' })));
  });

  it('a server that does not allow the page’s origin is told as such', async () => {
    const answer = await read(await hub({ exposed: false }));
    expect(answer).toHaveProperty('error');
    expect((answer as { error: string }).error).toMatch(/no connection.*that it allows this origin/s);
  });

  it('broken connections, throttling and an expired signature on the way', async () => {
    const endpoint = await hub({
      faults: ['500', 'ok', 'cut', '429', 'ok', 'cut', 'ok', 'expired', 'ok', 'short', 'reset'],
    });
    expectRight(await read(endpoint));
  });

  it('a gated model: what to do', async () => {
    const answer = await read(await hub({ gated: true, token: 'hf_other' }));
    expect((answer as { error: string }).error).toMatch(/Accept the licence at/);
  });

  it('pieces in OPFS: another worker fetches nothing again, until they are forgotten', async () => {
    const endpoint = await hub();
    expectRight(await read(endpoint, { inPieces: true }));
    const sent = async (): Promise<number> =>
      (await commands.hubLog(endpoint)).reduce(
        (sum, { server, sentBytes }) => sum + (server === 'cdn' ? sentBytes : 0),
        0,
      );
    const once = await sent();
    expect(once).toBe(WEIGHTS.byteLength);
    expectRight(await read(endpoint, { inPieces: true, forget: true }));
    expect(await sent()).toBe(once);
    expectRight(await read(endpoint, { inPieces: true, forget: true }));
    expect(await sent()).toBe(2 * once);
  });
});
