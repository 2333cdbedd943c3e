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

const LONG = process.env['PUPIL_TEST_LONG'] !== undefined;
const small = LOOKS.filter(({ name }) => name !== 'desktop');
/** Each chapter is seen in one of these, in this order, so that each is seen; where there is time, every one in all. */
const VIEWS = [...small.map((look) => ({ ...look, projector: 0 })), { ...small.at(-2)!, projector: 1 }];

it.each(['lora', 'nf4', 'dpo', 'string-matching', 'how-little-data'].map((chapter, i) => [chapter, i] as const))(
  'the chapter %s has no fault',
  async (chapter, i) => {
    const { page, address, problems } = visited;
    const faults: string[] = [];
    for (const { name, width, height, scheme, projector } of VIEWS.filter((_, v) => LONG || v === i)) {
      await page.setViewportSize({ width, height });
      await page.emulateMedia({ colorScheme: scheme });
      await page.goto(`${address}?chapter=${chapter}&projector=${projector}`);
      await page.waitForSelector('article .widget :is(figure, dl, table)');
      await page.waitForFunction(() => document.querySelector('.loading') === null);
      faults.push(...(await faultsOf(page)).map((fault) => `${name} ${scheme} ${projector}: ${fault}`));
    }
    expect(faults).toEqual([]);
    expect(problems).toEqual([]);
  },
);
