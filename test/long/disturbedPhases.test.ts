// disturbedPhases.test.ts: what disturbedRun.test.ts lets befall a run of the built page, in every phase of one: a run
// whose storage is full five times, one whose page crashes five times, one that is held still five times. Each ends with every
// number of the one that was left alone. Minutes on a software adapter. Not here: a GPU process that crashes again and again.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Page } from 'playwright-core';
import { EVALUATE, finished, INSTRUCT, mainButton, PAIRS, REFINE } from '../page/labPlace';
import { visit, type Visit } from '../page/openPage';
import {
  crashPage,
  ended,
  freeze,
  heldIn,
  holdIn,
  limitStorage,
  outcomeOf,
  startChanged,
  wayOn,
} from '../page/shortRun';

const PHASES = ['Baselines', INSTRUCT, PAIRS, REFINE, EVALUATE];

/**
 * Of a run that is held in a phase; each lets it go, disturbs it, and gives the page in which it goes on, up to the phase in
 * which it is held next.
 */
const DISTURBANCES: Readonly<Record<string, (visited: Visit, page: Page, next: string | undefined) => Promise<Page>>> =
  {
    'its storage was full': async (visited, page, next) => {
      const lift = await limitStorage(visited, page);
      await mainButton(page, 'Resume').click();
      expect(await ended(page)).toContain('no room left');
      await lift();
      await holdIn(page, next);
      await wayOn(page).click();
      return page;
    },
    'its page crashed': async (visited, page, next) => {
      await mainButton(page, 'Resume').click(); // before another page covers this one, which takes no clicks then
      await crashPage(visited, page);
      const other = await visited.context.newPage();
      await other.goto(visited.address);
      const resume = other
        .getByRole('region', { name: 'An interrupted run' })
        .getByRole('button', { name: 'Resume it' });
      await resume.waitFor();
      await holdIn(other, next);
      await resume.click();
      return other;
    },
    'it was held still': async (visited, page, next) => {
      await holdIn(page, next);
      await mainButton(page, 'Resume').click();
      expect(await freeze(visited, page, 2000)).toBe(1);
      expect(await page.getByRole('alert').count()).toBe(0);
      return page;
    },
  };

describe('a run of the page that is disturbed in every phase', () => {
  let visited: Visit;
  let leftAlone: Record<string, string>;
  beforeAll(async () => {
    visited = await visit({ mayBeHidden: true });
    await startChanged(visited, { 'phases.baseline': true });
    await finished(visited.page);
    leftAlone = await outcomeOf(visited.page);
    expect(leftAlone['state']).toBe('finished');
  });
  afterAll(() => visited.end());

  it.each(Object.keys(DISTURBANCES))('ends as one that was left alone: %s', async (name) => {
    let page = await visited.context.newPage();
    await startChanged({ ...visited, page }, { 'phases.baseline': true }, PHASES[0]);
    for (const [i, phase] of PHASES.entries()) {
      await heldIn(page, phase);
      page = await DISTURBANCES[name]!(visited, page, PHASES[i + 1]);
    }
    await finished(page);
    expect(await outcomeOf(page)).toEqual(leftAlone);
    await page.close();
  });
});
