// offlineRun.test.ts: the network goes away while the built page trains: the run goes on and finishes. Reading the page itself
// without a network is firstLoad.test.ts.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { finished, inPhase, mainButton, ready, tableOf } from './labPlace';
import { visit, type Visit } from './openPage';

let visited: Visit;
beforeAll(async () => {
  visited = await visit();
});
afterAll(() => visited.end());

it.runIf(process.env.PUPIL_TEST_LONG)(
  'a run that trains needs no network: it finishes without one, and says so meanwhile',
  { timeout: 600_000 },
  async () => {
    const { page, context, address, problems } = visited;
    await page.goto(`${address}?place=lab&experiment=smoke`);
    await ready(page);
    await mainButton(page, 'Run').click();
    await inPhase(page, 'Instruction-tuning');
    await visited.stopServing();
    await context.setOffline(true);
    await page.getByText('The run needs nothing of the network and goes on.').waitFor();
    await finished(page);
    const table = await tableOf(page.getByRole('region', { name: 'Results', exact: true }));
    expect(table.filter((row) => /^Self-refined/.test(row)).length).toBeGreaterThan(0);
    expect(await page.getByRole('alert').count()).toBe(0);
    expect(problems.filter((problem) => !/ERR_CONNECTION_REFUSED|ERR_INTERNET_DISCONNECTED/.test(problem))).toEqual([]);
  },
);
