// chapters.test.ts: every chapter of the lesson in the built page: no violation that axe-core finds, nothing wider than the window,
// no error in the console under the page's own policy. What the widgets compute is in test/browser/chapters.test.ts.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { faultsOf, LOOKS } from './accessible';
import { visit, type Visit } from './openPage';

let visited: Visit;
beforeAll(async () => {
  visited = await visit();
});
afterAll(() => visited.end());

it.each(['lora', 'nf4', 'dpo', 'string-matching', 'how-little-data'])(
  'the chapter %s has no fault',
  async (chapter) => {
    const { page, address, problems } = visited;
    const faults: string[] = [];
    await page.goto(`${address}?chapter=${chapter}&projector=1`);
    await page.waitForSelector('article .widget :is(figure, dl, table)');
    await page.waitForFunction(() => document.querySelector('.loading') === null);
    faults.push(...(await faultsOf(page)).map((fault) => `projector: ${fault}`));
    await page.goto(`${address}?chapter=${chapter}&projector=0`);
    await page.waitForSelector('article .widget :is(figure, dl, table)');
    await page.waitForFunction(() => document.querySelector('.loading') === null);
    for (const { name, width, height, scheme } of LOOKS.filter((look) => look.name !== 'desktop')) {
      await page.setViewportSize({ width, height });
      await page.emulateMedia({ colorScheme: scheme });
      faults.push(...(await faultsOf(page)).map((fault) => `${name} ${scheme}: ${fault}`));
    }
    expect(faults).toEqual([]);
    expect(problems).toEqual([]);
  },
);
