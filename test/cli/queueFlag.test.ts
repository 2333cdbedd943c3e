// queueFlag.test.ts: `pupil full --queue GRID`: the grid that stands where an address may stand, and what is no grid. No Redis: the
// address leads nowhere, or the grid is only planned.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { WAYS, writeTinyGrid } from '../support/tinyGrid';
import { jsonLines, pupil } from './fakeSession';

const folder = mkdtempSync(join(tmpdir(), 'pupil-queue-flag-'));
afterEach(() => vi.unstubAllEnvs());

interface Refused {
  type: string;
  code: string;
  message: string;
  hint?: string;
}
async function refused(...args: string[]): Promise<Refused> {
  const { code, out } = await pupil(['full', ...args, '--json']);
  expect(code).not.toBe(0);
  return jsonLines(out).at(-1) as unknown as Refused;
}

describe('full --queue GRID', () => {
  const grid = writeTinyGrid(folder, [WAYS]);

  it('takes the grid for the grid, and the address of PUPIL_QUEUE', async () => {
    vi.stubEnv('PUPIL_QUEUE', 'http://not-redis');
    expect((await refused('--queue', grid)).message).toBe('--queue: expected redis://host:port, got http://not-redis');
    // As far as any other grid: a plan needs no queue.
    const { code, out } = await pupil(['full', '--queue', grid, '--plan', '--json']);
    expect([code, jsonLines(out)[0]]).toMatchObject([0, { type: 'series-plan', name: 'Tiny grid', runs: 2 }]);
  });

  it('without PUPIL_QUEUE says both ways to name one', async () => {
    vi.stubEnv('PUPIL_QUEUE', '');
    const { code, hint } = await refused('--queue', grid);
    expect([code, hint]).toEqual(['usage', expect.stringContaining('pupil full GRID --queue redis://host:port')]);
  });

  it('an address without its scheme is no grid, and a grid that is not there is none either', async () => {
    expect((await refused('--queue', 'box:6379')).message).toMatch(/^--queue: expected redis:\/\/host:port/);
    expect((await refused('--queue', join(folder, 'other.json'))).message).toMatch(/there is no .*other\.json/);
    rmSync(folder, { recursive: true });
  });
});
