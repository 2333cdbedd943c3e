// empty.test.ts: the four places of a browser that has no run yet, at every size and colour: no violation that axe-core finds,
// nothing wider than the window, no error in the console.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { faultsInARoom, faultsOf, LOOKS } from './accessible';
import { visit, type Visit } from './openPage';

describe('before anything was run', () => {
  let it1: Visit;
  beforeAll(async () => {
    it1 = await visit();
  });
  afterAll(() => it1.end());

  it.each(['lesson', 'lab', 'inside', 'results'])('%s has no fault', async (place) => {
    const { page, address, problems } = it1;
    const faults: string[] = [];
    await page.goto(`${address}?place=${place}`);
    await page.waitForFunction(() => document.querySelector('.loading') === null);
    for (const { name, width, height, scheme } of LOOKS) {
      await page.setViewportSize({ width, height });
      await page.emulateMedia({ colorScheme: scheme });
      faults.push(...(await faultsOf(page)).map((fault) => `${name} ${scheme}: ${fault}`));
    }
    await page.getByRole('button', { name: 'Projector' }).click();
    faults.push(...(await faultsOf(page)).map((fault) => `projector: ${fault}`));
    await page.getByRole('button', { name: 'Projector' }).click();
    faults.push(...(await faultsInARoom(page)));
    expect(faults).toEqual([]);
    expect(problems).toEqual([]);
  });

  it('would be told of: a control without a name, pale text, and something too wide are found', async () => {
    const { page, address } = it1;
    await page.goto(address);
    await page.waitForFunction(() => document.querySelector('.loading') === null);
    await page.evaluate(() => {
      const fault = document.createElement('div');
      fault.append(
        document.createElement('button'),
        Object.assign(document.createElement('p'), {
          textContent: 'pale',
          style: 'color:#ccc;background:#fff;width:5000px',
        }),
      );
      document.querySelector('main')!.append(fault);
    });
    const faults = (await faultsOf(page)).join('\n');
    expect(faults).toContain('button-name');
    expect(faults).toContain('color-contrast');
    expect(faults).toContain('wider than its window');
  });
});
