// disturbedRun.test.ts: what befalls a run in the built page from outside: the page is frozen, the GPU's process crashes, the
// storage is full, the page itself crashes, a second tab wants the same run; one after the other to one run. Each ends in a message and a
// way on, and the run ends with every number of one that was left alone. In every phase:
// test/long/disturbedPhases.test.ts.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Page } from 'playwright-core';
import { finished, mainButton, PAIRS, REFINE } from '../page/labPlace';
import { visit, type Visit } from '../page/openPage';
import {
  crashGpu,
  crashPage,
  ended,
  freeze,
  heldIn,
  holdIn,
  limitStorage,
  outcomeOf,
  startChanged,
  startShort,
  wayOn,
} from '../page/shortRun';

describe('a run of the page', { timeout: 600_000 }, () => {
  let visited: Visit;
  let leftAlone: Record<string, string>;
  beforeAll(async () => {
    visited = await visit();
  });
  afterAll(() => visited.end());

  it('that would not fit the GPU is refused by its plan, with what would make it smaller', async () => {
    const { page, problems } = visited;
    await startChanged(visited, { 'limits.maxGpuBytes': 1_000_000 });
    expect(await ended(page)).toMatch(/this run needs about \d+[^]*Lower microBatchTokens/);
    await page.getByText('nothing of it is kept, and nothing is lost').waitFor();
    expect(problems).toEqual([]);
  });

  it('shows its pairs in Inside as soon as it has made them, without a reload', async () => {
    const { page, problems } = visited;
    await startShort(visited);
    await page.getByRole('navigation', { name: 'Places' }).getByRole('link', { name: 'Inside' }).click();
    await page.getByText('live: read again after each phase').waitFor();
    await page.getByText('they appear here when that phase has ended').waitFor();
    await page.evaluate(() => Object.assign(globalThis, { notReloaded: true }));
    await page.locator('.inside-view [role=option]').first().waitFor({ timeout: 200_000 });
    expect(await page.getByText('live: read again after each phase').count(), 'it goes on still').toBe(1);
    expect(await page.evaluate(() => 'notReloaded' in globalThis)).toBe(true);
    await page.getByRole('navigation', { name: 'Places' }).getByRole('link', { name: 'Lab' }).click();
    await finished(page);
    leftAlone = await outcomeOf(page);
    expect(leftAlone['state']).toBe('finished');
    expect(Object.keys(leftAlone).length).toBe(6);
    expect(leftAlone['curves']!.split('\n').length).toBeGreaterThan(15);
    expect(problems).toEqual([]);
  });

  it('out of sight and held still for a while, goes on when it is seen again, and ends the same', async () => {
    const hidden = await visit({ mayBeHidden: true });
    try {
      const { page } = hidden;
      await startShort(hidden);
      await page.getByText('Tokens per second now').waitFor();
      const step = page.locator('.facts dd').first();
      expect(await freeze(hidden, page, 4000)).toBe(1);
      expect(await step.innerText(), 'it did nothing meanwhile').toMatch(/^[1-9] of \d+$/);
      await finished(page);
      expect(await page.getByRole('alert').count()).toBe(0);
      expect(await outcomeOf(page)).toEqual(leftAlone);
    } finally {
      await hidden.end();
    }
  });

  describe('one run, each part going on from what the one before left', () => {
    let other: Page;

    it('is told of in a second tab, which cannot train it as well', async () => {
      const { context, address } = visited;
      await startShort(visited);
      other = await context.newPage();
      await other.goto(`${address}?place=results`);
      await other.getByText(/^The run “Smoke” is trained in another tab of this browser/).waitFor();
      await other.getByText('running in another tab').waitFor();
      expect(await other.getByRole('region', { name: 'An interrupted run' }).count()).toBe(0);
      const row = other.getByRole('listitem').filter({ hasText: 'running in another tab' });
      for (const name of [/^Delete /, /^Resume /]) {
        expect(await row.getByRole('button', { name }).isDisabled(), String(name)).toBe(true);
      }
    });

    it('its GPU process crashed: it says so, and goes on with another one', async () => {
      const { page } = visited;
      await crashGpu(visited);
      expect(await ended(page)).toMatch(/GPU device lost[^]*Resume from the last checkpoint/);
      await holdIn(page, PAIRS);
      await wayOn(page).getByText('Resume on a new device').click();
      await heldIn(page, PAIRS);
    });

    it('no room to store it: it says so, and goes on when there is room', async () => {
      const { page } = visited;
      const lift = await limitStorage(visited, page);
      await mainButton(page, 'Resume').click();
      expect(await ended(page)).toMatch(/no room left[^]*the last checkpoint is still there/);
      await page.getByText('Make room, then resume.').waitFor();
      await lift();
      await holdIn(page, REFINE);
      await wayOn(page).getByText('Resume, with the room made').click();
      await heldIn(page, REFINE);
    });

    it('its page crashed: the second tab says so, and ends it as if nothing had happened', async () => {
      const { page } = visited;
      await mainButton(page, 'Resume').click();
      await crashPage(visited, page);
      const band = other.getByRole('region', { name: 'An interrupted run' });
      await band.getByText('The run “Smoke” was interrupted').waitFor();
      expect(await other.getByText('is trained in another tab').count()).toBe(0);
      await band.getByRole('button', { name: 'Resume it' }).click();
      await finished(other);
      expect(await outcomeOf(other)).toEqual(leftAlone);
    });
  });
});
