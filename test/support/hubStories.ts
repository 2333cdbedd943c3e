// hubStories.ts: random stories of a Hub that fails in every way while a model is read from it, and the promises that hold in
// each of them. Tests only; how many are told is the tests' choice.
import fc from 'fast-check';
import { expect } from 'vitest';
import { PupilError } from '../../src/base/errors';
import { openHubRoot } from '../../src/sources/hub';
import { MemoryPieceStore } from '../../src/storage/pieceStore';
import { LASTING_FAULTS, PASSING_FAULTS, startHubServer, type Fault, type HubServer } from './hubServer';
import { patterned } from './patterned';

const TOKEN = 'hf_SecretOfTheStories0123456789';
const ATTEMPTS = 4;
const IDLE_MS = 40;

const FILES = {
  'config.json': new TextEncoder().encode(`{"a":"${'x'.repeat(700)}"}`),
  'model.safetensors': patterned(300_000),
};

const fault: fc.Arbitrary<Fault> = fc.oneof(
  { weight: 10, arbitrary: fc.constant<Fault>('ok') },
  { weight: 12, arbitrary: fc.constantFrom<Fault>(...PASSING_FAULTS) },
  { weight: 1, arbitrary: fc.constantFrom<Fault>(...LASTING_FAULTS) },
);
const size = FILES['model.safetensors'].byteLength;
const range = fc
  .tuple(fc.integer({ min: 0, max: size }), fc.integer({ min: 0, max: size }))
  .map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const);
const story = fc.record({
  faults: fc.array(fault, { minLength: 3, maxLength: 16, size: 'max' }),
  ranges: fc.array(range, { minLength: 1, maxLength: 3 }),
  api: fc.constantFrom<'full' | 'no-sizes' | 'none'>('full', 'no-sizes', 'none'),
  withToken: fc.boolean(),
  inPieces: fc.boolean(),
  followByHand: fc.boolean(),
  signatureMs: fc.constantFrom(0, 5, 60_000),
});

type Story = typeof story extends fc.Arbitrary<infer T> ? T : never;

/** What the stories came to: a test looks that nothing was left out. */
export const seen = { faults: new Set<Fault>(), right: 0, errors: 0, requests: 0 };

async function tell(server: HubServer, { faults, ranges, ...how }: Story): Promise<void> {
  const from = server.asked.length;
  Object.assign(server.options, { api: how.api, signatureMs: how.signatureMs === 0 ? 1 : how.signatureMs });
  if (how.withToken) server.options.token = TOKEN;
  else delete server.options.token;
  server.fault = ({ n }) => faults[n - from] ?? 'ok';
  const pieces = how.inPieces ? new MemoryPieceStore({ pieceBytes: 16_384 }) : undefined;
  const warnings: string[] = [];
  let counted = 0;
  const texts: string[] = [];
  const expectHonest = (error: unknown): void => {
    // A clear error of ours, whatever happened.
    expect(error).toBeInstanceOf(PupilError);
    expect((error as PupilError).message).toMatch(/expected|asked for/);
    const { message, hint = '', stack = '', cause } = error as PupilError;
    texts.push(message, hint, stack, String((cause as Error | undefined)?.stack));
    seen.errors++;
  };
  try {
    const root = openHubRoot(
      { repo: server.repo, endpoint: server.endpoint, ...(how.withToken ? { token: TOKEN } : {}) },
      {
        attempts: ATTEMPTS,
        retryMs: 1,
        idleMs: IDLE_MS,
        rangeBytes: 65_536,
        followByHand: how.followByHand,
        onWarning: (text) => warnings.push(text),
        onBytes: (count) => (counted += count),
        ...(pieces === undefined ? {} : { pieces }),
      },
    );
    for (const [start, end] of ranges) {
      try {
        const file = await root.open('model.safetensors');
        // Where neither the API nor a redirect's headers tell the size, the first look can be lied to about it.
        const mayBeFooled = how.api !== 'full' && !how.followByHand && faults.includes('changed-size');
        if (!mayBeFooled) expect(file?.size).toBe(size);
        const to = Math.min(end, file!.size);
        const bytes = await file!.read(Math.min(start, to), to);
        expect(Buffer.compare(bytes, FILES['model.safetensors'].subarray(start, to))).toBe(0);
        seen.right++;
      } catch (error) {
        if (!(error instanceof PupilError)) throw error;
        expectHonest(error);
      }
    }
    try {
      expect(await root.readBytes('config.json')).toEqual(FILES['config.json']);
    } catch (error) {
      if (!(error instanceof PupilError)) throw error;
      expectHonest(error);
    }
  } finally {
    server.fault = () => 'ok';
  }
  const asked = server.asked.slice(from);
  for (const one of asked) {
    seen.faults.add(one.fault);
    // The token goes to the Hub alone, and into no text.
    if (one.server === 'cdn') expect(one.authorization).toBeUndefined();
    else expect(one.authorization).toBe(how.withToken ? `Bearer ${TOKEN}` : undefined);
  }
  for (const text of [...texts, ...warnings]) expect(text).not.toContain(TOKEN.slice(3));
  expect(counted).toBeGreaterThanOrEqual(0);
  // Two for the API and the commit; per file one look and its ranges of 64 KiB; each at most ATTEMPTS times in two hops, or
  // eleven where a redirect leads in a circle.
  const ranged = ranges.reduce((sum, [start, end]) => sum + 3 + Math.ceil((end - start + 32_768) / 65_536), 5);
  const looks = 4 + 3 * ranges.length;
  expect(asked.length).toBeLessThanOrEqual((ranged + looks) * ATTEMPTS * 2 + 11 * faults.length);
  seen.requests += asked.length;
}

/**
 * Tells so many stories. Whatever happens: the bytes that arrive are the file's, or there is a clear error; the token goes to
 * the Hub alone and into no text; the number of requests is bounded.
 */
export async function tellHubStories(count: number, seed: number): Promise<void> {
  const server = await startHubServer({ files: FILES, stallMs: 4 * IDLE_MS });
  try {
    await fc.assert(
      fc.asyncProperty(story, (one) => tell(server, one)),
      { numRuns: count, seed },
    );
  } finally {
    await server.close();
  }
  expect([...PASSING_FAULTS, ...LASTING_FAULTS].filter((one) => !seen.faults.has(one))).toEqual([]);
  expect(seen.right).toBeGreaterThan(count);
  expect(seen.errors).toBeGreaterThan(0);
}
