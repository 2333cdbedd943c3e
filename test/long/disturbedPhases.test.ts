// disturbedPhases.test.ts: what disturbedRun.test.ts lets befall a run of the built page, in every phase of one: a run
// whose storage is full five times, one whose page crashes five times, one that is held still five times. Each ends with every
// number of the one that was left alone. Minutes on a software adapter. Not here: a GPU process that crashes again and again.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Page } from 'playwright-core';
import { EVALUATE, finished, inPhase, INSTRUCT, PAIRS, REFINE } from '../page/labPlace';
import { visit, type Visit } from '../page/openPage';
import { crashPage, ended, freeze, limitStorage, outcomeOf, startChanged, wayOn } from '../page/shortRun';

const PHASES = ['Baselines', INSTRUCT, PAIRS, REFINE, EVALUATE];

/** Each gives the page in which the run goes on. */
const DISTURBANCES: Readonly<Record<string, (visited: Visit, page: Page) => Promise<Page>>> = {
  'its storage was full': async (visited, page) => {
    const lift = await limitStorage(visited, page);
    expect(await ended(page)).toContain('no room left');
    await lift();
    await wayOn(page).click();
    return page;
  },
  'its page crashed': async (visited, page) => {
    const next = await visited.context.newPage();
    await crashPage(visited, page);
    await next.goto(visited.address);
    await next.getByRole('region', { name: 'An interrupted run' }).getByRole('button', { name: 'Resume it' }).click();
    return next;
  },
  'it was held still': async (visited, page) => {
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
    await startChanged({ ...visited, page }, { 'phases.baseline': true });
    for (const phase of PHASES) {
      await inPhase(page, phase);
      page = await DISTURBANCES[name]!(visited, page);
      await page.getByRole('region', { name: /^Run/ }).getByText('running', { exact: true }).waitFor();
    }
    await finished(page);
    expect(await outcomeOf(page)).toEqual(leftAlone);
    await page.close();
  });
});
