// lessonPage.test.ts: the lesson in the built page from one click to the finished table, and its four students asked afterwards;
// minutes on a software adapter. The same pipeline without a browser's page is test/long/experiments.test.ts.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { faultsOf } from '../page/accessible';
import { tableOf } from '../page/labPlace';
import { visit, type Visit } from '../page/openPage';

/** A busy machine of two cores takes half an hour. PUPIL_LESSON_EXPERIMENT=smoke shortens it to try the test itself. */
const LESSON_MS = 3_000_000;
const EXPERIMENT = process.env.PUPIL_LESSON_EXPERIMENT ?? 'lesson';
const STAGES = ['Demonstrations', 'Instruct', 'Sample y and ŷ', 'Pairs', 'Refine', 'Evaluate'];

describe('the lesson in the page', () => {
  let visited: Visit;
  beforeAll(async () => {
    visited = await visit();
  });
  afterAll(() => visited.end());

  it('goes from one click to the finished table', async () => {
    const { page, address, problems } = visited;
    await page.goto(EXPERIMENT === 'lesson' ? address : `${address}?experiment=${EXPERIMENT}`);
    await page.getByRole('button', { name: 'Start the lesson' }).click();
    await page.getByRole('button', { name: 'Pause', exact: true }).waitFor({ timeout: 120_000 });
    const seen = new Set<string>();
    const anew = page.getByRole('button', { name: 'Start anew' });
    const title = page.locator('#stage-title');
    for (const endMs = Date.now() + LESSON_MS; (await anew.count()) === 0;) {
      expect(Date.now(), 'the lesson has not ended').toBeLessThan(endMs);
      seen.add((await title.innerText()).replace(/^\d+\s*/, ''));
      await page.waitForTimeout(100);
    }
    if (EXPERIMENT === 'lesson') expect([...seen]).toEqual(expect.arrayContaining(STAGES));
    const rows = await tableOf(page.locator('.stage'));
    for (const label of ['Baseline', 'Instruction-tuned', 'Self-refined']) {
      expect(rows.filter((row) => row.startsWith(label) && /\d %/.test(row)).length, label).toBeGreaterThanOrEqual(2);
    }
    expect(await faultsOf(page)).toEqual([]);
    expect(problems).toEqual([]);
  });

  it('answers a question of the audience by all four students', async () => {
    const { page, problems } = visited;
    const box = page.getByRole('region', { name: 'Before and after: ask it yourself' });
    await box
      .getByRole('textbox', { name: 'Question' })
      .fill('Tom has 12 pears and buys 5 more pears. How many pears does Tom have?');
    await box.getByRole('button', { name: 'Ask all four' }).click();
    await box.getByRole('button', { name: 'Ask all four' }).waitFor({ timeout: 300_000 });
    await page.waitForFunction(() => document.querySelectorAll('.answer .said').length === 4, undefined, {
      timeout: 300_000,
    });
    expect(await box.getByText('Comes with the stage').count()).toBe(0);
    expect(await faultsOf(page)).toEqual([]);
    expect(problems).toEqual([]);
  });
});
